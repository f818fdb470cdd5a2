package demo

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// refusedTitle is a job title that Acme does not take in the demo.
const refusedTitle = "Chief Everything Officer"

func refused422(ctx context.Context, p *Play) (string, error) {
	who, err := p.fresh()
	if err != nil {
		return "", err
	}
	before, err := p.person(ctx, p.right, who.right)
	if err != nil {
		return "", err
	}
	if err := p.right.admin.RejectField(ctx, wire.Rejection{Object: contactObject, Field: "job_title", Value: refusedTitle, Message: "is not a title we know"}); err != nil {
		return "", fmt.Errorf("make Acme refuse a value: %w", err)
	}
	defer func() { _ = p.right.admin.ClearRejections(context.WithoutCancel(ctx)) }()
	if _, err := p.edit(ctx, p.left, who, map[string]any{"position": refusedTitle}); err != nil {
		return "", err
	}
	p.out.did("set position of lead %s in SalesOS to a title that Acme refuses", who.left)
	letter, err := p.awaitParked(ctx, who)
	if err != nil {
		return "", err
	}
	p.out.did("GET dead-letters: %s, field %s, code %s, status %d", letter.ID, letter.Reason.Field, letter.Reason.Code, letter.Reason.Status)
	left, right, err := p.both(ctx, who)
	if err != nil {
		return "", err
	}
	parked := readback(left, right, map[string]string{"position": ""})
	if left["position"] != refusedTitle || right["position"] != before["position"] || letter.Reason.Status != http.StatusUnprocessableEntity {
		return parked, fmt.Errorf("expected the source as edited, the target as before and status 422; read: %s; status %d", parked, letter.Reason.Status)
	}
	p.out.did("read both servers while it is parked: %s", parked)
	return p.correctAndReplay(ctx, who, letter)
}

// awaitParked waits until the API lists a dead letter of the pair.
func (p *Play) awaitParked(ctx context.Context, who pair) (deadLetter, error) {
	var letter deadLetter
	_, err := p.await(ctx, "a dead letter of the lead", patience, func(ctx context.Context) (bool, string, error) {
		found, err := p.api.deadLetters(ctx, p.connection.ID)
		for _, one := range found {
			if one.Ref.ID == who.left || one.Ref.ID == who.right {
				letter = one
				return true, "", err
			}
		}
		return false, fmt.Sprintf("%d dead letters, none of this lead", len(found)), err
	})
	return letter, err
}

func (p *Play) correctAndReplay(ctx context.Context, who pair, letter deadLetter) (string, error) {
	want := map[string]string{"position": "Managing Director"}
	// A correction goes to both sides: neither holds it yet.
	p.cause(sideLeft, who.left)
	if err := p.api.correct(ctx, letter.ID, map[string]any{"position": want["position"]}); err != nil {
		return "", err
	}
	if err := p.api.replay(ctx, letter.ID); err != nil {
		return "", err
	}
	p.out.did("PATCH /api/v1/dead-letters/%s with another position, POST …/replay", letter.ID)
	read, err := p.awaitEqual(ctx, who, want)
	if err != nil {
		return read, err
	}
	closed, err := p.await(ctx, "the dead letter to be closed", patience, func(ctx context.Context) (bool, string, error) {
		one, err := p.api.deadLetter(ctx, letter.ID)
		return one.State == "replayed" || one.State == "resolved", one.State, err
	})
	return read + "; the dead letter is " + closed, err
}

// retryAfter is how long Acme asks the service to stay away, in seconds.
const retryAfter = 2

// onTheWire is how late a request may reach the server that was sent before the 429 was read.
const onTheWire = 250 * time.Millisecond

func throttled429(ctx context.Context, p *Play) (string, error) {
	who, err := p.fresh()
	if err != nil {
		return "", err
	}
	since, err := p.latest(ctx, p.right)
	if err != nil {
		return "", fmt.Errorf("read the request log of Acme: %w", err)
	}
	_, err = p.right.admin.InjectFault(ctx, wire.Fault{Kind: wire.FaultStatus, Method: http.MethodPatch, RecordID: who.right,
		Status: http.StatusTooManyRequests, RetryAfter: fmt.Sprint(retryAfter)})
	if err != nil {
		return "", fmt.Errorf("make Acme say 429: %w", err)
	}
	want := map[string]string{"company": "Paciência e Cia"}
	if _, err := p.edit(ctx, p.left, who, map[string]any{"company": want["company"]}); err != nil {
		return "", err
	}
	p.out.did("set company of lead %s in SalesOS; Acme answers the write with 429, Retry-After: %d", who.left, retryAfter)
	read, err := p.awaitEqual(ctx, who, want)
	if err != nil {
		return read, err
	}
	calls, err := p.calls(ctx, p.right, since)
	if err != nil {
		return read, err
	}
	rested, early := obedience(calls)
	read += fmt.Sprintf("\nAcme's log: after the 429 the service stayed away for %s; calls too early: %d", rested.Round(time.Millisecond), early)
	if early > 0 || rested == 0 {
		return read, fmt.Errorf("expected a 429 and no call for %d s after it; read: %d calls in that time", retryAfter, early)
	}
	return p.wroteOnce(ctx, p.right, who, read)
}

// obedience reads a request log: how long after the 429 the next call came, and
// how many came too early. Calls on the wire at the time of the 429 don't count.
func obedience(calls []wire.Call) (rested time.Duration, early int) {
	var at time.Time
	for _, one := range calls {
		if at.IsZero() {
			if one.Status == http.StatusTooManyRequests {
				at = one.At
			}
			continue
		}
		passed := one.At.Sub(at)
		if passed < onTheWire {
			continue
		}
		if passed < retryAfter*time.Second {
			early++
		}
		if rested == 0 {
			rested = passed
		}
	}
	return rested, early
}

func server503(ctx context.Context, p *Play) (string, error) {
	who, err := p.fresh()
	if err != nil {
		return "", err
	}
	var ids []string
	for _, when := range []string{wire.Before, wire.After} {
		id, err := p.right.admin.InjectFault(ctx, wire.Fault{Kind: wire.FaultStatus, When: when, Method: http.MethodPatch, RecordID: who.right, Status: http.StatusServiceUnavailable})
		if err != nil {
			return "", fmt.Errorf("make Acme answer 503: %w", err)
		}
		ids = append(ids, id)
	}
	want := map[string]string{"stage": "unqualified", "company": "Sempre Abertos"}
	if _, err := p.edit(ctx, p.left, who, map[string]any{"status": "unqualified", "company": want["company"]}); err != nil {
		return "", err
	}
	p.out.did("set status and company of lead %s in SalesOS; Acme answers the first write with 503, does the second and answers 503 all the same", who.left)
	read, err := p.awaitEqual(ctx, who, want)
	if err != nil {
		return read, err
	}
	faults, err := p.right.admin.Faults(ctx)
	if err != nil {
		return read, fmt.Errorf("read the faults of Acme: %w", err)
	}
	met := 0
	for _, one := range faults {
		for _, id := range ids {
			if one.ID == id {
				met += one.Hits
			}
		}
	}
	read += fmt.Sprintf("\nAcme answered 503 %d times", met)
	if met != len(ids) {
		return read, fmt.Errorf("expected %d answers of 503; read: %d", len(ids), met)
	}
	return p.wroteOnce(ctx, p.right, who, read)
}
