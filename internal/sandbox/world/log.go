package world

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// Log keeps the requests and counts the writes. Safe for concurrent use.
type Log struct {
	max int

	mu     sync.Mutex
	seq    int64
	calls  []wire.Call
	writes map[writeKey]*wire.WriteCount
}

type writeKey struct{ actor, object, id, op string }

func newLog(most int) *Log {
	return &Log{max: most, writes: map[writeKey]*wire.WriteCount{}}
}

// Add stores a request. The oldest tenth goes when the log is full.
func (l *Log) Add(c wire.Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	c.Seq = l.seq
	if len(l.calls) >= l.max {
		l.calls = slices.Delete(l.calls, 0, max(1, l.max/10))
	}
	l.calls = append(l.calls, c)
}

// Wrote counts an accepted write; effect says whether it changed the record.
func (l *Log) Wrote(actor, object, id, op string, effect bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := writeKey{actor, object, id, op}
	c := l.writes[k]
	if c == nil {
		c = &wire.WriteCount{Actor: actor, Object: object, ID: id, Op: op}
		l.writes[k] = c
	}
	c.Calls++
	if effect {
		c.Effects++
	}
}

// Calls gives the requests with a higher sequence number than since that keep says yes to.
func (l *Log) Calls(since int64, keep func(*wire.Call) bool) []wire.Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	from, _ := slices.BinarySearchFunc(l.calls, since+1, func(c wire.Call, seq int64) int { return cmp.Compare(c.Seq, seq) })
	out := []wire.Call{}
	for i := from; i < len(l.calls); i++ {
		if keep(&l.calls[i]) {
			out = append(out, l.calls[i])
		}
	}
	return out
}

// Writes gives the counts that keep says yes to, ordered by actor, object, id and op.
func (l *Log) Writes(keep func(*wire.WriteCount) bool) []wire.WriteCount {
	l.mu.Lock()
	out := []wire.WriteCount{}
	for _, c := range l.writes {
		if keep(c) {
			out = append(out, *c)
		}
	}
	l.mu.Unlock()
	slices.SortFunc(out, func(a, b wire.WriteCount) int {
		return cmp.Or(cmp.Compare(a.Actor, b.Actor), cmp.Compare(a.Object, b.Object), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Op, b.Op))
	})
	return out
}

// Reset empties the log and the counts. Sequence numbers go on.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = nil
	l.writes = map[writeKey]*wire.WriteCount{}
}

// Decode reads exactly one JSON object, numbers as json.Number.
func Decode(raw []byte) (map[string]any, error) {
	var out map[string]any
	if err := DecodeInto(raw, &out); err != nil {
		return nil, err
	}
	if out == nil {
		return nil, errors.New("body is not a JSON object")
	}
	return out, nil
}

// DecodeInto reads exactly one JSON value into v, numbers as json.Number.
func DecodeInto(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("body is not the JSON expected: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("body has more than one JSON value")
	}
	return nil
}
