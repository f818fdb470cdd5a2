package salesos

import (
	"net/http"

	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/wire"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

// complete makes whole what a user gave in part.
func complete(object string, fields map[string]any) {
	if _, given := fields["stage"]; object == "deals" && given {
		fixStage(fields)
	}
}

// fixStage completes a stage given by its id alone.
func fixStage(given map[string]any) {
	sent, ok := given["stage"].(map[string]any)
	if !ok {
		delete(given, "stage")
		return
	}
	id, _ := sent["id"].(string)
	if full := stageByID(id); full != nil {
		given["stage"] = full
		return
	}
	delete(given, "stage")
}

// move puts a deal into another stage. One that was closed is open again: no
// page names another way back.
func (s *Server) move(r *front.Request) front.Response {
	given, err := world.Decode(r.Body)
	if err != nil {
		return s.fail(http.StatusBadRequest, err.Error())
	}
	id, _ := given["stage_id"].(string)
	stage := stageByID(id)
	if stage == nil {
		return s.invalid([]world.Problem{{Field: "stage_id", Message: "does not exist"}})
	}
	fields := map[string]any{"stage": stage}
	if deal := s.World.Table("deals").Get(r.PathValue("id")); deal != nil && deal.Text("status") != "open" {
		fields["status"] = "open"
	}
	return s.editDeal(r, fields)
}

// closeDeal wins or loses a deal. Its stage stays the one it had.
func (s *Server) closeDeal(r *front.Request) front.Response {
	given, err := world.Decode(r.Body)
	if err != nil {
		return s.fail(http.StatusBadRequest, err.Error())
	}
	if given["status"] != "won" && given["status"] != "lost" {
		return s.invalid([]world.Problem{{Field: "status", Message: "is not one of won, lost"}})
	}
	return s.editDeal(r, map[string]any{"status": given["status"]})
}

func (s *Server) editDeal(r *front.Request, fields map[string]any) front.Response {
	id := r.PathValue("id")
	r.Call.Object, r.Call.ID = "deals", id
	r.Fields(fields)
	t := s.World.Table("deals")
	s.World.Race(wire.BeforeWrite, "deals", id)
	if problems := s.World.Check(t.Schema, fields, false, true); len(problems) > 0 {
		return s.invalid(problems)
	}
	rec, effect, err := t.Update(id, r.Actor(), s.seen(r), s.patchOf(t.Schema, fields))
	if err != nil {
		return s.refused(err)
	}
	s.wrote(r, rec, "update", effect)
	return s.record(http.StatusOK, rec)
}

// dealFields holds a POST or PATCH of a deal to the switch DealWrites. deal is
// nil for a new one. A value that the deal has already is no change.
func (s *Server) dealFields(deal *world.Record, given map[string]any) []world.Problem {
	fixStage(given)
	mode := s.World.Switches().DealWrites
	if deal == nil {
		if mode == wire.DealBornOpen {
			delete(given, "stage")
			delete(given, "status")
		}
		return nil
	}
	var out []world.Problem
	if stage, sent := given["stage"].(map[string]any); sent && mode != wire.DealPatch {
		if held, _ := deal.Fields["stage"].(map[string]any); held["id"] != stage["id"] {
			out = append(out, world.Problem{Field: "stage", Message: "is changed with POST /deals/:id/move"})
		}
	}
	if status, sent := given["status"]; sent && mode != wire.DealPatch && status != deal.Fields["status"] {
		out = append(out, world.Problem{Field: "status", Message: "is changed with POST /deals/:id/close or move"})
	}
	return out
}

func (s *Server) stages(*front.Request) front.Response { return s.ok(http.StatusOK, stages()) }
