package tryton_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/connector/tryton"
	"github.com/accord-sync/accord/internal/connector/tryton/trytontest"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// real is a connector to an emptied Tryton.
func real(t *testing.T) (*trytontest.Server, connector.Connector) {
	t.Helper()
	s := trytontest.Start(t)
	conn, err := tryton.Driver{}.Open(connector.Config{
		Side: record.Right, BaseURL: s.Address, Capabilities: tryton.Driver{}.Defaults(), Objects: []string{"parties", "opportunities"},
		Auth:   connector.Auth{Kind: transport.KindBasic, ClientID: connectortest.ClientID, ClientSecret: connectortest.ClientSecret},
		Client: transport.New(transport.Options{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
	})
	require.NoError(t, err)
	return s, conn
}

func made(t *testing.T, conn connector.Connector, fields map[string]any) record.Record {
	t.Helper()
	got, err := conn.Create(context.Background(), "parties", fields, connector.WriteOptions{})
	require.NoError(t, err)
	return got
}

func TestRealChildren(t *testing.T) {
	s, conn := real(t)
	ctx := context.Background()
	party := made(t, conn, map[string]any{"name": "Ana", "email": "ana@example.com", "phone": "11 2345-6789", "identifiers.salesos": "ld_1"})
	id := party.Ref.ID

	t.Run("an edit of a contact mechanism is a change of its party", func(t *testing.T) {
		since := party.UpdatedAt.Add(time.Microsecond)
		page, err := conn.List(ctx, connector.ListRequest{Object: "parties", Since: since})
		require.NoError(t, err)
		require.Empty(t, page.Records)
		s.Edit(t, id, map[string]any{"email": "ana.lima@example.com"})
		page, err = conn.List(ctx, connector.ListRequest{Object: "parties", Since: since})
		require.NoError(t, err)
		require.Len(t, page.Records, 1)
		require.Equal(t, "ana.lima@example.com", page.Records[0].Fields["email"])
		require.True(t, page.Records[0].UpdatedAt.After(party.UpdatedAt))
		require.NotEqual(t, party.Version, page.Records[0].Version)
	})
	t.Run("it makes a write of it stale, and no other", func(t *testing.T) {
		_, err := conn.Update(ctx, party, map[string]any{"email": "ours@example.com"}, connector.WriteOptions{IfMatch: party.Version})
		require.Equal(t, fault.Stale, fault.CodeOf(err))
		got, err := conn.Update(ctx, party, map[string]any{"phone": "11 9999-0000"}, connector.WriteOptions{IfMatch: party.Version})
		require.NoError(t, err)
		require.Equal(t, "ana.lima@example.com", got.Fields["email"])
		require.Equal(t, "11 9999-0000", got.Fields["phone"])
		require.Equal(t, fault.Stale, fault.CodeOf(conn.Delete(ctx, "parties", id, connector.WriteOptions{IfMatch: party.Version})))
	})
	t.Run("one deleted meanwhile makes a write of it stale", func(t *testing.T) {
		current, err := conn.Get(ctx, "parties", id)
		require.NoError(t, err)
		s.Model(t, "party.contact_mechanism", "delete", s.IDs(t, "party.contact_mechanism", []any{"type", "=", "phone"}))
		_, err = conn.Update(ctx, current, map[string]any{"phone": "11 1111-1111"}, connector.WriteOptions{IfMatch: current.Version})
		require.Equal(t, fault.Stale, fault.CodeOf(err))
		current, err = conn.Get(ctx, "parties", id)
		require.NoError(t, err)
		require.Nil(t, current.Fields["phone"])
		got, err := conn.Update(ctx, current, map[string]any{"phone": "11 1111-1111"}, connector.WriteOptions{IfMatch: current.Version})
		require.NoError(t, err)
		require.Equal(t, "11 1111-1111", got.Fields["phone"])
	})
	t.Run("a switched off one does not show", func(t *testing.T) {
		before, err := conn.Get(ctx, "parties", id)
		require.NoError(t, err)
		s.Model(t, "party.contact_mechanism", "write", s.IDs(t, "party.contact_mechanism", []any{"type", "=", "phone"}), map[string]any{"active": false})
		page, err := conn.List(ctx, connector.ListRequest{Object: "parties", Since: before.UpdatedAt.Add(time.Microsecond)})
		require.NoError(t, err)
		require.Len(t, page.Records, 1)
		require.Nil(t, page.Records[0].Fields["phone"])
	})
}

func TestRealFurtherMechanismsAreLeftAlone(t *testing.T) {
	s, conn := real(t)
	party := made(t, conn, map[string]any{"name": "Ana", "email": "first@example.com"})
	s.Model(t, "party.contact_mechanism", "create", []any{map[string]any{"party": trytontest.Number(t, party.Ref.ID), "type": "email", "value": "second@example.com"}})
	got, err := conn.Update(context.Background(), party, map[string]any{"email": "changed@example.com"}, connector.WriteOptions{IfMatch: party.Version})
	require.NoError(t, err)
	require.Equal(t, "changed@example.com", got.Fields["email"])
	require.Len(t, got.Fields["contact_mechanisms"], 2)
	got, err = conn.Update(context.Background(), got, map[string]any{"email": nil}, connector.WriteOptions{IfMatch: got.Version})
	require.NoError(t, err)
	require.Equal(t, "second@example.com", got.Fields["email"])
}

func TestRealReplacedPartyAnswersTheOther(t *testing.T) {
	s, conn := real(t)
	kept, old := made(t, conn, map[string]any{"name": "Kept"}), made(t, conn, map[string]any{"name": "Old"})
	s.Model(t, "party.party", "write", []any{trytontest.Number(t, old.Ref.ID)}, map[string]any{"active": false, "replaced_by": trytontest.Number(t, kept.Ref.ID)})
	got, err := conn.Get(context.Background(), "parties", old.Ref.ID)
	require.NoError(t, err)
	require.Equal(t, kept.Ref.ID, got.Ref.ID)
}

func TestRealValues(t *testing.T) {
	_, conn := real(t)
	ctx := context.Background()
	party := made(t, conn, map[string]any{"name": "Ana 100%_\\ Lima", "lang": "pt", "mobile": "+55 (11) 98888-7777", "active": false})
	require.Equal(t, "pt", party.Fields["lang"])
	require.Equal(t, false, party.Fields["active"])
	require.NotEmpty(t, party.Fields["code"])
	for path, wanted := range map[string]string{"mobile": "11988887777", "name": "ana 100%_\\ lima", "code": fmt.Sprint(party.Fields["code"])} {
		found, err := conn.Search(ctx, connector.SearchRequest{Object: "parties", Path: path, Value: wanted})
		require.NoError(t, err)
		require.Len(t, found, 1, path)
		require.Equal(t, party, found[0])
	}
	found, err := conn.Search(ctx, connector.SearchRequest{Object: "parties", Path: "name", Value: "ana 1001_\\ lima"})
	require.NoError(t, err)
	require.Empty(t, found)
	for path, value := range map[string]any{"lang": "xx-none", "code": nil, "active": "yes", "name": map[string]any{"a": 1}, "identifiers.zz_nothing": "1", "id": "7", "categories": []any{}} {
		_, err := conn.Update(ctx, party, map[string]any{path: value}, connector.WriteOptions{})
		require.Equal(t, fault.Invalid, fault.CodeOf(err), path)
		require.Equal(t, path, fault.As(err).Field)
	}
	still, err := conn.Get(ctx, "parties", party.Ref.ID)
	require.NoError(t, err)
	require.Equal(t, party, still)
}

func TestRealOpportunity(t *testing.T) {
	s, conn := real(t)
	ctx := context.Background()
	party := made(t, conn, map[string]any{"name": "Ana"})
	opportunity, err := conn.Create(ctx, "opportunities", map[string]any{
		"description": "Ten chairs", "party": party.Ref.ID, "company": s.Company(t), "amount": json.Number("1250.50"),
		"start_date": "2026-11-21", "reference": "dl_1", "conversion_probability": json.Number("0.25"),
	}, connector.WriteOptions{})
	require.NoError(t, err)
	require.Equal(t, json.Number("1250.50"), opportunity.Fields["amount"])
	require.Equal(t, "2026-11-21", opportunity.Fields["start_date"])
	require.Equal(t, party.Ref.ID, opportunity.Fields["party"])
	require.Equal(t, "lead", opportunity.Fields["state"])
	changed, err := conn.Update(ctx, opportunity, map[string]any{"amount": json.Number("99.9"), "end_date": "2026-12-31"}, connector.WriteOptions{IfMatch: opportunity.Version})
	require.NoError(t, err)
	require.Equal(t, json.Number("99.9"), changed.Fields["amount"])
	require.Equal(t, "2026-12-31", changed.Fields["end_date"])
	_, err = conn.Update(ctx, opportunity, map[string]any{"amount": nil}, connector.WriteOptions{IfMatch: opportunity.Version})
	require.Equal(t, fault.Stale, fault.CodeOf(err))
	found, err := conn.Search(ctx, connector.SearchRequest{Object: "opportunities", Path: "reference", Value: "dl_1"})
	require.NoError(t, err)
	require.Equal(t, []record.Record{changed}, found)
	page, err := conn.List(ctx, connector.ListRequest{Object: "opportunities", Since: changed.UpdatedAt})
	require.NoError(t, err)
	require.Equal(t, []record.Record{changed}, page.Records)
	_, err = conn.Update(ctx, changed, map[string]any{"start_date": nil}, connector.WriteOptions{})
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
	require.Equal(t, "start_date", fault.As(err).Field)
	require.Equal(t, fault.Invalid, fault.CodeOf(conn.Delete(ctx, "parties", party.Ref.ID, connector.WriteOptions{})), "it would be taken off the opportunity")
	require.NoError(t, conn.Delete(ctx, "opportunities", changed.Ref.ID, connector.WriteOptions{IfMatch: changed.Version}))
	require.NoError(t, conn.Delete(ctx, "parties", party.Ref.ID, connector.WriteOptions{}))
	// Tryton's rule of the companies stands before them: it does not tell deleted from hidden.
	_, err = conn.Get(ctx, "opportunities", changed.Ref.ID)
	require.Equal(t, fault.Forbidden, fault.CodeOf(err))
	require.Equal(t, fault.Forbidden, fault.CodeOf(conn.Delete(ctx, "opportunities", changed.Ref.ID, connector.WriteOptions{})))
}

// TestRealStates: an opportunity is moved by Tryton's own buttons, and by nothing else.
func TestRealStates(t *testing.T) {
	s, conn := real(t)
	ctx := context.Background()
	party := made(t, conn, map[string]any{"name": "Ana"})
	s.Employee(t, s.Company(t))
	current, err := conn.Create(ctx, "opportunities", map[string]any{"description": "Ten chairs", "party": party.Ref.ID, "state": "opportunity"}, connector.WriteOptions{})
	require.NoError(t, err)
	require.NotNil(t, current.Fields["company"], "the one that the user works in")
	require.Equal(t, "lead", current.Fields["state"], "moved by a call of its own")
	divided, ok := conn.(connector.Divided)
	require.True(t, ok)
	require.Equal(t, []int{0, 1}, []int{divided.CallOf("opportunities", map[string]any{"amount": 1}), divided.CallOf("opportunities", map[string]any{"state": "lost"})})
	for _, state := range []string{"opportunity", "lead", "lost", "lead", "cancelled", "lead", "opportunity", "converted"} {
		stale := current.Version
		current, err = conn.Update(ctx, current, map[string]any{"state": state}, connector.WriteOptions{IfMatch: current.Version})
		require.NoError(t, err, state)
		require.Equal(t, state, current.Fields["state"])
		_, err = conn.Update(ctx, current, map[string]any{"comment": "x"}, connector.WriteOptions{IfMatch: stale})
		require.Equal(t, fault.Stale, fault.CodeOf(err), "a button is guarded by the time stamps too")
	}
	for state, fields := range map[string]map[string]any{"lead": {"state": "lead"}, "won": {"state": "won"}, "unknown": {"state": "gone"}, "mixed": {"state": "lost", "comment": "x"}} {
		_, err := conn.Update(ctx, current, fields, connector.WriteOptions{IfMatch: current.Version})
		require.Equal(t, fault.Invalid, fault.CodeOf(err), state)
	}
	still, err := conn.Get(ctx, "opportunities", current.Ref.ID)
	require.NoError(t, err)
	require.Equal(t, current, still)
	stale := current
	s.Model(t, "sale.opportunity", "write", []any{trytontest.Number(t, current.Ref.ID)}, map[string]any{"comment": "by hand"})
	_, err = conn.Update(ctx, stale, map[string]any{"state": "lost"}, connector.WriteOptions{IfMatch: stale.Version})
	require.Equal(t, fault.Stale, fault.CodeOf(err))
}
