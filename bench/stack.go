package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// stack is one deployment: Temporal, a worker, an API and a ledger, each in a
// process of its own (SQLite is in those of worker and API).
type stack struct {
	b                     *bench
	dir, db, key, token   string
	temporalAddress       string
	workerAddress         string
	temporal, worker, web *process
	api                   *client
}

// newStack starts everything and waits until it answers. db is empty for
// SQLite, or the address of a Postgres database.
func (b *bench) newStack(ctx context.Context, db string) (*stack, error) {
	dir, err := b.folder("stack")
	if err != nil {
		return nil, err
	}
	s := &stack{b: b, dir: dir, db: db, token: "token-" + rand.Text()}
	if s.db == "" {
		s.db = "sqlite:" + filepath.Join(dir, "ledger.db")
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	s.key = base64.StdEncoding.EncodeToString(key)
	addresses := make([]string, 3)
	for n := range addresses {
		if addresses[n], err = freeAddress(ctx); err != nil {
			return nil, err
		}
	}
	s.temporalAddress, s.workerAddress = addresses[0], addresses[2]
	s.temporal = s.process("temporal", "", filepath.Join(b.bin, "accord"), "temporal", "--data", filepath.Join(dir, "temporal"), "--listen", addresses[0])
	s.web = s.process("api", addresses[1], filepath.Join(b.bin, "api"))
	s.worker = s.process("worker", addresses[2], filepath.Join(b.bin, "worker"))
	s.api = newClient("http://"+addresses[1], s.token)
	for _, p := range []*process{s.temporal, s.web, s.worker} {
		p.env = append(p.env, "ACCORD_PUBLIC_URL="+s.api.root)
		if err := p.start(ctx); err != nil {
			return nil, errors.Join(err, s.stop())
		}
	}
	if err := s.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *stack) process(name, listen string, args ...string) *process {
	return &process{
		name: name, args: args, log: filepath.Join(s.dir, name+".log"),
		env: []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + os.TempDir(), "ACCORD_LOG=warn",
			"ACCORD_DB=" + s.db, "ACCORD_KEY=" + s.key, "ACCORD_TOKEN=" + s.token, "ACCORD_LISTEN=" + listen,
			"ACCORD_ALLOW_PRIVATE=127.0.0.0/8", "TEMPORAL_ADDRESS=" + s.temporalAddress,
		},
	}
}

func (s *stack) awaitReady(ctx context.Context) error {
	for _, url := range []string{s.api.root + "/readyz", "http://" + s.workerAddress + "/healthz"} {
		err := eventually(ctx, url+" answers", func(ctx context.Context) (bool, string) {
			status, err := probe(ctx, url)
			return status == http.StatusOK, fmt.Sprintf("status %d, error %v; the API said:\n%s", status, err, s.web.tail())
		})
		if err != nil {
			return err
		}
	}
	return nil
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

// stop ends all processes and removes what they stored.
func (s *stack) stop() error {
	for _, p := range []*process{s.web, s.worker, s.temporal} {
		p.end(syscall.SIGTERM)
	}
	return os.RemoveAll(s.dir)
}

// usage is processor time by process.
type usage struct{ worker, api, temporal time.Duration }

func (s *stack) usage() usage {
	return usage{s.worker.cpu(), s.web.cpu(), s.temporal.cpu()}
}

// since is what was used after an earlier look.
func (u usage) since(before usage) usage {
	return usage{u.worker - before.worker, u.api - before.api, u.temporal - before.temporal}
}

func (u usage) total() time.Duration { return u.worker + u.api + u.temporal }
