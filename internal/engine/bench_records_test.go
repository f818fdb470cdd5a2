package engine_test

import (
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func (b *bench) client(side record.Side) (*sandboxclient.Client, string) {
	if side == record.Left {
		return b.left, "leads"
	}
	return b.right, "contacts"
}

func (b *bench) create(side record.Side, fields map[string]any) string {
	b.t.Helper()
	client, object := b.client(side)
	made, err := client.CreateRecord(b.ctx, object, fields)
	require.NoError(b.t, err)
	return made.ID
}

func (b *bench) edit(side record.Side, id string, fields map[string]any) {
	b.t.Helper()
	client, object := b.client(side)
	_, err := client.EditRecord(b.ctx, object, id, fields)
	require.NoError(b.t, err)
}

func (b *bench) remove(side record.Side, id string) {
	b.t.Helper()
	client, object := b.client(side)
	_, err := client.DeleteRecord(b.ctx, object, id)
	require.NoError(b.t, err)
}

func (b *bench) get(side record.Side, id string) wire.Record {
	b.t.Helper()
	client, object := b.client(side)
	found, err := client.Record(b.ctx, object, id)
	require.NoError(b.t, err)
	return found
}

// live lists the records of a side that are not deleted.
func (b *bench) live(side record.Side) []wire.Record {
	b.t.Helper()
	client, object := b.client(side)
	all, err := client.Records(b.ctx, object)
	require.NoError(b.t, err)
	var alive []wire.Record
	for _, one := range all {
		if one.DeletedAt == nil && one.MergedInto == "" {
			alive = append(alive, one)
		}
	}
	return alive
}

// other returns the id of the counterpart.
func (b *bench) other(side record.Side, id string) string {
	b.t.Helper()
	links, _, err := b.store.Links(b.ctx, b.key, ledger.LinkFilter{Stream: "leads", Side: side, ID: id, State: ledger.LinkActive}, ledger.ListOptions{})
	require.NoError(b.t, err)
	require.Len(b.t, links, 1, "record %s/%s has one active link", side, id)
	return links[0].Ref(side.Other()).ID
}

// writes counts what the service wrote on a side.
func (b *bench) writes(side record.Side) int {
	b.t.Helper()
	client, _ := b.client(side)
	calls, _, err := client.WriteTotals(b.ctx, sandboxclient.Filter{Actor: "app:accord"})
	require.NoError(b.t, err)
	return calls
}

func (b *bench) openConflicts() []ledger.Conflict {
	b.t.Helper()
	list, _, err := b.store.ListConflicts(b.ctx, b.key, ledger.ConflictOpen, ledger.ListOptions{Limit: 200})
	require.NoError(b.t, err)
	return list
}

func (b *bench) letters() []ledger.DeadLetter {
	b.t.Helper()
	list, _, err := b.store.ListDeadLetters(b.ctx, b.key, ledger.DeadLetterFilter{}, ledger.ListOptions{Limit: 200})
	require.NoError(b.t, err)
	return list
}

func field(found wire.Record, path string) any {
	value, _ := record.Fields(found.Fields).Get(path)
	return value
}

func text(found wire.Record, path string) string {
	value, _ := field(found, path).(string)
	return strings.TrimSpace(value)
}
