package app

import (
	"context"
	"encoding/json"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// tokenPoll is how often a worker looks whether another one has minted.
const tokenPoll = 100 * time.Millisecond

// TokensStore is what Tokens need of the ledger.
type TokensStore interface {
	// LoadToken returns the stored token decrypted, empty if none.
	LoadToken(ctx context.Context, key ledger.Key, side record.Side) ([]byte, error)
	// SwapToken stores a token encrypted if the stored one is still old.
	SwapToken(ctx context.Context, key ledger.Key, side record.Side, old, new []byte) (bool, error)
	// Acquire takes a lease; Busy when a key is held.
	Acquire(ctx context.Context, key ledger.Key, keys []string, ttl time.Duration) (ledger.Lease, error)
	// Extend renews a lease; Stale when it was lost.
	Extend(ctx context.Context, key ledger.Key, lease ledger.Lease, moreKeys []string, ttl time.Duration) (ledger.Lease, error)
	// Release gives a lease back.
	Release(ctx context.Context, key ledger.Key, lease ledger.Lease) error
}

// Tokens shares the access token of one side among all workers: whoever has
// the lease mints, the others wait and take what it stored.
type Tokens struct {
	store TokensStore
	key   ledger.Key
	side  record.Side
	lease time.Duration
	now   func() time.Time
}

var _ connector.TokenStore = (*Tokens)(nil)

// NewTokens makes the Tokens of a side. lease is how long a worker that died
// while it minted keeps the others waiting.
func NewTokens(store TokensStore, key ledger.Key, side record.Side, lease time.Duration, now func() time.Time) *Tokens {
	return &Tokens{store: store, key: key, side: side, lease: lease, now: now}
}

// storedToken is how a token lies in the ledger, encrypted.
type storedToken struct {
	Access  string    `json:"access"`
	Refresh string    `json:"refresh,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
	Origin  string    `json:"origin,omitempty"`
}

// Load returns the stored token, zero if there is none.
func (t *Tokens) Load(ctx context.Context) (connector.Token, error) {
	token, _, err := t.load(ctx)
	return token, err
}

func (t *Tokens) load(ctx context.Context) (connector.Token, []byte, error) {
	raw, err := t.store.LoadToken(ctx, t.key, t.side)
	if err != nil || len(raw) == 0 {
		return connector.Token{}, raw, err
	}
	var stored storedToken
	if err := json.Unmarshal(raw, &stored); err != nil {
		// What cannot be read is replaced at the next mint.
		return connector.Token{}, raw, nil
	}
	return connector.Token(stored), raw, nil
}

// Refresh mints at most once among all workers for the token stale.
func (t *Tokens) Refresh(ctx context.Context, stale connector.Token, mint func(context.Context, connector.Token) (connector.Token, error)) (connector.Token, error) {
	for {
		stored, _, err := t.load(ctx)
		if err != nil {
			return connector.Token{}, err
		}
		if t.replaced(stored, stale) {
			return stored, nil
		}
		lease, err := t.store.Acquire(ctx, t.key, []string{"token/" + string(t.side)}, t.lease)
		if err == nil {
			return t.mintUnder(ctx, lease, stale, mint)
		}
		if !fault.Is(err, fault.Busy) {
			return connector.Token{}, err
		}
		select {
		case <-ctx.Done():
			return connector.Token{}, fault.Wrap(fault.Transient, ctx.Err(), "another worker is fetching the access token; try again")
		case <-time.After(tokenPoll):
		}
	}
}

// replaced reports whether somebody else has stored a usable token meanwhile.
func (t *Tokens) replaced(stored, stale connector.Token) bool {
	return stored.Access != "" && stored.Access != stale.Access && (stored.Expires.IsZero() || t.now().Before(stored.Expires))
}

func (t *Tokens) mintUnder(ctx context.Context, lease ledger.Lease, stale connector.Token, mint func(context.Context, connector.Token) (connector.Token, error)) (connector.Token, error) {
	minting, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t.keepAlive(minting, &lease)
	}()
	defer func() {
		cancel()
		<-ended
		// A lease that cannot be given back expires by itself.
		_ = t.store.Release(context.WithoutCancel(ctx), t.key, lease)
	}()
	// Another worker may have minted between the last look and the lease.
	stored, raw, err := t.load(ctx)
	if err != nil || t.replaced(stored, stale) {
		return stored, err
	}
	minted, err := mint(ctx, stored)
	if err != nil {
		return connector.Token{}, err
	}
	encoded, err := json.Marshal(storedToken(minted))
	if err != nil {
		return connector.Token{}, fault.Wrap(fault.Internal, err, "the access token cannot be stored")
	}
	// A token that was minted is used even if storing it fails: mints are metered.
	swapped, err := t.store.SwapToken(context.WithoutCancel(ctx), t.key, t.side, raw, encoded)
	if err != nil || swapped {
		return minted, nil
	}
	if other, _, err := t.load(ctx); err == nil && t.replaced(other, stale) {
		return other, nil
	}
	return minted, nil
}

// keepAlive renews the lease until ctx ends, so that a slow token endpoint does
// not let a second worker mint.
func (t *Tokens) keepAlive(ctx context.Context, lease *ledger.Lease) {
	ticker := time.NewTicker(max(t.lease/3, 10*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			renewed, err := t.store.Extend(ctx, t.key, *lease, nil, t.lease)
			if fault.Is(err, fault.Stale) {
				return
			}
			if err == nil {
				*lease = renewed
			}
		}
	}
}
