package rest

import (
	"encoding/base64"
	"encoding/json"
	"hash/fnv"
	"slices"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/record"
)

// place is our cursor around the vendor's way of paging.
type place struct {
	// Since is what was asked for, unix milliseconds; 0: everything.
	Since int64 `json:"s,omitempty"`
	// Size is the rows asked for.
	Size int `json:"l"`
	// Next is the vendor's cursor, the last row's key, or the next page's address.
	Next string `json:"c,omitempty"`
	// Rows counts the rows of the present query, where the server shows only so many.
	Rows int `json:"w,omitempty"`
	// Page is the number of the page, or the offset.
	Page int `json:"p,omitempty"`
	// Tail are the marks of the rows that were read last: the next page is only
	// believed where it joins them.
	Tail []uint32 `json:"t,omitempty"`
	// Back counts steps back, Anew how often the listing began again, Same how
	// often in a row a page ended like the one before.
	Back int `json:"b,omitempty"`
	Anew int `json:"r,omitempty"`
	Same int `json:"e,omitempty"`
	// Pages counts the pages, Known is Next behind the last page whose number was
	// a power of two: a listing that goes in circles meets it again, however long
	// the circle is.
	Pages int    `json:"n,omitempty"`
	Known string `json:"k,omitempty"`
}

const (
	// maxAnew bounds how often one listing begins again, maxBack how often it steps back.
	maxAnew = 3
	maxBack = 50
	// maxSame is how many pages in a row may end with the same row before the
	// server is taken for one that ignores where it was asked to go on.
	maxSame = 3
	// maxTail is how many marks a cursor carries.
	maxTail = 200
	// maxNext is the longest cursor of a vendor that is kept, in bytes.
	maxNext = 8 << 10
)

func (p place) encode() string {
	text, err := json.Marshal(p)
	if err != nil {
		return "" // a struct of numbers and texts always encodes
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func (c *client) decodePlace(cursor string, listing *manifest.Listing) (place, error) {
	var at place
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &at)
	}
	if err != nil || at.Size < 1 || at.Size > listing.Size || at.Page < 0 || at.Rows < 0 || at.Pages < 0 || at.Since < 0 || len(at.Tail) > maxTail ||
		(listing.Paging.Kind == manifest.PagingLink && at.Next != "" && !c.ours(at.Next)) {
		return place{}, fault.New(fault.Usage, "the listing's cursor is not one of %s; start the listing anew", c.title)
	}
	return at, nil
}

// again is the beginning of the same listing.
func (p place) again(listing *manifest.Listing) place {
	return place{Since: p.Since, Size: p.Size, Page: first(listing), Anew: p.Anew + 1}
}

// first is where a listing begins.
func first(listing *manifest.Listing) int {
	if listing.Paging.Kind == manifest.PagingPage {
		return listing.Paging.First
	}
	return 0
}

// mark tells a row at its present state from others.
func mark(row record.Record) uint32 { return sumOf(row.Ref.ID + " " + row.UpdatedAt.String()) }

func sumOf(text string) uint32 {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(text)) // a hash takes everything
	return sum.Sum32()
}

// tail is the last of the marks, as many as a cursor carries.
func tail(marks []uint32) []uint32 { return marks[max(0, len(marks)-maxTail):] }

// joins reports whether one of the rows was read before, unchanged.
func (p place) joins(marks []uint32) bool {
	return slices.ContainsFunc(marks, func(one uint32) bool { return slices.Contains(p.Tail, one) })
}

// ends reports whether the rows end where the ones before ended.
func (p place) ends(marks []uint32) bool {
	return len(marks) > 0 && len(p.Tail) > 0 && marks[len(marks)-1] == p.Tail[len(p.Tail)-1]
}
