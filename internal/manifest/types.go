// Package manifest reads connector manifests: YAML files (or the same as a JSON
// object inside an integration) that describe a REST system so that no Go code
// is needed for it. internal/connector/rest does what they say.
package manifest

import "time"

// Manifest describes one system. Parse and Decode make it; every default is
// applied, and each object holds all of its operations.
type Manifest struct {
	// Name is the key `manifest`: letters, digits, "-", "_" and ".", at most 64.
	Name string `yaml:"manifest,need"`
	// Title is the product's name in sentences for people. Docs is the address of its API pages.
	Title string `yaml:"title,need"`
	Docs  string `yaml:"docs"`
	// Auth says how calls are authorised.
	Auth Auth `yaml:"auth,need"`
	// Headers are sent with every call.
	Headers map[string]string `yaml:"headers"`
	// Errors tell the system's own refusals from everything else.
	Errors Errors `yaml:"errors,need"`
	// Limits name the headers that tell about the plan.
	Limits Limits `yaml:"limits"`
	// Capabilities are what the system's servers can do.
	Capabilities Capabilities `yaml:"capabilities"`
	// Common holds what objects do not say themselves.
	Common `yaml:",inline"`
	// Objects are the collections, by name.
	Objects map[string]*Object `yaml:"objects,need"`
	// Webhook is how the system calls us; nil: it is only polled.
	Webhook *Webhook `yaml:"webhook"`
}

// The kinds of credentials.
const (
	AuthClientCredentials = "oauth2_client_credentials"
	AuthAuthorizationCode = "oauth2_authorization_code"
	AuthBearer            = "bearer"
	AuthBasic             = "basic"
	AuthAPIKey            = "api_key"
	AuthNone              = "none"
)

// Auth says how calls are authorised.
type Auth struct {
	// Kinds are those that an integration may choose from.
	Kinds []string `yaml:"kinds,need"`
	// TokenBody is how a token is asked for: form (default, RFC 6749) or json.
	TokenBody string `yaml:"token_body" default:"form"`
	// APIKey says where the key goes.
	APIKey *APIKey `yaml:"api_key"`
	// Actor is how records.updated_by names our own writes, {client_id} in it.
	// Empty: it does not tell them from others.
	Actor string `yaml:"actor"`
}

// APIKey says where a key goes.
type APIKey struct {
	// In is header (default) or query, Name its name there, Prefix what stands before the key.
	In     string `yaml:"in" default:"header"`
	Name   string `yaml:"name,need"`
	Prefix string `yaml:"prefix"`
}

// Errors tell the system's own refusals from those of proxies and gateways.
type Errors struct {
	// Known is the path of a text that only the system's own refusals have.
	Known string `yaml:"known,need"`
	// Code, Message and RequestID are paths; of several the first that is there counts.
	Code      []string `yaml:"code"`
	Message   string   `yaml:"message"`
	RequestID string   `yaml:"request_id"`
	// Fields is the path of what was refused: an object keyed by field, or a list
	// of objects with FieldName; or the one field's name itself.
	Fields    string `yaml:"fields"`
	FieldName string `yaml:"field_name"`
	// FieldPrefix goes before the refused field's name to make a path of a record of it.
	FieldPrefix string `yaml:"field_prefix"`
	// ExistingID is the path of the record that a duplicate points to;
	// ExistingMatch a regular expression whose first group is the id in that text.
	ExistingID    string `yaml:"existing_id"`
	ExistingMatch string `yaml:"existing_match"`
	// Cases say what an answer means where its status alone does not.
	Cases []Case `yaml:"cases"`
}

// Case is one row of Errors.Cases: all that is given must hold; the first that fits counts.
type Case struct {
	// Status is the answer's status (0: any), Code the vendor's code (empty: any).
	Status int    `yaml:"status"`
	Code   string `yaml:"code"`
	// Means is gone, duplicate, invalid, stale, throttled, auth, forbidden or transient.
	Means string `yaml:"means,need"`
}

// Limits name the headers that tell about the plan, beyond the usual ones
// (Retry-After, X-RateLimit-* and RateLimit-*, which are always read).
type Limits struct {
	// Limit and Remaining count calls; Reset is epoch seconds, epoch milliseconds or seconds to go.
	Limit     string `yaml:"limit"`
	Remaining string `yaml:"remaining"`
	Reset     string `yaml:"reset"`
	// Pace is what the system documents and no header tells the end of. A call counts for
	// the first whose ending its path has, else for those without.
	Pace []Pace `yaml:"pace"`
}

// Pace is so many calls in any stretch of time.
type Pace struct {
	Calls int           `yaml:"calls,need"`
	Per   time.Duration `yaml:"per,need"`
	// Ending is the end of the paths that it holds for; empty: all others.
	Ending string `yaml:"ending"`
}

// Capabilities are what the system's servers can do. An integration may say otherwise.
type Capabilities struct {
	// Unique are the fields that the server keeps unique among live records.
	Unique []string `yaml:"unique"`
	// Versions: writes honour If-Match.
	Versions bool `yaml:"versions"`
	// IdempotencyKey: creates honour the header Idempotency-Key.
	IdempotencyKey bool `yaml:"idempotency_key"`
	// CustomFields is merge (default) or replace: what an update does to the keys
	// of an object that it does not send. Merged names the objects that merge.
	CustomFields string   `yaml:"custom_fields" default:"merge"`
	Merged       []string `yaml:"merged"`
	// SearchLag and LateBy are how long a new record may be missing from searches
	// and listings, Granularity the step of the server's times.
	SearchLag   time.Duration `yaml:"search_lag" default:"1m"`
	LateBy      time.Duration `yaml:"late_by" default:"1m"`
	Granularity time.Duration `yaml:"granularity" default:"1s"`
}

// Common are the parts that may stand once for all objects, or in an object.
// In an object a part replaces the common one as a whole.
type Common struct {
	// Format is json (default), xml or csv: how answers and bodies are written,
	// where a call does not say another.
	Format string `yaml:"format"`
	// XML and CSV are the rules of those formats.
	XML *XML `yaml:"xml"`
	CSV *CSV `yaml:"csv"`
	// Types says which texts of XML and CSV stand for something else, by path in a
	// record: number or boolean.
	Types   map[string]string `yaml:"types"`
	Records *Records          `yaml:"records"`
	// List reads everything, and what changed where its request holds {since};
	// Changes reads what changed where that is another call.
	List    *Listing `yaml:"list"`
	Changes *Listing `yaml:"changes"`
	Get     *Reading `yaml:"get"`
	Search  *Listing `yaml:"search"`
	Create  *Writing `yaml:"create"`
	Update  *Writing `yaml:"update"`
	Delete  *Request `yaml:"delete"`
	// Deleted lists ids of deleted records.
	Deleted *Listing `yaml:"deleted"`
	// Describe lists the fields of the collection as the system describes them; nil: it does not.
	Describe *Describing `yaml:"describe"`
}

// Object is one collection.
type Object struct {
	// Name is its key.
	Name string `yaml:"-"`
	// Singular is the word in sentences and events. Default: Name without its last s.
	Singular string `yaml:"singular"`
	// Path is {path} in addresses. Default: Name.
	Path string `yaml:"path"`
	// Words are further names of the collection in webhooks.
	Words []string `yaml:"words"`
	// ReadOnly: nothing is created, changed or deleted.
	ReadOnly bool `yaml:"read_only"`
	// Scan: the common changes, search and describe do not hold here, everything is read each time.
	Scan bool `yaml:"scan"`
	// Fields is {fields} in requests: what the server is asked to show.
	Fields []string `yaml:"fields"`
	// Searchable are the paths that Search can look up.
	Searchable []string `yaml:"searchable"`
	// Events are further names for the registration of webhooks.
	Events []string `yaml:"events"`
	// Relations are records of other collections that a record belongs to, where the
	// system keeps that outside of the record. Their keys are fields of a record that hold
	// the other one's id.
	Relations map[string]*Relation `yaml:"relations"`
	Common    `yaml:",inline"`
}

// Relation is an association with one record of another collection. Of several the one
// with the lowest id counts.
type Relation struct {
	// Rows is the path of the list of associations in a record, ID that of the other record's id in one.
	Rows string `yaml:"rows,need"`
	ID   string `yaml:"id" default:"id"`
	// Batch reads those of the rows of changes and search, which do not show them; nil: they do.
	Batch *Batch `yaml:"batch"`
	// Create is what the body of a create holds besides, with {value}: the other record's id.
	Create any `yaml:"create,need"`
	// Set makes an association of {id} with {value}, Unset ends one.
	Set   Request `yaml:"set,need"`
	Unset Request `yaml:"unset,need"`
}

// Batch reads associations of many records with one call. In its body a list of one
// element that holds {id} has one such element for each record.
type Batch struct {
	Request `yaml:",inline"`
	// Rows is the path of the list in the answer; From, To and ID are paths in a row: the
	// record's id, the list of its associations, and the other record's id in one of these.
	Rows string `yaml:"rows,need"`
	From string `yaml:"from,need"`
	To   string `yaml:"to,need"`
	ID   string `yaml:"id,need"`
}

// Records says where a record's own facts are, as dotted paths into its object.
type Records struct {
	ID string `yaml:"id" default:"id"`
	// Version is the path of the version, VersionForm what If-Match makes of it.
	Version     string `yaml:"version"`
	VersionForm string `yaml:"version_form" default:"{version}"`
	// ETag: reads of one record answer the version as ETag.
	ETag      bool   `yaml:"etag"`
	CreatedAt string `yaml:"created_at"`
	UpdatedAt string `yaml:"updated_at"`
	UpdatedBy string `yaml:"updated_by"`
	// Times is auto (default: RFC 3339, or epoch seconds or milliseconds by their
	// size), rfc3339, epoch_s or epoch_ms.
	Times string `yaml:"times" default:"auto"`
}

// Request is one call. Its texts may hold placeholders in braces; a member of
// the query or the body whose placeholder has no value is left out.
type Request struct {
	Method string `yaml:"method"`
	// Path begins with a slash and is joined to base_url.
	Path    string            `yaml:"path,need"`
	Query   map[string]string `yaml:"query"`
	Headers map[string]string `yaml:"headers"`
	// Body is sent in the format of the call.
	Body any `yaml:"body"`
	// Format is that of this call's body and answer; empty: that of the object.
	Format string `yaml:"format"`
}

// Listing is a call that answers rows.
type Listing struct {
	Request `yaml:",inline"`
	// Rows is the path of the list in the answer; "." (default): the answer is the list.
	Rows string `yaml:"rows" default:"."`
	// Size is {size}, the rows of a page. Default 100.
	Size int `yaml:"size" default:"100"`
	// Since is the form of {since}: rfc3339 (default), rfc3339_ms, epoch_s, epoch_ms,
	// epoch_ms_text (the number as text, for bodies) or date.
	Since string `yaml:"since" default:"rfc3339"`
	// After: the server leaves out the moment itself; it is asked for a step earlier.
	After  bool   `yaml:"after"`
	Paging Paging `yaml:"paging"`
	// ID is the path of the id in a row of `deleted`. Default: that of records.
	ID string `yaml:"id"`
}

// The kinds of paging.
const (
	PagingNone   = "none"
	PagingCursor = "cursor"
	PagingPage   = "page"
	PagingOffset = "offset"
	PagingLink   = "link"
	PagingKeyset = "keyset"
)

// Paging says how a listing goes on.
type Paging struct {
	// Kind is none (default), cursor, page, offset, link or keyset.
	Kind string `yaml:"kind" default:"none"`
	// Next is the path of the next cursor (kind cursor), or of the next page's
	// address (kind link; empty: the header Link with rel="next", RFC 8288).
	Next string `yaml:"next"`
	// First is the number of the first page. Default 1.
	First int `yaml:"first" default:"1"`
	// Field is the path whose value in the last row is {next} (kind keyset).
	Field string `yaml:"field"`
	// Window is how many rows of one query the server shows at most (kinds cursor and offset); the
	// listing then goes on from the updated time of its last row, so the query must
	// hold {since} and be in that order. 0: all of them.
	Window int `yaml:"window"`
	// More is the path of a boolean that is false on the last page, Total that of
	// the number of rows in the whole listing.
	More  string `yaml:"more"`
	Total string `yaml:"total"`
}

// Reading is a call that answers one record.
type Reading struct {
	Request `yaml:",inline"`
	// Row is the path of the record in the answer; "." (default): the answer itself.
	Row string `yaml:"row" default:"."`
}

// Writing is a call that sends fields.
type Writing struct {
	Request `yaml:",inline"`
	// Wrap is the path in the body under which the fields go; "." (default): they are the body.
	Wrap string `yaml:"wrap" default:"."`
	// Row is the path of the record in the answer; "." (default): the answer itself.
	Row string `yaml:"row" default:"."`
	// Returns is record (default), or id or nothing: the record is then read after the write.
	Returns string `yaml:"returns" default:"record"`
	// Clear is what empties a value: null (default) or empty, the empty text.
	Clear string `yaml:"clear" default:"null"`
	// Omit are paths that a PUT of the whole record leaves out, beside the record's own facts.
	Omit []string `yaml:"omit"`
}

// Webhook is how the system calls us.
type Webhook struct {
	Signature Signature `yaml:"signature,need"`
	Events    Events    `yaml:"events,need"`
	// Registration registers webhooks; nil: a person does that in the system's settings.
	Registration *Registration `yaml:"registration"`
}

// The kinds of signature.
const (
	SignatureHMAC     = "hmac"
	SignatureStandard = "standard_webhooks"
	SignatureToken    = "token"
)

// Signature says how an event proves where it comes from.
type Signature struct {
	// Kind is hmac, standard_webhooks (standardwebhooks.com) or token (the secret itself in a header).
	Kind   string `yaml:"kind,need"`
	Header string `yaml:"header"`
	// Hash is sha256 (default), sha1 or sha512; Encoding hex (default) or base64; Prefix stands before it.
	Hash     string `yaml:"hash" default:"sha256"`
	Encoding string `yaml:"encoding" default:"hex"`
	Prefix   string `yaml:"prefix"`
	// Part and TimePart name the parts of a header of the form t=…,v1=….
	Part     string `yaml:"part"`
	TimePart string `yaml:"time_part"`
	// TimeHeader is a header of its own with the time, in epoch seconds or milliseconds.
	TimeHeader string `yaml:"time_header"`
	// Signed is what is signed: {body} (default), {time}.{body}, POST{address}{body}{time} …
	Signed string `yaml:"signed" default:"{body}"`
	// Tolerance is how far the time may be off. Default 5m.
	Tolerance time.Duration `yaml:"tolerance" default:"5m"`
	// Secret is text (default) or base64: how the secret's bytes are written.
	Secret string `yaml:"secret" default:"text"`
}

// Events say what an event looks like. All but List are paths into one event.
type Events struct {
	// List is the path of the list of events; "." (default): the body is a list or one event.
	List string `yaml:"list" default:"."`
	// ID is the event's id, Kind its name, Object the collection's (empty: the
	// part of Kind before its first dot), Record the record's id: of several paths the first that is there.
	ID     string   `yaml:"id"`
	Kind   string   `yaml:"kind,need"`
	Object string   `yaml:"object"`
	Record []string `yaml:"record" default:"id"`
	// Row is the path of the record that the event shows; its fields are only
	// compared, never written. Empty: it shows none.
	Row string `yaml:"row"`
	// Version is the version that the record has now, MergedInto the survivor of a merge.
	Version    string `yaml:"version"`
	MergedInto string `yaml:"merged_into"`
	// Merged is the list of the ids that were merged into Record: an event of each.
	Merged string `yaml:"merged"`
	// Actor is who did it. Only events of actors with the prefix Apps can be our own.
	Actor string `yaml:"actor"`
	Apps  string `yaml:"apps"`
	// Deletes are the endings of Kind that mean the record is gone. Default: deleted, merged.
	Deletes []string `yaml:"deletes" default:"deleted,merged"`
}

// Registration registers webhooks: list and create at Path, change and delete at Path/{id}.
type Registration struct {
	Path string `yaml:"path,need"`
	// Rows and Next are the paths of the list and the next cursor in the answer, Cursor its parameter.
	Rows   string `yaml:"rows" default:"."`
	Next   string `yaml:"next"`
	Cursor string `yaml:"cursor" default:"cursor"`
	// Update is the method of a change: PATCH (default) or PUT.
	Update string `yaml:"update" default:"PATCH"`
	// URL, Events, Secret and Active are keys of a registration. Empty Secret or
	// Active: there is no such key.
	URL    string `yaml:"url" default:"url"`
	Events string `yaml:"events" default:"events"`
	Secret string `yaml:"secret"`
	Active string `yaml:"active"`
	// Names are the events of each object, {object} and {singular} in them.
	Names []string `yaml:"names,need"`
}
