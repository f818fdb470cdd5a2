// Package lookup adds to the records of a connector what other records of the
// same system say: to an appointment, the contact whose id it holds.
package lookup

import (
	"context"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

const (
	// cacheLife is how long a record that was looked up is good for others that
	// name it too. What changed in it meanwhile is noticed by the next look.
	cacheLife = 30 * time.Second
	// maxCached bounds the cache in records.
	maxCached = 2000
	// atOnce bounds the calls for one page; the client's own limits hold as well.
	atOnce = 8
)

// Spec is one look-up.
type Spec struct {
	// Of is the collection whose records get a field of the name Name.
	Of, Name string
	// Object is the collection it is read from, by the id at the dotted path ID.
	Object, ID string
}

// Wrap answers a connector whose records carry what the specs look up: the other
// record's fields, or nil where there is no id or no such record any more. Each
// record costs a call to read, unless it was read within 30 s. An error of a
// look-up is an error of the read: half of a record is none.
func Wrap(inner connector.Connector, specs []Spec, now func() time.Time) connector.Connector {
	if len(specs) == 0 {
		return inner
	}
	w := &wrapped{Connector: inner, specs: specs, now: now, cache: map[record.Ref]cached{}}
	if divided, ok := inner.(connector.Divided); ok {
		return &wrappedDivided{wrapped: w, Divided: divided}
	}
	return w
}

type wrapped struct {
	connector.Connector
	specs []Spec
	now   func() time.Time

	mu    sync.Mutex
	cache map[record.Ref]cached
}

var _ connector.Connector = (*wrapped)(nil)

// wrappedDivided stands for a system that takes several calls for an update.
type wrappedDivided struct {
	*wrapped
	connector.Divided
}

var (
	_ connector.Actor     = (*wrapped)(nil)
	_ connector.Describer = (*wrapped)(nil)
	_ connector.Divided   = (*wrappedDivided)(nil)
)

// Describe hands on what the system says of its fields; nothing where it does not.
func (w *wrapped) Describe(ctx context.Context, object string) ([]connector.FieldShape, error) {
	if server, ok := w.Connector.(connector.Describer); ok {
		return server.Describe(ctx, object)
	}
	return nil, nil
}

// Actor is how the writes are named, where the system names them.
func (w *wrapped) Actor() string {
	if named, ok := w.Connector.(connector.Actor); ok {
		return named.Actor()
	}
	return ""
}

type cached struct {
	fields record.Fields
	until  time.Time
}

// List reads a page with what is looked up. A record whose look-up is refused for
// good is left out and named in Page.Unread: it does not hold up the others.
func (w *wrapped) List(ctx context.Context, request connector.ListRequest) (connector.Page, error) {
	page, err := w.Connector.List(ctx, request)
	if err != nil {
		return connector.Page{}, err
	}
	refused, err := w.fill(ctx, page.Records)
	if err != nil {
		return connector.Page{}, err
	}
	whole := page.Records[:0:0]
	for n, one := range page.Records {
		if refused[n] != nil {
			page.Unread = append(page.Unread, one.Ref)
		} else {
			whole = append(whole, one)
		}
	}
	page.Records = whole
	return page, nil
}

// Search finds records with what is looked up.
func (w *wrapped) Search(ctx context.Context, request connector.SearchRequest) ([]record.Record, error) {
	found, err := w.Connector.Search(ctx, request)
	if err == nil {
		err = w.fillAll(ctx, found)
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Get reads a record with what is looked up.
func (w *wrapped) Get(ctx context.Context, object, id string) (record.Record, error) {
	got, err := w.Connector.Get(ctx, object, id)
	return w.one(ctx, got, err, false)
}

// Create makes a record.
func (w *wrapped) Create(ctx context.Context, object string, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	made, err := w.Connector.Create(ctx, object, fields, options)
	return w.one(ctx, made, err, true)
}

// Update changes a record. What was looked up is no part of it: a system that takes
// records only whole would be sent it too.
func (w *wrapped) Update(ctx context.Context, current record.Record, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	got, err := w.Connector.Update(ctx, w.own(current), fields, options)
	return w.one(ctx, got, err, true)
}

// own is a record without what was looked up.
func (w *wrapped) own(of record.Record) record.Record {
	of.Fields = maps.Clone(of.Fields)
	for _, spec := range w.specs {
		if spec.Of == of.Ref.Object {
			delete(of.Fields, spec.Name)
		}
	}
	return of
}

// one fills one record. A write whose answer cannot be filled has happened all the same.
func (w *wrapped) one(ctx context.Context, got record.Record, err error, wrote bool) (record.Record, error) {
	if err != nil {
		return record.Record{}, err
	}
	records := []record.Record{got}
	if err := w.fillAll(ctx, records); err != nil {
		if coded := fault.As(err); coded != nil && wrote {
			unsure := *coded
			unsure.Code, unsure.MaybeApplied = fault.Transient, true
			return record.Record{}, &unsure
		}
		return record.Record{}, err
	}
	return records[0], nil
}

// fillAll is fill for records that are of no use alone.
func (w *wrapped) fillAll(ctx context.Context, records []record.Record) error {
	refused, err := w.fill(ctx, records)
	for n := range records {
		if err == nil {
			err = refused[n]
		}
	}
	return err
}

// forGood reports whether asking again will not help for now.
func forGood(err error) bool {
	code := fault.CodeOf(err)
	return code == fault.Forbidden || code == fault.Invalid
}

// fill looks up what the records name, each other record once. refused are, by
// their place, those that name one which the system refuses to show for good.
func (w *wrapped) fill(ctx context.Context, records []record.Record) (refused map[int]error, err error) {
	known, missing := w.known(records)
	hidden := map[record.Ref]error{}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, ref := range missing {
		group.Go(func() error {
			fields, err := w.look(ctx, ref)
			mu.Lock()
			defer mu.Unlock()
			known[ref] = fields
			if forGood(err) {
				hidden[ref] = err
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	refused = map[int]error{}
	for n := range records {
		copied := false
		for _, spec := range w.specs {
			if spec.Of != records[n].Ref.Object {
				continue
			}
			if !copied {
				records[n].Fields, copied = records[n].Fields.Clone(), true
			}
			records[n].Fields[spec.Name] = nil
			ref, ok := named(records[n], spec)
			switch {
			case ok && hidden[ref] != nil:
				refused[n] = hidden[ref]
			case ok && known[ref] != nil:
				records[n].Fields[spec.Name] = map[string]any(known[ref].Clone())
			}
		}
	}
	return refused, nil
}

// named is the record that a spec looks up for another; false: none.
func named(of record.Record, spec Spec) (record.Ref, bool) {
	if spec.Of != of.Ref.Object {
		return record.Ref{}, false
	}
	value, _ := of.Fields.Get(spec.ID)
	id, _ := record.Canon(record.Kind{Name: record.KindRef}, value).(string)
	return record.Ref{Side: of.Ref.Side, Object: spec.Object, ID: id}, id != ""
}

// known are the other records that were read lately, missing those that are to be read.
func (w *wrapped) known(records []record.Record) (known map[record.Ref]record.Fields, missing []record.Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	known = map[record.Ref]record.Fields{}
	asked, now := map[record.Ref]bool{}, w.now()
	for _, one := range records {
		for _, spec := range w.specs {
			ref, ok := named(one, spec)
			if !ok || asked[ref] {
				continue
			}
			asked[ref] = true
			if held, ok := w.cache[ref]; ok && now.Before(held.until) {
				known[ref] = held.fields
			} else {
				missing = append(missing, ref)
			}
		}
	}
	return known, missing
}

// look reads another record; nil fields: it is gone.
func (w *wrapped) look(ctx context.Context, ref record.Ref) (record.Fields, error) {
	found, err := w.Connector.Get(ctx, ref.Object, ref.ID)
	if err != nil && !fault.Is(err, fault.Gone) {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.cache) >= maxCached {
		w.cache = map[record.Ref]cached{}
	}
	w.cache[ref] = cached{fields: found.Fields, until: w.now().Add(cacheLife)}
	return found.Fields, nil
}
