package sandboxclient

import (
	"context"
	"net/http"
	"net/url"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// HoldWebhooks keeps all further events until ReleaseWebhooks.
func (c *Client) HoldWebhooks(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "webhooks/hold", nil, nil)
}

// ReleaseWebhooks sends what was held, in the order asked for.
func (c *Client) ReleaseWebhooks(ctx context.Context, r wire.Release) error {
	return c.call(ctx, http.MethodPost, "webhooks/release", r, nil)
}

// DropWebhooks loses the next n events.
func (c *Client) DropWebhooks(ctx context.Context, n int) error {
	return c.call(ctx, http.MethodPost, "webhooks/drop", wire.Drop{Count: n}, nil)
}

// RepeatWebhooks delivers each of the next count events (0: all) times times; 1 turns it off.
func (c *Client) RepeatWebhooks(ctx context.Context, times, count int) error {
	return c.call(ctx, http.MethodPost, "webhooks/repeat", wire.Repeat{Times: times, Count: count}, nil)
}

// RetryWebhooks sends at once what waits for its next attempt.
func (c *Client) RetryWebhooks(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "webhooks/retry", nil, nil)
}

// WebhookCounts gives the state of hooks and queue without the deliveries: cheap to poll.
func (c *Client) WebhookCounts(ctx context.Context) (wire.HookState, error) {
	return get[wire.HookState](ctx, c, http.MethodGet, "webhooks?deliveries=false", nil)
}

// Webhooks gives the state of hooks, queue and the latest deliveries.
func (c *Client) Webhooks(ctx context.Context) (wire.HookState, error) {
	return get[wire.HookState](ctx, c, http.MethodGet, "webhooks", nil)
}

// PublishTo has the server publish its events to a broker, beside the webhooks.
func (c *Client) PublishTo(ctx context.Context, to wire.Broker) error {
	return c.call(ctx, http.MethodPut, "broker", to, nil)
}

// StopPublishing ends PublishTo.
func (c *Client) StopPublishing(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, "broker", nil, nil)
}

// InjectFault arms a fault and gives its id.
func (c *Client) InjectFault(ctx context.Context, f wire.Fault) (string, error) {
	var out struct {
		ID string `json:"id"`
	}
	err := c.call(ctx, http.MethodPost, "faults", f, &out)
	return out.ID, err
}

// Faults gives all faults with their hits.
func (c *Client) Faults(ctx context.Context) ([]wire.Fault, error) {
	return get[[]wire.Fault](ctx, c, http.MethodGet, "faults", nil)
}

// ClearFaults disarms all faults.
func (c *Client) ClearFaults(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, "faults", nil, nil)
}

// RemoveFault disarms one fault.
func (c *Client) RemoveFault(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "faults/"+url.PathEscape(id), nil, nil)
}

// SetLimits sets the rate limit; Requests 0 turns it off.
func (c *Client) SetLimits(ctx context.Context, l wire.Limits) error {
	return c.call(ctx, http.MethodPut, "limits", map[string]any{"requests": l.Requests, "window_ms": l.WindowMS, "consume": l.Consume, "search_per_second": l.SearchPerSecond}, nil)
}

// SpoilWebhooks sends the next attempts wrongly.
func (c *Client) SpoilWebhooks(ctx context.Context, s wire.Spoil) error {
	return c.call(ctx, http.MethodPost, "webhooks/spoil", s, nil)
}

// ForgeWebhook sends an event that never happened and says to how many hooks.
func (c *Client) ForgeWebhook(ctx context.Context, f wire.Forge) (int, error) {
	var out struct {
		Sent int `json:"sent"`
	}
	err := c.call(ctx, http.MethodPost, "webhooks/forge", f, &out)
	return out.Sent, err
}

// Alter has a field stored otherwise than it is written.
func (c *Client) Alter(ctx context.Context, a wire.Alteration) error {
	return c.call(ctx, http.MethodPost, "alterations", a, nil)
}

// ClearAlterations stores fields as they are written again; "" means any object or field.
func (c *Client) ClearAlterations(ctx context.Context, object, field string) error {
	v := url.Values{"object": {object}, "field": {field}}
	return c.call(ctx, http.MethodDelete, "alterations?"+v.Encode(), nil, nil)
}

// SpoilRow has a record's row written wrongly in files of CSV.
func (c *Client) SpoilRow(ctx context.Context, b wire.BadRow) error {
	return c.call(ctx, http.MethodPost, "rows", b, nil)
}

// MendRows has all rows written well again.
func (c *Client) MendRows(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, "rows", nil, nil)
}

// SetUnique says which fields of an object refuse duplicates while the switch unique is on.
func (c *Client) SetUnique(ctx context.Context, object string, fields ...string) error {
	return c.call(ctx, http.MethodPut, "unique", wire.Unique{Object: object, Fields: fields}, nil)
}

// SetClock sets, moves, stops or starts the server's clock and describes it.
func (c *Client) SetClock(ctx context.Context, k wire.Clock) (wire.Clock, error) {
	return get[wire.Clock](ctx, c, http.MethodPut, "clock", k)
}

// ExpireTokens ends all access tokens as if their time were over.
func (c *Client) ExpireTokens(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "tokens/expire", nil, nil)
}

// RevokeTokens makes all access and refresh tokens unknown.
func (c *Client) RevokeTokens(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "tokens/revoke", nil, nil)
}

// SetClientSecret changes a client's secret; the old one stops working at once.
func (c *Client) SetClientSecret(ctx context.Context, clientID, secret string) error {
	return c.call(ctx, http.MethodPut, "clients/"+url.PathEscape(clientID), map[string]string{"secret": secret}, nil)
}

// RejectField refuses API writes that set the field to the value, with 422.
func (c *Client) RejectField(ctx context.Context, r wire.Rejection) error {
	return c.call(ctx, http.MethodPost, "rejections", r, nil)
}

// ClearRejections accepts all values again.
func (c *Client) ClearRejections(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, "rejections", nil, nil)
}

// AddRace arms a user's edit between a client's read and its write.
func (c *Client) AddRace(ctx context.Context, r wire.Race) error {
	return c.call(ctx, http.MethodPost, "races", r, nil)
}

// Switches gives the present behaviours.
func (c *Client) Switches(ctx context.Context) (wire.Switches, error) {
	return get[wire.Switches](ctx, c, http.MethodGet, "switches", nil)
}

// SetSwitches changes the switches named (by their JSON names) and keeps the others.
func (c *Client) SetSwitches(ctx context.Context, some map[string]any) error {
	return c.call(ctx, http.MethodPatch, "switches", some, nil)
}

// SetShape changes what a field is, as a vendor's update does.
func (c *Client) SetShape(ctx context.Context, shape wire.Shape) error {
	return c.call(ctx, http.MethodPost, "shapes", shape, nil)
}

// ClearShapes makes the fields of an object what they were; "" means any object or field.
func (c *Client) ClearShapes(ctx context.Context, object, field string) error {
	v := url.Values{"object": {object}, "field": {field}}
	return c.call(ctx, http.MethodDelete, "shapes?"+v.Encode(), nil, nil)
}
