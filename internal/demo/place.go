package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// place is one customer of the tour: servers of its own, and a connection between them.
type place struct {
	p                  *Play
	servers            *sandbox.Running
	left, right, hub   *sandboxclient.Client
	integration        string
	variables, secrets map[string]string
	connection         connection
}

// edited is a change to the text of an integration file.
type edited struct{ old, new string }

// newPlace brings up empty servers and reads a shipped integration file, in which some
// lines are replaced.
func newPlace(ctx context.Context, p *Play, file string, edits ...edited) (*place, error) {
	text, err := integrations.Read(file)
	if err != nil {
		return nil, fmt.Errorf("read %s of this binary: %w", file, err)
	}
	servers, err := sandbox.Listen(context.WithoutCancel(ctx), sandbox.Options{Log: p.log, Clients: []sandbox.Client{
		{ID: sandbox.DefaultClientID, Secret: sandbox.DefaultClientSecret}, {ID: otherProgram, Secret: sandbox.DefaultClientSecret},
	}})
	if err != nil {
		return nil, fmt.Errorf("bring up servers: %w", err)
	}
	w := &place{p: p, servers: servers, integration: string(text),
		left: sandboxclient.New(servers.SalesOSURL), right: sandboxclient.New(servers.AcmeURL), hub: sandboxclient.New(servers.HubSpotURL)}
	w.variables, w.secrets = settings(servers.SalesOSURL, servers.AcmeURL)
	for _, one := range edits {
		if !strings.Contains(w.integration, one.old) {
			servers.Close()
			return nil, fmt.Errorf("expected %s to have the line %q; read: it has not", file, one.old)
		}
		w.integration = strings.ReplaceAll(w.integration, one.old, one.new)
	}
	return w, nil
}

// begin installs and activates; load waits for the end of the first load too.
func (w *place) begin(ctx context.Context) error {
	var err error
	if w.connection, err = w.p.api.install(ctx, w.integration, w.variables, w.secrets); err != nil {
		return err
	}
	return w.p.api.activate(ctx, w.connection.ID)
}

func (w *place) load(ctx context.Context) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	_, err := w.loaded(ctx)
	return err
}

// loaded waits for the end of the first load.
func (w *place) loaded(ctx context.Context) (run, error) {
	var found run
	_, err := w.p.await(ctx, "the first load to succeed", loadPatience, func(ctx context.Context) (bool, string, error) {
		var ok bool
		var err error
		if found, ok, err = w.firstLoad(ctx); err != nil || !ok {
			return false, "it has not begun", err
		}
		if found.EndedAt != nil && found.State != "succeeded" {
			return false, found.State, errors.New("the first load " + found.State + ": " + found.Error)
		}
		return found.EndedAt != nil, found.State, nil
	})
	return found, err
}

func (w *place) firstLoad(ctx context.Context) (run, bool, error) {
	runs, err := all[run](ctx, w.p.api, "/api/v1/connections/"+w.connection.ID+"/runs", nil)
	for _, one := range runs {
		if one.Kind == "backfill" {
			return one, true, err
		}
	}
	return run{}, false, err
}

// idle waits until nothing is left to do.
func (w *place) idle(ctx context.Context) error {
	_, err := w.p.await(ctx, "no pending change and no webhook under way", patience, func(ctx context.Context) (bool, string, error) {
		now, err := w.p.api.status(ctx, w.connection.ID)
		if err != nil {
			return false, "", err
		}
		waiting := 0
		for _, server := range w.all() {
			hooks, err := server.WebhookCounts(ctx)
			if err != nil {
				return false, "", fmt.Errorf("read webhooks: %w", err)
			}
			waiting += hooks.Held + hooks.Waiting + hooks.Retrying
		}
		return waiting+now.Pending.Changes+now.Pending.Intents == 0, fmt.Sprintf("%+v, %d webhooks under way", now.Pending, waiting), nil
	})
	return err
}

func (w *place) all() []*sandboxclient.Client {
	return []*sandboxclient.Client{w.left, w.right, w.hub}
}

// written counts what the service wrote to a server.
func (w *place) written(ctx context.Context, on *sandboxclient.Client, filter sandboxclient.Filter) (int, error) {
	filter.Actor = service
	calls, _, err := on.WriteTotals(ctx, filter)
	if err != nil {
		err = fmt.Errorf("read the writes of a server: %w", err)
	}
	return calls, err
}

// end looks, when all is quiet, for writes that nobody asked for, and takes everything down.
func (w *place) end(ctx context.Context, failed error) error {
	ctx = context.WithoutCancel(ctx)
	defer w.servers.Close()
	if w.connection.ID == "" {
		return failed
	}
	if failed == nil {
		failed = w.quiet(ctx)
	}
	if err := w.p.api.call(ctx, http.MethodDelete, "/api/v1/connections/"+w.connection.ID, nil, nil); err != nil && failed == nil {
		failed = err
	}
	return failed
}

// quietFor is how long nothing may be written once all is done: several polls.
const quietFor = 3 * time.Second

func (w *place) quiet(ctx context.Context) error {
	if err := w.idle(ctx); err != nil {
		return err
	}
	now, err := w.p.api.status(ctx, w.connection.ID)
	if err != nil {
		return err
	}
	for _, stream := range now.Streams {
		w.p.linked += stream.Linked
	}
	before, err := w.total(ctx)
	if err != nil {
		return err
	}
	if err := pause(ctx, quietFor); err != nil {
		return err
	}
	after, err := w.total(ctx)
	if err == nil && after != before {
		w.p.echoes += after - before
		err = fmt.Errorf("expected no write when nothing happens; read: %d", after-before)
	}
	return err
}

func (w *place) total(ctx context.Context) (int, error) {
	total := 0
	for _, server := range w.all() {
		count, err := w.written(ctx, server, sandboxclient.Filter{})
		if err != nil {
			return 0, err
		}
		total += count
	}
	return total, nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// value waits until a field of a record holds a value, and tells what was read last.
func (w *place) value(ctx context.Context, on *sandboxclient.Client, object, id, path, want string) (string, error) {
	return w.p.await(ctx, fmt.Sprintf("%s %s to have %s %q", object, id, path, want), patience, func(ctx context.Context) (bool, string, error) {
		found, err := on.Record(ctx, object, id)
		if err != nil {
			return false, "", fmt.Errorf("read %s: %w", object, err)
		}
		now := text(dig(found.Fields, path))
		return now == want, fmt.Sprintf("%s %s has %s %q", object, id, path, now), nil
	})
}

// only waits for the one live record of an object whose field holds a value.
func (w *place) only(ctx context.Context, on *sandboxclient.Client, object, path, want string) (wire.Record, error) {
	var one wire.Record
	_, err := w.p.await(ctx, fmt.Sprintf("one of %s with %s %q", object, path, want), patience, func(ctx context.Context) (bool, string, error) {
		found, err := on.Records(ctx, object)
		if err != nil {
			return false, "", fmt.Errorf("read %s: %w", object, err)
		}
		count := 0
		for _, each := range found {
			if text(dig(each.Fields, path)) == want {
				one = each
				count++
			}
		}
		return count == 1, fmt.Sprintf("%d of them", count), nil
	})
	return one, err
}

// dig reads a dotted path.
func dig(fields map[string]any, path string) any {
	var at any = fields
	for _, key := range strings.Split(path, ".") {
		inner, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = inner[key]
	}
	return at
}

// at brings a place up, plays in it, and takes it down.
func at(ctx context.Context, p *Play, file string, edits []edited, play func(w *place) (string, error)) (string, error) {
	w, err := newPlace(ctx, p, file, edits...)
	if err != nil {
		return "", err
	}
	read, err := play(w)
	return read, w.end(ctx, err)
}
