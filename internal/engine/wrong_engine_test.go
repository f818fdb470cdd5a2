package engine_test

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// wrongEngine is an engine with one mistake, made by standing between the real
// one and what it works on: the product has no switch for it.
type wrongEngine struct {
	store     func(p *player, real ledger.Store) ledger.Store
	connector func(p *player, side record.Side, real connector.Connector) connector.Connector
	// delivered sees each event before it is stored; false drops it.
	delivered func(p *player, one event) bool
	// front stands before both servers.
	front func(http.Handler) http.Handler
}

// bentStore is a ledger of which some calls are bent; those that are nil are not.
type bentStore struct {
	ledger.Store
	load          func(state ledger.State) ledger.State
	commit        func(ctx context.Context, commit ledger.Commit, next func(ledger.Commit) error) error
	page          func(ctx context.Context, page ledger.PageCommit, next func(ledger.PageCommit) (bool, error)) (bool, error)
	extend        func(ctx context.Context, lease ledger.Lease, keys []string, ttl time.Duration, next func(ledger.Lease) (ledger.Lease, error)) (ledger.Lease, error)
	claimed       func(rows []ledger.Work)
	guardless     bool
	linked        func(ids []string) []string
	counterparts  func(ids []string) map[string]string
	decidedValues func(conflict ledger.Conflict) ledger.Conflict
}

func (b *bentStore) bend(state ledger.State) ledger.State {
	if b.load != nil {
		state = b.load(state)
	}
	if b.decidedValues != nil {
		for i, conflict := range state.Conflicts {
			if conflict.State == ledger.ConflictDecided {
				state.Conflicts[i] = b.decidedValues(conflict)
			}
		}
	}
	return state
}

// Load bends the state.
func (b *bentStore) Load(ctx context.Context, key ledger.Key, stream string, ref record.Ref) (ledger.State, error) {
	state, err := b.Store.Load(ctx, key, stream, ref)
	return b.bend(state), err
}

// LoadMany bends each state.
func (b *bentStore) LoadMany(ctx context.Context, key ledger.Key, stream string, side record.Side, ids []string) (map[string]ledger.State, error) {
	states, err := b.Store.LoadMany(ctx, key, stream, side, ids)
	for id, state := range states {
		states[id] = b.bend(state)
	}
	return states, err
}

// Commit bends the commit.
func (b *bentStore) Commit(ctx context.Context, key ledger.Key, commit ledger.Commit) error {
	next := func(bent ledger.Commit) error { return b.Store.Commit(ctx, key, bent) }
	if b.commit == nil {
		return next(commit)
	}
	return b.commit(ctx, commit, next)
}

// CommitPage bends the page.
func (b *bentStore) CommitPage(ctx context.Context, key ledger.Key, page ledger.PageCommit) (bool, error) {
	next := func(bent ledger.PageCommit) (bool, error) { return b.Store.CommitPage(ctx, key, bent) }
	if b.page == nil {
		return next(page)
	}
	return b.page(ctx, page, next)
}

// Extend bends the lease.
func (b *bentStore) Extend(ctx context.Context, key ledger.Key, lease ledger.Lease, keys []string, ttl time.Duration) (ledger.Lease, error) {
	next := func(held ledger.Lease) (ledger.Lease, error) { return b.Store.Extend(ctx, key, held, keys, ttl) }
	if b.extend == nil {
		return next(lease)
	}
	return b.extend(ctx, lease, keys, ttl, next)
}

// Claim tells what was claimed.
func (b *bentStore) Claim(ctx context.Context, key ledger.Key, request ledger.ClaimRequest) ([]ledger.Work, error) {
	rows, err := b.Store.Claim(ctx, key, request)
	if b.claimed != nil {
		b.claimed(rows)
	}
	return rows, err
}

// TakeGuard bends the guard.
func (b *bentStore) TakeGuard(ctx context.Context, key ledger.Key, takes []ledger.GuardTake, most int, per time.Duration) ([]ledger.GuardTake, error) {
	if b.guardless {
		return nil, nil
	}
	return b.Store.TakeGuard(ctx, key, takes, most, per)
}

// SomeLinked bends the controls of a delete.
func (b *bentStore) SomeLinked(ctx context.Context, key ledger.Key, stream string, side record.Side, except string, n int) ([]string, error) {
	ids, err := b.Store.SomeLinked(ctx, key, stream, side, except, n)
	if b.linked != nil {
		ids = b.linked(ids)
	}
	return ids, err
}

// Counterparts bends the translation of references.
func (b *bentStore) Counterparts(ctx context.Context, key ledger.Key, stream string, side record.Side, ids []string) (map[string]string, error) {
	found, err := b.Store.Counterparts(ctx, key, stream, side, ids)
	if b.counterparts != nil {
		found = b.counterparts(ids)
	}
	return found, err
}

// bentConnector is a connector of which some calls are bent.
type bentConnector struct {
	connector.Connector
	capabilities func(connector.Capabilities) connector.Capabilities
	get          func(id string, found record.Record, err error) (record.Record, error)
	list         func(request connector.ListRequest, next func(connector.ListRequest) (connector.Page, error)) (connector.Page, error)
	search       func(request connector.SearchRequest, found []record.Record) []record.Record
	create       func(fields map[string]any, options *connector.WriteOptions) map[string]any
	update       func(current record.Record, fields map[string]any, options *connector.WriteOptions) map[string]any
	updated      func(answer record.Record, err error)
}

// Capabilities bends what the server can do.
func (b *bentConnector) Capabilities() connector.Capabilities {
	if b.capabilities != nil {
		return b.capabilities(b.Connector.Capabilities())
	}
	return b.Connector.Capabilities()
}

// Get bends what is read.
func (b *bentConnector) Get(ctx context.Context, object, id string) (record.Record, error) {
	found, err := b.Connector.Get(ctx, object, id)
	if b.get != nil && object != "users" {
		return b.get(id, found, err)
	}
	return found, err
}

// List bends what is listed.
func (b *bentConnector) List(ctx context.Context, request connector.ListRequest) (connector.Page, error) {
	next := func(bent connector.ListRequest) (connector.Page, error) { return b.Connector.List(ctx, bent) }
	if b.list == nil {
		return next(request)
	}
	return b.list(request, next)
}

// Search bends what is found.
func (b *bentConnector) Search(ctx context.Context, request connector.SearchRequest) ([]record.Record, error) {
	found, err := b.Connector.Search(ctx, request)
	if b.search != nil {
		found = b.search(request, found)
	}
	return found, err
}

// Create bends what is made.
func (b *bentConnector) Create(ctx context.Context, object string, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	if b.create != nil {
		fields = b.create(fields, &options)
	}
	return b.Connector.Create(ctx, object, fields, options)
}

// Update bends what is written.
func (b *bentConnector) Update(ctx context.Context, current record.Record, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	if b.update != nil {
		fields = b.update(current, fields, &options)
	}
	answer, err := b.Connector.Update(ctx, current, fields, options)
	if b.updated != nil {
		b.updated(answer, err)
	}
	return answer, err
}

// memo keeps something by record while a wrong engine is played.
type memo[T any] struct {
	mu   sync.Mutex
	kept map[record.Ref]T
}

func (m *memo[T]) put(ref record.Ref, value T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept = map[record.Ref]T{}
	}
	m.kept[ref] = value
}

func (m *memo[T]) get(ref record.Ref) (T, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.kept[ref]
	return value, ok
}

func (m *memo[T]) drop(refs ...record.Ref) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ref := range refs {
		delete(m.kept, ref)
	}
}
