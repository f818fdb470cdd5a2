//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds every wait for a condition. It is no claim about speed.
const patience = 90 * time.Second

// stack is one deployment: a Temporal, two workers, one or more APIs, a database.
type stack struct {
	dir, db         string
	key, token      string
	temporalAddress string
	temporal        *process
	workers, apis   []*process
	metrics         []string
	api             *client
	door            *door
	worlds          worlds
}

// stackOptions say what differs from a stack on SQLite with one API.
type stackOptions struct {
	db   string
	apis int
	// housekeeping is the pause between two rounds of what changes slowly; empty: the usual one.
	housekeeping string
	// door: the APIs are reached through one address that stays when one of them dies.
	door bool
}

// newStack starts everything and waits until it is ready. At its end it stops
// everything and looks for canaries in all that it left behind.
func newStack(t *testing.T, options stackOptions) *stack {
	t.Helper()
	dir := t.TempDir()
	s := &stack{dir: dir, db: options.db, token: "token-" + rand.Text(), temporalAddress: freeAddress(t)}
	if s.db == "" {
		s.db = "sqlite:" + filepath.Join(dir, "ledger.db")
	}
	key := make([]byte, 32)
	_, err := rand.Read(key)
	require.NoError(t, err)
	s.key = base64.StdEncoding.EncodeToString(key)
	s.temporal = s.process("temporal", "accord", "", "temporal", "--data", filepath.Join(dir, "temporal"), "--listen", s.temporalAddress)
	addresses := []string{}
	for range max(options.apis, 1) {
		addresses = append(addresses, freeAddress(t))
	}
	reached := addresses[0]
	if options.door {
		s.door = newDoor(t, addresses)
		reached = s.door.address()
	}
	public := "ACCORD_PUBLIC_URL=http://" + reached
	for n, address := range addresses {
		s.apis = append(s.apis, s.process(fmt.Sprintf("api%d", n), "api", address))
		s.metrics = append(s.metrics, "http://"+address+"/metrics")
	}
	for n := range 2 {
		address := freeAddress(t)
		s.workers = append(s.workers, s.process(fmt.Sprintf("worker%d", n), "worker", address))
		s.metrics = append(s.metrics, "http://"+address+"/metrics")
	}
	s.api = newClient("http://"+reached, s.token)
	t.Cleanup(func() { s.end(t) })
	for _, p := range s.all() {
		p.env = append(p.env, public)
		if options.housekeeping != "" {
			p.env = append(p.env, "ACCORD_HOUSEKEEPING="+options.housekeeping)
		}
		p.start(t)
	}
	s.awaitReady(t)
	t.Logf("up: temporal, %d workers, %d APIs, database %s", len(s.workers), len(s.apis), scheme(s.db))
	return s
}

func scheme(db string) string {
	for n, r := range db {
		if r == ':' {
			return db[:n]
		}
	}
	return db
}

// process makes one of the stack's programs with its settings.
func (s *stack) process(name, program, listen string, args ...string) *process {
	return &process{
		name: name, program: program, args: args, log: filepath.Join(s.dir, name+".log"),
		env: []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + os.TempDir(),
			"ACCORD_DB=" + s.db, "ACCORD_KEY=" + s.key, "ACCORD_TOKEN=" + s.token, "ACCORD_LISTEN=" + listen,
			"ACCORD_ALLOW_PRIVATE=127.0.0.0/8", "ACCORD_LEASE=" + lease.String(), "TEMPORAL_ADDRESS=" + s.temporalAddress,
		},
	}
}

func (s *stack) all() []*process {
	return append(append([]*process{s.temporal}, s.workers...), s.apis...)
}

// awaitReady waits until the API, the ledger and Temporal answer.
func (s *stack) awaitReady(t testing.TB) {
	t.Helper()
	for _, one := range s.apis {
		address := one.env[indexOf(one.env, "ACCORD_LISTEN=")][len("ACCORD_LISTEN="):]
		eventually(t, one.name+" is ready", func(ctx context.Context) (bool, string) {
			status, err := probe(ctx, "http://"+address+"/readyz")
			return status == http.StatusOK, fmt.Sprintf("status %d, error %v; its log ends:\n%s", status, err, one.tail())
		})
	}
}

func indexOf(list []string, prefix string) int {
	for n, one := range list {
		if len(one) >= len(prefix) && one[:len(prefix)] == prefix {
			return n
		}
	}
	return -1
}

func probe(ctx context.Context, url string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// end looks for canaries while everything runs, and stops it all.
func (s *stack) end(t *testing.T) {
	defer s.stop(t) // also when the search cannot go on
	if !t.Failed() && s.temporal.running() {
		s.searchForCanaries(t)
	}
}

// stop ends all programs and says which did not end as they should.
func (s *stack) stop(t *testing.T) {
	for _, group := range [][]*process{s.apis, s.workers, {s.temporal}} {
		for _, p := range group {
			if p.running() {
				orderly := p.stop()
				if !orderly && !t.Failed() {
					t.Errorf("%s did not stop within 30 s of SIGTERM:\n%s", p.name, p.tail())
				}
			} else if !t.Failed() {
				t.Errorf("%s ended by itself:\n%s", p.name, p.tail())
			}
		}
	}
	if t.Failed() {
		s.explain(t)
	}
}

// explain prints the ends of the logs of a stack whose test failed, and keeps
// all of them if E2E_KEEP names a folder.
func (s *stack) explain(t *testing.T) {
	for _, p := range s.all() {
		t.Logf("%s: trouble and end:\n%s", p.name, p.tail())
		if keep := os.Getenv("E2E_KEEP"); keep != "" {
			_ = os.MkdirAll(filepath.Join(keep, t.Name()), 0o700)                                    // a help only
			_ = os.WriteFile(filepath.Join(keep, t.Name(), filepath.Base(p.log)), p.output(), 0o600) // a help only
		}
	}
}

// freeAddress is a loopback address that nobody listens on now.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// eventually looks until look is satisfied; what it saw last is told if it never is.
func eventually(t testing.TB, what string, look func(context.Context) (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		ok, seen := look(ctx)
		cancel()
		if ok {
			return
		}
		if time.Now().After(deadline) || t.Context().Err() != nil {
			t.Fatalf("waited in vain until %s; seen last: %s", what, seen)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
