package transport_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

// counting answers calls and keeps when each arrived.
type counting struct {
	mu sync.Mutex
	at map[string][]time.Time
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at[r.URL.Path] = append(c.at[r.URL.Path], time.Now())
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}, nil
}

func paced(rules ...transport.Pace) (*http.Client, *counting) {
	server := &counting{at: map[string][]time.Time{}}
	return transport.New(transport.Options{Transport: server, Pace: rules, Concurrency: 16}), server
}

func call(ctx context.Context, client *http.Client, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://crm.example"+path, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// TestPaceHoldsInAnyStretch: however many call at once, no stretch of time sees more than the rule.
func TestPaceHoldsInAnyStretch(t *testing.T) {
	const per = 100 * time.Millisecond
	client, server := paced(transport.Pace{Calls: 3, Per: per, Ending: "/search"}, transport.Pace{Calls: 1000, Per: per})
	var group sync.WaitGroup
	for range 15 {
		group.Go(func() { require.NoError(t, call(t.Context(), client, "/contacts/search")) })
		group.Go(func() { require.NoError(t, call(t.Context(), client, "/contacts")) })
	}
	group.Wait()
	searches := server.at["/contacts/search"]
	require.Len(t, searches, 15)
	for i := 3; i < len(searches); i++ {
		require.GreaterOrEqual(t, searches[i].Sub(searches[i-3]), per)
	}
	require.Len(t, server.at["/contacts"], 15)
}

func TestPaceThatIsFarOff(t *testing.T) {
	client, server := paced(transport.Pace{Calls: 10, Per: time.Hour})
	backfill := connector.WithLane(t.Context(), connector.LaneBackfill)
	for range 8 {
		require.NoError(t, call(backfill, client, "/a"))
	}
	late := call(backfill, client, "/a")
	require.Equal(t, fault.Throttled, fault.CodeOf(late), "a fifth is left to what is live")
	require.Greater(t, fault.As(late).After, 50*time.Minute)
	require.NoError(t, call(connector.WithLane(t.Context(), connector.LanePoll), client, "/a"))
	require.Error(t, call(connector.WithLane(t.Context(), connector.LanePoll), client, "/a"))
	require.NoError(t, call(t.Context(), client, "/a"))
	require.Error(t, call(t.Context(), client, "/a"))
	require.Len(t, server.at["/a"], 10)
}
