package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// minutePatience is how long a check waits for what a timetable does each minute.
const minutePatience = 90 * time.Second

// tourDown takes Acme away while a lead is edited three times.
func tourDown(ctx context.Context, p *Play) (string, error) {
	return at(ctx, p, integrations.SalesOSAcme, nil, func(w *place) (string, error) {
		lead, contact, err := w.couple(ctx, "Katia Sá", "katia@example.com")
		if err != nil {
			return "", err
		}
		if err := w.idle(ctx); err != nil {
			return "", err
		}
		before, err := w.written(ctx, w.right, sandboxclient.Filter{Object: contactObject, ID: contact, Op: "update"})
		if err != nil {
			return "", err
		}
		down, err := w.right.InjectFault(ctx, wire.Fault{Kind: wire.FaultStatus, Status: http.StatusServiceUnavailable, Times: -1})
		if err != nil {
			return "", fmt.Errorf("take Acme down: %w", err)
		}
		for _, company := range []string{"First", "Second", "Newest"} {
			if _, err := w.left.EditRecord(ctx, leadsObject, lead, map[string]any{"company": company}); err != nil {
				return "", fmt.Errorf("edit as a user on SalesOS: %w", err)
			}
		}
		read, err := p.await(ctx, "a visible backlog and an unreachable side", patience, func(ctx context.Context) (bool, string, error) {
			now, err := p.api.status(ctx, w.connection.ID)
			return now.Pending.Changes > 0 && !now.Sides.Right.Reachable,
				fmt.Sprintf("while Acme is down: %d change(s) pending, Acme reachable: %t (%s), %d dead letters", now.Pending.Changes, now.Sides.Right.Reachable, now.Sides.Right.LastError, now.DeadLetters), err
		})
		if err != nil {
			return read, err
		}
		if err := w.right.RemoveFault(ctx, down); err != nil {
			return read, fmt.Errorf("bring Acme up: %w", err)
		}
		more, err := w.value(ctx, w.right, contactObject, contact, "company_name", "Newest")
		if err != nil {
			return read + "\n" + more, err
		}
		if err := w.idle(ctx); err != nil {
			return read, err
		}
		after, err := w.written(ctx, w.right, sandboxclient.Filter{Object: contactObject, ID: contact, Op: "update"})
		read = fmt.Sprintf("%s\nafter: %s; %d write(s) for three edits", read, more, after-before)
		if err == nil && after-before != 1 {
			err = fmt.Errorf("expected only the newest state to be written; read: %d writes", after-before)
		}
		return read, err
	})
}

// tourUpdate has Acme change three fields, and change them back.
func tourUpdate(ctx context.Context, p *Play) (string, error) {
	edits := []edited{{"integration: salesos-acme\n", "integration: salesos-acme\ncheck: {every: 1s}\n"}}
	return at(ctx, p, integrations.SalesOSAcme, edits, func(w *place) (string, error) {
		if err := w.load(ctx); err != nil {
			return "", err
		}
		if _, err := w.shapes(ctx, 0); err != nil {
			return "", err
		}
		// The types that hold are those of the first check.
		if err := pause(ctx, 2*quietFor); err != nil {
			return "", err
		}
		for _, shape := range []wire.Shape{
			{Object: contactObject, Field: "job_title", Gone: true}, {Object: contactObject, Field: "score", Type: "string"},
			{Object: contactObject, Field: "lifecycle", Values: []string{"lead", "contacted", "qualified", "disqualified", "customer", "churned"}},
		} {
			if err := w.right.SetShape(ctx, shape); err != nil {
				return "", fmt.Errorf("change a field of Acme: %w", err)
			}
		}
		read, err := w.shapes(ctx, 3)
		if err != nil {
			return read, err
		}
		if err := w.right.ClearShapes(ctx, "", ""); err != nil {
			return read, fmt.Errorf("change the fields back: %w", err)
		}
		_, err = w.shapes(ctx, 0)
		return read + "\nchanged back: nothing is reported any more", err
	})
}

// shapes waits until the status tells of so many findings.
func (w *place) shapes(ctx context.Context, want int) (string, error) {
	return w.p.await(ctx, fmt.Sprintf("%d findings in the status", want), loadPatience, func(ctx context.Context) (bool, string, error) {
		now, err := w.p.api.status(ctx, w.connection.ID)
		var told []string
		for _, one := range now.Shapes {
			told = append(told, one.Code+": "+one.Text)
		}
		return len(now.Shapes) == want, strings.Join(told, "\n"), err
	})
}

// manyLeads is the size of the load that stands for a large one.
const manyLeads = 1200

// tourLarge loads many leads, pauses in the middle, and has a lead edited meanwhile.
func tourLarge(ctx context.Context, p *Play) (string, error) {
	return at(ctx, p, integrations.SalesOSAcme, nil, func(w *place) (string, error) {
		ids, err := w.left.Seed(ctx, wire.Seed{Object: leadsObject, Count: manyLeads})
		if err != nil {
			return "", fmt.Errorf("seed SalesOS: %w", err)
		}
		listing, err := w.interrupted(ctx)
		if err != nil {
			return listing, err
		}
		read, err := w.paused(ctx)
		read = listing + "\n" + read
		if err != nil {
			return read, err
		}
		// All is listed by now; later a search for a single record may read the same pages.
		twice, err := w.listedTwice(ctx)
		if err != nil {
			return read, err
		}
		if _, err := w.left.EditRecord(ctx, leadsObject, ids[len(ids)/2], map[string]any{"company": "While it loads"}); err != nil {
			return read, fmt.Errorf("edit as a user on SalesOS: %w", err)
		}
		if err := w.steer(ctx, "resume"); err != nil {
			return read, err
		}
		if _, err := w.only(ctx, w.right, contactObject, "company_name", "While it loads"); err != nil {
			return read, err
		}
		ended, err := w.loaded(ctx)
		if err != nil {
			return read, err
		}
		created, err := w.written(ctx, w.right, sandboxclient.Filter{Object: contactObject, Op: "create"})
		if err != nil {
			return read, err
		}
		read = fmt.Sprintf("%s\nresumed: %d records done, %d contacts created for %d leads, %d pages listed twice; an edit made meanwhile arrived", read, ended.Progress.Done, created, manyLeads, twice)
		if err == nil && (created != manyLeads || twice > 1) {
			err = errors.New("expected each lead created once, and no page listed twice but the one under way; read: " + read)
		}
		return read, err
	})
}

// paused waits until some leads are created, and pauses. The total is known before.
func (w *place) paused(ctx context.Context) (string, error) {
	read, err := w.p.await(ctx, "the load to be under way with its total known", loadPatience, func(ctx context.Context) (bool, string, error) {
		now, ok, err := w.firstLoad(ctx)
		if err != nil || !ok {
			return false, "it has not begun", err
		}
		made, err := w.written(ctx, w.right, sandboxclient.Filter{Object: contactObject, Op: "create"})
		if err == nil && made > 0 && now.Progress.Total == nil {
			// The run was read before the writes were counted: it is looked at again.
			if now, _, err = w.firstLoad(ctx); err == nil && now.Progress.Total == nil {
				err = fmt.Errorf("expected the total before the first write; read: %d created, no total", made)
			}
		}
		if now.Progress.Total == nil {
			return false, "no total yet", err
		}
		return made > manyLeads/20, fmt.Sprintf("at %d of %d records", now.Progress.Done, *now.Progress.Total), err
	})
	if err != nil {
		return read, err
	}
	if err := w.steer(ctx, "pause"); err != nil {
		return read, err
	}
	last := -1
	still, err := w.p.await(ctx, "the paused load to stand still", patience, func(ctx context.Context) (bool, string, error) {
		before := last
		if err := pause(ctx, time.Second); err != nil {
			return false, "", err
		}
		var err error
		last, err = w.written(ctx, w.right, sandboxclient.Filter{Object: contactObject, Op: "create"})
		return last == before, fmt.Sprintf("%d created", last), err
	})
	return fmt.Sprintf("%s; paused: stands at %s", read, still), err
}

// steer pauses or resumes the connection.
func (w *place) steer(ctx context.Context, word string) error {
	return w.p.api.call(ctx, http.MethodPost, "/api/v1/connections/"+w.connection.ID+"/"+word, nil, nil)
}

// interrupted begins the load and pauses it for a while in the middle of the listing of leads.
func (w *place) interrupted(ctx context.Context) (string, error) {
	slow, err := w.left.InjectFault(ctx, wire.Fault{Kind: wire.FaultSlow, Method: http.MethodGet, Path: leadsPath, HangMS: 500, Times: -1})
	if err != nil {
		return "", fmt.Errorf("slow SalesOS down: %w", err)
	}
	if err := w.begin(ctx); err != nil {
		return "", err
	}
	read, err := w.p.await(ctx, "the listing of leads to be under way", loadPatience, func(ctx context.Context) (bool, string, error) {
		pages, err := w.listed(ctx)
		return len(pages) >= 2, fmt.Sprintf("%d pages listed", len(pages)), err
	})
	if err != nil {
		return read, err
	}
	if err := w.steer(ctx, "pause"); err != nil {
		return read, err
	}
	last := -1
	read, err = w.p.await(ctx, "the paused listing to stand still", patience, func(ctx context.Context) (bool, string, error) {
		before := last
		if err := pause(ctx, 2*time.Second); err != nil {
			return false, "", err
		}
		pages, err := w.listed(ctx)
		last = len(pages)
		return last == before, fmt.Sprintf("%d of %d pages", last, manyLeads/pageOfLeads), err
	})
	if err == nil && last >= manyLeads/pageOfLeads {
		err = errors.New("expected a pause in the middle of the listing; read: " + read)
	}
	if err != nil {
		return read, err
	}
	if err := w.left.RemoveFault(ctx, slow); err != nil {
		return read, fmt.Errorf("let SalesOS be fast again: %w", err)
	}
	return "paused while it listed: stands at " + read + "; resumed", w.steer(ctx, "resume")
}

const (
	leadsPath = "/v1/leads"
	// pageOfLeads is how many leads SalesOS gives at once.
	pageOfLeads = 100
)

// listed counts how often each page of the full listing of leads was given. Polls say
// since when, and looks at single records ask for pages of one.
func (w *place) listed(ctx context.Context) (map[string]int, error) {
	calls, err := w.left.Calls(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("read the request log of SalesOS: %w", err)
	}
	pages := map[string]int{}
	for _, one := range calls {
		query, err := url.ParseQuery(one.Query)
		if err != nil {
			return nil, fmt.Errorf("read the request log of SalesOS: %w", err)
		}
		full := query.Get("sort") == "created_at" && query.Get("per_page") == strconv.Itoa(pageOfLeads)
		if full && one.Method == http.MethodGet && one.Path == leadsPath && one.Status == http.StatusOK && one.Actor == service {
			pages[query.Get("page")]++
		}
	}
	return pages, nil
}

// listedTwice counts the pages of the full listing that were read more than once, and
// fails unless all were read.
func (w *place) listedTwice(ctx context.Context) (int, error) {
	pages, err := w.listed(ctx)
	if err == nil && len(pages) < manyLeads/pageOfLeads {
		err = fmt.Errorf("expected all pages to be listed before the first write; read: %d", len(pages))
	}
	twice := 0
	for _, times := range pages {
		if times > 1 {
			twice++
		}
	}
	return twice, err
}
