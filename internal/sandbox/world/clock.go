package world

import (
	"fmt"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// Now is the server's clock, which may be off (switch ClockOffsetMS) or stand still.
func (w *World) Now() time.Time {
	if at := w.frozen.Load(); at != nil {
		return *at
	}
	return w.now().Add(ms(w.Switches().ClockOffsetMS))
}

// Stamp is the server's clock in the granularity of its time stamps.
func (w *World) Stamp() time.Time {
	tick := max(ms(w.Switches().GranularityMS), time.Millisecond)
	return w.Now().Truncate(tick)
}

// SetClock sets, moves, stops or starts the clock. Errors: At is no RFC 3339 time.
func (w *World) SetClock(c wire.Clock) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	frozen := w.frozen.Load() != nil
	if c.Frozen != nil {
		frozen = *c.Frozen
	}
	at := w.Now()
	if c.OffsetMS != nil {
		at = w.now().Add(ms(*c.OffsetMS))
	}
	if c.At != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, c.At); err != nil {
			return fmt.Errorf("at is %q, not a time like 2026-03-01T12:00:00Z", c.At)
		}
	}
	at = at.UTC().Add(ms(c.AdvanceMS))
	if frozen {
		w.frozen.Store(&at)
	} else {
		w.frozen.Store(nil)
	}
	sw := w.Switches()
	sw.ClockOffsetMS = int(at.Sub(w.now()).Round(time.Millisecond) / time.Millisecond)
	w.SetSwitches(sw)
	return nil
}

// Clock describes the clock.
func (w *World) Clock() wire.Clock {
	at, frozen := w.Now(), w.frozen.Load() != nil
	offset := int(at.Sub(w.now()).Round(time.Millisecond) / time.Millisecond)
	return wire.Clock{At: at.Format(time.RFC3339Nano), OffsetMS: &offset, Frozen: &frozen}
}
