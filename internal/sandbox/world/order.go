package world

import (
	"slices"
	"sort"
)

// chunkMax bounds the elements moved by one insertion.
const chunkMax = 512

// order is a sorted list of records in chunks: insertion, removal and reading
// from any position stay cheap with 100,000 records, without ever sorting all.
type order struct {
	chunks [][]*Record
	n      int
	cmp    func(a, b *Record) int
}

// chunkOf gives the index of the first chunk whose last element is not below r.
func (o *order) chunkOf(r *Record) int {
	return sort.Search(len(o.chunks), func(i int) bool {
		c := o.chunks[i]
		return o.cmp(c[len(c)-1], r) >= 0
	})
}

func (o *order) insert(r *Record) {
	o.n++
	i := o.chunkOf(r)
	if i == len(o.chunks) {
		if i == 0 {
			o.chunks = append(o.chunks, []*Record{r})
			return
		}
		i--
	}
	c := o.chunks[i]
	pos, _ := slices.BinarySearchFunc(c, r, o.cmp)
	c = slices.Insert(c, pos, r)
	if len(c) <= chunkMax {
		o.chunks[i] = c
		return
	}
	half := len(c) / 2
	right := slices.Clone(c[half:])
	clear(c[half:])
	o.chunks[i] = c[:half]
	o.chunks = slices.Insert(o.chunks, i+1, right)
}

func (o *order) remove(r *Record) {
	i := o.chunkOf(r)
	if i == len(o.chunks) {
		return
	}
	c := o.chunks[i]
	pos, found := slices.BinarySearchFunc(c, r, o.cmp)
	if !found {
		return
	}
	o.n--
	c = slices.Delete(c, pos, pos+1)
	if len(c) == 0 {
		o.chunks = slices.Delete(o.chunks, i, i+1)
		return
	}
	o.chunks[i] = c
}

// rank counts the records below the probe.
func (o *order) rank(probe *Record) int {
	i := o.chunkOf(probe)
	n := 0
	for _, c := range o.chunks[:i] {
		n += len(c)
	}
	if i < len(o.chunks) {
		pos, _ := slices.BinarySearchFunc(o.chunks[i], probe, o.cmp)
		n += pos
	}
	return n
}

// walk calls f with the records at positions lo…hi-1 (backwards: hi-1…lo)
// until f returns false.
func (o *order) walk(lo, hi int, backwards bool, f func(*Record) bool) {
	if backwards {
		o.walkBack(lo, hi, f)
		return
	}
	at := 0
	for _, c := range o.chunks {
		from, to := max(lo-at, 0), min(hi-at, len(c))
		for k := from; k < to; k++ {
			if !f(c[k]) {
				return
			}
		}
		at += len(c)
		if at >= hi {
			return
		}
	}
}

func (o *order) walkBack(lo, hi int, f func(*Record) bool) {
	at := o.n
	for i := len(o.chunks) - 1; i >= 0; i-- {
		c := o.chunks[i]
		at -= len(c)
		from, to := max(lo-at, 0), min(hi-at, len(c))
		for k := to - 1; k >= from; k-- {
			if !f(c[k]) {
				return
			}
		}
		if at <= lo {
			return
		}
	}
}
