package sandbox_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// events gives what a message tells: one event (SalesOS) or several (Acme).
func (d delivery) events(t *testing.T) []fields {
	t.Helper()
	if !strings.HasPrefix(string(d.body), "[") {
		var one fields
		require.NoError(t, json.Unmarshal(d.body, &one))
		return []fields{one}
	}
	var many []fields
	require.NoError(t, json.Unmarshal(d.body, &many))
	return many
}

// signature says how a message is signed: "", "good", "bad" or "stale".
func (d delivery) signature(now time.Time) string {
	given := d.header.Get("x-salesos-signature") + d.header.Get("X-Acme-Signature")
	acme := func(at time.Time) string {
		return fmt.Sprintf("t=%d,v1=%s", at.Unix(), sign("s3", fmt.Sprintf("%d.%s", at.Unix(), d.body)))
	}
	switch given {
	case "":
		return ""
	case "sha256=" + sign("s3", string(d.body)), acme(now):
		return "good"
	case acme(now.Add(-10 * time.Minute)):
		return "stale"
	}
	return "bad"
}

// nouns gives the word that events use for an object, and the id field's holder in an event.
func (k kind) event(verb string) string { return strings.TrimSuffix(k.object, "s") + "." + verb }

func TestSpoiltWebhooks(t *testing.T) {
	p := start(t, sandbox.Options{})
	kinds := p.kinds()
	kinds["SalesOS users"] = kind{side: p.salesos, object: "users", text: "name", body: fields{"name": "A", "email": "a@example.com"}}
	kinds["Acme users"] = kind{side: p.acme, object: "users", text: "name", body: fields{"name": "A", "email": "a@example.com"}}
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			require.NoError(t, k.side.admin.Reset(ctx))
			k.side.login("accord", "accord-secret")
			rcv := newReceiver(t)
			k.side.hook(rcv.url, k.event("created"), k.event("updated"))
			n := 0
			next := func(s wire.Spoil) delivery {
				n++
				if s.Kind != "" {
					require.NoError(t, k.side.admin.SpoilWebhooks(ctx, s))
				}
				body := fields{}
				for name, v := range k.body {
					body[name] = v
				}
				if k.object == "users" {
					body["email"] = fmt.Sprint(n, "@example.com")
				}
				_, err := k.side.admin.CreateRecord(ctx, k.object, body)
				require.NoError(t, err)
				return rcv.wait(t, n)[n-1]
			}
			require.Equal(t, "good", next(wire.Spoil{}).signature(p.clock.Now()))
			require.Equal(t, "bad", next(wire.Spoil{Kind: wire.SpoilSignature}).signature(p.clock.Now()))
			require.Equal(t, "", next(wire.Spoil{Kind: wire.SpoilUnsigned}).signature(p.clock.Now()))
			want := "good" // SalesOS signs no time
			if k.side == p.acme {
				want = "stale"
			}
			require.Equal(t, want, next(wire.Spoil{Kind: wire.SpoilStale}).signature(p.clock.Now()))
			thin := next(wire.Spoil{Kind: wire.SpoilFields})
			require.Equal(t, "good", thin.signature(p.clock.Now()))
			data := thin.events(t)[0]
			if inner, ok := data["data"].(fields); ok {
				require.Equal(t, []string{"id"}, keysOf(inner))
			} else {
				require.ElementsMatch(t, []string{"id", "object", "event", "event_id"}, keysOf(data))
			}
			require.NotEmpty(t, keysOf(next(wire.Spoil{Kind: wire.SpoilFields, Fields: []string{"id"}}).events(t)[0]))
			require.Equal(t, "good", next(wire.Spoil{}).signature(p.clock.Now()), "for as many as were asked for")
			st := k.side.idle()
			var spoilt []string
			for _, d := range st.Deliveries {
				spoilt = append(spoilt, d.Spoilt)
			}
			require.ElementsMatch(t, []string{"", "bad_signature", "unsigned", "stale", "fields", "fields", ""}, spoilt)
			require.Error(t, k.side.admin.SpoilWebhooks(ctx, wire.Spoil{Kind: "cake"}))
		})
	}
}

func keysOf(m fields) []string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	return out
}

func TestABadSignatureIsRetriedWell(t *testing.T) {
	p := start(t, sandbox.Options{})
	rcv := newReceiver(t)
	rcv.answer(401)
	p.salesos.hook(rcv.url, "deal.created")
	require.NoError(t, p.salesos.admin.SpoilWebhooks(t.Context(), wire.Spoil{Kind: wire.SpoilSignature}))
	_, err := p.salesos.admin.CreateRecord(t.Context(), "deals", fields{"name": "D"})
	require.NoError(t, err)
	require.Equal(t, "bad", rcv.wait(t, 1)[0].signature(p.clock.Now()))
	require.Equal(t, 1, p.salesos.idle().Retrying)
	rcv.answer(204)
	require.NoError(t, p.salesos.admin.RetryWebhooks(t.Context()))
	require.Equal(t, "good", rcv.wait(t, 2)[1].signature(p.clock.Now()))
}

func TestPartOfABatchIsMissing(t *testing.T) {
	p := start(t, sandbox.Options{})
	for _, object := range []string{"contacts", "deals"} {
		ctx := t.Context()
		rcv := newReceiver(t)
		k := kind{object: object}
		p.acme.hook(rcv.url, k.event("created"))
		require.NoError(t, p.acme.admin.HoldWebhooks(ctx))
		require.NoError(t, p.acme.admin.SpoilWebhooks(ctx, wire.Spoil{Kind: wire.SpoilPartial}))
		for i := range 5 {
			_, err := p.acme.admin.CreateRecord(ctx, object, fields{"external_ref": fmt.Sprint(i), map[string]string{"contacts": "note", "deals": "title"}[object]: "x"})
			require.NoError(t, err)
		}
		require.NoError(t, p.acme.admin.ReleaseWebhooks(ctx, wire.Release{Batch: 3}))
		got := rcv.wait(t, 2)
		require.Len(t, got[0].events(t), 2, "one of three")
		require.Len(t, got[1].events(t), 2, "complete")
	}
}

func TestForgedWebhooks(t *testing.T) {
	p := start(t, sandbox.Options{})
	for name, k := range p.kinds() {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			require.NoError(t, k.side.admin.Reset(ctx))
			k.side.login("accord", "accord-secret")
			rcv := newReceiver(t)
			rcv.answer(401)
			k.side.hook(rcv.url, k.event("updated"))
			sent, err := k.side.admin.ForgeWebhook(ctx, wire.Forge{Event: k.event("updated"), ID: "none", Data: fields{"note": "me"}})
			require.NoError(t, err)
			require.Equal(t, 1, sent)
			d := rcv.wait(t, 1)[0]
			require.Equal(t, "bad", d.signature(p.clock.Now()))
			require.Contains(t, string(d.body), `"id":"none"`)
			require.Contains(t, string(d.body), `"note":"me"`)
			require.Equal(t, 0, k.side.idle().Retrying, "who forges does not try again")
			require.True(t, k.side.idle().Deliveries[0].Forged)
			_, err = k.side.admin.ForgeWebhook(ctx, wire.Forge{Event: k.event("updated"), ID: "none", Signed: true})
			require.NoError(t, err)
			require.Equal(t, "good", rcv.wait(t, 2)[1].signature(p.clock.Now()))
			sent, err = k.side.admin.ForgeWebhook(ctx, wire.Forge{Event: k.event("created"), ID: "none"})
			require.NoError(t, err)
			require.Zero(t, sent, "nobody listens")
			for _, wrong := range []wire.Forge{{Event: "ghost.created", ID: "x"}, {Event: k.event("updated")}} {
				_, err = k.side.admin.ForgeWebhook(ctx, wrong)
				require.Error(t, err)
			}
		})
	}
}

func TestSeveralEditsAsOneEvent(t *testing.T) {
	p := start(t, sandbox.Options{})
	for name, k := range p.kinds() {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			require.NoError(t, k.side.admin.Reset(ctx))
			k.side.login("accord", "accord-secret")
			rcv := newReceiver(t)
			k.side.hook(rcv.url, k.event("updated"))
			ids := []string{k.create(t, nil), k.create(t, fields{k.other: "own"})}
			require.NoError(t, k.side.admin.HoldWebhooks(ctx))
			for _, value := range []string{"one", "two", "three"} {
				for _, id := range ids {
					_, err := k.side.admin.EditRecord(ctx, k.object, id, fields{k.other: value + id})
					require.NoError(t, err)
				}
			}
			require.NoError(t, k.side.admin.ReleaseWebhooks(ctx, wire.Release{Merge: true}))
			rcv.wait(t, 2)
			require.Equal(t, 2, k.side.idle().Delivered)
		})
	}
}
