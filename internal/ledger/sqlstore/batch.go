package sqlstore

import (
	"context"
	"time"
)

const (
	// maxBatch is how many calls share one transaction.
	maxBatch = 64
	// lockPause is how long the writer waits between looks at a lock that another
	// process holds. SQLite's own waits grow to 100 ms, which a vendor's webhook
	// would have to wait for.
	lockPause = 500 * time.Microsecond
	// crowdedPause leaves the lock to another process between two transactions, as
	// SQLite has no queue for it; crowdedFor is for how many after one was met.
	crowdedPause = 2 * lockPause
	crowdedFor   = 100
)

// waiting is a writing call on its way to the writer.
type waiting struct {
	ctx  context.Context
	call func(*txn) error
	done chan outcome
}

// outcome is how a call ended. A panic is carried to the caller's goroutine.
type outcome struct {
	err      error
	panicked any
}

// write hands the call to the writer. Until the writer takes it, it can be given
// up; from then on it ends within one short transaction.
func (b *lite) write(ctx context.Context, call func(*txn) error) error {
	w := &waiting{ctx: ctx, call: call, done: make(chan outcome, 1)}
	select {
	case b.queue <- w:
	case <-b.stop:
		return errClosed()
	case <-ctx.Done():
		return ctx.Err()
	}
	result := <-w.done
	if result.panicked != nil {
		panic(result.panicked)
	}
	return result.err
}

// loop is the writer: it takes whatever waits and commits it together. While one
// transaction is on its way to the disk, the next batch gathers by itself.
func (b *lite) loop() {
	defer close(b.stopped)
	writer := &session{db: b.db}
	defer writer.drop()
	crowded := 0
	for {
		select {
		case first := <-b.queue:
			if b.commit(writer, b.gather(first)) {
				crowded = crowdedFor
			}
			if crowded > 0 {
				crowded--
				time.Sleep(crowdedPause)
			}
		case <-b.stop:
			return
		}
	}
}

func (b *lite) gather(first *waiting) []*waiting {
	batch := []*waiting{first}
	for len(batch) < maxBatch {
		select {
		case next := <-b.queue:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch, again when another process was in the way, and answers
// each call. It reports whether another process was met.
func (b *lite) commit(writer *session, batch []*waiting) (met bool) {
	var results []outcome
	var err error
	for try := 1; ; try++ {
		results, met, err = b.transact(writer, batch)
		if err == nil || !retryable(err) || try == writeTries {
			break
		}
		b.s.log.WithField("try", try).Debug("the ledger is locked by another process, trying again")
		time.Sleep(time.Duration(try) * 10 * time.Millisecond)
	}
	for i, w := range batch {
		if err != nil && results[i].err == nil && results[i].panicked == nil {
			results[i].err = err
		}
		w.done <- results[i]
	}
	return met
}

// begin waits for the lock that only one process can hold, and reports whether
// it had to.
func (b *lite) begin(ctx context.Context, writer *session) (met bool, err error) {
	if writer.conn == nil {
		if _, err := writer.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
			return false, err
		}
	}
	for range lockWait / lockPause {
		if _, err = writer.ExecContext(ctx, "BEGIN IMMEDIATE"); err == nil || !retryable(err) {
			return met, err
		}
		met = true
		time.Sleep(lockPause)
	}
	return met, err
}

// transact runs the batch in one transaction, each call in a savepoint of its
// own, so that one failing call takes only itself back. The error is that of the
// transaction as a whole: nothing was written then.
func (b *lite) transact(writer *session, batch []*waiting) (results []outcome, met bool, err error) {
	ctx := context.Background()
	results = make([]outcome, len(batch))
	if met, err = b.begin(ctx, writer); err != nil {
		writer.dropIfBroken(err)
		return results, met, err
	}
	for i, w := range batch {
		if err := w.ctx.Err(); err != nil {
			results[i].err = err
			continue
		}
		if err := b.savepoint(writer, w, &results[i]); err != nil {
			b.rollback(writer)
			return results, met, err
		}
	}
	if _, err := writer.ExecContext(ctx, "COMMIT"); err != nil {
		b.rollback(writer)
		return results, met, err
	}
	return results, met, nil
}

// savepoint runs one call; its own error goes to result, an error of the
// transaction is returned.
func (b *lite) savepoint(writer *session, w *waiting, result *outcome) error {
	ctx := context.WithoutCancel(w.ctx)
	if _, err := writer.ExecContext(ctx, "SAVEPOINT one_call"); err != nil {
		return err
	}
	result.panicked, result.err = guarded(w.call, b.txn(ctx, writer))
	if result.err != nil || result.panicked != nil {
		if _, err := writer.ExecContext(ctx, "ROLLBACK TO one_call"); err != nil {
			return err
		}
	}
	_, err := writer.ExecContext(ctx, "RELEASE one_call")
	return err
}

// guarded runs call and catches a panic.
func guarded(call func(*txn) error, t *txn) (panicked any, err error) {
	defer func() { panicked = recover() }()
	return nil, call(t)
}

// rollback ends a failed transaction. SQLite may have done so by itself, hence
// the connection is simply given up when it does not work.
func (b *lite) rollback(writer *session) {
	if _, err := writer.ExecContext(context.Background(), "ROLLBACK"); err != nil {
		writer.drop()
	}
}
