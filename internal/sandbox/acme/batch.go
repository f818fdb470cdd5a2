package acme

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

type operation struct {
	Op      string         `json:"op"`
	ID      string         `json:"id"`
	IfMatch string         `json:"if_match"`
	Fields  map[string]any `json:"fields"`
}

// batch does up to 100 operations, each on its own.
func (s *Server) batch(t *world.Table) handler {
	return func(r *front.Request) front.Response {
		r.Call.Object = t.Schema.Name
		var body struct {
			Operations []operation `json:"operations"`
		}
		if err := world.DecodeInto(r.Body, &body); err != nil {
			return badRequest(err.Error())
		}
		if n := len(body.Operations); n < 1 || n > maxBatch {
			return badRequest("operations must be 1 to 100")
		}
		results := make([]map[string]any, 0, len(body.Operations))
		for _, op := range body.Operations {
			results = append(results, s.operate(r, t, op))
		}
		return front.Response{Status: http.StatusOK, Body: map[string]any{"results": results}}
	}
}

func (s *Server) operate(r *front.Request, t *world.Table, op operation) map[string]any {
	var res front.Response
	switch op.Op {
	case "create", "update", "delete":
		res = s.write(r, t, op.Op, op.ID, op.IfMatch, op.Fields)
	default:
		res = badRequest("op must be create, update or delete")
	}
	out := map[string]any{"status": res.Status}
	body, _ := res.Body.(map[string]any)
	switch {
	case res.Status >= 400:
		out["error"] = body["error"]
	case body != nil:
		out["object"] = body
	}
	return out
}

// getBatch reads up to 100 records by id; unknown ones are left out.
func (s *Server) getBatch(t *world.Table) handler {
	return func(r *front.Request) front.Response {
		r.Call.Object = t.Schema.Name
		ids := strings.Split(r.URL.Query().Get("ids"), ",")
		if len(ids) > maxBatch || ids[0] == "" {
			return badRequest("ids must be 1 to 100, separated by commas")
		}
		var recs []*world.Record
		for _, id := range ids {
			if rec := t.Get(id); rec != nil {
				recs = append(recs, rec)
			}
		}
		return front.Response{Status: http.StatusOK, Body: map[string]any{"items": s.renderAll(recs)}}
	}
}

// fields describes an object.
func (s *Server) fields(r *front.Request) front.Response {
	t := s.World.Table(r.URL.Query().Get("object"))
	if t == nil {
		return badRequest("object is missing or unknown")
	}
	if scope := t.Schema.Name + ".read"; !r.Token.Has(scope) {
		return missingScope(scope)
	}
	items := []map[string]any{}
	for _, name := range []string{"id", "version", "created_at", "updated_at", "updated_by"} {
		items = append(items, map[string]any{"name": name, "type": "string", "required": false, "read_only": true})
	}
	for i := range t.Schema.Fields {
		f := s.World.Shaped(t.Schema.Name, &t.Schema.Fields[i])
		if f == nil {
			continue
		}
		item := map[string]any{"name": f.Name, "type": string(f.Type), "required": f.Required, "read_only": t.Schema.ReadOnly}
		if f.Enum != nil {
			item["enum"] = f.Enum
		}
		if f.Ref != "" {
			item["object"] = f.Ref
		}
		if limit := f.Limit(); limit > 0 {
			item["max_length"] = limit
		}
		items = append(items, item)
	}
	return front.Response{Status: http.StatusOK, Body: map[string]any{"items": items}}
}

// keepKeys is how long an Idempotency-Key is honoured.
const keepKeys = 24 * time.Hour

// minPurge is the number of keys from which old ones are forgotten.
const minPurge = 10_000

// keys remember the answers to requests with an Idempotency-Key.
type keys struct {
	now func() time.Time

	mu      sync.Mutex
	byID    map[string]*kept
	purgeAt int
}

type kept struct {
	mu   sync.Mutex
	done bool
	at   time.Time
	hash [32]byte
	res  front.Response
}

func newKeys(now func() time.Time) *keys {
	return &keys{now: now, byID: map[string]*kept{}, purgeAt: minPurge}
}

func (k *keys) reset() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.byID = map[string]*kept{}
}

func (k *keys) entry(id string) *kept {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	e := k.byID[id]
	if e != nil && now.Sub(e.at) < keepKeys {
		return e
	}
	if len(k.byID) >= k.purgeAt {
		k.purge(now)
	}
	e = &kept{at: now}
	k.byID[id] = e
	return e
}

// purge forgets old keys, and waits with the next purge until there are twice as many.
func (k *keys) purge(now time.Time) {
	for id, e := range k.byID {
		if now.Sub(e.at) >= keepKeys {
			delete(k.byID, id)
		}
	}
	k.purgeAt = max(2*len(k.byID), minPurge)
}

// once answers a repeated Idempotency-Key with the first answer, and does the
// work only once even if both requests come at the same time. Refusals are not kept.
func (s *Server) once(h handler) handler {
	return func(r *front.Request) front.Response {
		key := r.Header.Get("Idempotency-Key")
		if key == "" || !s.World.Switches().IdempotencyKeys {
			return h(r)
		}
		if len(key) > 255 {
			return badRequest("Idempotency-Key is longer than 255 characters")
		}
		hash := sha256.Sum256(append([]byte(r.URL.Path+"\x00"), r.Body...))
		e := s.keys.entry(r.Token.Client + "\x00" + key)
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.done {
			if e.hash != hash {
				return failure(http.StatusUnprocessableEntity, "idempotency", "key_reused", "the Idempotency-Key was used for another request")
			}
			return e.res
		}
		res := h(r)
		if res.Status < 300 {
			e.done, e.hash, e.res = true, hash, res
		}
		return res
	}
}
