package engine_test

import (
	"context"
	"maps"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func ofStore(bend func(p *player) *bentStore) func(*player, ledger.Store) ledger.Store {
	return func(p *player, real ledger.Store) ledger.Store {
		bent := bend(p)
		bent.Store = real
		return bent
	}
}

func ofConnector(bend func(p *player, side record.Side) *bentConnector) func(*player, record.Side, connector.Connector) connector.Connector {
	return func(p *player, side record.Side, real connector.Connector) connector.Connector {
		bent := bend(p, side)
		bent.Connector = real
		return bent
	}
}

func noBase() *wrongEngine {
	return &wrongEngine{store: ofStore(func(*player) *bentStore {
		return &bentStore{load: func(state ledger.State) ledger.State {
			if state.Link != nil {
				bare := *state.Link
				bare.Base.Left, bare.Base.Right = ledger.Values{}, ledger.Values{}
				state.Link = &bare
			}
			return state
		}}
	})}
}

// echoesByTime takes whatever a user does within half a minute of an own write
// for its echo.
func echoesByTime() *wrongEngine {
	echo := func(p *player, ref record.Ref) bool {
		var own, theirs time.Time
		p.trace.mu.Lock()
		defer p.trace.mu.Unlock()
		for _, one := range p.trace.happenings {
			if one.side != ref.Side || one.id != ref.ID {
				continue
			}
			if one.user {
				theirs = one.at
			} else {
				own = one.at
			}
		}
		return !own.IsZero() && !theirs.Before(own) && theirs.Sub(own) < 30*time.Second
	}
	return &wrongEngine{
		delivered: func(p *player, one event) bool { return !echo(p, one.ref) },
		store: ofStore(func(p *player) *bentStore {
			return &bentStore{page: func(_ context.Context, page ledger.PageCommit, next func(ledger.PageCommit) (bool, error)) (bool, error) {
				var news []ledger.Change
				for _, change := range page.Changes {
					if !echo(p, change.Ref) {
						news = append(news, change)
					}
				}
				page.Changes = news
				return next(page)
			}}
		}),
	}
}

func baseBeforeWrite() *wrongEngine {
	return &wrongEngine{store: func(p *player, real ledger.Store) ledger.Store {
		return &bentStore{Store: real, commit: func(ctx context.Context, commit ledger.Commit, next func(ledger.Commit) error) error {
			for _, intent := range commit.OpenIntents {
				link, err := real.Link(ctx, p.b.key, intent.LinkID)
				if intent.Op != ledger.OpUpdate || err != nil {
					continue
				}
				for _, put := range commit.PutLinks {
					if put.ID == link.ID {
						link = put
					}
				}
				link.Base.Left, link.Base.Right = maps.Clone(link.Base.Left), maps.Clone(link.Base.Right)
				for name, sent := range intent.Sent {
					link.Base.Of(intent.Target.Side)[name], link.Base.Of(intent.Source.Side)[name] = sent, intent.From[name]
				}
				commit.PutLinks = append(commit.PutLinks, link)
			}
			return next(commit)
		}}
	}}
}

// baseFromAnswer takes every field of a write's answer into the base.
func baseFromAnswer() *wrongEngine {
	answers := &memo[record.Record]{}
	return &wrongEngine{
		connector: ofConnector(func(*player, record.Side) *bentConnector {
			return &bentConnector{updated: func(answer record.Record, err error) {
				if err == nil {
					answers.put(answer.Ref, answer)
				}
			}}
		}),
		store: ofStore(func(p *player) *bentStore {
			return &bentStore{commit: func(_ context.Context, commit ledger.Commit, next func(ledger.Commit) error) error {
				for i, link := range commit.PutLinks {
					for _, side := range record.Sides() {
						answer, ok := answers.get(link.Ref(side))
						if !ok || len(commit.CloseIntents) == 0 {
							continue
						}
						for _, field := range p.stream.Mapping.Fields() {
							if value, _, err := field.Read(side, answer.Fields); err == nil {
								link.Base.Of(side)[field.Name()] = value
							}
						}
						answers.drop(link.Ref(side))
					}
					commit.PutLinks[i] = link
				}
				return next(commit)
			}}
		}),
	}
}

func noMarkerSearch() *wrongEngine {
	return &wrongEngine{connector: ofConnector(func(p *player, side record.Side) *bentConnector {
		return &bentConnector{search: func(request connector.SearchRequest, found []record.Record) []record.Record {
			if request.Path == p.stream.Spec.Marker.Of(side) {
				return nil
			}
			return found
		}}
	})}
}

// payloadBelieved takes what an event shows for what is there.
func payloadBelieved() *wrongEngine {
	shown := &memo[record.Fields]{}
	return &wrongEngine{
		delivered: func(_ *player, one event) bool {
			if one.shown != nil {
				shown.put(one.ref, one.shown)
			}
			return true
		},
		connector: ofConnector(func(_ *player, side record.Side) *bentConnector {
			return &bentConnector{get: func(id string, found record.Record, err error) (record.Record, error) {
				ref := record.Ref{Side: side, Object: collection(side), ID: id}
				if fields, ok := shown.get(ref); ok && err == nil {
					shown.drop(ref)
					found.Fields = fields
				}
				return found, err
			}}
		}),
	}
}

// blindDeletes believes every answer that turn calls a "not found".
func blindDeletes(turn func(error) bool) *wrongEngine {
	return &wrongEngine{
		store: ofStore(func(*player) *bentStore { return &bentStore{linked: func([]string) []string { return nil }} }),
		connector: ofConnector(func(*player, record.Side) *bentConnector {
			return &bentConnector{
				get: func(_ string, found record.Record, err error) (record.Record, error) {
					if turn(err) {
						err = fault.New(fault.Gone, "not found")
					}
					return found, err
				},
				list: func(request connector.ListRequest, next func(connector.ListRequest) (connector.Page, error)) (connector.Page, error) {
					if request.Since.IsZero() && request.Cursor == "" && request.Limit == 0 {
						page, err := next(request)
						if err == nil || !turn(err) && !fault.Is(err, fault.Transient) {
							return page, err
						}
						return connector.Page{}, nil
					}
					return next(request)
				},
			}
		}),
	}
}

func absenceDeletes() *wrongEngine {
	return blindDeletes(func(err error) bool { return fault.Is(err, fault.Gone, fault.Transient) })
}

func forbiddenDeletes() *wrongEngine {
	return blindDeletes(func(err error) bool { return fault.Is(err, fault.Forbidden) })
}
