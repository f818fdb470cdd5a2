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
}

// checks are the day of work in its order.
func checks() []check {
	return []check{
		{"credentials_and_webhooks", "Install the integration, activate it: credentials are checked, webhooks registered", credentialsAndWebhooks},
		{"backfill", "First load: 600 leads only in SalesOS, 300 only in Acme, 100 on both, spelled differently", backfill},
		{"edit_left_reaches_right", "A lead is edited in SalesOS", editLeft},
		{"edit_right_reaches_left", "A contact is edited in Acme", editRight},
		{"create_left", "A lead is created in SalesOS", createLeft},
		{"create_right", "A contact is created in Acme", createRight},
		{"disjoint_edits_merge", "Two people edit different fields of one lead at the same moment", disjointEdits},
		{"same_field_conflict", "Two people edit the same phone number; a third one decides", sameField},
		{"webhook_tripled", "A webhook arrives three times", webhookTripled},
		{"webhooks_reordered", "Two webhooks arrive in the wrong order", webhooksReordered},
		{"webhook_lost_poll_catches", "A webhook never arrives", webhookLost},
		{"refused_422_parked_corrected_replayed", "Acme refuses a lead (422); it is parked, corrected, replayed", refused422},
		{"throttled_429_retry_after", "Acme says 429 with Retry-After: 2", throttled429},
		{"server_503", "Acme answers 503, once before and once after it did what was asked", server503},
		{"delete_propagated", "A lead is deleted in SalesOS, a contact in Acme", deletePropagated},
		{"custom_fields_survive", "Values of the customer's own that no mapping knows", customFieldsSurvive},
		{"history_tells_why", "What was overwritten, and why, can be found", historyTellsWhy},
		{"no_echo", "Everything is quiet: nothing pending, nothing written", noEcho},
	}
}

// result is the outcome of one check.
type result struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	MS   int64  `json:"ms"`

	title, readback string
	err             error
}

// errCutShort is the outcome of checks that were not played because the play was stopped.
var errCutShort = errors.New("not played: the demo was stopped")

// playAll plays the checks one after another. One that fails does not stop the
// next; only the end of ctx does.
func playAll(ctx context.Context, p *Play, all []check) []result {
	results := make([]result, 0, len(all))
	for i, one := range all {
		if ctx.Err() != nil {
			results = append(results, result{Name: one.name, title: one.title, err: errCutShort})
			continue
		}
		p.out.begin(i+1, len(all), one.title)
		started := p.now()
		read, err := one.play(ctx, p)
		done := result{Name: one.name, OK: err == nil, MS: p.now().Sub(started).Milliseconds(), title: one.title, readback: read, err: err}
		p.out.end(done)
		results = append(results, done)
	}
	return results
}

// took is a duration for people.
func took(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }
