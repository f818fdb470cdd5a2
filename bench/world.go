package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// service is the actor as which the systems know Accord.
const service = "app:" + sandbox.DefaultClientID

// system is one of the two simulated systems.
type system struct {
	side, object, root string
	admin              *sandboxclient.Client
}

// world is a SalesOS and an Acme in a process of their own, and a connection between them.
type world struct {
	b           *bench
	s           *stack
	systems     *process
	left, right *system
	id          string
	integration string
	variables   map[string]string
	secrets     map[string]string
}

// newWorld starts the two systems; nothing is installed yet. All settings are
// those that the integration is shipped with, except the plans, which are
// without limit, and the guard, which must not hold what is measured.
func (b *bench) newWorld(ctx context.Context, s *stack) (*world, error) {
	dir, err := b.folder("systems")
	if err != nil {
		return nil, err
	}
	left, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	right, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	text, err := integrations.Read(integrations.SalesOSAcme)
	if err != nil {
		return nil, err
	}
	w := &world{
		b: b, s: s, integration: string(text),
		systems: &process{name: "systems", log: filepath.Join(dir, "log"), args: []string{filepath.Join(b.bin, "accord"), "sandbox", "--salesos", left, "--acme", right, "--hubspot", "127.0.0.1:0"}},
		left:    &system{side: "left", object: "leads", root: "http://" + left, admin: sandboxclient.New("http://" + left)},
		right:   &system{side: "right", object: "contacts", root: "http://" + right, admin: sandboxclient.New("http://" + right)},
	}
	w.variables = map[string]string{
		"SALESOS_URL": w.left.root + "/v1", "SALESOS_TOKEN_URL": w.left.root + "/oauth/token", "SALESOS_CLIENT_ID": sandbox.DefaultClientID,
		"ACME_URL": w.right.root + "/api/2", "ACME_TOKEN_URL": w.right.root + "/oauth/token", "ACME_CLIENT_ID": sandbox.DefaultClientID,
		"SALESOS_REQUESTS_PER_MINUTE": "1000000", "ACME_REQUESTS_PER_MINUTE": "1000000", "GUARD_MAX": "1000000",
	}
	w.secrets = map[string]string{
		"salesos_client_secret": sandbox.DefaultClientSecret, "acme_client_secret": sandbox.DefaultClientSecret,
		"salesos_webhook": "hook-" + rand.Text(), "acme_webhook": "hook-" + rand.Text(),
	}
	if err := w.systems.start(ctx); err != nil {
		return nil, err
	}
	return w, eventually(ctx, "the systems answer", func(ctx context.Context) (bool, string) {
		for _, one := range []*system{w.left, w.right} {
			if status, err := probe(ctx, one.root+"/_admin/health"); status != http.StatusOK {
				return false, fmt.Sprintf("%s: status %d, error %v", one.side, status, err)
			}
		}
		return true, ""
	})
}

// concurrency sets how many calls at a time each side may get.
func (w *world) concurrency(n int) {
	w.integration = strings.ReplaceAll(w.integration, "concurrency: 8}", fmt.Sprintf("concurrency: %d}", n))
}

func (w *world) both() []*system { return []*system{w.left, w.right} }

func (w *world) end() { w.systems.end(syscall.SIGKILL) }

// slow adds a latency to every call of the systems.
func (w *world) slow(ctx context.Context, latency time.Duration) error {
	for _, on := range w.both() {
		if err := on.admin.SetSwitches(ctx, map[string]any{"latency_ms": latency.Milliseconds()}); err != nil {
			return err
		}
	}
	return nil
}

// seed makes n records on one side, a day old, and gives their ids.
func (w *world) seed(ctx context.Context, on *system, first, n int) ([]string, error) {
	template := map[string]any{
		"name": "Ana Lima {n}", "email": "ana{n}@lima.example", "phone": "+55 11 90000-0000", "company": "Casa {n}", "position": "Chefe",
		"status": "contacted", "tags": []any{"feira", "site"}, "custom_fields": map[string]any{"note": "nota {n}", "campaign": "a"},
	}
	if on == w.right {
		template = map[string]any{
			"first_name": "Ana", "last_name": "Lima {n}", "email": "ana{n}@lima.example", "phone": "+5511900000000", "company_name": "Casa {n}",
			"job_title": "Chefe", "lifecycle": "contacted", "labels": []any{"feira", "site"}, "note": "nota {n}",
		}
	}
	const day = 24 * 60 * 60 * 1000
	if err := on.admin.SetSwitches(ctx, map[string]any{"clock_offset_ms": -day}); err != nil {
		return nil, err
	}
	ids, err := on.admin.Seed(ctx, wire.Seed{Object: on.object, Start: first, Count: n, Template: template})
	if err != nil {
		return nil, err
	}
	return ids, on.admin.SetSwitches(ctx, map[string]any{"clock_offset_ms": 0})
}

func (w *world) path(rest string) string { return "/api/v1/connections/" + w.id + rest }

// install makes the connection.
func (w *world) install(ctx context.Context) error {
	var made struct{ ID string }
	err := w.s.api.call(ctx, http.MethodPost, "/api/v1/connections", map[string]any{
		"integration": w.integration, "variables": maps.Clone(w.variables), "secrets": maps.Clone(w.secrets),
	}, &made)
	w.id = made.ID
	return err
}

func (w *world) activate(ctx context.Context) error {
	return w.s.api.call(ctx, http.MethodPost, w.path("/activate"), nil, nil)
}

// awaitRun waits for the end of the newest run of a kind.
func (w *world) awaitRun(ctx context.Context, kind string) (runStatus, error) {
	var found runStatus
	err := eventually(ctx, "the "+kind+" run has ended", func(ctx context.Context) (bool, string) {
		runs, err := all[runStatus](ctx, w.s.api, w.path("/runs"))
		for _, one := range runs {
			if one.Kind == kind {
				found = one
				break
			}
		}
		return err == nil && found.EndedAt != nil, fmt.Sprintf("%+v, error %v; the worker said:\n%s", found, err, w.s.worker.tail())
	})
	if err == nil && found.State != "succeeded" {
		err = fmt.Errorf("the %s run ended as %s: %+v", kind, found.State, found.Counts)
	}
	return found, err
}

// bringUp installs, activates and waits for the end of the first load.
func (w *world) bringUp(ctx context.Context) (runStatus, error) {
	if err := w.install(ctx); err != nil {
		return runStatus{}, err
	}
	if err := w.activate(ctx); err != nil {
		return runStatus{}, err
	}
	return w.awaitRun(ctx, "backfill")
}

// awaitIdle waits until nothing is pending and no webhook is under way, and
// nothing of both has come up again a little later.
func (w *world) awaitIdle(ctx context.Context) error {
	quietSince := time.Time{}
	return eventually(ctx, "nothing is pending", func(ctx context.Context) (bool, string) {
		waiting := 0
		for _, on := range w.both() {
			hooks, err := on.admin.WebhookCounts(ctx)
			if err != nil {
				return false, err.Error()
			}
			waiting += hooks.Held + hooks.Waiting + hooks.Retrying
		}
		var now status
		err := w.s.api.call(ctx, http.MethodGet, w.path("/status"), nil, &now)
		if err != nil || waiting+now.Pending.Changes+now.Pending.Intents > 0 {
			quietSince = time.Time{}
		} else if quietSince.IsZero() {
			quietSince = time.Now()
		}
		return !quietSince.IsZero() && time.Since(quietSince) > time.Second,
			fmt.Sprintf("%d webhooks under way, status %+v, error %v", waiting, now, err)
	})
}

// counterparts maps the ids of the active links of leads, in both directions.
func (w *world) counterparts(ctx context.Context) (map[string]string, error) {
	links, err := all[link](ctx, w.s.api, w.path("/links"))
	pairs := map[string]string{}
	for _, one := range links {
		if one.State == "active" {
			pairs[one.Left.ID], pairs[one.Right.ID] = one.Right.ID, one.Left.ID
		}
	}
	return pairs, err
}
