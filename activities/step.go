package activities

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/accord-sync/accord/internal/fault"
)

// beatEvery is how often a long step reports that it lives: well inside the
// shortest time-out, on a busy machine too.
const beatEvery = 500 * time.Millisecond

// None is the Out of steps that answer nothing.
type None struct{}

// single is for steps that make one outside call at most: the wait which that
// side asks for becomes the pause before Temporal's next try.
func single[T any](ctx context.Context, log logrus.FieldLogger, work func() (T, error)) (T, error) {
	return step(ctx, log, true, work)
}

// many is for steps that make several calls and pace themselves.
func many[T any](ctx context.Context, log logrus.FieldLogger, work func() (T, error)) (T, error) {
	return step(ctx, log, false, work)
}

// step runs work and turns what it returns or panics with into an error that
// may be stored in a history.
func step[T any](ctx context.Context, log logrus.FieldLogger, obeyAfter bool, work func() (T, error)) (out T, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			// The cause may quote a record: its type alone is told.
			log.WithField("activity", activity.GetInfo(ctx).ActivityType.Name).Errorf("a step panicked with %T", cause)
			err = failure(fault.New(fault.Internal, "the step panicked with %T; please report this", cause), false)
		}
	}()
	out, err = work()
	if err == nil {
		return out, nil
	}
	if ctx.Err() != nil && fault.As(err) == nil {
		return out, ctx.Err()
	}
	return out, failure(err, obeyAfter)
}

// failure turns err into Temporal's form: the type is the code, the text is the
// part of a coded error that is free of personal data.
func failure(err error, obeyAfter bool) error {
	coded := fault.As(err)
	if coded == nil {
		coded = fault.New(fault.Internal, "an error without a code (%T); please report this", err)
	}
	options := temporal.ApplicationErrorOptions{NonRetryable: !fault.Retryable(coded.Code)}
	if obeyAfter {
		options.NextRetryDelay = coded.After
	}
	return temporal.NewApplicationErrorWithOptions(coded.Error(), string(coded.Code), options)
}

// beating reports again and again that the step lives, with the latest count
// given to note, until stop is called.
func beating(ctx context.Context) (note func(count int), stop func()) {
	var latest atomic.Int64
	done := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		ticker := time.NewTicker(beatEvery)
		defer ticker.Stop()
		activity.RecordHeartbeat(ctx, 0)
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-ticker.C:
				activity.RecordHeartbeat(ctx, int(latest.Load()))
			}
		}
	}()
	return func(count int) { latest.Store(int64(count)) }, func() { close(done); <-finished }
}

// rest waits and reports false when the step must end first.
func rest(ctx context.Context, stop <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-stop:
		return false
	case <-timer.C:
		return true
	}
}
