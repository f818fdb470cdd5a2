package ledger

import "github.com/accord-sync/accord/internal/record"

// Progress counts records: those that are done and, once everything is listed,
// those there are.
type Progress struct {
	Done  int  `json:"done"`
	Total *int `json:"total,omitempty"`
	// Listing is the listing at work while the total is not known.
	Listing *ListingStatus `json:"listing,omitempty"`
	// PerMinute is the pace of late, of rows while it lists and of records after;
	// SecondsLeft what that leaves of the run, or, while it lists, of that listing.
	// Both are absent while they cannot be told.
	PerMinute   *float64 `json:"per_minute,omitempty"`
	SecondsLeft *int     `json:"seconds_left,omitempty"`
}

// ListingStatus is how far one listing has come, for people; Total only if the server says it.
type ListingStatus struct {
	Stream string      `json:"stream"`
	Side   record.Side `json:"side"`
	Done   int         `json:"done"`
	Total  *int        `json:"total,omitempty"`
}

// ProgressOf tells how far a run is.
func ProgressOf(run Run) Progress {
	p := Progress{Done: run.Done}
	if run.Total >= 0 {
		p.Total = &run.Total
	} else if at := run.Listing; at != nil && run.State == RunRunning {
		p.Listing = &ListingStatus{Stream: at.Stream, Side: at.Side, Done: at.Done}
		if at.Total >= 0 {
			p.Listing.Total = &at.Total
		}
	}
	if run.State == RunRunning && run.PerMinute > 0 {
		p.PerMinute = &run.PerMinute
	}
	if left := run.Left(); left > 0 {
		seconds := int(left.Seconds())
		p.SecondsLeft = &seconds
	}
	return p
}
