package front

import (
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// Faults are the faults waiting to happen. Safe for concurrent use.
type Faults struct {
	mu   sync.Mutex
	seq  int
	list []*fault
}

type fault struct {
	wire.Fault
	path *regexp.Regexp
	left int
	skip int
}

// replaces says whether the fault stands in for the real answer.
func (f *fault) replaces() bool {
	return f.Kind != wire.FaultExpireToken && f.Kind != wire.FaultRevokeToken
}

// Add arms a fault and gives its id. Errors name the field that is wrong.
func (fs *Faults) Add(in wire.Fault) (string, error) {
	switch in.Kind {
	case wire.FaultStatus, wire.FaultTimeout, wire.FaultReset, wire.FaultCut, wire.FaultEmptyList, wire.FaultExpireToken, wire.FaultRevokeToken:
	default:
		return "", fmt.Errorf("kind %q is not known", in.Kind)
	}
	switch in.When {
	case "":
		in.When = wire.Before
		if in.Kind == wire.FaultCut {
			in.When = wire.After
		}
	case wire.Before, wire.After:
	default:
		return "", fmt.Errorf("when is %q, not before or after", in.When)
	}
	if in.Status == 0 {
		in.Status = http.StatusServiceUnavailable
	}
	if in.Status < 200 || in.Status > 599 {
		return "", fmt.Errorf("status %d is not between 200 and 599", in.Status)
	}
	if in.Times == 0 {
		in.Times = 1
	}
	if in.HangMS == 0 {
		in.HangMS = 60_000
	}
	f := &fault{Fault: in, left: in.Times, skip: in.Skip}
	if in.PathRegexp != "" {
		re, err := regexp.Compile(in.PathRegexp)
		if err != nil {
			return "", fmt.Errorf("path_regexp: %w", err)
		}
		f.path = re
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.seq++
	f.ID = "flt_" + strconv.Itoa(fs.seq)
	fs.list = append(fs.list, f)
	return f.ID, nil
}

// Remove disarms a fault; "" disarms all.
func (fs *Faults) Remove(id string) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = slices.DeleteFunc(fs.list, func(f *fault) bool { return id == "" || f.ID == id })
}

// List gives the faults with their hits, spent ones included.
func (fs *Faults) List() []wire.Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	out := []wire.Fault{}
	for _, f := range fs.list {
		out = append(out, f.Fault)
	}
	return out
}

func (fs *Faults) match(r *http.Request, body []byte) *fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.list {
		if f.left == 0 || !f.meets(r, body) {
			continue
		}
		if f.skip > 0 {
			f.skip--
			continue
		}
		if f.left > 0 {
			f.left--
		}
		f.Hits++
		return f
	}
	return nil
}

func (f *fault) meets(r *http.Request, body []byte) bool {
	path := r.URL.Path
	switch {
	case f.Method != "" && !strings.EqualFold(f.Method, r.Method):
		return false
	case f.Path != "" && !strings.HasPrefix(path, f.Path):
		return false
	case f.path != nil && !f.path.MatchString(path):
		return false
	case f.RecordID != "" && !slices.Contains(strings.Split(path, "/"), f.RecordID):
		return false
	case f.Contains != "" && !strings.Contains(string(body), f.Contains):
		return false
	}
	return true
}

func (f *Front) spoilToken(ft *fault, r *http.Request) {
	header := r.Header.Get("Authorization")
	switch {
	case header == "":
	case ft.Kind == wire.FaultExpireToken:
		f.Auth.Expire(header)
	case ft.Kind == wire.FaultRevokeToken:
		f.Auth.Revoke(header)
	}
}

// spoil answers with a fault instead of the answer in out.
func (f *Front) spoil(w http.ResponseWriter, r *http.Request, out *buffered, call *wire.Call, ft *fault) {
	switch ft.Kind {
	case wire.FaultStatus:
		quota := out.header
		*out = buffered{header: http.Header{}}
		for k, v := range quota {
			if strings.Contains(strings.ToLower(k), "ratelimit") {
				out.header[k] = v
			}
		}
		f.fill(out, ft)
		f.finish(w, out, call)
	case wire.FaultEmptyList:
		out.body.Reset()
		out.status = 0
		write(out, Response{Status: http.StatusOK, Body: f.dialect.EmptyList(r)})
		f.finish(w, out, call)
	case wire.FaultTimeout:
		f.World.Log.Add(*call)
		pause(r.Context(), time.Duration(ft.HangMS)*time.Millisecond)
		drop(w, false)
	case wire.FaultCut:
		call.Status = out.status
		f.World.Log.Add(*call)
		f.copyHeader(w, out)
		raw := out.body.Bytes()
		w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
		w.WriteHeader(max(out.status, http.StatusOK))
		_, _ = w.Write(raw[:len(raw)/2])
		panic(http.ErrAbortHandler)
	default:
		f.World.Log.Add(*call)
		drop(w, true)
	}
}

func (f *Front) fill(out *buffered, ft *fault) {
	for k, v := range ft.Headers {
		out.header.Set(k, v)
	}
	if ft.RetryAfter != "" {
		out.header.Set("Retry-After", ft.RetryAfter)
	}
	if ft.Body != "" {
		write(out, Response{Status: ft.Status, Body: []byte(ft.Body)})
		return
	}
	f.refuse(out, ft.Status, "injected fault")
}

// drop ends the connection without an answer; hard sends a reset instead of an orderly end.
func drop(w http.ResponseWriter, hard bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && hard {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
