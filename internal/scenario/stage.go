package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// Service is the service under test, in process or over its API.
type Service interface {
	Ledger
	// Deliver brings one event that names a record, as a webhook does.
	Deliver(ctx context.Context, side record.Side, id string) error
	// Drain works on what is due now.
	Drain(ctx context.Context) error
	// Settle works until nothing waits.
	Settle(ctx context.Context) error
	// Poll asks both sides what has changed, and stores it.
	Poll(ctx context.Context) error
	// Compare makes a whole run that lists both sides.
	Compare(ctx context.Context) error
	// Die kills the service at the nth step from now on of a kind ("" any), as
	// the engine names its steps ("before update"); it starts again at once.
	Die(ctx context.Context, step string, n int) error
	// Wait lets time pass.
	Wait(ctx context.Context, pause time.Duration) error
	// Decide settles the open conflict of a field of the record's link; choose is
	// left, right or value.
	Decide(ctx context.Context, link, field, choose string, value any) error
	// Approve lets go what the guard holds, or drops it.
	Approve(ctx context.Context, yes bool) error
	// Replay tries the dead letters again.
	Replay(ctx context.Context) error
}

// Stage is where a scenario is played: two sandboxes and a service between them.
// A Stage belongs to one goroutine.
type Stage struct {
	Left, Right *sandboxclient.Client
	Service     Service
	// Domain stands for "x.com" in all texts, so that many scenarios can be played
	// beside each other; default "x.com".
	Domain string
	// ids are the records that users made, by side and name, oldest first.
	ids    map[record.Side]map[string][]string
	before snapshot
}

// usual is the domain that scenarios are written with.
const usual = "x.com"

// Client is the admin API of a side.
func (s *Stage) Client(side record.Side) *sandboxclient.Client {
	if side == record.Left {
		return s.Left
	}
	return s.Right
}

// Play makes steps in order.
func (s *Stage) Play(ctx context.Context, steps []Step) error {
	for _, step := range steps {
		if err := s.Step(ctx, step); err != nil {
			return fmt.Errorf("step %q: %w", step, err)
		}
	}
	return nil
}

// Step makes one step.
func (s *Stage) Step(ctx context.Context, step Step) error {
	switch {
	case step.ByUser():
		return s.user(ctx, step)
	case step.Side != "":
		return s.vendor(ctx, step)
	}
	switch step.Verb {
	case Drains:
		return s.Service.Drain(ctx)
	case Settles:
		return s.Service.Settle(ctx)
	case Polls:
		return s.Service.Poll(ctx)
	case Compares:
		return s.Service.Compare(ctx)
	case Dies:
		return s.Service.Die(ctx, step.Word, step.Count)
	case Waits:
		return s.Service.Wait(ctx, step.For)
	case Decides:
		return s.decide(ctx, step)
	case Approves, Rejects:
		return s.Service.Approve(ctx, step.Verb == Approves)
	case Replays:
		return s.Service.Replay(ctx)
	}
	return fmt.Errorf("nobody knows how to do %q", step.Verb)
}

func (s *Stage) user(ctx context.Context, step Step) error {
	client, of := s.Client(step.Side), object(step.Side)
	fields, err := s.fields(step)
	if err != nil {
		return err
	}
	if step.Verb == Creates {
		made, err := client.CreateRecord(ctx, of, fields)
		if err == nil {
			s.Cast(step.Side, step.Record, made.ID)
		}
		return err
	}
	id, err := s.ID(ctx, step.Side, step.Record)
	if err != nil {
		return err
	}
	switch step.Verb {
	case Deletes:
		_, err = client.DeleteRecord(ctx, of, id)
	case Merges:
		var winner string
		if winner, err = s.ID(ctx, step.Side, step.Into); err == nil {
			_, err = client.MergeRecords(ctx, of, winner, id)
		}
	default:
		_, err = client.EditRecord(ctx, of, id, fields)
	}
	return err
}

// Cast says that a record of a side bears a name of the scenario.
func (s *Stage) Cast(side record.Side, name, id string) {
	if s.ids == nil {
		s.ids = map[record.Side]map[string][]string{record.Left: {}, record.Right: {}}
	}
	if !slices.Contains(s.ids[side][name], id) {
		s.ids[side][name] = append(s.ids[side][name], id)
	}
}

// ID finds a record by its name: what a user of the side made last under it,
// else the counterpart of what a user of the other side made.
func (s *Stage) ID(ctx context.Context, side record.Side, name string) (string, error) {
	if own := s.ids[side][name]; len(own) > 0 {
		return own[len(own)-1], nil
	}
	theirs := s.ids[side.Other()][name]
	for _, id := range slices.Backward(theirs) {
		links, err := s.Service.Links(ctx, side.Other(), id)
		if err != nil {
			return "", err
		}
		for _, link := range slices.Backward(links) {
			if link.State != "tombstone" {
				return link.On(side), nil
			}
		}
	}
	return "", fmt.Errorf("nobody called %q is on the %s side", name, side)
}

// fields are the values of a step in the side's own form.
func (s *Stage) fields(step Step) (record.Fields, error) {
	values := map[string]any{}
	for name, value := range step.Fields {
		values[name] = s.spell(value)
	}
	for _, name := range step.Names {
		values[name] = nil
	}
	return vendorFields(step.Side, values)
}

// spell puts the stage's domain into a text.
func (s *Stage) spell(value any) any {
	if text, ok := value.(string); ok && s.Domain != "" {
		return strings.ReplaceAll(text, "@"+usual, "@"+s.Domain)
	}
	return value
}

func (s *Stage) vendor(ctx context.Context, step Step) error {
	client := s.Client(step.Side)
	switch step.Verb {
	case Delivers:
		id, err := s.ID(ctx, step.Side, step.Record)
		if err != nil {
			return err
		}
		return s.Service.Deliver(ctx, step.Side, id)
	case Holds:
		return client.HoldWebhooks(ctx)
	case Drops:
		return client.DropWebhooks(ctx, step.Count)
	case Repeats:
		return client.RepeatWebhooks(ctx, step.Count, 0)
	case Releases:
		return client.ReleaseWebhooks(ctx, wire.Release{Order: step.Word})
	case Fails:
		var fault wire.Fault
		if err := convert(step.Fields, &fault); err != nil {
			return err
		}
		_, err := client.InjectFault(ctx, fault)
		return err
	case Recovers:
		return client.ClearFaults(ctx)
	case Switches:
		return client.SetSwitches(ctx, step.Fields)
	}
	return s.race(ctx, step)
}

// race arms a user's edit before the next write of a record.
func (s *Stage) race(ctx context.Context, step Step) error {
	id, err := s.ID(ctx, step.Side, step.Record)
	if err != nil {
		return err
	}
	fields, err := s.fields(step)
	if err != nil {
		return err
	}
	return s.Client(step.Side).AddRace(ctx, wire.Race{Object: object(step.Side), ID: id, At: wire.BeforeWrite, Fields: fields})
}

func (s *Stage) decide(ctx context.Context, step Step) error {
	for _, side := range record.Sides() {
		for _, id := range s.ids[side][step.Record] {
			links, err := s.Service.Links(ctx, side, id)
			if err != nil {
				return err
			}
			for _, link := range links {
				if link.State == "active" {
					field := step.Names[0]
					if field == "record" {
						field = ""
					}
					return s.Service.Decide(ctx, link.ID, field, step.Word, s.spell(step.Value))
				}
			}
		}
	}
	return fmt.Errorf("nobody called %q is linked", step.Record)
}

// convert reads the words of package wire into one of its types.
func convert(fields map[string]any, into any) error {
	raw, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}

// SettingsOn puts the variables and replacements of a scenario into an
// integration file's text and its variables.
func (s Scenario) SettingsOn(text string, variables map[string]string) (string, error) {
	for _, one := range s.Replace {
		if !strings.Contains(text, one.Old) {
			return "", fmt.Errorf("the integration file does not contain %q", one.Old)
		}
		text = strings.ReplaceAll(text, one.Old, one.New)
	}
	for name, value := range s.Variables {
		variables[name] = value
	}
	return text, nil
}
