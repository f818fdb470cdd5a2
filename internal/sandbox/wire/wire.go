// Package wire holds the JSON shapes of the sandboxes' admin API, shared by the
// servers and by sandboxclient. Durations are whole milliseconds (…_ms).
package wire

import "time"

// Record is a record as the server stores it, tombstones included.
type Record struct {
	Object     string         `json:"object"`
	ID         string         `json:"id"`
	Version    int64          `json:"version"`
	CreatedAt  time.Time      `json:"created_at"`
	UpdatedAt  time.Time      `json:"updated_at"`
	CreatedBy  string         `json:"created_by"`
	UpdatedBy  string         `json:"updated_by"`
	DeletedAt  *time.Time     `json:"deleted_at,omitempty"`
	MergedInto string         `json:"merged_into,omitempty"`
	Fields     map[string]any `json:"fields"`
}

// Edit is what a user does to a record. Fields are merged as the vendor's own
// screen would: only the keys given change, null clears, objects merge by key.
type Edit struct {
	ID     string         `json:"id,omitempty"`
	Fields map[string]any `json:"fields"`
	// User is the person's name; the record then says updated_by "user:<User>". Default "operator".
	User string `json:"user,omitempty"`
}

// Seed asks for many records at once, without webhooks.
type Seed struct {
	Object string `json:"object"`
	// Count records are generated, starting at number Start (default 1).
	Count int `json:"count,omitempty"`
	Start int `json:"start,omitempty"`
	// Template gives the field values; "{n}" in any text becomes the record's number.
	// Without it the vendor's own template is used.
	Template map[string]any `json:"template,omitempty"`
	// Records are added as given, after the generated ones.
	Records []map[string]any `json:"records,omitempty"`
}

// Seeded answers a Seed: the ids in order.
type Seeded struct {
	IDs []string `json:"ids"`
}

// Merge joins two records of one object: Loser's id then answers with Winner.
type Merge struct {
	Object string `json:"object"`
	Winner string `json:"winner"`
	Loser  string `json:"loser"`
	User   string `json:"user,omitempty"`
}

// Values of Switches.UpdatedAfter, Switches.CustomFields and Switches.Tags,
// Switches.RetryAfter, Switches.WebhookForm, Switches.FilterBound and Switches.MergedIDs.
const (
	FilterSupported = "supported"
	FilterIgnored   = "ignored"
	FilterRejected  = "rejected"

	PatchMerge   = "merge"
	PatchReplace = "replace"

	RetrySeconds = "seconds"
	RetryDate    = "date"
	RetryAbsent  = "absent"

	FormEnvelope = "envelope"
	FormGuide    = "guide"

	BoundInclusive = "inclusive"
	BoundExclusive = "exclusive"

	MergedSurvivor = "survivor"
	MergedNotFound = "not_found"
)

// Values of Switches.Encoding.
const (
	EncodingUTF8    = "utf-8"
	EncodingLatin   = "iso-8859-1"
	EncodingWindows = "windows-1252"
	EncodingUTF16   = "utf-16"
)

// Values of Switches.DealWrites.
const (
	DealEndpoints = "endpoints"
	DealBornOpen  = "born_open"
	DealPatch     = "patch"
)

// Switches are the behaviours that a test or a developer can turn while a
// server runs. What a vendor does not have is noted at the field.
type Switches struct {
	// Unique refuses a second live record with the same key with 409.
	Unique bool `json:"unique"`
	// ExistingID names the existing record in the 409.
	ExistingID bool `json:"existing_id"`
	// Versions gives ETag headers, version fields and If-Match.
	Versions bool `json:"versions"`
	// UpdatedAfter is what the change filter does: supported | ignored | rejected (400).
	UpdatedAfter string `json:"updated_after"`
	// FilterBound says whether a filter "after" or "since" a time keeps that very
	// time: inclusive (Acme) | exclusive (SalesOS).
	FilterBound string `json:"filter_bound"`
	// CustomFields and Tags: what PATCH does to them, merge | replace
	// (SalesOS custom_fields and tags; Acme properties and labels).
	CustomFields string `json:"custom_fields"`
	Tags         string `json:"tags"`
	// IdempotencyKeys honours Idempotency-Key on POST (Acme).
	IdempotencyKeys bool `json:"idempotency_keys"`
	// SearchLagMS and VisibleLateMS delay what search and listings show.
	SearchLagMS   int `json:"search_lag_ms"`
	VisibleLateMS int `json:"visible_late_ms"`
	// VisibleLateSpread makes each change late by a part of VisibleLateMS, from
	// nothing to all of it, so that changes turn up in another order than they were made.
	VisibleLateSpread bool `json:"visible_late_spread"`
	// GranularityMS is the tick of the server's time stamps.
	GranularityMS int `json:"granularity_ms"`
	// ClockOffsetMS is how far the server's clock is off; Clock sets it too.
	ClockOffsetMS int `json:"clock_offset_ms"`
	// LatencyMS is added to every API request.
	LatencyMS int `json:"latency_ms"`
	// RetryAfter is how a 429 says when to come back: seconds | date | absent.
	RetryAfter string `json:"retry_after"`
	// WebhookForm is the body of a webhook: envelope | guide (SalesOS).
	WebhookForm string `json:"webhook_form"`
	// Alter has the Alterations in force.
	Alter bool `json:"alter"`
	// MergedIDs is what the id of a record that was merged away answers: survivor | not_found.
	MergedIDs string `json:"merged_ids"`
	// DealWrites is where a deal's stage and status are taken from (SalesOS): move,
	// close and POST, while a PATCH that changes them is refused (endpoints); the same, but
	// every new deal is open in the first stage (born_open); from any PATCH too (patch).
	DealWrites string `json:"deal_writes"`
	// NoopBumps makes a PATCH that changes nothing count as a change.
	NoopBumps bool `json:"noop_bumps"`
	// TokenTTLMS is the life of an access token.
	TokenTTLMS int `json:"token_ttl_ms"`
	// Encoding is that of answers in XML and of files in CSV (Acme): utf-8 |
	// iso-8859-1 | windows-1252 | utf-16.
	Encoding string `json:"encoding"`
	// CSVDelimiter stands between the columns of files (Acme): , | ; (then with
	// decimal commas). CSVRanges: files are read in parts (Range, If-Range).
	CSVDelimiter string `json:"csv_delimiter"`
	CSVRanges    bool   `json:"csv_ranges"`
	// KeepVersions remembers every state of every record from now on; it takes memory.
	KeepVersions bool `json:"keep_versions"`
}

// Limits is the rate limit per client: Requests per window; 0 turns it off
// (then no rate-limit headers are sent). Consume uses up calls of the running
// window of every known client, as other users of the plan would.
type Limits struct {
	Requests int `json:"requests"`
	WindowMS int `json:"window_ms"`
	Consume  int `json:"consume,omitempty"`
	// SearchPerSecond is how many searches a second a client may make, beside its Requests (HubSpot); 0: any number.
	SearchPerSecond int `json:"search_per_second,omitempty"`
}
