package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// undeleter is a system that brings a deleted record back under its old id.
type undeleter struct {
	connector.Connector
	back *record.Record
}

func (u *undeleter) Get(ctx context.Context, object, id string) (record.Record, error) {
	if u.back != nil && u.back.Ref.ID == id {
		return *u.back, nil
	}
	return u.Connector.Get(ctx, object, id)
}

func (u *undeleter) List(ctx context.Context, request connector.ListRequest) (connector.Page, error) {
	page, err := u.Connector.List(ctx, request)
	if err == nil && u.back != nil && request.Object == u.back.Ref.Object && page.Next == "" {
		page.Records = append(page.Records, *u.back)
	}
	return page, err
}

func TestARecordThatIsThereAgainIsNamed(t *testing.T) {
	left := &undeleter{}
	b := start(t, onLeft(func(real connector.Connector) connector.Connector {
		left.Connector = real
		return left
	}))
	lead, contact := b.pair("ana@x.com")
	was, err := left.Connector.Get(b.ctx, "leads", lead)
	require.NoError(t, err)
	b.remove(record.Left, lead)
	b.look(record.Left, lead)
	b.clock.advance(10 * time.Second)
	b.quiet()
	require.Empty(t, b.live(record.Right), "the contact %s went too", contact)
	require.Empty(t, b.letters())

	// A late event of the time before, while the record is gone: nothing.
	b.enqueue(ledger.Change{Stream: "leads", Ref: was.Ref, Shown: &was})
	b.quiet()
	require.Empty(t, b.letters())

	left.back = &was
	b.run(ledger.RunCompare)
	b.quiet()
	letters := b.letters()
	require.Len(t, letters, 1)
	require.Equal(t, "undeleted", letters[0].Reason.Code)
	require.Equal(t, was.Ref, letters[0].Ref)
	require.Empty(t, b.live(record.Right), "nothing deleted comes back by itself")

	// Somebody with its key is not made a second lead of.
	twin := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ANA@x.com"})
	b.hint(record.Right, twin)
	b.settle()
	require.Empty(t, b.live(record.Left))
	require.Len(t, b.letters(), 2)
	b.remove(record.Right, twin)
	b.look(record.Right, twin)
	b.quiet()

	// A person's word makes the counterpart anew.
	_, err = b.store.ReplayDeadLetters(b.ctx, b.key, nil, "")
	require.NoError(t, err)
	b.quiet()
	require.Len(t, b.live(record.Right), 1)
	require.Empty(t, b.letters())
}
