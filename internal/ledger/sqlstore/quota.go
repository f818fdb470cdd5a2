package sqlstore

import (
	"context"
	"math"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// quotaWindow is the length of the plan's window: plans are per minute.
const quotaWindow = time.Minute

// TakeQuota implements ledger.Sides. The plan is a sliding minute: what the
// minute before granted counts in the share of it that still overlaps, so that
// no minute, however it is laid, holds much more than the plan. The vendor's
// own Remaining counts until its reset; an unknown reset bounds nothing, since
// nobody could say when to ask again.
func (s *Store) TakeQuota(ctx context.Context, key ledger.Key, side record.Side, lane string, want int, spec ledger.QuotaSpec) (int, time.Time, error) {
	share, err := reserveShare(lane, spec.Reserve)
	if err != nil {
		return 0, time.Time{}, err
	}
	if want <= 0 {
		return 0, time.Time{}, fault.New(fault.Usage, "a quota is taken for at least one call")
	}
	granted, retryAt := 0, int64(0)
	err = s.write(ctx, func(t *txn) error {
		granted, retryAt = 0, 0
		row, err := t.getSide(key, side, true)
		if err != nil {
			return err
		}
		granted, retryAt = row.take(t.now, want, share, spec.PerMinute)
		if granted == 0 {
			return nil
		}
		return t.putSide(key, side, row)
	})
	if err != nil || granted > 0 {
		return granted, time.Time{}, err
	}
	return 0, timeOf(retryAt), nil
}

// reserveShare is the share of a plan that a lane leaves free.
func reserveShare(lane string, reserve float64) (float64, error) {
	if reserve < 0 || reserve > 1 || math.IsNaN(reserve) {
		return 0, fault.New(fault.Usage, "the reserve of a quota is a share from 0 to 1")
	}
	switch lane {
	case "live":
		return 0, nil
	case "poll":
		return reserve / 2, nil
	case "backfill":
		return reserve, nil
	}
	return 0, fault.New(fault.Usage, "%q is no lane of a quota; it is live, poll or backfill", lane)
}

// take grants up to want calls at now and counts them, or says when to ask again.
func (r *sideRow) take(now int64, want int, share float64, perMinute int) (granted int, retryAt int64) {
	if paused := micros(r.state.PausedUntil); paused > now {
		return 0, paused
	}
	granted = want
	if perMinute > 0 {
		r.slide(now)
		free, next := r.planFree(now, perMinute, share)
		granted = min(granted, free)
		retryAt = next
	}
	reset := micros(r.state.QuotaResetAt)
	if r.state.QuotaKnown && reset != 0 && reset <= now {
		// The vendor's next window begins. What is granted from now on is taken off,
		// as its first answer will not know of the calls that come after it.
		r.state.QuotaRemaining, r.state.QuotaResetAt, reset = r.state.QuotaLimit, time.Time{}, 0
	}
	vendorBinds := r.state.QuotaKnown && reset > now
	if vendorBinds {
		free := r.state.QuotaRemaining - reserved(r.state.QuotaLimit, share)
		if free < granted {
			granted, retryAt = max(free, 0), max(retryAt, reset)
		}
	}
	if granted <= 0 {
		return 0, max(retryAt, now+1)
	}
	r.used += int64(granted)
	if r.state.QuotaKnown {
		r.state.QuotaRemaining = max(0, r.state.QuotaRemaining-granted)
	}
	return granted, 0
}

// slide moves the window on to now.
func (r *sideRow) slide(now int64) {
	length := quotaWindow.Microseconds()
	switch age := now - r.windowAt; {
	case r.windowAt == 0 || age >= 2*length || age < 0:
		r.windowAt, r.used, r.before = now, 0, 0
	case age >= length:
		r.windowAt, r.used, r.before = r.windowAt+length, 0, r.used
	}
}

// reserved is how many calls of a plan a share of it is. One call is always left
// to take, or a small plan would starve a lane for good.
func reserved(plan int, share float64) int {
	return max(0, min(int(float64(plan)*share), plan-1))
}

// planFree is how many calls the plan has left for a lane at now, and when it
// has one if it has none.
func (r *sideRow) planFree(now int64, perMinute int, share float64) (int, int64) {
	length := float64(quotaWindow.Microseconds())
	limit := float64(perMinute - reserved(perMinute, share))
	past := float64(now-r.windowAt) / length
	free := limit - float64(r.used) - float64(r.before)*(1-past)
	if free >= 1 {
		return int(free), 0
	}
	// One call is free as soon as enough of the earlier grants lies behind.
	at, older, inWindow := r.windowAt, float64(r.before), float64(r.used)
	if inWindow > limit-1 {
		at, older, inWindow = at+quotaWindow.Microseconds(), inWindow, 0
	}
	wait := 0.0
	if older > 0 {
		wait = max(0, 1-(limit-1-inWindow)/older)
	}
	return 0, at + int64(math.Ceil(wait*length)) + 1
}
