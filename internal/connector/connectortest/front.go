package connectortest

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// Front stands before a server and makes calls go wrong on demand. It counts
// what passes, also what it spoils.
type Front struct {
	inner http.Handler
	route func(r *http.Request) (method, path string)
	mu    sync.Mutex
	rules []*rule
	seen  []string
}

var _ http.Handler = (*Front)(nil)

type rule struct {
	method, part string
	times        int
	spoil        Spoil
}

// Spoil handles a call in place of the server, which it may still ask.
type Spoil func(w http.ResponseWriter, r *http.Request, inner http.Handler)

// NewFront puts a front before a server.
func NewFront(inner http.Handler) *Front {
	return &Front{inner: inner, route: func(r *http.Request) (string, string) { return r.Method, r.URL.Path }}
}

// On spoils the next times calls (negative: all) with the method (empty: any)
// whose path contains part.
func (f *Front) On(method, part string, times int, spoil Spoil) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, &rule{method: method, part: part, times: times, spoil: spoil})
}

// Count tells how many calls with the method (empty: any) reached a path that contains part.
func (f *Front) Count(method, part string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	count := 0
	for _, call := range f.seen {
		verb, path, _ := strings.Cut(call, " ")
		if (method == "" || verb == method) && strings.Contains(path, part) {
			count++
		}
	}
	return count
}

// ServeHTTP implements http.Handler.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if spoil := f.match(r); spoil != nil {
		spoil(w, r, f.inner)
		return
	}
	f.inner.ServeHTTP(w, r)
}

func (f *Front) match(r *http.Request) Spoil {
	method, path := f.route(r)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, method+" "+path)
	for _, rule := range f.rules {
		if rule.times != 0 && (rule.method == "" || rule.method == method) && strings.Contains(path, rule.part) {
			rule.times--
			return rule.spoil
		}
	}
	return nil
}

// Answer answers a status with headers ("Name: value") and a body.
func Answer(status int, body string, headers ...string) Spoil {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // the client may be gone already: that is its affair
	}
}

// ResetAfter lets the server do what was asked and drops the connection
// instead of answering.
func ResetAfter() Spoil {
	return func(w http.ResponseWriter, r *http.Request, inner http.Handler) {
		inner.ServeHTTP(httptest.NewRecorder(), r)
		drop(w)
	}
}

// ResetBefore drops the connection without doing anything.
func ResetBefore() Spoil {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { drop(w) }
}

func drop(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: the only way to break the stream
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // best effort: a close without reset breaks the call as well
	}
	_ = conn.Close() // closing is the point; there is no one to tell
}

// gone is how the system says that it has no such record.
func (h Harness) gone() Spoil {
	if h.Gone != nil {
		return h.Gone
	}
	return Answer(http.StatusNotFound, h.GoneBody)
}

// refused is how the system refuses the field Key.
func (h Harness) refused() Spoil {
	if h.Refused != nil {
		return h.Refused
	}
	return Answer(http.StatusUnprocessableEntity, h.RefusedBody)
}
