package lookup_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/lookup"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// crm has two appointments of one contact, one of a deleted one, and one of nobody.
type crm struct {
	connector.Connector
	mu      sync.Mutex
	name    string
	calls   int
	fails   error
	updated record.Record
}

func appointment(id string, contact any) record.Record {
	return record.Record{Ref: record.Ref{Side: record.Left, Object: "appointments", ID: id}, Fields: record.Fields{"contact_id": contact}}
}

func (c *crm) all() []record.Record {
	return []record.Record{appointment("1", "ana"), appointment("2", "ana"), appointment("3", "gone"), appointment("4", nil)}
}

func (c *crm) List(_ context.Context, request connector.ListRequest) (connector.Page, error) {
	if request.Object != "appointments" {
		return connector.Page{Records: []record.Record{{Ref: record.Ref{Object: request.Object, ID: "1"}, Fields: record.Fields{"contact_id": "ana"}}}}, nil
	}
	return connector.Page{Records: c.all(), Next: "more"}, nil
}

func (c *crm) Get(_ context.Context, object, id string) (record.Record, error) {
	if object == "appointments" {
		return appointment(id, "ana"), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	if c.fails != nil {
		return record.Record{}, c.fails
	}
	if id == "gone" {
		return record.Record{}, fault.New(fault.Gone, "no such contact")
	}
	return record.Record{Ref: record.Ref{Side: record.Left, Object: object, ID: id}, Fields: record.Fields{"name": c.name}}, nil
}

func (c *crm) Update(_ context.Context, current record.Record, _ map[string]any, _ connector.WriteOptions) (record.Record, error) {
	c.updated = current
	return current, nil
}

func (c *crm) Search(context.Context, connector.SearchRequest) ([]record.Record, error) {
	return c.all()[:1], nil
}

func (c *crm) Actor() string { return "app:us" }

type divided struct{ *crm }

func (divided) CallOf(string, map[string]any) int { return 7 }

func specs() []lookup.Spec {
	return []lookup.Spec{{Of: "appointments", Name: "contact", Object: "contacts", ID: "contact_id"}}
}

func TestRecordsCarryWhatIsLookedUp(t *testing.T) {
	inner, now := &crm{name: "Ana"}, time.Unix(1795348800, 0)
	conn := lookup.Wrap(inner, specs(), func() time.Time { return now })
	page, err := conn.List(t.Context(), connector.ListRequest{Object: "appointments"})
	require.NoError(t, err)
	require.Equal(t, "more", page.Next)
	ana := map[string]any{"name": "Ana"}
	for n, want := range []any{ana, ana, nil, nil} {
		require.Equal(t, want, page.Records[n].Fields["contact"])
	}
	require.Equal(t, 2, inner.calls, "each contact once")
	other, err := conn.List(t.Context(), connector.ListRequest{Object: "calls"})
	require.NoError(t, err)
	require.NotContains(t, other.Records[0].Fields, "contact")

	inner.name = "Ana Lima"
	got, err := conn.Get(t.Context(), "appointments", "1")
	require.NoError(t, err)
	require.Equal(t, ana, got.Fields["contact"], "known for a moment")
	now = now.Add(31 * time.Second)
	got, err = conn.Get(t.Context(), "appointments", "1")
	require.NoError(t, err)
	require.Equal(t, map[string]any{"name": "Ana Lima"}, got.Fields["contact"])
	found, err := conn.Search(t.Context(), connector.SearchRequest{Object: "appointments"})
	require.NoError(t, err)
	require.Equal(t, got.Fields["contact"], found[0].Fields["contact"])
	require.Equal(t, 3, inner.calls)
}

func TestHalfARecordIsNone(t *testing.T) {
	inner := &crm{fails: fault.New(fault.Forbidden, "no scope")}
	conn := lookup.Wrap(inner, specs(), time.Now)
	page, err := conn.List(t.Context(), connector.ListRequest{Object: "appointments"})
	require.NoError(t, err, "what one of its records names does not stop a listing")
	require.Len(t, page.Records, 1)
	require.Equal(t, "4", page.Records[0].Ref.ID, "it names nobody")
	require.Len(t, page.Unread, 3)
	inner.fails = fault.New(fault.Transient, "no answer")
	_, err = conn.List(t.Context(), connector.ListRequest{Object: "appointments"})
	require.Equal(t, fault.Transient, fault.CodeOf(err), "what may be better soon is waited for")
	inner.fails = fault.New(fault.Forbidden, "no scope")
	_, err = conn.Get(t.Context(), "appointments", "1")
	require.Equal(t, fault.Forbidden, fault.CodeOf(err))
	_, err = conn.Update(t.Context(), appointment("1", "ana"), map[string]any{"a": 1}, connector.WriteOptions{})
	require.Equal(t, fault.Transient, fault.CodeOf(err))
	require.True(t, fault.As(err).MaybeApplied, "the write has happened")
}

func TestWhatTheConnectorCanDoStays(t *testing.T) {
	inner := &crm{}
	require.Same(t, inner, lookup.Wrap(inner, nil, time.Now))
	plain := lookup.Wrap(&crm{}, specs(), time.Now)
	_, isDivided := plain.(connector.Divided)
	require.False(t, isDivided)
	several, isDivided := lookup.Wrap(divided{&crm{}}, specs(), time.Now).(connector.Divided)
	require.True(t, isDivided)
	require.Equal(t, 7, several.CallOf("deals", nil))
	actor, ok := plain.(connector.Actor)
	require.True(t, ok)
	require.Equal(t, "app:us", actor.Actor())
}

// TestWhatIsLookedUpIsNeverWritten: a system that takes records only whole is given
// its own fields.
func TestWhatIsLookedUpIsNeverWritten(t *testing.T) {
	inner := &crm{name: "Ana"}
	conn := lookup.Wrap(inner, specs(), time.Now)
	current, err := conn.Get(t.Context(), "appointments", "1")
	require.NoError(t, err)
	require.Contains(t, current.Fields, "contact")
	_, err = conn.Update(t.Context(), current, map[string]any{"a": 1}, connector.WriteOptions{})
	require.NoError(t, err)
	require.NotContains(t, inner.updated.Fields, "contact")
	require.Contains(t, current.Fields, "contact", "what was read is not changed")
}
