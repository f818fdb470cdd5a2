//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger/ledgertest"
)

// cable is what connects the programs with the database; it can be pulled.
type cable struct {
	target string
	listen string

	mutex    sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
}

// newCable leads to the database at dsn and gives the address of its own end.
func newCable(t *testing.T, dsn string) (*cable, string) {
	t.Helper()
	address, err := url.Parse(dsn)
	require.NoError(t, err)
	c := &cable{target: address.Host, listen: freeAddress(t), open: map[net.Conn]bool{}}
	c.plug(t)
	t.Cleanup(c.pull)
	address.Host = c.listen
	return c, address.String()
}

// plug connects.
func (c *cable) plug(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", c.listen)
	require.NoError(t, err)
	c.mutex.Lock()
	c.listener = listener
	c.mutex.Unlock()
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", c.target)
			if err != nil {
				_ = from.Close()
				continue
			}
			c.mutex.Lock()
			c.open[from], c.open[to] = true, true
			c.mutex.Unlock()
			go c.carry(from, to)
			go c.carry(to, from)
		}
	}()
}

func (c *cable) carry(from, to net.Conn) {
	_, _ = io.Copy(to, from) // either end may go at any time
	_ = from.Close()
	_ = to.Close()
	c.mutex.Lock()
	delete(c.open, from)
	delete(c.open, to)
	c.mutex.Unlock()
}

// pull cuts all connections and refuses new ones.
func (c *cable) pull() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	_ = c.listener.Close()
	for one := range c.open {
		_ = one.Close()
	}
}

// TestDatabaseGone takes Postgres away twice while people edit: once it comes back
// to programs that waited, once programs start while it is away.
func TestDatabaseGone(t *testing.T) {
	wire, db := newCable(t, ledgertest.NewPostgresDatabase(t, ledgertest.StartPostgres(t)))
	s := newStack(t, stackOptions{db: db})
	w := newWorld(t, s)
	w.seed(t, 5, 5, 5)
	w.bringUp(t, 15)
	var pairs []pair
	for n := 1; n <= 15; n++ {
		pairs = append(pairs, w.pair(t, n))
	}
	people := w.letPeopleEdit(t, pairs)
	for _, restarted := range [][]*process{nil, append(append([]*process{}, s.workers...), s.apis...)} {
		people.awaitMore(t, 10)
		wire.pull()
		t.Log("Postgres is gone")
		for _, p := range restarted {
			p.kill(t)
			p.start(t)
		}
		people.awaitMore(t, 60)
		if restarted == nil {
			eventually(t, "the API says that it is not ready", func(ctx context.Context) (bool, string) {
				status, err := probe(ctx, s.api.root+"/readyz")
				return status == 503, fmt.Sprintf("status %d, error %v", status, err)
			})
		}
		for _, p := range s.all() {
			require.True(t, p.running(), "%s did not wait for the database:\n%s", p.name, p.tail())
		}
		wire.plug(t)
		t.Log("Postgres is back")
		s.awaitReady(t)
	}
	people.awaitMore(t, 10)
	people.verify(t)
	w.awaitAgreement(t, 15)
	w.quiet(t)
}
