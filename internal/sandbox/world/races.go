package world

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// Reject adds a rejection; ClearRejections removes all.
func (w *World) Reject(r wire.Rejection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rejections = append(w.rejections, &r)
}

// ClearRejections removes all rejections.
func (w *World) ClearRejections() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rejections = nil
}

// Rejections lists the rejections that still hold.
func (w *World) Rejections() []wire.Rejection {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := []wire.Rejection{}
	for _, r := range w.rejections {
		out = append(out, *r)
	}
	return out
}

func (w *World) rejected(object, field string, v any) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, r := range w.rejections {
		if r.Object != object || r.Field != field || (r.Value != "*" && !reflect.DeepEqual(r.Value, v)) {
			continue
		}
		if r.Times > 0 {
			if r.Times--; r.Times == 0 {
				w.rejections = slices.Delete(w.rejections, i, i+1)
			}
		}
		if r.Message != "" {
			return r.Message
		}
		return "is not accepted"
	}
	return ""
}

// AddRace arms a user's edit that runs between a client's read and its write.
func (w *World) AddRace(r wire.Race) error {
	if w.Table(r.Object) == nil {
		return fmt.Errorf("there is no object %q", r.Object)
	}
	if r.At == "" {
		r.At = wire.BeforeWrite
	}
	if r.At != wire.BeforeWrite && r.At != wire.AfterRead {
		return fmt.Errorf("at is %q, not %s or %s", r.At, wire.BeforeWrite, wire.AfterRead)
	}
	r.Times = max(r.Times, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.races = append(w.races, &r)
	return nil
}

// Race runs the armed edits for a record; at is wire.BeforeWrite or wire.AfterRead.
func (w *World) Race(at, object, id string) {
	for _, r := range w.takeRaces(at, object, id) {
		act := wire.Act{Op: wire.ActUpdate, Object: object, ID: id, Fields: r.Fields, User: r.User}
		if r.Delete {
			act.Op = wire.ActDelete
		}
		// A record that is gone by now cannot be edited, as for a real user; the log says so.
		_ = w.Act(act)
	}
}

func (w *World) takeRaces(at, object, id string) []wire.Race {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []wire.Race
	w.races = slices.DeleteFunc(w.races, func(r *wire.Race) bool {
		if r.At != at || r.Object != object || (r.ID != "" && r.ID != id) {
			return false
		}
		out = append(out, *r)
		r.Times--
		return r.Times <= 0
	})
	return out
}

// CheckAct says what is wrong with an act before it is armed, nil for nothing.
func (w *World) CheckAct(a wire.Act) error {
	t := w.Table(a.Object)
	if t == nil {
		return fmt.Errorf("edit: there is no object %q", a.Object)
	}
	switch a.Op {
	case "", wire.ActUpdate, wire.ActCreate, wire.ActDelete:
	case wire.ActMerge:
		if a.Winner == "" {
			return errors.New("edit: a merge needs the winner's id")
		}
	default:
		return fmt.Errorf("edit: op is %q, not update, create, delete or merge", a.Op)
	}
	if problems := w.Check(t.Schema, a.Fields, a.Op == wire.ActCreate, false); len(problems) > 0 {
		return fmt.Errorf("edit: %s %s", problems[0].Field, problems[0].Message)
	}
	return nil
}

// Act has a user act now, and logs it as a call of that user.
func (w *World) Act(a wire.Act) error {
	t, actor := w.Table(a.Object), UserActor(a.User)
	if t == nil {
		return fmt.Errorf("there is no object %q", a.Object)
	}
	if a.Op == "" {
		a.Op = wire.ActUpdate
	}
	var rec *Record
	var err error
	effect := true
	switch a.Op {
	case wire.ActCreate:
		rec, err = t.Create(a.ID, actor, a.Fields)
	case wire.ActDelete:
		rec, err = t.Delete(a.ID, actor, 0)
	case wire.ActMerge:
		rec, err = t.Merge(a.Winner, a.ID, actor)
	default:
		rec, effect, err = t.Update(a.ID, actor, 0, MergePatch(t.Schema, a.Fields))
	}
	call := wire.Call{At: w.Now(), Method: "RACE", Path: a.Op, Status: http.StatusConflict, Actor: actor, Object: a.Object, ID: a.ID,
		Fields: slices.Sorted(maps.Keys(a.Fields))}
	if err == nil {
		call.Status, call.Effect = http.StatusOK, effect
		if a.ID == "" || a.Op == wire.ActUpdate {
			call.ID = rec.ID
		}
		w.Log.Wrote(actor, a.Object, call.ID, a.Op, effect)
	}
	w.Log.Add(call)
	return err
}
