package engine

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// SideCheck is the outcome of a check of one side; Code is empty when all is well.
type SideCheck struct {
	Code fault.Code
	// Message says what failed and what to do; it holds no personal data.
	Message string
}

// CheckResult is the outcome of a check of both sides.
type CheckResult struct {
	Sides map[record.Side]SideCheck
}

// checkTime bounds the check or probe of one side.
const checkTime = 20 * time.Second

// objects lists the collections of a side, each once.
func (i *Installed) objects(side record.Side) []string {
	var names []string
	known := map[string]bool{}
	for _, stream := range i.Streams {
		if name := stream.object(side); name != "" && !known[name] {
			known[name] = true
			names = append(names, name)
		}
	}
	return names
}

// CheckSystems tries tokens, scopes and every object of both sides. A side that
// does not answer is part of the result; the error is the ledger's alone.
func (e *Engine) CheckSystems(ctx context.Context, key ledger.Key) (CheckResult, error) {
	in, err := e.Installed(ctx, key)
	if err != nil {
		return CheckResult{}, err
	}
	result := CheckResult{Sides: map[record.Side]SideCheck{}}
	for _, side := range record.Sides() {
		result.Sides[side] = e.checkSide(ctx, in, side)
	}
	return result, nil
}

func (e *Engine) checkSide(ctx context.Context, in *Installed, side record.Side) SideCheck {
	for _, object := range in.objects(side) {
		callCtx, cancel := context.WithTimeout(ctx, checkTime)
		asked := e.options.Now()
		page, err := in.Connector(side).List(callCtx, connector.ListRequest{Object: object, Limit: 1})
		cancel()
		e.sides.observe(ctx, in.Key, side, err)
		if err != nil {
			coded := fault.As(err)
			if coded == nil {
				return SideCheck{Code: fault.Internal, Message: "the check failed unexpectedly"}
			}
			return SideCheck{Code: coded.Code, Message: string(side) + "/" + object + ": " + coded.Error()}
		}
		e.sides.measured(ctx, in.Key, side, page.ServerTime, asked)
	}
	return SideCheck{}
}

// ProbeSystems finds out what the servers can do and stores it with the side.
func (e *Engine) ProbeSystems(ctx context.Context, key ledger.Key) error {
	in, err := e.Installed(ctx, key)
	if err != nil {
		return err
	}
	for _, side := range record.Sides() {
		if err := e.probeSide(ctx, in, side); err != nil {
			return err
		}
	}
	e.cache.forget(key)
	return nil
}

// ProbeAgain asks those servers once more that had no record to learn from when they
// were asked. One that does not answer is asked at the next turn; the error is the
// ledger's alone.
func (e *Engine) ProbeAgain(ctx context.Context, key ledger.Key) error {
	in, state, err := e.cache.get(ctx, key)
	if err != nil || state != ledger.Active {
		return err
	}
	for _, side := range record.Sides() {
		if !in.Connector(side).Capabilities().Unsure {
			continue
		}
		err := e.probeSide(connector.WithLane(ctx, connector.LanePoll), in, side)
		if fault.Is(err, fault.Unavailable, fault.NotFound) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			e.options.Log.WithFields(map[string]any{"connection": key.String(), "side": side, "code": fault.CodeOf(err)}).
				Info("a system did not tell what it can do; it is asked again")
		}
		e.cache.forget(key)
	}
	return nil
}

func (e *Engine) probeSide(ctx context.Context, in *Installed, side record.Side) error {
	callCtx, cancel := context.WithTimeout(ctx, checkTime)
	found, err := in.Connector(side).Probe(callCtx)
	cancel()
	if err != nil {
		return err
	}
	text, err := json.Marshal(found)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "the capabilities of the %s side cannot be stored", side)
	}
	_, err = e.options.Store.UpdateSideState(ctx, in.Key, side, func(state *ledger.SideState) { state.Capabilities = string(text) })
	return err
}

// EnsureWebhooks registers or switches on the webhooks at the urls given. A side
// without a url, or whose integration has no secret, is only polled. One that
// the vendor had switched off has lost events: its streams are compared.
func (e *Engine) EnsureWebhooks(ctx context.Context, key ledger.Key, urls map[record.Side]string) error {
	in, err := e.Installed(ctx, key)
	if err != nil {
		return err
	}
	var failed error
	for _, side := range record.Sides() {
		secret := in.Integration.System(side).Webhook.Secret
		if urls[side] == "" || secret == "" {
			// Whoever calls us with a secret that is not there any more is refused.
			if err := e.removeWebhook(ctx, in, side); err != nil {
				failed = errors.Join(failed, err)
			}
			continue
		}
		if err := e.ensureWebhook(ctx, in, side, urls[side], secret); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return firstCoded(failed)
}

func firstCoded(err error) error {
	if coded := fault.As(err); coded != nil {
		return coded
	}
	return err
}

func (e *Engine) ensureWebhook(ctx context.Context, in *Installed, side record.Side, url, secret string) error {
	known, err := e.options.Store.SideState(ctx, in.Key, side)
	if err != nil {
		return err
	}
	on, off := e.stillOn(ctx, in, side, url, known)
	if on {
		return e.putWebhook(ctx, in, side, connector.WebhookState{ID: known.WebhookID}, "active", url)
	}
	// That it was off is known until its gap is due to be compared, whatever fails, or
	// is killed, on the way: once it is on again nobody can tell.
	off = off || known.WebhookState == "off"
	failed := "failed"
	if off {
		failed = "off"
		if err := e.putWebhook(ctx, in, side, connector.WebhookState{ID: known.WebhookID}, "off", url); err != nil {
			return err
		}
	}
	callCtx, cancel := context.WithTimeout(ctx, checkTime)
	state, err := in.Connector(side).EnsureWebhook(callCtx, connector.WebhookSpec{
		URL: url, Secret: secret, Objects: in.objects(side), ID: known.WebhookID,
	})
	cancel()
	if err != nil {
		if storing := e.putWebhook(ctx, in, side, connector.WebhookState{ID: known.WebhookID}, failed, url); storing != nil {
			return storing
		}
		return err
	}
	word := "active"
	switch {
	case !state.Active:
		word = "off"
	case state.ByHand:
		word = ledger.WebhookByHand
	}
	// One that was there and is not was deleted by somebody: events were lost too.
	lost := state.Reactivated || off && state.Active || known.WebhookID != "" && state.ID != known.WebhookID
	if lost {
		if err := e.compareSoon(ctx, in, side); err != nil {
			return err
		}
	}
	return e.putWebhook(ctx, in, side, state, word, url)
}

// compareSoon makes the polls and the comparisons of all streams due, since a side has
// not told of what happened there for a while.
func (e *Engine) compareSoon(ctx context.Context, in *Installed, side record.Side) error {
	e.options.Log.WithFields(map[string]any{"connection": in.Key.String(), "side": side}).
		Warn("the webhook was switched off or deleted at the vendor; it is on again, and everything is polled and compared now")
	for _, stream := range in.Streams {
		err := e.changeStream(ctx, in.Key, stream.Spec.Name, func(state *ledger.StreamState) {
			state.NextPollAt, state.NextCompareAt = e.options.Now(), e.options.Now()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// stillOn looks at a registration. One that was right a short while ago need not be
// ensured, which writes the secret again.
// off says that the vendor has switched it off, or knows it no more.
func (e *Engine) stillOn(ctx context.Context, in *Installed, side record.Side, url string, known ledger.SideState) (on, off bool) {
	if known.WebhookID == "" || known.WebhookURL != url || known.WebhookState == ledger.WebhookByHand {
		return false, false
	}
	callCtx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	state, err := in.Connector(side).WebhookStatus(callCtx, known.WebhookID)
	recent := e.options.Now().Sub(known.WebhookCheckedAt) < time.Hour
	right := known.WebhookState == "active" && recent && known.WebhookVersion == in.Version
	return right && err == nil && state.Active, err == nil && !state.Active || fault.Is(err, fault.Gone)
}

func (e *Engine) putWebhook(ctx context.Context, in *Installed, side record.Side, state connector.WebhookState, word, url string) error {
	_, err := e.options.Store.UpdateSideState(ctx, in.Key, side, func(row *ledger.SideState) {
		if word == ledger.WebhookByHand && row.WebhookURL != url {
			// What came to another address says nothing about this one.
			row.WebhookTakenAt, row.WebhookRefusedAt = time.Time{}, time.Time{}
		}
		row.WebhookID, row.WebhookState, row.WebhookURL, row.WebhookCheckedAt = state.ID, word, url, e.options.Now()
		row.WebhookVersion = in.Version
	})
	return err
}

// RemoveWebhooks takes our webhooks away from both vendors; one that does not answer
// keeps the other's from nothing.
func (e *Engine) RemoveWebhooks(ctx context.Context, key ledger.Key) error {
	in, err := e.Installed(ctx, key)
	if err != nil {
		return err
	}
	var failed error
	for _, side := range record.Sides() {
		if err := e.removeWebhook(ctx, in, side); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return firstCoded(failed)
}

func (e *Engine) removeWebhook(ctx context.Context, in *Installed, side record.Side) error {
	state, err := e.options.Store.SideState(ctx, in.Key, side)
	if err != nil {
		return err
	}
	if state.WebhookID != "" {
		callCtx, cancel := context.WithTimeout(ctx, checkTime)
		err = in.Connector(side).RemoveWebhook(callCtx, state.WebhookID)
		cancel()
	}
	if err != nil {
		return err
	}
	return e.putWebhook(ctx, in, side, connector.WebhookState{}, "none", "")
}

// removedTime is for how long an activation ends what was removed; housekeeping ends
// the rest.
const removedTime = 10 * time.Second

// ScheduleStreams makes every stream's first poll due, and ends what is not in the
// integration any more.
func (e *Engine) ScheduleStreams(ctx context.Context, key ledger.Key) error {
	in, err := e.Installed(ctx, key)
	if err != nil {
		return err
	}
	ending, cancel := context.WithTimeout(ctx, removedTime)
	defer cancel()
	if err := e.EndRemoved(ending, key); err != nil && ending.Err() == nil {
		return err
	}
	// What happens from here on is news for its rules, whatever is listed first.
	for _, name := range slices.Sorted(maps.Keys(in.Rules)) {
		if _, err := e.options.Store.BeginRule(ctx, key, name); err != nil {
			return err
		}
	}
	for _, stream := range in.Streams {
		err := e.changeStream(ctx, key, stream.Spec.Name, func(state *ledger.StreamState) { state.NextPollAt = e.options.Now() })
		if err != nil {
			return err
		}
	}
	return nil
}
