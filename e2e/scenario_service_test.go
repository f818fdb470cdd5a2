//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	records "github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/scenario"
)

// told is the service of a stage as its own API tells of it and lets it be steered.
type told struct {
	t testing.TB
	w *world
}

var _ scenario.Service = told{}

// side is one of the world's servers.
func (o told) side(side records.Side) *system {
	if side == records.Left {
		return o.w.left
	}
	return o.w.right
}

// Deliver posts a signed event.
func (o told) Deliver(_ context.Context, side records.Side, id string) error {
	if status := o.w.postEvent(o.t, o.side(side), id); status >= http.StatusMultipleChoices {
		return fmt.Errorf("the event was answered %d", status)
	}
	return nil
}

// Drain and Settle wait until nothing is pending: the workers work by themselves.
func (o told) Drain(ctx context.Context) error { return o.Settle(ctx) }

// Settle is Drain.
func (o told) Settle(context.Context) error {
	o.w.awaitIdle(o.t)
	return nil
}

// Poll makes a poll run.
func (o told) Poll(context.Context) error { return o.run("poll") }

// Compare makes a compare run.
func (o told) Compare(context.Context) error { return o.run("compare") }

func (o told) run(kind string) error {
	if ended := o.w.startRun(o.t, kind); ended.State != "succeeded" {
		return fmt.Errorf("the %s run ended as %s", kind, ended.State)
	}
	return nil
}

// Die is refused: a real process is killed while a server holds its call open.
func (o told) Die(context.Context, string, int) error {
	return errors.New("a real process does not know the steps of the engine")
}

// Wait sleeps.
func (o told) Wait(_ context.Context, pause time.Duration) error {
	time.Sleep(pause)
	return nil
}

// Decide resolves the open conflict of a field.
func (o told) Decide(ctx context.Context, link, field, choose string, value any) error {
	found, err := o.Conflicts(ctx)
	if err != nil {
		return err
	}
	for _, one := range found {
		if one.Link == link && one.Field == field {
			body := map[string]any{"choose": choose}
			if value != nil {
				body["value"] = value
			}
			return o.w.s.api.call(ctx, http.MethodPost, "/api/v1/conflicts/"+one.ID+"/resolve", body, nil)
		}
	}
	return fmt.Errorf("field %q has no open conflict", field)
}

// Approve answers for all that the guard holds.
func (o told) Approve(ctx context.Context, yes bool) error {
	word := "reject"
	if yes {
		word = "approve"
	}
	return o.w.s.api.call(ctx, http.MethodPost, o.w.path("/guard/"+word), map[string]any{"all": true}, nil)
}

// Replay tries all dead letters again.
func (o told) Replay(ctx context.Context) error {
	return o.w.s.api.call(ctx, http.MethodPost, o.w.path("/dead-letters/replay"), nil, nil)
}

// Links are those of one record, oldest first.
func (o told) Links(ctx context.Context, side records.Side, id string) ([]scenario.Link, error) {
	found, err := all[link](ctx, o.w.s.api, o.w.path("/links"), url.Values{"stream": {"leads"}, "side": {string(side)}, "id": {id}})
	var links []scenario.Link
	for _, one := range slices.Backward(found) {
		links = append(links, scenario.Link{ID: one.ID, Left: one.Left.ID, Right: one.Right.ID, State: one.State})
	}
	return links, err
}

// Conflicts are the open ones.
func (o told) Conflicts(ctx context.Context) ([]scenario.Conflict, error) {
	found, err := all[struct {
		ID, Link, Field   string
		Base, Left, Right any
	}](ctx, o.w.s.api, o.w.path("/conflicts"), url.Values{"state": {"open"}})
	var open []scenario.Conflict
	for _, one := range found {
		open = append(open, scenario.Conflict{ID: one.ID, Link: one.Link, Field: one.Field, Base: one.Base, Left: one.Left, Right: one.Right})
	}
	return open, err
}

// DeadLetters are the open ones.
func (o told) DeadLetters(ctx context.Context) ([]scenario.DeadLetter, error) {
	found, err := all[deadLetter](ctx, o.w.s.api, o.w.path("/dead-letters"), nil)
	var letters []scenario.DeadLetter
	for _, one := range found {
		letters = append(letters, scenario.DeadLetter{Side: records.Side(one.Side), ID: one.Ref.ID, Code: one.Reason.Code, Field: one.Reason.Field})
	}
	return letters, err
}

// History is that of one record, oldest first.
func (o told) History(ctx context.Context, side records.Side, id string) ([]scenario.Entry, error) {
	found, err := all[struct {
		Field    string
		Old, New any
		Cause    struct{ Kind, Side string }
	}](ctx, o.w.s.api, o.w.path("/history"), url.Values{"stream": {"leads"}, "side": {string(side)}, "id": {id}})
	var entries []scenario.Entry
	for _, one := range slices.Backward(found) {
		entries = append(entries, scenario.Entry{Field: one.Field, Old: one.Old, New: one.New, Kind: one.Cause.Kind, Side: one.Cause.Side})
	}
	return entries, err
}
