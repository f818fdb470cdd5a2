package demo

import (
	"context"
	"errors"
	"time"
)

// check is one named step of the play. It acts as people would, and verifies
// what it did by reading both servers. Its text tells what was read back; its
// error says what was expected and what was read.
type check struct {
	name, title string
	play        func(ctx context.Context, p *Play) (readback string, err error)
	// vital checks have no use for those behind them when they fail.
	vital bool
}

// checks are the day of work in its order.
func checks() []check {
	return []check{
		{name: "credentials_and_webhooks", title: "Install the integration, activate it: credentials are checked, webhooks registered", play: credentialsAndWebhooks, vital: true},
		{name: "backfill", title: "First load: 600 leads only in SalesOS, 300 only in Acme, 100 on both, spelled differently", play: backfill},
		{name: "edit_left_reaches_right", title: "A lead is edited in SalesOS", play: editLeft},
		{name: "edit_right_reaches_left", title: "A contact is edited in Acme", play: editRight},
		{name: "create_left", title: "A lead is created in SalesOS", play: createLeft},
		{name: "create_right", title: "A contact is created in Acme", play: createRight},
		{name: "deal_translated", title: "A deal is made in SalesOS together with its lead, and won in Acme for another contact", play: dealTranslated},
		{name: "disjoint_edits_merge", title: "Two people edit different fields of one lead at the same moment", play: disjointEdits},
		{name: "same_field_conflict", title: "Two people edit the same phone number; a third one decides", play: sameField},
		{name: "webhook_tripled", title: "A webhook arrives three times", play: webhookTripled},
		{name: "webhooks_reordered", title: "Two webhooks arrive in the wrong order", play: webhooksReordered},
		{name: "webhook_lost_poll_catches", title: "A webhook never arrives", play: webhookLost},
		{name: "refused_422_parked_corrected_replayed", title: "Acme refuses a lead (422); it is parked, corrected, replayed", play: refused422},
		{name: "throttled_429_retry_after", title: "Acme says 429 with Retry-After: 2", play: throttled429},
		{name: "server_503", title: "Acme answers 503, once before and once after it did what was asked", play: server503},
		{name: "delete_propagated", title: "A lead is deleted in SalesOS, a contact in Acme", play: deletePropagated},
		{name: "custom_fields_survive", title: "Values of the customer's own that no mapping knows", play: customFieldsSurvive},
		{name: "history_tells_why", title: "What was overwritten, and why, can be found", play: historyTellsWhy},
		{name: "no_echo", title: "Everything is quiet: nothing pending, nothing written", play: noEcho},
	}
}

// result is the outcome of one check.
type result struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	MS   int64  `json:"ms"`
	// NotRun says what a check needs that is not there; empty: it was played.
	NotRun string `json:"not_run,omitempty"`

	title, readback string
	err             error
}

// The outcomes of checks that were not played.
var (
	errStopped = errors.New("not played: the demo was stopped")
	errUseless = errors.New("not played: a check failed without which this one has nothing to show")
)

// playAll plays the checks one after another. One that fails does not stop the
// next, unless it is vital; the end of ctx does.
func playAll(ctx context.Context, p *Play, all []check) []result {
	results := make([]result, 0, len(all))
	var skip error
	for i, one := range all {
		if ctx.Err() != nil {
			skip = errStopped
		}
		if skip != nil {
			results = append(results, result{Name: one.name, title: one.title, err: skip})
			continue
		}
		p.out.begin(i+1, len(all), one.title)
		started := p.now()
		read, err := one.play(ctx, p)
		done := result{Name: one.name, OK: err == nil, MS: p.now().Sub(started).Milliseconds(), title: one.title, readback: read, err: err}
		var missing needs
		if errors.As(err, &missing) {
			done.NotRun = "needs " + missing.what
		}
		p.out.end(done)
		results = append(results, done)
		if err != nil && one.vital {
			skip = errUseless
		}
	}
	return results
}

// took is a duration for people.
func took(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }
