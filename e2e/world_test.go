//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// service is the actor that the servers know the service as.
const service = "app:accord"

// system is one of the two servers of a world.
type system struct {
	side, object string
	root, lists  string
	admin        *sandboxclient.Client
	users        map[string]string
}

// world is one customer: a SalesOS and an Acme of its own, filled with canaries,
// and a connection between them.
type world struct {
	// single is how many records were seeded on one side only.
	single             int
	s                  *stack
	left, right        *system
	id                 string
	integration        string
	variables, secrets map[string]string
	// canary is in every text of every record, canaryPhone begins every phone
	// number and canaryScore every score.
	canary, canaryPhone, canaryScore string
	tokens                           *tokens
	counter                          atomic.Int64
}

// worlds are those of a stack, for the search for canaries at its end.
type worlds struct {
	mutex sync.Mutex
	list  []*world
}

// tokens remembers the access tokens that were used, as they are secrets too.
type tokens struct {
	mutex sync.Mutex
	seen  map[string]bool
}

func (k *tokens) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			k.mutex.Lock()
			k.seen[token] = true
			k.mutex.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

// setting changes what newWorld installs.
type setting func(*world)

// variable sets a variable of the connection.
func variable(name, value string) setting { return func(w *world) { w.variables[name] = value } }

// replaced edits the text of the integration file.
func replaced(old, new string) setting {
	return func(w *world) {
		if !strings.Contains(w.integration, old) {
			panic("the integration file does not contain " + old)
		}
		w.integration = strings.ReplaceAll(w.integration, old, new)
	}
}

// withoutWebhooks leaves everything to polls.
func withoutWebhooks() setting {
	return func(w *world) {
		replaced(`    webhook: {secret: "${secret:salesos_webhook}"}`, "")(w)
		replaced(`    webhook: {secret: "${secret:acme_webhook}"}`, "")(w)
	}
}

// withoutPolls leaves everything to webhooks.
func withoutPolls() setting {
	return func(w *world) {
		w.variables["POLL_EVERY"], w.variables["USERS_POLL_EVERY"] = "1h", "1h"
	}
}

// newWorld brings up two servers; nothing is installed yet.
func newWorld(t *testing.T, s *stack, settings ...setting) *world {
	t.Helper()
	secret := "client-" + rand.Text()
	boxes := sandbox.New(sandbox.Options{
		Clients: []sandbox.Client{{ID: "accord", Secret: secret}}, TimeScale: 60,
	})
	w := &world{s: s, tokens: &tokens{seen: map[string]bool{}}, canary: "kanari" + strings.ToLower(rand.Text()[:10])}
	w.canaryPhone = "+55119" + digits(t, 4) + "0"
	w.canaryScore = digits(t, 9)
	left, right := httptest.NewServer(w.tokens.watch(boxes.SalesOS)), httptest.NewServer(w.tokens.watch(boxes.Acme))
	t.Cleanup(func() {
		left.CloseClientConnections()
		right.CloseClientConnections()
		left.Close()
		right.Close()
		boxes.Close()
	})
	w.left = &system{side: "left", object: "leads", root: left.URL, lists: "/v1/leads", admin: sandboxclient.New(left.URL), users: map[string]string{}}
	w.right = &system{side: "right", object: "contacts", root: right.URL, lists: "/api/2/contacts", admin: sandboxclient.New(right.URL), users: map[string]string{}}
	text, err := os.ReadFile(filepath.Join("..", "integrations", "salesos-acme.yaml"))
	require.NoError(t, err)
	// These servers show a record as soon as it is made. At the vendors' 60 s a lost
	// answer to a create is settled later than any of these tests is patient.
	w.integration = strings.ReplaceAll(string(text), "late_by: 60s", "late_by: 3s")
	w.variables = map[string]string{
		"SALESOS_URL": left.URL + "/v1", "SALESOS_TOKEN_URL": left.URL + "/oauth/token", "SALESOS_CLIENT_ID": "accord",
		"ACME_URL": right.URL + "/api/2", "ACME_TOKEN_URL": right.URL + "/oauth/token", "ACME_CLIENT_ID": "accord",
		"SALESOS_REQUESTS_PER_MINUTE": "1000000", "ACME_REQUESTS_PER_MINUTE": "1000000", "ACME_SEARCH_LAG": "0s",
		"POLL_EVERY": "2s", "POLL_OVERLAP": "5s", "USERS_POLL_EVERY": "5s", "VERIFY_AFTER": "1s",
	}
	w.secrets = map[string]string{
		"salesos_client_secret": secret, "acme_client_secret": secret,
		"salesos_webhook": "hook-" + rand.Text(), "acme_webhook": "hook-" + rand.Text(),
	}
	for _, set := range settings {
		set(w)
	}
	for _, on := range w.systems() {
		ids, err := on.admin.Seed(t.Context(), wire.Seed{Object: "users", Records: []map[string]any{
			{"name": "Dona " + w.canary, "email": w.owner(0)}, {"name": "Outra " + w.canary, "email": w.owner(1)},
		}})
		require.NoError(t, err)
		for n, id := range ids {
			on.users[id] = w.owner(n)
		}
	}
	s.worlds.mutex.Lock()
	s.worlds.list = append(s.worlds.list, w)
	s.worlds.mutex.Unlock()
	return w
}

// digits are n random decimal digits, the first not 0.
func digits(t testing.TB, n int) string {
	t.Helper()
	lowest := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n-1)), nil)
	found, err := rand.Int(rand.Reader, new(big.Int).Mul(lowest, big.NewInt(9)))
	require.NoError(t, err)
	return found.Add(found, lowest).String()
}

func (w *world) systems() []*system { return []*system{w.left, w.right} }

func (w *world) across(from *system) *system {
	if from == w.left {
		return w.right
	}
	return w.left
}

func (w *world) owner(n int) string { return fmt.Sprintf("owner%d@%s.example", n, w.canary) }

func (w *world) ownerID(on *system, n int) string {
	for id, email := range on.users {
		if email == w.owner(n) {
			return id
		}
	}
	return ""
}

// word is a new text with the canary in it.
func (w *world) word(text string) string {
	return fmt.Sprintf("%s %s %d", text, w.canary, w.counter.Add(1))
}

func (w *world) email(n int) string { return fmt.Sprintf("lead%d@%s.example", n, w.canary) }

func (w *world) phone(n int) string { return fmt.Sprintf("%s%03d", w.canaryPhone, n) }

func (w *world) score(n int) int64 {
	var base int64
	_, _ = fmt.Sscan(w.canaryScore, &base) // digits only
	return base*1000 + int64(n)
}

// lead is record n in SalesOS' form.
func (w *world) lead(n int) map[string]any {
	return map[string]any{
		"name": "Ana" + w.canary + " Lima" + w.canary, "email": w.email(n), "phone": w.phone(n), "company": fmt.Sprintf("Casa %s %d", w.canary, n),
		"position": "Chefe " + w.canary, "status": []string{"new", "contacted", "qualified", "converted"}[n%4],
		"tags": []any{"feira-" + w.canary, "site-" + w.canary}, "owner_id": w.ownerID(w.left, n%2),
		"custom_fields": map[string]any{"score": w.score(n), "note": "nota " + w.canary, "campaign": "own-" + w.canary},
	}
}

// contact is record n in Acme's form, with the e-mail as somebody else would type it.
func (w *world) contact(n int) map[string]any {
	return map[string]any{
		"first_name": "Ana" + w.canary, "last_name": "Lima" + w.canary, "email": strings.ToUpper(w.email(n)[:1]) + w.email(n)[1:], "phone": w.phone(n),
		"company_name": fmt.Sprintf("Casa %s %d", w.canary, n), "job_title": "Chefe " + w.canary,
		"lifecycle": []string{"lead", "contacted", "qualified", "customer"}[n%4],
		"labels":    []any{"site-" + w.canary, "feira-" + w.canary}, "owner_id": w.ownerID(w.right, n%2),
		"score": w.score(n), "note": "nota " + w.canary, "properties": map[string]any{"segment": "own-" + w.canary},
	}
}

// seed fills both servers: records 1…left only in SalesOS, the next only in Acme,
// the last on both. They are a day old, 40 of one age.
func (w *world) seed(t testing.TB, left, right, both int) {
	t.Helper()
	w.single = left + right
	const group, day = 40, 24 * 60 * 60 * 1000
	for first := 1; first <= left+right+both; first += group {
		var leads, contacts []map[string]any
		for n := first; n < first+group && n <= left+right+both; n++ {
			if n <= left || n > left+right {
				leads = append(leads, w.lead(n))
			}
			if n > left {
				contacts = append(contacts, w.contact(n))
			}
		}
		for _, on := range w.systems() {
			records := map[*system][]map[string]any{w.left: leads, w.right: contacts}[on]
			require.NoError(t, on.admin.SetSwitches(t.Context(), map[string]any{"clock_offset_ms": first*1000 - day}))
			_, err := on.admin.Seed(t.Context(), wire.Seed{Object: on.object, Records: records})
			require.NoError(t, err)
			require.NoError(t, on.admin.SetSwitches(t.Context(), map[string]any{"clock_offset_ms": 0}))
		}
	}
}

// install makes the connection.
func (w *world) install(t testing.TB) {
	t.Helper()
	var made struct {
		ID       string
		State    string
		Webhooks struct{ Left, Right struct{ URL string } }
	}
	w.s.api.post(t, "/api/v1/connections", map[string]any{
		"integration": w.integration, "variables": maps.Clone(w.variables), "secrets": maps.Clone(w.secrets),
	}, &made)
	require.NotEmpty(t, made.ID)
	require.True(t, strings.HasPrefix(made.Webhooks.Left.URL, w.s.api.root), "webhook URL %q is not under the public URL", made.Webhooks.Left.URL)
	w.id = made.ID
}

// activate begins to sync and does not wait.
func (w *world) activate(t testing.TB) { t.Helper(); w.s.api.post(t, w.path("/activate"), nil, nil) }

func (w *world) path(rest string) string { return "/api/v1/connections/" + w.id + rest }

// bringUp installs, activates, and waits for the end of the first load.
func (w *world) bringUp(t *testing.T, want int) {
	t.Helper()
	w.install(t)
	w.activate(t)
	run := w.awaitRun(t, "backfill")
	require.Equal(t, "succeeded", run.State)
	w.awaitAgreement(t, want)
	w.awaitIdle(t)
	t.Logf("brought up: %d records in step, counts %+v", want, run.Counts)
}

// awaitRun waits until the newest run of a kind has ended.
func (w *world) awaitRun(t testing.TB, kind string) runStatus {
	t.Helper()
	var found runStatus
	eventually(t, "the "+kind+" run has ended", func(ctx context.Context) (bool, string) {
		var ok bool
		var err error
		found, ok, err = w.run(ctx, kind)
		return ok && found.EndedAt != nil, fmt.Sprintf("%+v, error %v", found, err)
	})
	return found
}

// run is the newest run of a kind.
func (w *world) run(ctx context.Context, kind string) (runStatus, bool, error) {
	runs, err := all[runStatus](ctx, w.s.api, w.path("/runs"), nil)
	for _, one := range runs {
		if one.Kind == kind {
			return one, true, err
		}
	}
	return runStatus{}, false, err
}

// startRun starts a run and waits for its end.
func (w *world) startRun(t testing.TB, kind string) runStatus {
	t.Helper()
	var started runStatus
	w.s.api.post(t, w.path("/runs"), map[string]string{"kind": kind}, &started)
	require.NotEmpty(t, started.ID)
	require.NotEmpty(t, started.WorkflowID)
	ended := started
	eventually(t, "the "+kind+" run has ended", func(ctx context.Context) (bool, string) {
		var err error
		ended, err = get[runStatus](ctx, w.s.api, "/api/v1/runs/"+started.ID)
		return ended.EndedAt != nil, fmt.Sprintf("%+v, error %v", ended, err)
	})
	return ended
}

func (w *world) status(ctx context.Context) (status, error) {
	return get[status](ctx, w.s.api, w.path("/status"))
}

// links are those of one record.
func (w *world) links(t testing.TB, on *system, id string) []link {
	t.Helper()
	found, err := all[link](t.Context(), w.s.api, w.path("/links"), url.Values{"stream": {"leads"}, "side": {on.side}, "id": {id}})
	require.NoError(t, err)
	return found
}

// awaitIdle waits until nothing is pending and no webhook is under way.
func (w *world) awaitIdle(t testing.TB) {
	t.Helper()
	eventually(t, "nothing is pending", func(ctx context.Context) (bool, string) {
		waiting := 0
		for _, on := range w.systems() {
			hooks, err := on.admin.WebhookCounts(ctx)
			if err != nil {
				return false, err.Error()
			}
			waiting += hooks.Held + hooks.Waiting + hooks.Retrying
		}
		now, err := w.status(ctx)
		return err == nil && waiting == 0 && now.Pending.Changes == 0 && now.Pending.Intents == 0,
			fmt.Sprintf("%d webhooks under way, pending %+v, error %v", waiting, now.Pending, err)
	})
}
