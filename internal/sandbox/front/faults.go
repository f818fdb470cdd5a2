package front

import (
	"bytes"
	"cmp"
	"errors"
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
	switch f.Kind {
	case wire.FaultExpireToken, wire.FaultRevokeToken, wire.FaultSlow, wire.FaultEdit:
		return false
	}
	return true
}

// complete fills the defaults of a fault. Errors name the field that is wrong.
func complete(in *wire.Fault) error {
	switch in.Kind {
	case wire.FaultStatus, wire.FaultTimeout, wire.FaultReset, wire.FaultCut, wire.FaultEmptyList, wire.FaultExpireToken, wire.FaultRevokeToken:
	case wire.FaultSlow:
		in.HangMS = cmp.Or(in.HangMS, 1000)
	case wire.FaultEdit:
		if in.Edit == nil {
			return errors.New("edit is missing: what the user does")
		}
	default:
		return fmt.Errorf("kind %q is not known", in.Kind)
	}
	switch in.When {
	case "":
		in.When = wire.Before
		if in.Kind == wire.FaultCut {
			in.When = wire.After
		}
	case wire.Before, wire.After:
	default:
		return fmt.Errorf("when is %q, not before or after", in.When)
	}
	switch in.RetryAfterForm {
	case "", wire.RetrySeconds, wire.RetryDate, wire.RetryAbsent:
	default:
		return fmt.Errorf("retry_after_form is %q, not seconds, date or absent", in.RetryAfterForm)
	}
	in.Status = cmp.Or(in.Status, http.StatusServiceUnavailable)
	if in.Status < 200 || in.Status > 599 {
		return fmt.Errorf("status %d is not between 200 and 599", in.Status)
	}
	in.Times = cmp.Or(in.Times, 1)
	in.HangMS = cmp.Or(in.HangMS, 60_000)
	return nil
}

// Add arms a fault and gives its id. Errors name the field that is wrong.
func (fs *Faults) Add(in wire.Fault) (string, error) {
	if err := complete(&in); err != nil {
		return "", err
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

// match gives the fault that a call meets, if any, and the users' edits that it sets off.
func (fs *Faults) match(r *http.Request, body []byte) (met *fault, edits []*fault) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.list {
		if f.left == 0 || (met != nil && f.Kind != wire.FaultEdit) || !f.meets(r, body) {
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
		if f.Kind == wire.FaultEdit {
			edits = append(edits, f)
			continue
		}
		met = f
	}
	return met, edits
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
	case f.RecordID != "" && !concerns(r, body, f.RecordID):
		return false
	case f.Contains != "" && !strings.Contains(string(body), f.Contains):
		return false
	}
	return true
}

// concerns says whether a call is about a record: its path names it, or its batch does.
func concerns(r *http.Request, body []byte, id string) bool {
	if slices.Contains(strings.Split(r.URL.Path, "/"), id) || slices.Contains(strings.Split(r.URL.Query().Get("ids"), ","), id) {
		return true
	}
	return strings.HasSuffix(r.URL.Path, "/batch") && bytes.Contains(body, []byte(strconv.Quote(id)))
}

// act runs the users' edits of one moment. One without an id is of the record
// that the call names or, afterwards, has made.
func (f *Front) act(edits []*fault, when string, call *wire.Call) {
	for _, e := range edits {
		if e.When != when {
			continue
		}
		a := *e.Edit
		if a.ID == "" && a.Op != wire.ActCreate {
			a.ID = f.named(a.Object, call)
		}
		// What a user cannot do any more is in the log, with its status.
		_ = f.World.Act(a)
	}
}

func (f *Front) named(object string, call *wire.Call) string {
	t := f.World.Table(object)
	for _, id := range append([]string{call.ID}, strings.Split(call.Path, "/")...) {
		if t != nil && t.Raw(id) != nil {
			return id
		}
	}
	return ""
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
		f.fill(out, ft, call)
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

func (f *Front) fill(out *buffered, ft *fault, call *wire.Call) {
	for k, v := range ft.Headers {
		out.header.Set(k, v)
	}
	if ft.RetryAfter != "" {
		out.header.Set("Retry-After", ft.RetryAfter)
	}
	if ft.RetryAfterS > 0 {
		f.comeBack(out, cmp.Or(ft.RetryAfterForm, f.World.Switches().RetryAfter), ft.RetryAfterS)
	}
	if ft.Body != "" {
		write(out, Response{Status: ft.Status, Body: []byte(ft.Body)})
		return
	}
	existing := ft.ExistingID
	if existing == "" && call.Effect && call.Method == http.MethodPost && f.World.Switches().ExistingID {
		existing = call.ID
	}
	f.refuse(out, Problem{Status: ft.Status, Message: cmp.Or(ft.Message, "injected fault"), Field: ft.Field, ExistingID: existing})
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
