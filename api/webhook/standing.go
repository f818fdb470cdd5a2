package webhook

import (
	"context"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

const (
	// refusedInARow is how many deliveries must be refused one after the other
	// before it is told: anybody may send us one.
	refusedInARow = 3
	// tellEvery spares the ledger when deliveries of a kind follow each other.
	tellEvery = time.Minute
)

// Sides keeps what is known of the systems; ledger.Store is one.
type Sides interface {
	// UpdateSideState reads, changes and writes what is known of a side.
	UpdateSideState(ctx context.Context, key ledger.Key, side record.Side, change func(*ledger.SideState)) (ledger.SideState, error)
	// Clock is the clock by which it is kept.
	Clock() time.Time
}

// standings remember how the deliveries of each side of each connection end, so
// that a vendor whose deliveries are all refused is seen.
type standings struct {
	sides Sides

	mutex sync.Mutex
	known map[standingKey]standing
}

type standingKey struct {
	key  ledger.Key
	side record.Side
}

type standing struct {
	refused                int
	toldTaken, toldRefused time.Time
}

func newStandings(sides Sides) *standings {
	return &standings{sides: sides, known: map[standingKey]standing{}}
}

// note counts one delivery and tells the ledger of it if that is news. A ledger
// that does not answer hears of the next one.
func (s *standings) note(ctx context.Context, key ledger.Key, side record.Side, taken bool) error {
	if s.sides == nil || key.Connection == "" || !s.news(standingKey{key, side}, taken) {
		return nil
	}
	now := s.sides.Clock()
	_, err := s.sides.UpdateSideState(ctx, key, side, func(state *ledger.SideState) {
		if taken {
			state.WebhookTakenAt = now
		} else {
			state.WebhookRefusedAt = now
		}
	})
	return err
}

func (s *standings) news(at standingKey, taken bool) bool {
	now := s.sides.Clock()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.known) >= cacheSize {
		s.known = map[standingKey]standing{}
	}
	one := s.known[at]
	defer func() { s.known[at] = one }()
	told, other := &one.toldTaken, one.toldRefused
	if taken {
		one.refused = 0
	} else {
		one.refused++
		told, other = &one.toldRefused, one.toldTaken
		if one.refused < refusedInARow {
			return false
		}
	}
	if told.After(other) && now.Sub(*told).Abs() < tellEvery {
		return false
	}
	*told = now
	return true
}
