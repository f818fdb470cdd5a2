// Package front is the HTTP shell around a sandbox server: body limits, the
// server's clock in the Date header, tokens, rate limits, latency, injected
// faults and the request log. The vendor's own protocol is behind it.
package front

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/auth"
	"github.com/accord-sync/accord/internal/sandbox/wire"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 4 << 20

// Request is a request with what the shell found out about it.
type Request struct {
	*http.Request
	Body []byte
	// Token is nil unless State is auth.OK.
	Token *auth.Token
	State auth.State
	// Call is the log entry; handlers fill in object, id, fields and effect.
	Call *wire.Call
}

// Actor names the caller, "app:<client id>".
func (r *Request) Actor() string {
	if r.Token == nil {
		return ""
	}
	return r.Token.Actor()
}

// Fields notes the names of the fields written.
func (r *Request) Fields(given map[string]any) { r.Call.Fields = slices.Sorted(maps.Keys(given)) }

// Response is an answer. Body is JSON-encoded unless it is []byte; nil is no body.
type Response struct {
	Status int
	Header map[string]string
	Body   any
}

// Dialect is how a vendor says what the shell has to say.
type Dialect struct {
	// Problem is the body of an error answer that the shell makes.
	Problem func(p Problem) any
	// EmptyList is the body of an empty listing.
	EmptyList func(r *http.Request) any
	// Quota sets the rate-limit headers; reset is when the window ends.
	Quota func(h http.Header, limit, remaining int, now, reset time.Time)
	// Free says that a path is not counted against the rate limit and needs no token.
	Free func(path string) bool
	// Apart is the limit of a path that has one of its own instead of the plan's, of which no
	// header tells, and its name; nil: there are none.
	Apart func(path string) (*Limiter, string)
}

// Problem is what an error answer of the shell says.
type Problem struct {
	Status  int
	Message string
	// Field is the one that is wrong (422), ExistingID the record in the way (409); both may be empty.
	Field, ExistingID string
	// Policy is the limit that was reached (429), where there are several.
	Policy string
}

// Front serves one vendor. Safe for concurrent use.
type Front struct {
	World  *world.World
	Auth   *auth.Server
	Faults *Faults
	Limits *Limiter

	dialect Dialect
	mux     *http.ServeMux
	admin   http.Handler
}

// New makes a Front; add handlers with Handle.
func New(w *world.World, a *auth.Server, d Dialect) *Front {
	return &Front{World: w, Auth: a, Faults: &Faults{}, Limits: newLimiter(), dialect: d, mux: http.NewServeMux()}
}

// Admin sets what answers /_admin/.
func (f *Front) Admin(h http.Handler) { f.admin = h }

// Handle registers a handler for a ServeMux pattern.
func (f *Front) Handle(pattern string, h func(*Request) Response) {
	f.mux.HandleFunc(pattern, func(w http.ResponseWriter, hr *http.Request) {
		r, ok := hr.Context().Value(requestKey{}).(*Request)
		if !ok {
			http.Error(w, "request did not come through the front", http.StatusInternalServerError)
			return
		}
		r.Request = hr
		write(w, h(r))
	})
}

type requestKey struct{}

func write(w http.ResponseWriter, res Response) {
	for k, v := range res.Header {
		w.Header().Set(k, v)
	}
	if res.Body == nil {
		w.WriteHeader(res.Status)
		return
	}
	raw, ok := res.Body.([]byte)
	if !ok {
		var err error
		if raw, err = Encode(res.Body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(res.Status)
	_, _ = w.Write(raw)
}

// Encode gives JSON without escaping of <, > and &.
func Encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}

// buffered keeps an answer until it is known whether it will be sent.
type buffered struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (b *buffered) Header() http.Header { return b.header }
func (b *buffered) WriteHeader(s int) {
	if b.status == 0 {
		b.status = s
	}
}
func (b *buffered) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	return b.body.Write(p)
}

// ServeHTTP answers a request.
func (f *Front) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	if strings.HasPrefix(hr.URL.Path, "/_admin/") {
		f.serveAdmin(w, hr)
		return
	}
	call := &wire.Call{At: f.World.Now(), Method: hr.Method, Path: hr.URL.Path, Query: hr.URL.RawQuery}
	out := &buffered{header: http.Header{}}
	body, err := io.ReadAll(http.MaxBytesReader(w, hr.Body, maxBody))
	if err != nil {
		f.refuse(out, Problem{Status: tooLarge(err), Message: "the body could not be read or is too large"})
		f.finish(w, out, call)
		return
	}
	if !pause(hr.Context(), time.Duration(f.World.Switches().LatencyMS)*time.Millisecond) {
		return
	}
	fault, edits := f.Faults.match(hr, body)
	if fault != nil {
		call.Fault = fault.Kind
		f.spoilToken(fault, hr)
		if fault.Kind == wire.FaultSlow {
			// What has arrived is done, even if the caller has gone meanwhile.
			pause(context.WithoutCancel(hr.Context()), time.Duration(fault.HangMS)*time.Millisecond)
		}
	}
	r := &Request{Request: hr, Body: body, Call: call}
	r.Token, r.State = f.Auth.Check(hr.Header.Get("Authorization"))
	call.Actor = r.Actor()
	if !f.allow(out, r) {
		f.finish(w, out, call)
		return
	}
	f.act(edits, wire.Before, call)
	if fault == nil || fault.When == wire.After || !fault.replaces() {
		f.mux.ServeHTTP(out, hr.WithContext(context.WithValue(hr.Context(), requestKey{}, r)))
	}
	f.act(edits, wire.After, call)
	if fault != nil && fault.replaces() {
		f.spoil(w, hr, out, call, fault)
		return
	}
	f.finish(w, out, call)
}

func tooLarge(err error) int {
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// pause waits; false means that the caller has gone.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *Front) refuse(out *buffered, p Problem) {
	write(out, Response{Status: p.Status, Body: f.dialect.Problem(p)})
}

// serveAdmin answers an admin request, and logs what it did unless it only read.
// What was done to records logs itself, as the user who did it.
func (f *Front) serveAdmin(w http.ResponseWriter, r *http.Request) {
	rec := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	f.admin.ServeHTTP(rec, r)
	path := strings.TrimPrefix(r.URL.Path, "/_admin/")
	if r.Method == http.MethodGet || strings.HasPrefix(path, "records/") || path == "merge" {
		return
	}
	f.World.Log.Add(wire.Call{At: f.World.Now(), Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Status: rec.status, Actor: wire.ActorAdmin})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status and passes it on.
func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// comeBack says when the caller may come back, in a form of the switch retry_after.
func (f *Front) comeBack(out *buffered, form string, seconds int) {
	switch form {
	case wire.RetryAbsent:
	case wire.RetryDate:
		out.header.Set("Retry-After", f.World.Now().Add(time.Duration(seconds)*time.Second).Format(http.TimeFormat))
	default:
		out.header.Set("Retry-After", strconv.Itoa(seconds))
	}
}

// allow counts the call against the client's rate limit.
func (f *Front) allow(out *buffered, r *Request) bool {
	if r.Token == nil || f.dialect.Free(r.URL.Path) {
		return true
	}
	now := f.World.Now()
	limits, policy := f.Limits, ""
	if f.dialect.Apart != nil {
		if own, name := f.dialect.Apart(r.URL.Path); own != nil {
			limits, policy = own, name
		}
	}
	q := limits.take(r.Token.Client, now)
	if q.limit == 0 {
		return true
	}
	if policy == "" {
		f.dialect.Quota(out.header, q.limit, max(q.remaining, 0), now, q.reset)
	}
	if q.remaining >= 0 {
		return true
	}
	seconds := max(int((q.reset.Sub(now)+time.Second-1)/time.Second), 1)
	f.comeBack(out, f.World.Switches().RetryAfter, seconds)
	f.refuse(out, Problem{Status: http.StatusTooManyRequests, Message: "rate limit exceeded", Policy: policy})
	return false
}

// finish logs the call and sends the answer, in this order: who has the answer can rely on the log.
func (f *Front) finish(w http.ResponseWriter, out *buffered, call *wire.Call) {
	call.Status = out.status
	f.World.Log.Add(*call)
	f.copyHeader(w, out)
	w.WriteHeader(out.status)
	_, _ = w.Write(out.body.Bytes())
}

func (f *Front) copyHeader(w http.ResponseWriter, out *buffered) {
	maps.Copy(w.Header(), out.header)
	w.Header().Set("Date", f.World.Now().Format(http.TimeFormat))
}
