//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// client calls the public API as a customer's program would.
type client struct {
	root, token string
	http        *http.Client
}

func newClient(root, token string) *client {
	return &client{root: root, token: token, http: &http.Client{Timeout: 30 * time.Second}}
}

type problem struct {
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`
	call      string
}

func (p *problem) Error() string {
	return fmt.Sprintf("%s answered %d %s: %s", p.call, p.Status, p.Code, p.Detail)
}

type sideStatus struct {
	Reachable   bool       `json:"reachable"`
	PausedUntil *time.Time `json:"paused_until"`
	Webhook     struct {
		State string `json:"state"`
	} `json:"webhook"`
}

type status struct {
	State   string `json:"state"`
	Pending struct {
		Changes int `json:"changes"`
		Intents int `json:"intents"`
	} `json:"pending"`
	OpenConflicts int `json:"open_conflicts"`
	DeadLetters   int `json:"dead_letters"`
	Held          int `json:"held"`
	Sides         struct {
		Left  sideStatus `json:"left"`
		Right sideStatus `json:"right"`
	} `json:"sides"`
	Streams []struct {
		Name       string     `json:"name"`
		LastPollAt *time.Time `json:"last_poll_at"`
		Linked     int        `json:"linked"`
	} `json:"streams"`
}

type runStatus struct {
	ID       string     `json:"id"`
	Kind     string     `json:"kind"`
	State    string     `json:"state"`
	EndedAt  *time.Time `json:"ended_at"`
	Progress struct {
		Done  int  `json:"done"`
		Total *int `json:"total"`
		// Listing is there while the total is not known.
		Listing *struct {
			Stream, Side string
			Done         int
			Total        *int
		} `json:"listing"`
		PerMinute   *float64 `json:"per_minute"`
		SecondsLeft *int     `json:"seconds_left"`
	} `json:"progress"`
	Counts struct {
		Read, Created, Updated, Deleted, Linked, Unchanged, Conflicts, Parked, Held int
	} `json:"counts"`
	WorkflowID string `json:"workflow_id"`
}

type link struct {
	ID          string
	Left, Right struct{ ID string }
	State       string
}

type conflict struct {
	ID, Field, State string
	Base             any
	Left, Right      any
	WorkflowID       string `json:"workflow_id"`
}

type deadLetter struct {
	ID, Side, State string
	Ref             struct{ Object, ID string }
	Reason          struct {
		Code, Field, Message string
		Status               int
	}
}

type guard struct {
	State       string
	Limit, Used int
	Held        []struct {
		ID, Op string
		Ref    struct{ ID string }
	}
}

type historyEntry struct {
	Field    string
	Old, New any
	Cause    struct{ Kind string }
}

// do makes one call and gives its status, its headers and its body.
func (c *client) do(ctx context.Context, method, path string, headers map[string]string, in any) (int, http.Header, []byte, error) {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return 0, nil, nil, err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.root+path, body)
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	return res.StatusCode, res.Header, raw, err
}

// call decodes a successful answer into out; others are a *problem.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	status, _, raw, err := c.do(ctx, method, path, nil, in)
	if err != nil {
		return err
	}
	if status >= http.StatusMultipleChoices {
		refused := &problem{call: method + " " + path}
		_ = json.Unmarshal(raw, refused) // a body that is no problem leaves it empty
		refused.Status = status
		return refused
	}
	if out == nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	return decoder.Decode(out)
}

// get decodes the answer of a GET.
func get[T any](ctx context.Context, c *client, path string) (T, error) {
	var out T
	err := c.call(ctx, http.MethodGet, path, nil, &out)
	return out, err
}

// all follows a list to its end.
func all[T any](ctx context.Context, c *client, path string, query url.Values) ([]T, error) {
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", "200")
	var items []T
	for {
		page, err := get[struct {
			Items      []T     `json:"items"`
			NextCursor *string `json:"next_cursor"`
		}](ctx, c, path+"?"+query.Encode())
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.NextCursor == nil {
			return items, nil
		}
		query.Set("cursor", *page.NextCursor)
	}
}

// post makes a POST that must succeed.
func (c *client) post(t testing.TB, path string, in, out any) {
	t.Helper()
	require.NoError(t, c.call(t.Context(), http.MethodPost, path, in, out))
}
