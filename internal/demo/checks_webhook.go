package demo

import (
	"context"
	"fmt"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func webhookTripled(ctx context.Context, p *Play) (string, error) {
	who, err := p.fresh()
	if err != nil {
		return "", err
	}
	before, err := p.left.admin.WebhookCounts(ctx)
	if err != nil {
		return "", fmt.Errorf("read the webhooks of SalesOS: %w", err)
	}
	if err := p.left.admin.RepeatWebhooks(ctx, 3, 1); err != nil {
		return "", fmt.Errorf("repeat webhooks of SalesOS: %w", err)
	}
	want := map[string]string{"position": "Chief of Staff"}
	if _, err := p.edit(ctx, p.left, who, map[string]any{"position": want["position"]}); err != nil {
		return "", err
	}
	p.out.did("set position of lead %s in SalesOS; its webhook is delivered three times", who.left)
	read, err := p.awaitEqual(ctx, who, want)
	if err != nil {
		return read, err
	}
	delivered := 0
	_, err = p.await(ctx, "three deliveries", patience, func(ctx context.Context) (bool, string, error) {
		now, err := p.left.admin.WebhookCounts(ctx)
		delivered = now.Delivered - before.Delivered
		return delivered >= 3, fmt.Sprintf("%d deliveries", delivered), err
	})
	if err != nil {
		return read, err
	}
	return p.wroteOnce(ctx, p.right, who, fmt.Sprintf("%s\n%d deliveries answered", read, delivered))
}

// wroteOnce verifies, when everything is quiet, that the service wrote a record
// exactly once and its origin never. Only for leads that the first load linked
// and did not create.
func (p *Play) wroteOnce(ctx context.Context, on *system, who pair, read string) (string, error) {
	if err := p.awaitIdle(ctx); err != nil {
		return read, err
	}
	calls, effects, err := p.writesTo(ctx, on, who.on(on.side))
	if err != nil {
		return read, err
	}
	origin := p.other(on)
	back, _, err := p.writesTo(ctx, origin, who.on(origin.side))
	if err != nil {
		return read, err
	}
	read += fmt.Sprintf("; %s counts %d write(s) of the service to this record, %s %d", on.name, calls, origin.name, back)
	if calls != 1 || effects != 1 || back != 0 {
		return read, fmt.Errorf("expected exactly one write to %s and none back; read: %d accepted, %d with an effect, %d back", on.name, calls, effects, back)
	}
	return read, nil
}

func webhooksReordered(ctx context.Context, p *Play) (string, error) {
	who, err := p.fresh()
	if err != nil {
		return "", err
	}
	if err := p.left.admin.HoldWebhooks(ctx); err != nil {
		return "", fmt.Errorf("hold the webhooks of SalesOS: %w", err)
	}
	for _, company := range []string{"Primeira Versão", "Segunda Versão"} {
		if _, err := p.edit(ctx, p.left, who, map[string]any{"company": company}); err != nil {
			return "", err
		}
	}
	held, err := p.left.admin.WebhookCounts(ctx)
	if err != nil {
		return "", fmt.Errorf("read the webhooks of SalesOS: %w", err)
	}
	if err := p.left.admin.ReleaseWebhooks(ctx, wire.Release{Order: wire.Reversed}); err != nil {
		return "", fmt.Errorf("release the webhooks of SalesOS: %w", err)
	}
	p.out.did("set company of lead %s in SalesOS twice; the %d webhooks held are delivered last one first", who.left, held.Held)
	want := map[string]string{"company": "Segunda Versão"}
	if read, err := p.awaitEqual(ctx, who, want); err != nil {
		return read, err
	}
	// The older webhook must have been worked off before the end counts.
	if err := p.awaitIdle(ctx); err != nil {
		return "", err
	}
	read, err := p.awaitEqual(ctx, who, want)
	if err == nil && held.Held < 2 {
		err = fmt.Errorf("expected two webhooks to be held; read: %d", held.Held)
	}
	return read, err
}

func webhookLost(ctx context.Context, p *Play) (string, error) {
	who, err := p.fresh()
	if err != nil {
		return "", err
	}
	before, err := p.left.admin.WebhookCounts(ctx)
	if err != nil {
		return "", fmt.Errorf("read the webhooks of SalesOS: %w", err)
	}
	if err := p.left.admin.DropWebhooks(ctx, 1); err != nil {
		return "", fmt.Errorf("drop a webhook of SalesOS: %w", err)
	}
	want := map[string]string{"phone": normalPhone("+55 11 94444-0009")}
	if _, err := p.edit(ctx, p.left, who, map[string]any{"phone": "(11) 94444-0009"}); err != nil {
		return "", err
	}
	p.out.did("set phone of lead %s in SalesOS; its webhook is lost", who.left)
	read, err := p.awaitEqual(ctx, who, want)
	if err != nil {
		return read, err
	}
	after, err := p.left.admin.WebhookCounts(ctx)
	if err != nil {
		return read, fmt.Errorf("read the webhooks of SalesOS: %w", err)
	}
	lost := after.Dropped - before.Dropped
	read += fmt.Sprintf("\n%d webhook lost, %d delivered: the poll found the edit", lost, after.Delivered-before.Delivered)
	if lost != 1 {
		return read, fmt.Errorf("expected one lost webhook; read: %d", lost)
	}
	return read, nil
}
