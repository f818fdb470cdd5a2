// Package admin is the part of a sandbox server that no vendor has: acting as
// a user, holding and dropping webhooks, limits, faults, and reading who asked
// and who wrote. See the README of the sandbox for the table of calls.
package admin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/accord-sync/accord/internal/sandbox/auth"
	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/hooks"
	"github.com/accord-sync/accord/internal/sandbox/wire"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

// maxBody bounds an admin request, in bytes; seeds can be large.
const maxBody = 64 << 20

// Options make the admin API of one server. All but Searches, Complete and OnReset are required.
type Options struct {
	World  *world.World
	Hooks  *hooks.Queue
	Auth   *auth.Server
	Faults *front.Faults
	Limits *front.Limiter
	// Searches counts searches, where they have a limit of their own; nil: they do not.
	Searches *front.Limiter
	// Template gives the default seed of an object.
	Template func(object string) map[string]any
	// Forge makes up an event; errors say that there is no such event.
	Forge func(f wire.Forge) (hooks.Event, error)
	// Complete makes whole what a user gave in part, in place.
	Complete func(object string, fields map[string]any)
	// OnReset is called after a reset.
	OnReset func()
}

type server struct{ Options }

// problem is an admin error: what was wrong with the request.
type problem struct {
	status  int
	message string
}

func (p *problem) Error() string { return p.message }

func bad(format string, args ...any) error {
	return &problem{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// New gives the handler of everything under /_admin/.
func New(o Options) http.Handler {
	s := &server{o}
	mux := http.NewServeMux()
	handle := func(pattern string, h func(*http.Request) (any, error)) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /_admin/"+path, func(w http.ResponseWriter, r *http.Request) { answer(w, r, h) })
	}
	handle("GET records/{object}", s.records)
	handle("POST records/{object}", s.create)
	handle("GET records/{object}/{id}", s.record)
	handle("PATCH records/{object}/{id}", s.edit)
	handle("DELETE records/{object}/{id}", s.remove)
	handle("POST merge", s.merge)
	handle("POST seed", s.seed)
	handle("GET webhooks", s.webhooks)
	handle("POST webhooks/hold", s.hold)
	handle("POST webhooks/release", s.release)
	handle("POST webhooks/drop", s.drop)
	handle("POST webhooks/repeat", s.repeat)
	handle("POST webhooks/retry", s.retry)
	handle("POST webhooks/spoil", s.spoil)
	handle("POST webhooks/forge", s.forge)
	handle("PUT broker", s.setBroker)
	handle("DELETE broker", s.removeBroker)
	handle("GET limits", func(*http.Request) (any, error) { return s.Limits.Get(), nil })
	handle("PUT limits", s.setLimits)
	handle("GET faults", func(*http.Request) (any, error) { return s.Faults.List(), nil })
	handle("POST faults", s.addFault)
	handle("DELETE faults", s.removeFault)
	handle("DELETE faults/{id}", s.removeFault)
	handle("POST tokens/expire", s.expireTokens)
	handle("POST tokens/revoke", s.revokeTokens)
	handle("PUT clients/{id}", s.rotateClient)
	handle("GET rejections", func(*http.Request) (any, error) { return s.World.Rejections(), nil })
	handle("POST rejections", s.reject)
	handle("DELETE rejections", s.clearRejections)
	handle("GET alterations", func(*http.Request) (any, error) { return s.World.Alterations(), nil })
	handle("POST alterations", s.alter)
	handle("DELETE alterations", s.clearAlterations)
	handle("GET rows", func(*http.Request) (any, error) { return s.World.BadRows(), nil })
	handle("POST rows", s.spoilRow)
	handle("DELETE rows", func(*http.Request) (any, error) { s.World.ClearBadRows(); return nil, nil })
	handle("GET shapes", func(*http.Request) (any, error) { return s.World.Shapes(), nil })
	handle("POST shapes", s.setShape)
	handle("DELETE shapes", s.clearShapes)
	handle("GET unique", s.unique)
	handle("PUT unique", s.setUnique)
	handle("POST races", s.race)
	handle("GET clock", func(*http.Request) (any, error) { return s.World.Clock(), nil })
	handle("PUT clock", s.setClock)
	handle("GET switches", func(*http.Request) (any, error) { return s.World.Switches(), nil })
	handle("PATCH switches", s.setSwitches)
	handle("GET log", s.log)
	handle("GET writes", s.writes)
	handle("GET versions/{object}", s.versions)
	handle("POST log/reset", s.resetLog)
	handle("POST reset", s.reset)
	handle("GET health", func(*http.Request) (any, error) { return map[string]bool{"ok": true}, nil })
	return mux
}

func answer(w http.ResponseWriter, r *http.Request, h func(*http.Request) (any, error)) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	out, err := h(r)
	status := http.StatusOK
	var p *problem
	var dup *world.DuplicateError
	var wrong *world.InvalidError
	switch {
	case err == nil:
	case errors.As(err, &p):
		status = p.status
	case errors.Is(err, world.ErrNotFound):
		status = http.StatusNotFound
	case errors.As(err, &dup):
		status = http.StatusConflict
	case errors.As(err, &wrong):
		status = http.StatusUnprocessableEntity
	default:
		status = http.StatusInternalServerError
	}
	if err != nil {
		out = map[string]string{"error": err.Error()}
	}
	if out == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	raw, err := front.Encode(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

// read decodes the body into v; an empty body leaves v as it is.
func read(r *http.Request, v any) error {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return bad("the body could not be read: %v", err)
	}
	if len(raw) == 0 {
		return nil
	}
	if err := world.DecodeInto(raw, v); err != nil {
		return bad("%v", err)
	}
	return nil
}

func (s *server) table(r *http.Request) (*world.Table, error) {
	return s.tableOf(r.PathValue("object"))
}

func (s *server) tableOf(object string) (*world.Table, error) {
	t := s.World.Table(object)
	if t == nil {
		return nil, &problem{http.StatusNotFound, fmt.Sprintf("there is no object %q; there are %s", object, strings.Join(s.World.Objects(), ", "))}
	}
	return t, nil
}

func (s *server) webhooks(r *http.Request) (any, error) {
	return s.Hooks.State(r.URL.Query().Get("deliveries") != "false"), nil
}

func (s *server) hold(*http.Request) (any, error) {
	s.Hooks.Hold()
	return nil, nil
}

func (s *server) release(r *http.Request) (any, error) {
	var in wire.Release
	if err := read(r, &in); err != nil {
		return nil, err
	}
	switch in.Order {
	case "", wire.InOrder, wire.Reversed, wire.Shuffled:
	default:
		return nil, bad("order is %q, not in_order, reversed or shuffled", in.Order)
	}
	s.Hooks.Release(in)
	return nil, nil
}

func (s *server) drop(r *http.Request) (any, error) {
	var in wire.Drop
	if err := read(r, &in); err != nil {
		return nil, err
	}
	s.Hooks.Drop(in.Count)
	return nil, nil
}

func (s *server) repeat(r *http.Request) (any, error) {
	var in wire.Repeat
	if err := read(r, &in); err != nil {
		return nil, err
	}
	s.Hooks.Repeat(in)
	return nil, nil
}

func (s *server) spoil(r *http.Request) (any, error) {
	var in wire.Spoil
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if err := s.Hooks.Spoil(in); err != nil {
		return nil, bad("%v", err)
	}
	return nil, nil
}

func (s *server) forge(r *http.Request) (any, error) {
	var in wire.Forge
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if in.ID == "" {
		return nil, bad("id is missing: which record the event is about")
	}
	e, err := s.Forge(in)
	if err != nil {
		return nil, bad("%v", err)
	}
	return map[string]int{"sent": s.Hooks.Forge(e, in.Signed)}, nil
}

func (s *server) retry(*http.Request) (any, error) {
	s.Hooks.RetryNow()
	return nil, nil
}

func (s *server) setLimits(r *http.Request) (any, error) {
	in := s.Limits.Get()
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if in.Requests > 0 && in.WindowMS <= 0 {
		return nil, bad("window_ms must be given")
	}
	consume := in.Consume
	in.Consume = 0
	if in != s.Limits.Get() {
		s.limit(in)
	}
	s.Limits.Consume(consume)
	return s.Limits.Get(), nil
}

// limit sets the limits of the plan and of searches.
func (s *server) limit(l wire.Limits) {
	s.Limits.Set(l)
	if s.Searches != nil {
		s.Searches.Set(wire.Limits{Requests: l.SearchPerSecond, WindowMS: 1000})
	}
}

func (s *server) addFault(r *http.Request) (any, error) {
	var in wire.Fault
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if in.Edit != nil {
		s.complete(in.Edit.Object, in.Edit.Fields)
		if err := s.World.CheckAct(*in.Edit); err != nil {
			return nil, bad("%v", err)
		}
	}
	id, err := s.Faults.Add(in)
	if err != nil {
		return nil, bad("%v", err)
	}
	return map[string]string{"id": id}, nil
}

func (s *server) removeFault(r *http.Request) (any, error) {
	s.Faults.Remove(r.PathValue("id"))
	return nil, nil
}

func (s *server) expireTokens(*http.Request) (any, error) {
	s.Auth.Expire("")
	return nil, nil
}

func (s *server) revokeTokens(*http.Request) (any, error) {
	s.Auth.Revoke("")
	return nil, nil
}

func (s *server) rotateClient(r *http.Request) (any, error) {
	var in struct {
		Secret string `json:"secret"`
	}
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if !s.Auth.Rotate(r.PathValue("id"), in.Secret) {
		return nil, &problem{http.StatusNotFound, "there is no such client"}
	}
	return nil, nil
}

func (s *server) log(r *http.Request) (any, error) {
	v := r.URL.Query()
	since, _ := strconv.ParseInt(v.Get("since"), 10, 64)
	everybody := v.Get("all") == "true" || v.Get("actor") == wire.ActorAdmin || strings.HasPrefix(v.Get("actor"), "user:")
	return s.World.Log.Calls(since, func(c *wire.Call) bool {
		return (everybody || (c.Actor != wire.ActorAdmin && !strings.HasPrefix(c.Actor, "user:"))) && meets(v.Get("actor"), c.Actor) && meets(v.Get("object"), c.Object) && meets(v.Get("id"), c.ID) &&
			meets(v.Get("method"), c.Method) && strings.HasPrefix(c.Path, v.Get("path"))
	}), nil
}

func (s *server) writes(r *http.Request) (any, error) {
	v := r.URL.Query()
	return s.World.Log.Writes(func(c *wire.WriteCount) bool {
		return meets(v.Get("actor"), c.Actor) && meets(v.Get("object"), c.Object) && meets(v.Get("id"), c.ID) && meets(v.Get("op"), c.Op)
	}), nil
}

func meets(want, got string) bool { return want == "" || want == got }

func (s *server) resetLog(*http.Request) (any, error) {
	s.World.Log.Reset()
	return nil, nil
}

func (s *server) reset(*http.Request) (any, error) {
	s.Hooks.Reset()
	s.Faults.Remove("")
	s.limit(wire.Limits{})
	s.Auth.Reset()
	s.World.Reset()
	if s.OnReset != nil {
		s.OnReset()
	}
	return nil, nil
}
