package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxAnswer bounds an answer of the API, in bytes.
	maxAnswer = 16 << 20
	// callTimeout bounds one call of the API.
	callTimeout = 30 * time.Second
)

// client calls the public API the way any customer's program would.
type client struct {
	root, token string
	http        *http.Client
}

func newClient(root, token string) *client {
	return &client{root: strings.TrimRight(root, "/"), token: token, http: &http.Client{Timeout: callTimeout}}
}

// problem is an answer that is no success (RFC 9457).
type problem struct {
	Status    int    `json:"status"`
	Title     string `json:"title"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`
	call      string
}

// Error names the call, the status and what the API says about it.
func (p *problem) Error() string {
	return fmt.Sprintf("%s answered %d %s: %s (request %s)", p.call, p.Status, p.Code, p.Detail, p.RequestID)
}

type connection struct {
	ID          string `json:"id"`
	State       string `json:"state"`
	StateReason string `json:"state_reason"`
	Webhooks    struct {
		Left  webhookPlace `json:"left"`
		Right webhookPlace `json:"right"`
	} `json:"webhooks"`
}

type webhookPlace struct {
	URL string `json:"url"`
}

type sideStatus struct {
	Reachable   bool       `json:"reachable"`
	LastError   string     `json:"last_error"`
	PausedUntil *time.Time `json:"paused_until"`
	Webhook     struct {
		State string `json:"state"`
	} `json:"webhook"`
	// Broker is the subscription of a side that sends messages.
	Broker struct {
		State string `json:"state"`
	} `json:"broker"`
}

type streamStatus struct {
	Name       string     `json:"name"`
	LastPollAt *time.Time `json:"last_poll_at"`
	Linked     int        `json:"linked"`
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
	Streams []streamStatus `json:"streams"`
	// Shapes is what a vendor has changed.
	Shapes []struct {
		Code string `json:"code"`
		Text string `json:"text"`
	} `json:"shapes"`
}

func (s status) stream(name string) streamStatus {
	for _, stream := range s.Streams {
		if stream.Name == name {
			return stream
		}
	}
	return streamStatus{}
}

type counts struct {
	Read      int `json:"read"`
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Linked    int `json:"linked"`
	Conflicts int `json:"conflicts"`
	Parked    int `json:"parked"`
}

type run struct {
	ID       string     `json:"id"`
	Kind     string     `json:"kind"`
	State    string     `json:"state"`
	EndedAt  *time.Time `json:"ended_at"`
	Error    string     `json:"error"`
	Progress struct {
		Done  int  `json:"done"`
		Total *int `json:"total"`
	} `json:"progress"`
	Counts     counts `json:"counts"`
	WorkflowID string `json:"workflow_id"`
}

type linkEnd struct {
	ID string `json:"id"`
}

type link struct {
	ID    string  `json:"id"`
	Left  linkEnd `json:"left"`
	Right linkEnd `json:"right"`
	State string  `json:"state"`
}

type conflict struct {
	ID         string `json:"id"`
	Link       string `json:"link"`
	Field      string `json:"field"`
	Base       any    `json:"base"`
	Left       any    `json:"left"`
	Right      any    `json:"right"`
	State      string `json:"state"`
	WorkflowID string `json:"workflow_id"`
}

type deadLetter struct {
	ID   string `json:"id"`
	Side string `json:"side"`
	Ref  struct {
		Object string `json:"object"`
		ID     string `json:"id"`
	} `json:"ref"`
	Reason struct {
		Code    string `json:"code"`
		Field   string `json:"field"`
		Message string `json:"message"`
		Status  int    `json:"status"`
	} `json:"reason"`
	State string `json:"state"`
}

type historyEntry struct {
	Op    string `json:"op"`
	Field string `json:"field"`
	Old   any    `json:"old"`
	New   any    `json:"new"`
	Cause struct {
		Kind string `json:"kind"`
		Side string `json:"side"`
	} `json:"cause"`
}

type list[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor"`
}

// call sends one request and decodes the answer into out unless that is nil.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.root+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("call the API: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s %s: %w", method, path, err)
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		refused := &problem{call: method + " " + path}
		if json.Unmarshal(raw, refused) != nil || refused.Status == 0 {
			refused.Status, refused.Detail = res.StatusCode, http.StatusText(res.StatusCode)
		}
		return refused
	}
	if out == nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(out); err != nil {
		return fmt.Errorf("decode the answer of %s %s: %w", method, path, err)
	}
	return nil
}

func ask[T any](ctx context.Context, c *client, method, path string, in any) (T, error) {
	var out T
	err := c.call(ctx, method, path, in, &out)
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
		page, err := ask[list[T]](ctx, c, http.MethodGet, path+"?"+query.Encode(), nil)
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.NextCursor == nil || *page.NextCursor == "" {
			return items, nil
		}
		query.Set("cursor", *page.NextCursor)
	}
}

// ready asks whether the API, its ledger and Temporal answer.
func (c *client) ready(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "/readyz", nil, nil)
}

func (c *client) install(ctx context.Context, integration string, variables, secrets map[string]string) (connection, error) {
	return ask[connection](ctx, c, http.MethodPost, "/api/v1/connections",
		map[string]any{"integration": integration, "variables": variables, "secrets": secrets})
}

func (c *client) connection(ctx context.Context, id string) (connection, error) {
	return ask[connection](ctx, c, http.MethodGet, "/api/v1/connections/"+id, nil)
}

func (c *client) activate(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, "/api/v1/connections/"+id+"/activate", nil, nil)
}

func (c *client) status(ctx context.Context, id string) (status, error) {
	return ask[status](ctx, c, http.MethodGet, "/api/v1/connections/"+id+"/status", nil)
}

func (c *client) startRun(ctx context.Context, id, kind string) (run, error) {
	return ask[run](ctx, c, http.MethodPost, "/api/v1/connections/"+id+"/runs", map[string]string{"kind": kind})
}

func (c *client) run(ctx context.Context, id string) (run, error) {
	return ask[run](ctx, c, http.MethodGet, "/api/v1/runs/"+id, nil)
}

// links are those of one record of a stream.
func (c *client) links(ctx context.Context, id, side, recordID string) ([]link, error) {
	return all[link](ctx, c, "/api/v1/connections/"+id+"/links", url.Values{"stream": {leadsStream}, "side": {side}, "id": {recordID}})
}

func (c *client) openConflicts(ctx context.Context, id string) ([]conflict, error) {
	return all[conflict](ctx, c, "/api/v1/connections/"+id+"/conflicts", url.Values{"state": {"open"}})
}

func (c *client) resolve(ctx context.Context, conflictID, choose string, left, right any) error {
	return c.call(ctx, http.MethodPost, "/api/v1/conflicts/"+conflictID+"/resolve",
		map[string]any{"choose": choose, "seen": map[string]any{"left": left, "right": right}}, nil)
}

func (c *client) deadLetters(ctx context.Context, id string) ([]deadLetter, error) {
	return all[deadLetter](ctx, c, "/api/v1/connections/"+id+"/dead-letters", nil)
}

func (c *client) deadLetter(ctx context.Context, letterID string) (deadLetter, error) {
	return ask[deadLetter](ctx, c, http.MethodGet, "/api/v1/dead-letters/"+letterID, nil)
}

func (c *client) correct(ctx context.Context, letterID string, fields map[string]any) error {
	return c.call(ctx, http.MethodPatch, "/api/v1/dead-letters/"+letterID, map[string]any{"fields": fields}, nil)
}

func (c *client) replay(ctx context.Context, letterID string) error {
	return c.call(ctx, http.MethodPost, "/api/v1/dead-letters/"+letterID+"/replay", nil, nil)
}

func (c *client) history(ctx context.Context, id, side, recordID, field string) ([]historyEntry, error) {
	return all[historyEntry](ctx, c, "/api/v1/connections/"+id+"/history",
		url.Values{"stream": {leadsStream}, "side": {side}, "id": {recordID}, "field": {field}})
}
