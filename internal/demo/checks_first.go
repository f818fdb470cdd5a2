package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func credentialsAndWebhooks(ctx context.Context, p *Play) (string, error) {
	var err error
	if p.connection, err = p.api.install(ctx, p.integration, p.variables, p.secrets); err != nil {
		return "", err
	}
	p.out.did("POST /api/v1/connections: %s, state %s", p.connection.ID, p.connection.State)
	if err := p.api.activate(ctx, p.connection.ID); err != nil {
		return "", err
	}
	p.out.did("POST /api/v1/connections/%s/activate", p.connection.ID)
	_, err = p.await(ctx, "the connection to be active", patience, func(ctx context.Context) (bool, string, error) {
		now, err := p.api.connection(ctx, p.connection.ID)
		if err == nil && now.State == "failing" {
			err = errors.New("the activation failed: " + now.StateReason)
		}
		return now.State == "active", strings.TrimSpace(now.State + " " + now.StateReason), err
	})
	if err != nil {
		return "", err
	}
	now, err := p.api.status(ctx, p.connection.ID)
	if err != nil {
		return "", err
	}
	var read []string
	for _, one := range p.systems() {
		told, url := now.Sides.Left, p.connection.Webhooks.Left.URL
		if one == p.right {
			told, url = now.Sides.Right, p.connection.Webhooks.Right.URL
		}
		line, err := p.installed(ctx, one, told, url)
		if err != nil {
			return strings.Join(read, "\n"), err
		}
		read = append(read, line)
	}
	return strings.Join(read, "\n"), nil
}

// installed verifies one server: it gave a token, and has one active webhook at our address.
func (p *Play) installed(ctx context.Context, on *system, told sideStatus, url string) (string, error) {
	log, err := on.admin.Calls(ctx, 0)
	if err != nil {
		return "", fmt.Errorf("read the request log of %s: %w", on.name, err)
	}
	tokens := 0
	for _, call := range log {
		if call.Path == "/oauth/token" && call.Status == 200 {
			tokens++
		}
	}
	hooks, err := on.admin.WebhookCounts(ctx)
	if err != nil {
		return "", fmt.Errorf("read the webhooks of %s: %w", on.name, err)
	}
	read := fmt.Sprintf("%s gave %d token(s) and has %d webhook(s); the API says reachable %t, webhook %s", on.name, tokens, len(hooks.Hooks), told.Reachable, told.Webhook.State)
	good := tokens > 0 && len(hooks.Hooks) == 1 && hooks.Hooks[0].Active && hooks.Hooks[0].URL == url && told.Reachable && told.Webhook.State == "active"
	if !good {
		return read, fmt.Errorf("expected a token and one active webhook at %s; read: %s", url, read)
	}
	return read, nil
}

func backfill(ctx context.Context, p *Play) (string, error) {
	if p.connection.ID == "" {
		return "", errors.New("expected an installed connection; read: there is none")
	}
	loading, err := p.api.startRun(ctx, p.connection.ID, "backfill")
	if err != nil {
		return "", err
	}
	p.out.did("POST /api/v1/connections/%s/runs kind backfill: workflow %s", p.connection.ID, loading.WorkflowID)
	ended, err := p.follow(ctx, loading)
	if err != nil {
		return "", err
	}
	if ended.State != "succeeded" {
		return "", fmt.Errorf("expected the run to succeed; read: %s %s", ended.State, ended.Error)
	}
	p.out.did("waited for its end: read %d, created %d, linked %d, parked %d, conflicts %d",
		ended.Counts.Read, ended.Counts.Created, ended.Counts.Linked, ended.Counts.Parked, ended.Counts.Conflicts)
	if err := p.awaitIdle(ctx); err != nil {
		return "", err
	}
	read, err := p.verifyLoad(ctx)
	if err == nil && ended.Counts.Parked+ended.Counts.Conflicts > 0 {
		err = fmt.Errorf("expected nothing to be parked and no conflict; read: %d and %d", ended.Counts.Parked, ended.Counts.Conflicts)
	}
	return read, err
}

// follow shows the progress of a run until it ends.
func (p *Play) follow(ctx context.Context, loading run) (run, error) {
	shown := newProgress(p.out)
	_, err := p.await(ctx, "the first load to end", loadPatience, func(ctx context.Context) (bool, string, error) {
		var err error
		if loading, err = p.api.run(ctx, loading.ID); err != nil {
			return false, "", err
		}
		return loading.EndedAt != nil, loading.State + ", " + shown.show(loading), nil
	})
	shown.end()
	return loading, err
}

// verifyLoad reads everything from both servers and compares it lead by lead.
func (p *Play) verifyLoad(ctx context.Context) (string, error) {
	leads, doubleLeads, err := p.byEmail(ctx, p.left)
	if err != nil {
		return "", err
	}
	contacts, doubleContacts, err := p.byEmail(ctx, p.right)
	if err != nil {
		return "", err
	}
	var wrong []string
	for email, lead := range leads {
		contact, ok := contacts[email]
		if !ok {
			wrong = append(wrong, lead.ID+" has no contact")
			continue
		}
		p.pair(email, pair{left: lead.ID, right: contact.ID})
		if differs := p.left.person(lead).difference(p.right.person(contact)); differs != "" {
			wrong = append(wrong, lead.ID+" differs in "+differs)
		}
	}
	read := fmt.Sprintf("SalesOS has %d leads, Acme %d contacts; e-mails twice: %d and %d; pairs equal in all %d mapped fields: %d",
		len(leads)+doubleLeads, len(contacts)+doubleContacts, doubleLeads, doubleContacts, len(fields()), len(leads)-len(wrong))
	if len(leads) != allLeads || len(contacts) != allLeads || doubleLeads+doubleContacts+len(wrong) > 0 {
		return read, fmt.Errorf("expected %d equal pairs and no e-mail twice; read: %s; first differences: %s", allLeads, read, strings.Join(wrong[:min(len(wrong), 3)], "; "))
	}
	if err := p.verifyLinks(ctx); err != nil {
		return read, err
	}
	writes, err := p.verifyLoadWrites(ctx)
	return read + "\n" + writes, err
}

// pair remembers a lead of the first load, and on which side it was created.
func (p *Play) pair(email string, who pair) {
	p.pairs[email] = who
	for _, key := range []string{sideLeft + "/" + who.left, sideRight + "/" + who.right} {
		if _, seeded := p.before[key]; !seeded {
			p.loaded[key] = true
		}
	}
}

// byEmail gives a server's records by e-mail in normal form, and how many share one with another.
func (p *Play) byEmail(ctx context.Context, on *system) (map[string]wire.Record, int, error) {
	found, err := on.admin.Records(ctx, on.object)
	if err != nil {
		return nil, 0, fmt.Errorf("read everything from %s: %w", on.name, err)
	}
	by, doubles := map[string]wire.Record{}, 0
	for _, one := range found {
		email := normalEmail(text(one.Fields["email"]))
		if _, taken := by[email]; taken {
			doubles++
		}
		by[email] = one
	}
	return by, doubles, nil
}

// verifyLinks compares what the API says of a few pairs with what the servers hold.
func (p *Play) verifyLinks(ctx context.Context) error {
	for _, n := range []int{1, onlyLeft + 1, onlyLeft + onlyRight + 1, allLeads} {
		who := p.pairs[invented{n}.email()]
		found, err := p.api.links(ctx, p.connection.ID, sideLeft, who.left)
		if err != nil {
			return err
		}
		if len(found) != 1 || found[0].Right.ID != who.right || found[0].State != "active" {
			return fmt.Errorf("expected one active link from lead %s to contact %s; read: %+v", who.left, who.right, found)
		}
	}
	return nil
}

// verifyLoadWrites counts on the servers what the first load wrote.
func (p *Play) verifyLoadWrites(ctx context.Context) (string, error) {
	var read []string
	good := true
	for _, one := range p.systems() {
		wanted := onlyLeft
		if one == p.left {
			wanted = onlyRight
		}
		byOp := map[string]int{}
		for _, op := range []string{"create", "update", "delete"} {
			calls, _, err := one.admin.WriteTotals(ctx, sandboxclient.Filter{Actor: service, Object: one.object, Op: op})
			if err != nil {
				return "", fmt.Errorf("read the writes of %s: %w", one.name, err)
			}
			byOp[op] = calls
		}
		good = good && byOp["create"] == wanted && byOp["update"] == 0 && byOp["delete"] == 0
		read = append(read, fmt.Sprintf("%s counts %d creates, %d updates, %d deletes by the service", one.name, byOp["create"], byOp["update"], byOp["delete"]))
	}
	told := strings.Join(read, "; ")
	if !good {
		return told, fmt.Errorf("expected %d creates in SalesOS and %d in Acme, nothing else; read: %s; %s", onlyRight, onlyLeft, told, p.updates(ctx))
	}
	return told, nil
}

// updates tells a few of the service's updates, for a person who wonders about them.
func (p *Play) updates(ctx context.Context) string {
	var told []string
	for _, one := range p.systems() {
		calls, err := p.calls(ctx, one, 0)
		if err != nil {
			return err.Error()
		}
		for _, call := range calls {
			if call.Method == http.MethodPatch && len(told) < 3 {
				told = append(told, fmt.Sprintf("%s %s wrote %s at %s", one.name, call.ID, strings.Join(call.Fields, ", "), call.At.Format(time.TimeOnly+".000")))
			}
		}
	}
	return strings.Join(told, "; ")
}
