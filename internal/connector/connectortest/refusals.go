package connectortest

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

func refusals(t *testing.T, h Harness) {
	ctx := context.Background()
	t.Run("statuses become codes", func(t *testing.T) {
		b := h.bench(t)
		id := b.one(t)
		current := b.get(t, id)
		for _, row := range []struct {
			name  string
			spoil Spoil
			want  fault.Code
		}{
			{"the vendor's own answer", b.gone(), fault.Gone},
			{"a page's 404", Answer(404, "<html>not here</html>", "Content-Type: text/html"), fault.Transient},
			{"an empty 404", Answer(404, ""), fault.Transient},
			{"a gateway's 404", Answer(404, `{"message":"no route"}`), fault.Transient},
			{"403", Answer(403, ""), fault.Forbidden},
			{"500", Answer(500, "oops"), fault.Transient},
			{"502 with a page", Answer(502, "<html>"), fault.Transient},
			{"429", Answer(429, ""), fault.Throttled},
			{"a redirect", Answer(302, "", "Location: http://192.0.2.1/elsewhere"), fault.Transient},
			{"a page for an answer", Answer(200, "<html>hello</html>"), fault.Transient},
			{"an empty answer", Answer(200, ""), fault.Transient},
			{"something else", Answer(200, `{"hello":"world"}`), fault.Transient},
		} {
			b.front.On("GET", "/"+id, 1, row.spoil)
			_, err := b.conn.Get(ctx, b.Object, id)
			require.Equal(t, row.want, fault.CodeOf(err), row.name)
			require.False(t, fault.As(err).MaybeApplied, row.name)
		}
		b.front.On("PATCH", "/"+id, 1, b.refused())
		_, err := b.conn.Update(ctx, current, map[string]any{b.Key: "nobody"}, connector.WriteOptions{})
		require.Equal(t, fault.Invalid, fault.CodeOf(err))
		require.Equal(t, b.Key, fault.As(err).Field)
		require.NotEmpty(t, fault.As(err).Subject)
		b.front.On("DELETE", "/"+id, 1, Answer(404, "<html>"))
		require.Equal(t, fault.Transient, fault.CodeOf(b.conn.Delete(ctx, b.Object, id, connector.WriteOptions{})))
	})
	t.Run("a listing that is not one is an error, never empty", func(t *testing.T) {
		b := h.bench(t)
		b.one(t)
		for _, body := range []string{"", "<html>", "{}", `{"data":"x"}`, `{"error":{}}`, `[1`} {
			b.front.On("GET", b.ListPath, 1, Answer(200, body))
			_, err := b.conn.List(ctx, connector.ListRequest{Object: b.Object})
			require.Equal(t, fault.Transient, fault.CodeOf(err), body)
		}
	})
}

// limits are duplicates, throttling, sizes and deadlines.
func limits(t *testing.T, h Harness) {
	ctx := context.Background()
	t.Run("a taken key is a duplicate", func(t *testing.T) {
		b := h.bench(t)
		id := b.one(t)
		if len(b.Capabilities.Unique) > 0 {
			_, err := b.conn.Create(ctx, b.Object, b.born(map[string]any{b.Key: value(t, b.server.Fields(t, id), b.Key)}), connector.WriteOptions{})
			require.Equal(t, fault.Duplicate, fault.CodeOf(err))
			require.Equal(t, id, fault.As(err).ExistingID)
		}
		b.front.On("POST", b.ListPath, 1, Answer(409, ""))
		_, err := b.conn.Create(ctx, b.Object, b.born(map[string]any{b.Key: "secret.person@example.com"}), connector.WriteOptions{})
		require.Equal(t, fault.Duplicate, fault.CodeOf(err))
		require.Empty(t, fault.As(err).ExistingID)
		discreet(t, err, "secret.person")
	})
	t.Run("a 429 says how long", func(t *testing.T) {
		b := h.bench(t)
		id := b.one(t)
		now := b.clock.now().UTC()
		date := now.Add(42 * time.Second).Format(http.TimeFormat)
		for _, row := range []struct {
			headers []string
			want    time.Duration
		}{
			{[]string{"Retry-After: 7"}, 7 * time.Second},
			{[]string{"Retry-After: " + date, "Date: " + now.Format(http.TimeFormat)}, 42 * time.Second},
			{nil, transport.DefaultRetryAfter},
			{[]string{"Retry-After: soon"}, transport.DefaultRetryAfter},
		} {
			b.front.On("GET", "/"+id, 1, Answer(429, "", row.headers...))
			_, err := b.conn.Get(ctx, b.Object, id)
			require.Equal(t, fault.Throttled, fault.CodeOf(err))
			// Rounded: between the answer and the error the real clock goes on.
			require.Equal(t, row.want, fault.AfterOf(err).Round(time.Second))
		}
	})
	t.Run("an answer too large is an error", func(t *testing.T) {
		b := h.bench(t)
		id := b.one(t)
		small := b.open(t, ClientSecret, 4096)
		b.front.On("GET", "/"+id, 1, Answer(200, `{"id":"`+strings.Repeat("x", 8192)+`"}`))
		_, err := small.Get(ctx, b.Object, id)
		require.Equal(t, fault.TooLarge, fault.CodeOf(err))
	})
	t.Run("no call outlives its context", func(t *testing.T) {
		b := h.bench(t)
		id := b.one(t)
		release := make(chan struct{})
		b.front.On("GET", "/"+id, 1, func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		})
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		_, err := b.conn.Get(short, b.Object, id)
		close(release)
		require.Equal(t, fault.Transient, fault.CodeOf(err))
	})
}

func tokens(t *testing.T, h Harness) {
	ctx := context.Background()
	t.Run("many calls with an expired token mint once", func(t *testing.T) {
		if h.TokenPath == "" {
			t.Skip("this system has no tokens")
		}
		b := h.bench(t)
		id := b.one(t)
		b.get(t, id)
		before := b.front.Count("POST", b.TokenPath)
		b.server.ExpireTokens(t)
		var wait sync.WaitGroup
		failed := make(chan error, 20)
		for range 20 {
			wait.Go(func() {
				_, err := b.conn.Get(ctx, b.Object, id)
				failed <- err
			})
		}
		wait.Wait()
		close(failed)
		for err := range failed {
			require.NoError(t, err)
		}
		require.Equal(t, before+1, b.front.Count("POST", b.TokenPath))
	})
	t.Run("a 401 is repeated with the whole body, once", func(t *testing.T) {
		b := h.bench(t)
		current := b.get(t, b.one(t))
		b.server.ExpireTokens(t)
		got, err := b.conn.Update(ctx, current, map[string]any{b.Text: "after"}, connector.WriteOptions{})
		require.NoError(t, err)
		require.Equal(t, "after", value(t, got.Fields, b.Text))
	})
	t.Run("a 401 that stays is an auth error and does not mint for ever", func(t *testing.T) {
		b := h.bench(t)
		id := b.one(t)
		b.front.On("GET", "/"+id, -1, Answer(401, ""))
		for range 5 {
			_, err := b.conn.Get(ctx, b.Object, id)
			require.Equal(t, fault.Auth, fault.CodeOf(err))
		}
		require.LessOrEqual(t, b.front.Count("POST", b.TokenPath), 2)
	})
}

// credentials are what the token endpoint refuses.
func credentials(t *testing.T, h Harness) {
	ctx := context.Background()
	t.Run("a wrong secret is an auth error that does not tell it", func(t *testing.T) {
		b := h.bench(t)
		_, err := b.open(t, "wrong-secret-value", 0).Get(ctx, b.Object, "1")
		require.Equal(t, fault.Auth, fault.CodeOf(err))
		discreet(t, err, "wrong-secret-value")
		require.Contains(t, err.Error(), "client_secret")
	})
	t.Run("a token endpoint in trouble is no matter of credentials", func(t *testing.T) {
		if h.TokenPath == "" {
			t.Skip("this system has no tokens")
		}
		b := h.bench(t)
		for _, row := range []struct {
			spoil Spoil
			want  fault.Code
		}{
			{Answer(503, ""), fault.Transient}, {Answer(429, "", "Retry-After: 9"), fault.Throttled},
			{Answer(200, "<html>"), fault.Transient}, {Answer(200, "{}"), fault.Transient}, {ResetBefore(), fault.Transient},
		} {
			b.front.On("POST", b.TokenPath, 1, row.spoil)
			_, err := b.open(t, ClientSecret, 0).Get(ctx, b.Object, "1")
			require.Equal(t, row.want, fault.CodeOf(err))
		}
	})
}

func uncertain(t *testing.T, h Harness) {
	ctx := context.Background()
	fields := h.born(map[string]any{h.Key: "maybe@example.com", h.Text: "Maybe"})
	for _, row := range []struct {
		name  string
		spoil Spoil
	}{
		{"reset after the effect", ResetAfter()}, {"reset before it", ResetBefore()},
		{"500", Answer(500, "")}, {"504", Answer(504, "")}, {"a page for an answer", Answer(200, "<html>")}, {"no body at all", Answer(201, "")},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := h.bench(t)
			b.get(t, b.one(t)) // a kept-alive connection is there
			b.front.On("POST", b.ListPath, 1, row.spoil)
			_, err := b.conn.Create(ctx, b.Object, fields, connector.WriteOptions{})
			require.Equal(t, fault.Transient, fault.CodeOf(err))
			require.True(t, fault.As(err).MaybeApplied)
			require.Equal(t, 1, b.front.Count("POST", b.ListPath), "a POST is never repeated inside")
			discreet(t, err, "maybe@example.com")
		})
	}
	t.Run("a server that cannot be reached has done nothing", func(t *testing.T) {
		b := h.bench(t)
		current := b.get(t, b.one(t))
		closed, err := b.Driver.Open(connector.Config{Side: record.Left, BaseURL: "http://127.0.0.1:1" + b.APIPath,
			Auth: connector.Auth{Kind: transport.KindStatic, Token: "t"}, Capabilities: b.Capabilities, Now: b.clock.now,
			Client: transport.New(transport.Options{AllowPrivate: loopback()})})
		require.NoError(t, err)
		_, err = closed.Update(ctx, current, map[string]any{b.Text: "x"}, connector.WriteOptions{})
		require.Equal(t, fault.Transient, fault.CodeOf(err))
		require.False(t, fault.As(err).MaybeApplied)
	})
	t.Run("a refused write has done nothing", func(t *testing.T) {
		b := h.bench(t)
		for status, want := range map[int]fault.Code{429: fault.Throttled, 403: fault.Forbidden, 422: fault.Invalid, 409: fault.Duplicate} {
			b.front.On("POST", b.ListPath, 1, Answer(status, ""))
			_, err := b.conn.Create(ctx, b.Object, fields, connector.WriteOptions{})
			require.Equal(t, want, fault.CodeOf(err))
			require.False(t, fault.As(err).MaybeApplied)
		}
	})
}
