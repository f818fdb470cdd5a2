// Package sandboxclient calls the admin API of a sandbox server: it acts as a
// user of the vendor's product, steers webhooks and faults, and reads who wrote
// what. The same client serves SalesOS and Acme.
package sandboxclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 1 << 30

// Client calls one server's admin API. Safe for concurrent use.
type Client struct {
	root string
	http *http.Client
}

// New makes a client of the server at root, e.g. http://127.0.0.1:41233.
func New(root string) *Client {
	return &Client{root: strings.TrimRight(root, "/") + "/_admin/", http: &http.Client{Timeout: 2 * time.Minute}}
}

// Error is an answer of the admin API that is no success.
type Error struct {
	Status  int
	Message string
}

// Error gives status and message.
func (e *Error) Error() string {
	return fmt.Sprintf("sandbox admin API: status %d: %s", e.Status, e.Message)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("sandbox admin API: encode %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.root+path, body)
	if err != nil {
		return fmt.Errorf("sandbox admin API: %w", err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("sandbox admin API: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("sandbox admin API: read %s %s: %w", method, path, err)
	}
	if res.StatusCode >= 300 {
		var e struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(raw, &e) != nil {
			e.Error = http.StatusText(res.StatusCode)
		}
		return &Error{res.StatusCode, e.Error}
	}
	if out == nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(out); err != nil {
		return fmt.Errorf("sandbox admin API: decode %s %s: %w", method, path, err)
	}
	return nil
}

func get[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	var out T
	err := c.call(ctx, method, path, in, &out)
	return out, err
}

func at(object, id string) string {
	if id == "" {
		return "records/" + url.PathEscape(object)
	}
	return "records/" + url.PathEscape(object) + "/" + url.PathEscape(id)
}

// CreateRecord makes a record as a user.
func (c *Client) CreateRecord(ctx context.Context, object string, fields map[string]any) (wire.Record, error) {
	return get[wire.Record](ctx, c, http.MethodPost, at(object, ""), wire.Edit{Fields: fields})
}

// EditRecord edits a record as a user: only the given fields, null clears, objects merge by key.
func (c *Client) EditRecord(ctx context.Context, object, id string, fields map[string]any) (wire.Record, error) {
	return get[wire.Record](ctx, c, http.MethodPatch, at(object, id), wire.Edit{Fields: fields})
}

// DeleteRecord deletes a record as a user and gives its tombstone.
func (c *Client) DeleteRecord(ctx context.Context, object, id string) (wire.Record, error) {
	return get[wire.Record](ctx, c, http.MethodDelete, at(object, id), nil)
}

// MergeRecords merges loser into winner as a user and gives the survivor.
func (c *Client) MergeRecords(ctx context.Context, object, winner, loser string) (wire.Record, error) {
	return get[wire.Record](ctx, c, http.MethodPost, "merge", wire.Merge{Object: object, Winner: winner, Loser: loser})
}

// Record gives a record as stored, a tombstone too.
func (c *Client) Record(ctx context.Context, object, id string) (wire.Record, error) {
	return get[wire.Record](ctx, c, http.MethodGet, at(object, id), nil)
}

// Records gives all live records of an object, ordered by id.
func (c *Client) Records(ctx context.Context, object string) ([]wire.Record, error) {
	return get[[]wire.Record](ctx, c, http.MethodGet, at(object, ""), nil)
}

// AllRecords gives all records of an object with tombstones, ordered by id.
func (c *Client) AllRecords(ctx context.Context, object string) ([]wire.Record, error) {
	return get[[]wire.Record](ctx, c, http.MethodGet, at(object, "")+"?deleted=true", nil)
}

// Versions gives every state that the records of an object went through, behind a
// sequence number (0 for all), oldest first; the switch KeepVersions must be on.
func (c *Client) Versions(ctx context.Context, object string, since int64) ([]wire.Version, error) {
	return get[[]wire.Version](ctx, c, http.MethodGet, "versions/"+url.PathEscape(object)+"?since="+strconv.FormatInt(since, 10), nil)
}

// Seed adds many records without webhooks and gives their ids.
func (c *Client) Seed(ctx context.Context, s wire.Seed) ([]string, error) {
	var out wire.Seeded
	err := c.call(ctx, http.MethodPost, "seed", s, &out)
	return out.IDs, err
}

// Calls gives the applications' requests behind a sequence number, 0 for all.
func (c *Client) Calls(ctx context.Context, since int64) ([]wire.Call, error) {
	return get[[]wire.Call](ctx, c, http.MethodGet, "log?since="+strconv.FormatInt(since, 10), nil)
}

// AllCalls is Calls with what users did to records and what came to the admin API.
func (c *Client) AllCalls(ctx context.Context, since int64) ([]wire.Call, error) {
	return get[[]wire.Call](ctx, c, http.MethodGet, "log?all=true&since="+strconv.FormatInt(since, 10), nil)
}

// Filter narrows Writes; empty fields match all.
type Filter struct {
	Actor, Object, ID, Op string
}

// Writes gives the counts of writes.
func (c *Client) Writes(ctx context.Context, f Filter) ([]wire.WriteCount, error) {
	v := url.Values{}
	for k, s := range map[string]string{"actor": f.Actor, "object": f.Object, "id": f.ID, "op": f.Op} {
		if s != "" {
			v.Set(k, s)
		}
	}
	return get[[]wire.WriteCount](ctx, c, http.MethodGet, "writes?"+v.Encode(), nil)
}

// WriteTotals sums Writes: calls accepted, and those that changed something.
func (c *Client) WriteTotals(ctx context.Context, f Filter) (calls, effects int, err error) {
	counts, err := c.Writes(ctx, f)
	for _, w := range counts {
		calls += w.Calls
		effects += w.Effects
	}
	return calls, effects, err
}

// ResetLog empties the request log and the counts.
func (c *Client) ResetLog(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "log/reset", nil, nil)
}

// Reset empties the server: records, webhooks, tokens, faults, limits, switches, log.
func (c *Client) Reset(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "reset", nil, nil)
}
