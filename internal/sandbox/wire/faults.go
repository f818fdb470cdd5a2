package wire

// Kinds of Fault.
const (
	// FaultStatus answers Status with Headers and Body.
	FaultStatus = "status"
	// FaultTimeout hangs for HangMS and then drops the connection.
	FaultTimeout = "timeout"
	// FaultSlow waits for HangMS (default 1,000) and then does what was asked,
	// even if the caller has gone.
	FaultSlow = "slow"
	// FaultReset resets the connection.
	FaultReset = "reset"
	// FaultCut does what was asked, sends half of the answer and drops the connection.
	FaultCut = "cut"
	// FaultEmptyList answers 200 with an empty listing.
	FaultEmptyList = "empty_list"
	// FaultExpireToken and FaultRevokeToken end the token of the call first.
	FaultExpireToken = "expire_token"
	FaultRevokeToken = "revoke_token"
	// FaultEdit has a user act (Edit) when the call arrives, or when it is done
	// and not answered yet. The call itself goes on, and may meet another fault.
	FaultEdit = "edit"
)

// Values of Fault.When.
const (
	// Before answers without doing anything (the default).
	Before = "before"
	// After does what was asked, and then answers with the fault.
	After = "after"
)

// Fault is something that goes wrong for the next Times matching calls.
// All conditions given must hold; none given matches every API call.
type Fault struct {
	ID   string `json:"id,omitempty"`
	Kind string `json:"kind"`
	When string `json:"when,omitempty"`
	// Method, e.g. PATCH; Path is a prefix of the URL path; PathRegexp matches it.
	Method     string `json:"method,omitempty"`
	Path       string `json:"path,omitempty"`
	PathRegexp string `json:"path_regexp,omitempty"`
	// RecordID must be one of the path's segments, or named by a batch; Contains
	// must be in the request's body.
	RecordID string `json:"record_id,omitempty"`
	Contains string `json:"contains,omitempty"`
	// Skip lets that many matching calls pass first; Times: default 1, -1 for ever.
	Skip  int `json:"skip,omitempty"`
	Times int `json:"times,omitempty"`
	// Status: default 503. RetryAfter is put into that header as it is.
	Status     int               `json:"status,omitempty"`
	Headers    map[string]string `json:"headers,omitempty"`
	RetryAfter string            `json:"retry_after,omitempty"`
	// RetryAfterS says in the form of RetryAfterForm (RetrySeconds, RetryDate or
	// RetryAbsent; default: the switch) how many seconds from now a caller may come back.
	RetryAfterS    int    `json:"retry_after_s,omitempty"`
	RetryAfterForm string `json:"retry_after_form,omitempty"`
	// Body is sent as it is; without it the vendor's own error body is sent, with
	// Message, the Field that is wrong (422) and the ExistingID (409; after a
	// create with the switch existing_id on, the record just made).
	Body       string `json:"body,omitempty"`
	Message    string `json:"message,omitempty"`
	Field      string `json:"field,omitempty"`
	ExistingID string `json:"existing_id,omitempty"`
	// HangMS: default 60,000.
	HangMS int `json:"hang_ms,omitempty"`
	// Edit is what the user does (FaultEdit).
	Edit *Act `json:"edit,omitempty"`
	// Hits counts the calls that met this fault (in answers only).
	Hits int `json:"hits,omitempty"`
}

// Values of Act.Op.
const (
	ActUpdate = "update"
	ActCreate = "create"
	ActDelete = "delete"
	ActMerge  = "merge"
)

// Act is something that a user does while a call of an application is under way.
type Act struct {
	// Op is update (the default), create, delete or merge.
	Op     string `json:"op,omitempty"`
	Object string `json:"object"`
	// ID defaults to the record that the call names, or has just made.
	ID     string         `json:"id,omitempty"`
	Fields map[string]any `json:"fields,omitempty"`
	// Winner is the record that ID is merged into.
	Winner string `json:"winner,omitempty"`
	User   string `json:"user,omitempty"`
}

// Rejection refuses API writes that set Field of Object to Value, with 422.
// Value "*" refuses any value. It holds for Times writes, 0 for ever.
type Rejection struct {
	Object  string `json:"object"`
	Field   string `json:"field"`
	Value   any    `json:"value"`
	Message string `json:"message,omitempty"`
	Times   int    `json:"times,omitempty"`
}

// Values of Alteration.How.
const (
	AlterCut         = "cut"
	AlterRound       = "round"
	AlterUpper       = "upper"
	AlterLower       = "lower"
	AlterTrim        = "trim"
	AlterNullAsEmpty = "null_as_empty"
	AlterEmptyAsNull = "empty_as_null"
)

// Alteration is how a server stores something else than it was given, whoever
// wrote it. It holds for values written from now on; the switch Alter turns all off.
type Alteration struct {
	Object string `json:"object"`
	// Field may be a path into an object: "amount.value", "custom_fields.tier".
	Field string `json:"field"`
	How   string `json:"how"`
	// To is the number of characters that cut keeps, or of decimals that round keeps.
	To int `json:"to,omitempty"`
}

// Unique says which fields of an object refuse a second live record with the
// same value, while the switch Unique is on.
type Unique struct {
	Object string   `json:"object"`
	Fields []string `json:"fields"`
}

// Clock sets a server's clock; what is not given stays. The answer has all of At, OffsetMS and Frozen.
type Clock struct {
	// At is the time that the clock shows from now on, RFC 3339.
	At string `json:"at,omitempty"`
	// AdvanceMS moves it on (or back).
	AdvanceMS int `json:"advance_ms,omitempty"`
	// Frozen stops the clock, or lets it go on from where it stood.
	Frozen *bool `json:"frozen,omitempty"`
	// OffsetMS is how far it is off the true time.
	OffsetMS *int `json:"offset_ms,omitempty"`
}

// Values of Race.At.
const (
	// BeforeWrite runs the edit when the next API write of the record has arrived, before it is done.
	BeforeWrite = "before_write"
	// AfterRead runs the edit as soon as the next API read of the record is answered.
	AfterRead = "after_read"
)

// Race is a user's edit that slips in between a client's read and its write.
// An empty ID means whatever record is next. It runs Times times (default 1).
type Race struct {
	Object string         `json:"object"`
	ID     string         `json:"id,omitempty"`
	At     string         `json:"at,omitempty"`
	Fields map[string]any `json:"fields"`
	Delete bool           `json:"delete,omitempty"`
	User   string         `json:"user,omitempty"`
	Times  int            `json:"times,omitempty"`
}

// Values of BadRow.Kind.
const (
	// RowColumns leaves the last column out, RowNoID the id.
	RowColumns = "columns"
	RowNoID    = "no_id"
	// RowQuote opens a quote that is never closed, RowEncoding writes bytes that are
	// no characters, RowTwice writes the row twice.
	RowQuote    = "quote"
	RowEncoding = "encoding"
	RowTwice    = "twice"
)

// BadRow spoils the row of a record in files of CSV (Acme), until it is cleared.
type BadRow struct {
	Object string `json:"object"`
	ID     string `json:"id"`
	Kind   string `json:"kind"`
}

// Shape is what a vendor's update made of a field of an object: gone, of another type,
// with other allowed values, or required.
type Shape struct {
	Object string `json:"object"`
	Field  string `json:"field"`
	// Gone: it is not shown any more, and refused when it is written.
	Gone bool `json:"gone,omitempty"`
	// Type is the vendor's word; empty: as it was.
	Type string `json:"type,omitempty"`
	// Values are those of an enum; nil: as they were.
	Values []string `json:"values,omitempty"`
	// Required makes it one that new records must hold.
	Required bool `json:"required,omitempty"`
}
