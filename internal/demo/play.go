package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

const (
	// patience is how long a check waits for what it expects.
	patience = 20 * time.Second
	// loadPatience is how long the first load may take.
	loadPatience = 2 * time.Minute
	// glance is the pause between two looks at a condition.
	glance = 40 * time.Millisecond
)

// system is one of the two servers.
type system struct {
	// side and object are the service's words, name is the vendor's.
	side, object, name string
	url                string
	admin              *sandboxclient.Client
	// users gives the e-mail of each user by id.
	users map[string]string
}

// pair is one lead on both servers.
type pair struct {
	left, right string
}

func (p pair) on(side string) string {
	if side == sideLeft {
		return p.left
	}
	return p.right
}

const (
	sideLeft  = "left"
	sideRight = "right"
)

// Play is one day of work: what the checks act on and what they remember.
type Play struct {
	api         *client
	connection  connection
	left, right *system
	out         *printer
	// integration, variables and secrets are what gets installed.
	integration        string
	variables, secrets map[string]string
	now                func() time.Time
	// log is for the lines of servers that a check brings up.
	log logrus.FieldLogger
	// pairs are the leads on both servers by e-mail in normal form.
	pairs map[string]pair
	// next is the number of the next seeded lead that no check has used.
	next int
	// causes counts, by side and record, the writes of the service that people asked for.
	causes map[string]int
	// overwritten is what the history must be able to tell.
	overwritten []overwrite
	// before are the customer's own values as seeded, by side and record.
	before map[string]string
	// loaded are the records that the first load created, by side and record.
	loaded map[string]bool
	// linked and echoes are the play's result.
	linked, echoes int
}

// overwrite is a value that the service replaced on a server.
type overwrite struct {
	side, id, field string
	old, new        string
	cause           string
}

func (p *Play) systems() []*system { return []*system{p.left, p.right} }

func (p *Play) system(side string) *system {
	if side == sideLeft {
		return p.left
	}
	return p.right
}

// other is the system across.
func (p *Play) other(from *system) *system {
	if from == p.left {
		return p.right
	}
	return p.left
}

// fresh gives a lead that exists on both servers and that no check has touched.
func (p *Play) fresh() (pair, error) {
	p.next++
	email := invented{p.next}.email()
	found, ok := p.pairs[email]
	if !ok {
		return pair{}, fmt.Errorf("expected %s on both servers; read: the first load did not bring it there", email)
	}
	return found, nil
}

// cause notes that a person's action asks for one write to a record.
func (p *Play) cause(side, id string) { p.causes[side+"/"+id]++ }

// edit changes a record as a user and notes that its counterpart is to be written.
func (p *Play) edit(ctx context.Context, on *system, who pair, values map[string]any) (wire.Record, error) {
	across := p.other(on)
	p.cause(across.side, who.on(across.side))
	edited, err := on.admin.EditRecord(ctx, on.object, who.on(on.side), values)
	if err != nil {
		return edited, fmt.Errorf("edit as a user on %s: %w", on.name, err)
	}
	return edited, nil
}

// record reads one record, deleted or not.
func (p *Play) record(ctx context.Context, on *system, id string) (wire.Record, error) {
	found, err := on.admin.Record(ctx, on.object, id)
	if err != nil {
		return found, fmt.Errorf("read from %s: %w", on.name, err)
	}
	return found, nil
}

// person reads one record in the common spelling.
func (p *Play) person(ctx context.Context, on *system, id string) (person, error) {
	found, err := p.record(ctx, on, id)
	if err != nil {
		return nil, err
	}
	if found.DeletedAt != nil {
		return nil, fmt.Errorf("expected a live record on %s; read: %s was deleted by %s", on.name, id, found.UpdatedBy)
	}
	return on.person(found), nil
}

func (s *system) person(found wire.Record) person {
	if s.side == sideLeft {
		return leadPerson(found, s.users)
	}
	return contactPerson(found, s.users)
}

// both reads a lead from both servers.
func (p *Play) both(ctx context.Context, who pair) (left, right person, err error) {
	if left, err = p.person(ctx, p.left, who.left); err != nil {
		return nil, nil, err
	}
	right, err = p.person(ctx, p.right, who.right)
	return left, right, err
}

// await looks again and again until look is satisfied. read says what was seen
// last; after the patience has run out it is part of the error.
func (p *Play) await(ctx context.Context, expected string, within time.Duration, look func(context.Context) (ok bool, read string, err error)) (string, error) {
	deadline := p.now().Add(within)
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	for {
		ok, read, err := look(ctx)
		if err != nil {
			return read, err
		}
		if ok {
			return read, nil
		}
		if p.now().After(deadline) {
			return read, fmt.Errorf("expected %s within %s; read: %s", expected, within, read)
		}
		select {
		case <-ctx.Done():
			return read, ctx.Err()
		case <-ticker.C:
		}
	}
}

// awaitEqual waits until both servers hold the wanted values and agree on all fields.
func (p *Play) awaitEqual(ctx context.Context, who pair, want map[string]string) (string, error) {
	return p.await(ctx, "both servers to hold "+tell(want)+" and to agree", patience, func(ctx context.Context) (bool, string, error) {
		left, right, err := p.both(ctx, who)
		if err != nil {
			return false, "", err
		}
		ok := left.difference(right) == ""
		for name, value := range want {
			ok = ok && left[name] == value
		}
		return ok, readback(left, right, want), nil
	})
}

// readback tells what both servers hold of the fields that matter, and whether the rest agrees.
func readback(left, right person, about map[string]string) string {
	verdict := "all mapped fields equal"
	if differs := left.difference(right); differs != "" {
		verdict = "differs in " + differs
	}
	var l, r []string
	for _, name := range fields() {
		if _, asked := about[name]; asked {
			l, r = append(l, fmt.Sprintf("%s %q", name, left[name])), append(r, fmt.Sprintf("%s %q", name, right[name]))
		}
	}
	if len(l) == 0 {
		return verdict
	}
	return "SalesOS " + strings.Join(l, ", ") + "; Acme " + strings.Join(r, ", ") + "; " + verdict
}

func tell(want map[string]string) string {
	var parts []string
	for _, name := range fields() {
		if value, ok := want[name]; ok {
			parts = append(parts, fmt.Sprintf("%s %q", name, value))
		}
	}
	return strings.Join(parts, ", ")
}

// awaitIdle waits until the service has nothing left to do and no webhook is under way.
func (p *Play) awaitIdle(ctx context.Context) error {
	_, err := p.await(ctx, "no pending change, no intent and no webhook under way", patience, func(ctx context.Context) (bool, string, error) {
		waiting := 0
		for _, one := range p.systems() {
			hooks, err := one.admin.WebhookCounts(ctx)
			if err != nil {
				return false, "", fmt.Errorf("read webhooks of %s: %w", one.name, err)
			}
			waiting += hooks.Held + hooks.Waiting + hooks.Retrying
		}
		now, err := p.api.status(ctx, p.connection.ID)
		if err != nil {
			return false, "", err
		}
		read := fmt.Sprintf("pending changes %d, intents %d, webhooks under way %d", now.Pending.Changes, now.Pending.Intents, waiting)
		return now.Pending.Changes == 0 && now.Pending.Intents == 0 && waiting == 0, read, nil
	})
	return err
}

// service is the actor that the servers know the service as.
const service = "app:accord"

// writesTo counts what the service wrote to one record: calls accepted, and those that changed it.
func (p *Play) writesTo(ctx context.Context, on *system, id string) (calls, effects int, err error) {
	calls, effects, err = on.admin.WriteTotals(ctx, sandboxclient.Filter{Actor: service, Object: on.object, ID: id})
	if err != nil {
		err = fmt.Errorf("read the writes of %s: %w", on.name, err)
	}
	return calls, effects, err
}

// calls gives the service's requests to a server behind a sequence number.
func (p *Play) calls(ctx context.Context, on *system, since int64) ([]wire.Call, error) {
	found, err := on.admin.Calls(ctx, since)
	if err != nil {
		return nil, fmt.Errorf("read the request log of %s: %w", on.name, err)
	}
	kept := found[:0]
	for _, one := range found {
		if one.Actor == service {
			kept = append(kept, one)
		}
	}
	return kept, nil
}

// latest is the sequence number of a server's newest request.
func (p *Play) latest(ctx context.Context, on *system) (int64, error) {
	found, err := on.admin.Calls(ctx, 0)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return found[len(found)-1].Seq, nil
}
