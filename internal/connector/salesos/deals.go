package salesos

import (
	"context"
	"maps"
	"net/http"
	"strings"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// The calls that an update of a deal can travel in, in the order in which they
// are made: whoever listens to a deal being won finds its other fields right.
const (
	callPatch = iota
	callMove
	callClose
)

const (
	stagePath  = "stage"
	statusPath = "status"
	statusOpen = "open"
)

var _ connector.Divided = (*client)(nil)

// CallOf implements connector.Divided: a deal's stage and status have calls of
// their own, and so has a user's status; all else is a PATCH.
func (c *client) CallOf(name string, share map[string]any) int {
	if _, status := share[statusPath]; name == "users" && status {
		return callClose
	}
	if name != "deals" {
		return callPatch
	}
	call := callPatch
	for path := range share {
		if top, _, _ := strings.Cut(path, "."); top == stagePath || top == statusPath {
			call = callMove
		}
	}
	if closes(share[statusPath]) {
		call = callClose
	}
	return call
}

func closes(status any) bool { return status == "won" || status == "lost" }

// updateDeal makes the one call that carries the fields. A mixture that takes
// two is refused: done by half, nobody could tell it from a person's edit.
func (c *client) updateDeal(ctx context.Context, object object, current record.Record, fields map[string]any) (record.Record, error) {
	ref := record.Ref{Side: c.cfg.Side, Object: object.Name, ID: current.Ref.ID}
	for path := range fields {
		if c.CallOf(object.Name, map[string]any{path: nil}) == callPatch {
			refused := fault.New(fault.Invalid, "SalesOS changes a deal's stage with a call of its own; map stage and status apart from %s", path).On(ref)
			refused.Field = path
			return record.Record{}, refused
		}
	}
	if _, whole := fields[stagePath]; whole {
		fields = flat(fields)
	}
	status := fields[statusPath]
	wanted, err := c.stageOf(ctx, fields)
	if err != nil {
		return record.Record{}, onRef(err, ref)
	}
	stands, _ := current.Fields.Get("stage.id")
	held, placed := transport.ParseID(stands)
	switch {
	case closes(status) && (wanted.id == "" || wanted.id == held):
		return c.act(ctx, object, current, "close", map[string]any{"status": status})
	case closes(status):
		return record.Record{}, refusal(ref, wanted.path, "a deal is moved or closed, not both with one call; map stage and status as fields of their own")
	case status != nil && status != statusOpen:
		return record.Record{}, refusal(ref, statusPath, "a deal's status is open, won or lost")
	case wanted.id != "":
		return c.move(ctx, object, current, wanted)
	case status == nil:
		return record.Record{}, refusal(ref, stagePath, "a deal is always in a stage; it cannot be cleared")
	}
	if now, _ := current.Fields.Get(statusPath); now == statusOpen {
		return current, nil
	}
	// Only a move opens a closed deal: to where it is.
	if !placed {
		return record.Record{}, refusal(ref, statusPath, "the deal names no stage to open it in")
	}
	return c.move(ctx, object, current, stageWanted{id: held, path: statusPath})
}

func refusal(ref record.Ref, path, text string) error {
	refused := fault.New(fault.Invalid, "%s", text).On(ref)
	refused.Field = path
	return refused
}

func onRef(err error, ref record.Ref) error {
	if coded := fault.As(err); coded != nil && coded.Subject == "" {
		return coded.On(ref)
	}
	return err
}

// flat spells a stage that is given whole by its paths.
func flat(fields map[string]any) map[string]any {
	spelt := maps.Clone(fields)
	delete(spelt, stagePath)
	switch stage := fields[stagePath].(type) {
	case map[string]any:
		for key, value := range stage {
			spelt[stagePath+"."+key] = value
		}
	case string:
		spelt["stage.name"] = stage
	}
	return spelt
}

// move puts a deal into a stage. A name that led to a stage which is not there
// any more is looked up once more: a refused call has done nothing.
func (c *client) move(ctx context.Context, object object, current record.Record, wanted stageWanted) (record.Record, error) {
	got, err := c.act(ctx, object, current, "move", map[string]any{"stage_id": c.numbers.ID("stages", wanted.id)})
	if fault.Is(err, fault.Invalid) && wanted.remembered {
		c.stages.forget()
		fresh, again := c.stageNamed(ctx, wanted.name)
		if again == nil && fresh != wanted.id {
			got, err = c.act(ctx, object, current, "move", map[string]any{"stage_id": c.numbers.ID("stages", fresh)})
		}
	}
	if coded := fault.As(err); coded != nil && coded.Field == "stage_id" {
		named := *coded
		named.Field = wanted.path
		err = &named
	}
	return got, err
}

// act makes one of the calls that a deal has besides PATCH.
func (c *client) act(ctx context.Context, object object, current record.Record, verb string, body map[string]any) (record.Record, error) {
	call := c.recordCall(http.MethodPost, object, current.Ref.ID, body)
	call.Path += "/" + verb
	reply, err := c.api.Do(ctx, call)
	if err != nil {
		return record.Record{}, err
	}
	return c.written(ctx, call, reply, object, wrote{id: current.Ref.ID, before: current.Fields})
}
