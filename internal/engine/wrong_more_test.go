package engine_test

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// noLease lets a process that lost its lease go on as if it had it.
func noLease() *wrongEngine {
	return &wrongEngine{store: func(p *player, real ledger.Store) ledger.Store {
		again := func(ctx context.Context, lease ledger.Lease) ledger.Lease {
			fresh, err := real.Acquire(ctx, p.b.key, lease.Keys, 10*time.Second)
			if err != nil {
				return lease
			}
			return fresh
		}
		return &bentStore{
			Store: real,
			commit: func(ctx context.Context, commit ledger.Commit, next func(ledger.Commit) error) error {
				err := next(commit)
				if fault.Is(err, fault.Stale) {
					commit.Lease = again(ctx, commit.Lease)
					err = next(commit)
				}
				return err
			},
			extend: func(ctx context.Context, lease ledger.Lease, _ []string, _ time.Duration, next func(ledger.Lease) (ledger.Lease, error)) (ledger.Lease, error) {
				held, err := next(lease)
				if fault.Is(err, fault.Stale) {
					held, err = next(again(ctx, lease))
				}
				return held, err
			},
		}
	}}
}

func noHistory() *wrongEngine {
	return &wrongEngine{store: ofStore(func(*player) *bentStore {
		return &bentStore{commit: func(_ context.Context, commit ledger.Commit, next func(ledger.Commit) error) error {
			commit.History = nil
			return next(commit)
		}}
	})}
}

func bareCreate() *wrongEngine {
	return &wrongEngine{connector: ofConnector(func(p *player, side record.Side) *bentConnector {
		return &bentConnector{
			capabilities: func(had connector.Capabilities) connector.Capabilities {
				had.IdempotencyKey, had.Unique = false, nil
				return had
			},
			create: func(fields map[string]any, options *connector.WriteOptions) map[string]any {
				bare := maps.Clone(fields)
				delete(bare, p.stream.Spec.Marker.Of(side))
				options.IdempotencyKey = ""
				return bare
			},
		}
	})}
}

// staleRetry reads a record once and uses that for every try.
func staleRetry() *wrongEngine {
	read := &memo[record.Record]{}
	return &wrongEngine{
		connector: ofConnector(func(_ *player, side record.Side) *bentConnector {
			return &bentConnector{get: func(id string, found record.Record, err error) (record.Record, error) {
				ref := record.Ref{Side: side, Object: collection(side), ID: id}
				if had, ok := read.get(ref); ok {
					return had, nil
				}
				if err == nil {
					read.put(ref, found)
				}
				return found, err
			}}
		}),
		store: ofStore(func(*player) *bentStore {
			return &bentStore{commit: func(_ context.Context, commit ledger.Commit, next func(ledger.Commit) error) error {
				if commit.Done != nil {
					read.mu.Lock()
					clear(read.kept)
					read.mu.Unlock()
				}
				return next(commit)
			}}
		}),
	}
}

func noGuard() *wrongEngine {
	return &wrongEngine{store: ofStore(func(*player) *bentStore { return &bentStore{guardless: true} })}
}

func noTombstones() *wrongEngine {
	return &wrongEngine{store: ofStore(func(*player) *bentStore {
		return &bentStore{load: func(state ledger.State) ledger.State {
			state.Tombstone = nil
			if state.Link != nil && state.Link.State != ledger.LinkActive {
				state.Link = nil
			}
			return state
		}}
	})}
}

// unboundDecision carries a decision out whatever stands there by now.
func unboundDecision() *wrongEngine {
	return &wrongEngine{store: ofStore(func(p *player) *bentStore {
		return &bentStore{decidedValues: func(conflict ledger.Conflict) ledger.Conflict {
			if field := p.stream.Mapping.Field(conflict.Field); field != nil {
				conflict.Left, _, _ = field.Read(record.Left, p.stored(record.Left, conflict.LeftRef.ID).Fields)
				conflict.Right, _, _ = field.Read(record.Right, p.stored(record.Right, conflict.RightRef.ID).Fields)
			}
			return conflict
		}}
	})}
}

// noRetryAfter sees a 429 as a server that has a bad moment.
func noRetryAfter() *wrongEngine {
	return &wrongEngine{front: func(server http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/_admin/") {
				server.ServeHTTP(w, r)
				return
			}
			server.ServeHTTP(&impatient{ResponseWriter: w}, r)
		})
	}}
}

type impatient struct{ http.ResponseWriter }

// Unwrap lets the server hijack the connection.
func (i *impatient) Unwrap() http.ResponseWriter { return i.ResponseWriter }

// WriteHeader makes a 503 of a 429.
func (i *impatient) WriteHeader(status int) {
	if status == http.StatusTooManyRequests {
		status = http.StatusServiceUnavailable
		i.Header().Del("Retry-After")
	}
	i.ResponseWriter.WriteHeader(status)
}

func noVersions() *wrongEngine {
	return &wrongEngine{connector: ofConnector(func(*player, record.Side) *bentConnector {
		return &bentConnector{update: func(_ record.Record, fields map[string]any, options *connector.WriteOptions) map[string]any {
			options.IfMatch = ""
			return fields
		}}
	})}
}

func wholeRecords() *wrongEngine {
	return &wrongEngine{connector: ofConnector(func(p *player, side record.Side) *bentConnector {
		return &bentConnector{update: func(current record.Record, fields map[string]any, _ *connector.WriteOptions) map[string]any {
			whole := map[string]any{}
			for _, field := range p.stream.Mapping.Fields() {
				if value, ok := current.Fields.Get(places(field.Name(), side)); ok && field.Writable(side) {
					whole[places(field.Name(), side)] = value
				}
			}
			maps.Copy(whole, fields)
			return whole
		}}
	})}
}

// noOverlap polls from the very moment of the last poll.
func noOverlap() *wrongEngine {
	return &wrongEngine{connector: ofConnector(func(p *player, _ record.Side) *bentConnector {
		return &bentConnector{list: func(request connector.ListRequest, next func(connector.ListRequest) (connector.Page, error)) (connector.Page, error) {
			if !request.Since.IsZero() {
				request.Since = request.Since.Add(7 * time.Minute)
			}
			return next(request)
		}}
	})}
}

func rawReferences() *wrongEngine {
	return &wrongEngine{store: ofStore(func(*player) *bentStore {
		return &bentStore{counterparts: func(ids []string) map[string]string {
			found := map[string]string{}
			for _, id := range ids {
				found[id] = id
			}
			return found
		}}
	})}
}

// noIntents remembers no write whose outcome is unknown.
func noIntents() *wrongEngine {
	return &wrongEngine{store: ofStore(func(*player) *bentStore {
		return &bentStore{load: func(state ledger.State) ledger.State {
			state.Intents = nil
			return state
		}}
	})}
}
