package client_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/broker/client"
	"github.com/accord-sync/accord/internal/fault"
)

// conformance is what every broker must do.
type conformance struct {
	// server can be ended and started again.
	server interface {
		Stop()
		Start(t testing.TB)
	}
	config broker.Config
	// topic reaches the subscription, elsewhere does not.
	topic, elsewhere string
}

func conforms(t *testing.T, c conformance) {
	for name, test := range map[string]func(*testing.T, conformance){
		"in order, once, with header and id": delivered,
		"what is left open comes again":      openComesAgain,
		"refused ones do not come again":     refusedStays,
		"two share the messages":             shared,
		"kept while nobody listens":          kept,
		"the end of the context":             contextEnds,
	} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
	t.Run("the broker goes and comes back", func(t *testing.T) { broken(t, c) })
}

func subscribe(t *testing.T, c conformance) broker.Subscription {
	t.Helper()
	subscription, err := client.Subscribe(t.Context(), c.config, loopback())
	require.NoError(t, err)
	return subscription
}

func bodies(messages []broker.Message) []string {
	var found []string
	for _, one := range messages {
		found = append(found, string(one.Body))
	}
	slices.Sort(found)
	return found
}

func delivered(t *testing.T, c conformance) {
	from := subscribe(t, c)
	defer from.Close()
	send(t, c.config, c.elsewhere, "elsewhere")
	send(t, c.config, c.topic, "a1")
	send(t, c.config, c.topic, "a2")
	got := take(t, from, 2)
	require.Equal(t, "a1", string(got[0].Body))
	require.Equal(t, "a2", string(got[1].Body))
	require.Equal(t, "a1", got[0].ID)
	require.Equal(t, "00-a1", got[0].Header.Get("traceparent"))
	require.NoError(t, from.Acknowledge(t.Context(), got))
	nothing(t, c, from)
}

func openComesAgain(t *testing.T, c conformance) {
	from := subscribe(t, c)
	send(t, c.config, c.topic, "b1")
	send(t, c.config, c.topic, "b2")
	got := take(t, from, 2)
	require.NoError(t, from.Acknowledge(t.Context(), got[:1]))
	from.Close()
	again := subscribe(t, c)
	defer again.Close()
	got = take(t, again, 1)
	require.Equal(t, []string{"b2"}, bodies(got))
	require.NoError(t, again.Acknowledge(t.Context(), got))
	nothing(t, c, again)
}

func refusedStays(t *testing.T, c conformance) {
	from := subscribe(t, c)
	send(t, c.config, c.topic, "c1")
	require.NoError(t, from.Refuse(t.Context(), take(t, from, 1)))
	from.Close()
	again := subscribe(t, c)
	defer again.Close()
	nothing(t, c, again)
}

func shared(t *testing.T, c conformance) {
	one, other := subscribe(t, c), subscribe(t, c)
	defer one.Close()
	defer other.Close()
	const count = 40
	received := make(chan string, 10*count)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, from := range []broker.Subscription{one, other} {
		go func() {
			for {
				batch, err := from.Receive(ctx)
				if err != nil || from.Acknowledge(ctx, batch) != nil {
					return
				}
				for _, message := range batch {
					received <- string(message.Body)
				}
			}
		}()
	}
	publisher, err := client.OpenPublisher(t.Context(), c.config, loopback())
	require.NoError(t, err)
	defer publisher.Close()
	for n := range count {
		body := fmt.Sprintf("d%d", n)
		require.NoError(t, publisher.Publish(t.Context(), c.topic, broker.Message{ID: body, Body: []byte(body)}))
	}
	seen := map[string]int{}
	for range count {
		select {
		case body := <-received:
			seen[body]++
		case <-ctx.Done():
			t.Fatalf("%d of %d messages came", len(seen), count)
		}
	}
	require.Len(t, seen, count, "each message reaches one of the two")
	cancel()
}

func kept(t *testing.T, c conformance) {
	subscribe(t, c).Close()
	send(t, c.config, c.topic, "e1")
	from := subscribe(t, c)
	defer from.Close()
	got := take(t, from, 1)
	require.Equal(t, []string{"e1"}, bodies(got))
	require.NoError(t, from.Acknowledge(t.Context(), got))
}

func contextEnds(t *testing.T, c conformance) {
	from := subscribe(t, c)
	defer from.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := from.Receive(ctx)
		ended <- err
	}()
	cancel()
	select {
	case err := <-ended:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(time.Minute):
		t.Fatal("Receive does not end with its context")
	}
}

func broken(t *testing.T, c conformance) {
	from := subscribe(t, c)
	send(t, c.config, c.topic, "f1")
	require.Equal(t, []string{"f1"}, bodies(take(t, from, 1)))
	c.server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := from.Receive(ctx)
	require.Equal(t, fault.Unavailable, fault.CodeOf(err), "%v", err)
	from.Close()
	_, err = client.Subscribe(t.Context(), c.config, loopback())
	require.Equal(t, fault.Unavailable, fault.CodeOf(err), "%v", err)
	c.server.Start(t)
	again := subscribe(t, c)
	defer again.Close()
	// A broker that was killed may have forgotten what was acknowledged last.
	for seen := ""; seen != "f1"; {
		got := take(t, again, 1)
		require.NoError(t, again.Acknowledge(t.Context(), got))
		if slices.Contains(bodies(got), "f1") {
			seen = "f1"
		}
	}
}
