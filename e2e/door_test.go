//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// acknowledged is an event that the service said it has taken: when it arrived.
type acknowledged struct {
	side, id string
	at       time.Time
}

// door stands before the APIs: each request goes to one of them, and to the next
// if that one is not there. It remembers which events were acknowledged.
type door struct {
	apis   []string
	server *httptest.Server
	client *http.Client
	turn   atomic.Int64

	mutex sync.Mutex
	taken []acknowledged
}

func newDoor(t *testing.T, addresses []string) *door {
	t.Helper()
	d := &door{apis: addresses, client: &http.Client{Timeout: time.Minute}}
	d.server = httptest.NewServer(d)
	t.Cleanup(d.server.Close)
	return d
}

func (d *door) address() string { return strings.TrimPrefix(d.server.URL, "http://") }

// ServeHTTP passes a request on.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	first := int(d.turn.Add(1))
	for n := range d.apis {
		status, err := d.pass(w, r, d.apis[(first+n)%len(d.apis)], body)
		if err != nil {
			continue
		}
		d.note(r.URL.Path, body, status, arrived)
		return
	}
	w.WriteHeader(http.StatusBadGateway)
}

// pass hands a request to one API and its answer back; an error means that nobody
// answered, and that nothing was sent back yet.
func (d *door) pass(w http.ResponseWriter, r *http.Request, address string, body []byte) (int, error) {
	to, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+address+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	to.Header = r.Header.Clone()
	res, err := d.client.Do(to)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	for name, values := range res.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(res.StatusCode)
	_, _ = io.Copy(w, res.Body) // the caller may be gone
	return res.StatusCode, nil
}

// note remembers the records that an acknowledged event names.
func (d *door) note(path string, body []byte, status int, arrived time.Time) {
	if !strings.HasPrefix(path, "/webhooks/") || status < 200 || status > 299 {
		return
	}
	side := path[strings.LastIndex(path, "/")+1:]
	var one struct{ Data struct{ ID string } }
	var many []struct{ ID string }
	var ids []string
	if json.Unmarshal(body, &one) == nil && one.Data.ID != "" {
		ids = append(ids, one.Data.ID)
	} else if json.Unmarshal(body, &many) == nil {
		for _, event := range many {
			ids = append(ids, event.ID)
		}
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for _, id := range ids {
		d.taken = append(d.taken, acknowledged{side, id, arrived})
	}
}

// lastTaken is when the last acknowledged event of each record arrived, and how
// many there were in all.
func (d *door) lastTaken() (map[string]time.Time, int) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	last := map[string]time.Time{}
	for _, one := range d.taken {
		if key := one.side + " " + one.id; one.at.After(last[key]) {
			last[key] = one.at
		}
	}
	return last, len(d.taken)
}
