package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// client calls Accord's public API.
type client struct {
	root, token string
	http        *http.Client
}

func newClient(root, token string) *client {
	return &client{root: root, token: token, http: &http.Client{Timeout: 60 * time.Second}}
}

// call sends in, if any, as JSON and decodes the answer into out.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.root+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: status %d: %.300s", method, path, res.StatusCode, raw)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

type status struct {
	State   string
	Pending struct {
		Changes int
		Intents int
	}
	OpenConflicts int `json:"open_conflicts"`
	DeadLetters   int `json:"dead_letters"`
	Held          int
}

type runStatus struct {
	ID        string
	Kind      string
	State     string
	StartedAt time.Time  `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
	Counts    map[string]int
}

type link struct {
	ID          string
	Left, Right struct{ ID string }
	State       string
}

// all follows a list to its end.
func all[T any](ctx context.Context, c *client, path string) ([]T, error) {
	query := url.Values{"limit": {"200"}}
	var items []T
	for {
		var page struct {
			Items      []T     `json:"items"`
			NextCursor *string `json:"next_cursor"`
		}
		if err := c.call(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.NextCursor == nil {
			return items, nil
		}
		query.Set("cursor", *page.NextCursor)
	}
}
