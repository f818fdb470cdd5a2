// Package connector is the seam to the outside systems: the interface that
// every system implements, the registry that names them, and the two things a
// connector needs from its host (tokens and quota). Implementations live in
// sub-packages and pass the same suite, connectortest.
package connector

import (
	"context"
	"net/http"
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// Connector speaks to one side of one connection. It is safe for concurrent use.
//
// Every method returns *fault.Error values: Transient (with MaybeApplied for a
// write whose outcome is unknown), Throttled (with After), Auth, Forbidden,
// Invalid (with Field where the vendor names it), Duplicate (with ExistingID
// where the vendor names it), Stale (412), Gone. Gone is returned only for the
// vendor's own well-formed "no such record" answer, never for a bare 404 of a
// proxy, an HTML page or an empty body.
//
// A 401 is retried once inside with a fresh token. Nothing else is retried
// inside: the engine decides. No method blocks past its context.
type Connector interface {
	// Capabilities tells what this server can do, after the integration's
	// overrides and the stored results of Probe. It makes no call.
	Capabilities() Capabilities
	// Probe asks the server what no page says (change filter, custom fields
	// merged or replaced) without leaving anything changed behind.
	Probe(ctx context.Context) (Capabilities, error)
	// Check tries token, scopes and one page of each object, for people.
	Check(ctx context.Context, objects []string) (Report, error)
	// List reads one page of an object. Pages of one listing are chained by
	// Page.Next; records may repeat between pages, none may be missed because
	// of equal timestamps, drift or deletes during the listing.
	List(ctx context.Context, request ListRequest) (Page, error)
	// Deleted lists ids deleted since, where the vendor has such a list
	// (Capabilities.DeletedList); ids are hints only.
	Deleted(ctx context.Context, object string, since time.Time, cursor string) (ids []string, next string, err error)
	// Get reads one record. The returned Ref.ID differs from id after a merge.
	Get(ctx context.Context, object, id string) (record.Record, error)
	// Search finds records whose value at path equals value by the server's
	// rules; the caller compares again in normal form. Eventually consistent.
	// since bounds servers that must be scanned instead (zero: everything).
	Search(ctx context.Context, request SearchRequest) ([]record.Record, error)
	// Create makes a record from fields keyed by dotted path.
	Create(ctx context.Context, object string, fields map[string]any, options WriteOptions) (record.Record, error)
	// Update changes only the dotted paths given; null clears. current is the
	// record as read immediately before: a server that replaces an object or
	// list as a whole is sent the merged whole.
	Update(ctx context.Context, current record.Record, fields map[string]any, options WriteOptions) (record.Record, error)
	// Delete removes a record. A record already gone is no error.
	Delete(ctx context.Context, object, id string, options WriteOptions) error
	// EnsureWebhook registers, corrects or switches on the webhook for url and
	// answers its state. It is idempotent and keeps webhooks of others.
	EnsureWebhook(ctx context.Context, spec WebhookSpec) (WebhookState, error)
	// WebhookStatus reads the state of a registered webhook; Gone if it is not there.
	WebhookStatus(ctx context.Context, id string) (WebhookState, error)
	// RemoveWebhook deletes it. Already gone is no error.
	RemoveWebhook(ctx context.Context, id string) error
}

// Actor is what a connector adds whose server names the writer of a record
// (record.Record.UpdatedBy).
type Actor interface {
	// Actor is how this connection's own writes are named; empty: not known.
	Actor() string
}

// Addressed is what a driver adds whose vendor signs the address that it calls
// (HubSpot). ParseWebhook of such a driver refuses what is signed that way.
type Addressed interface {
	// ParseWebhookAt is ParseWebhook of a delivery to address, which is the public
	// one that the vendor was given; empty: there is none.
	ParseWebhookAt(address string, header http.Header, body []byte, secrets []string, now time.Time) ([]Event, error)
}

// MessageReader is what a driver adds whose vendor's events may also come through
// a message broker, which vouches for them: they are not signed there.
type MessageReader interface {
	// ReadMessage reads the body of a message, in the form of the vendor's webhooks.
	// What is not understood is fault.Invalid.
	ReadMessage(header http.Header, body []byte) ([]Event, error)
}

// Divided is a Connector of a system that does not take all fields of a record in
// one call: SalesOS moves a deal with another call than it renames it. An update
// must be one call, so that it happens whole or not at all; the engine makes as
// many updates of a record as it takes calls, each with an intent of its own.
type Divided interface {
	// CallOf numbers the call that one field's share of an update travels in.
	// Fields of one number travel together, lower numbers go first.
	CallOf(object string, share map[string]any) int
}

// Describer is what a connector adds whose server describes its collections.
type Describer interface {
	// Describe lists the fields of a collection as the server describes them now;
	// none where it does not.
	Describe(ctx context.Context, object string) ([]FieldShape, error)
}

// FieldShape is what a server says of one of its fields.
type FieldShape struct {
	// Name is the field's path, without what lies inside it; Type the vendor's word.
	Name, Type string
	// Required fields must be sent with a create, ReadOnly ones are never sent.
	Required, ReadOnly bool
	// Values are the only ones that it takes; empty: any.
	Values []string
}

// Driver makes connectors of one kind and reads their webhooks, which needs no
// token and no network.
type Driver interface {
	// Name is the `connector:` word of the integration file.
	Name() string
	// Title is the product's name in sentences for people ("SalesOS").
	Title() string
	// Open makes a connector. It makes no call; bad settings are fault.Usage.
	Open(config Config) (Connector, error)
	// ParseWebhook verifies the signature over the raw body with any of the
	// secrets, in constant time, and returns the events. A bad, missing or
	// malformed signature is fault.Unauthorized; a body that is signed but not
	// understood is fault.Invalid.
	ParseWebhook(header http.Header, body []byte, secrets []string, now time.Time) ([]Event, error)
	// Objects lists the collections this driver can speak.
	Objects() []Object
}

// Object describes one collection of a system.
type Object struct {
	// Name is the collection ("leads"), Singular the word in sentences ("lead").
	Name, Singular string
	// Creatable is false for read-only collections and for those that are
	// dangerous to create (SalesOS users get an invitation).
	Creatable bool
	// Searchable lists the paths Search can look up at the server.
	Searchable []string
	// UpdatedAt is false for objects without an updated time: they are scanned whole.
	UpdatedAt bool
	// Allows lists what can be done to these records only where a stream asks for it
	// by name (`allow`), because it reaches people: a SalesOS user gets an invitation
	// by mail, or is locked out.
	Allows []string
}

// Event is a change hint out of a webhook. Nothing in it but the ref is believed;
// what it shows may only tell that there is nothing new.
type Event struct {
	// ID is the vendor's event id, or the body's hash.
	ID string
	// Object and RecordID name the record.
	Object, RecordID string
	// Kind is the vendor's event name, for people and metrics.
	Kind string
	// MergedInto is the surviving record of a merge, else empty.
	MergedInto string
	// Shown is the record as the event shows it, if it does: its Fields, its
	// Version, or both, in the form of Get. nil for events of deletes and merges.
	// It is compared with what is known, and never written anywhere.
	Shown *record.Record
	// Deleted: the event says that the record was deleted.
	Deleted bool
}

// Capabilities is what a server can do. The zero value is the most careful one.
type Capabilities struct {
	// UpdatedFilter: listings accept a changed-since filter.
	UpdatedFilter bool `json:"updated_filter"`
	// Versions: Get answers a version and Update honours If-Match.
	Versions bool `json:"versions"`
	// Unique lists paths the server keeps unique (a second create answers 409).
	Unique []string `json:"unique,omitempty"`
	// IdempotencyKey: the server honours Idempotency-Key on create.
	IdempotencyKey bool `json:"idempotency_key"`
	// DeletedList: the server lists deleted ids.
	DeletedList bool `json:"deleted_list"`
	// CustomFieldsReplace: a PATCH of an inner key replaces the whole object,
	// so the whole must be sent; false when the server merges by key.
	CustomFieldsReplace bool `json:"custom_fields_replace"`
	// SearchLag is how long a new record may be missing from Search.
	SearchLag time.Duration `json:"search_lag"`
	// LateBy is how long a new record may be missing from List.
	LateBy time.Duration `json:"late_by"`
	// Granularity is the step of the server's timestamps.
	Granularity time.Duration `json:"granularity"`
	// Unsure: Probe found no record to learn from, and is to be made again once
	// there is one.
	Unsure bool `json:"unsure,omitempty"`
}

// ListRequest asks for one page.
type ListRequest struct {
	// Object is the collection.
	Object string
	// Since asks for records changed at or after it (server's clock); zero: all.
	Since time.Time
	// Cursor is Page.Next of the page before; empty: from the start.
	Cursor string
	// Limit is the wished page size; 0: the vendor's largest.
	Limit int
}

// Page is one page of a listing.
type Page struct {
	// Records in the server's order, full rows.
	Records []record.Record
	// Next continues the listing; empty: that was the last page. It is opaque,
	// durable (it may be stored and used days later) and holds no personal data.
	Next string
	// Total is the number of records of the whole listing; -1 when not said.
	Total int
	// ServerTime is the server's clock (Date header); zero when not said.
	ServerTime time.Time
	// Whole is true when the listing ignores Since and reads everything.
	Whole bool
	// Unread are records that the page names and could not show whole, for a reason
	// that stays; each is read by itself, and its error is its own.
	Unread []record.Ref
	// Bad are rows of the page that could not be read. They are records that nobody
	// knows anything of: not unchanged ones, and not deleted ones.
	Bad []BadRow
}

// BadRow is a row of a listing that could not be read.
type BadRow struct {
	// Line is where it stands in its file, from 1.
	Line int
	// Mark tells the row from all others while it stays as it is, wherever it stands.
	Mark string
	// ID is the record's; empty: that could not be read either.
	ID string
	// Field is the path of what is wrong, if it is one value; Reason says what is, for
	// people, without quoting it.
	Field, Reason string
}

// SearchRequest looks for records by one value.
type SearchRequest struct {
	// Object is the collection, Path the dotted field, Value what it must equal.
	Object, Path string
	Value        any
	// Since bounds a scan on servers that cannot search that path: only records
	// created at or after it are read. Zero: no bound.
	Since time.Time
	// KeptUnique: a create with this very value would be refused and name the record,
	// so that only what is spelled otherwise, and recent, is worth a call.
	KeptUnique bool
}

// WriteOptions guard a write.
type WriteOptions struct {
	// IfMatch is the version that must still be current; empty: unconditional.
	IfMatch string
	// IdempotencyKey is sent where the server honours it; the same key is used
	// for every try of one intent.
	IdempotencyKey string
}

// WebhookSpec is the webhook a connection wants.
type WebhookSpec struct {
	// URL is where the vendor posts to, Secret what it signs with.
	URL, Secret string
	// Objects are the collections whose events are wanted.
	Objects []string
	// ID is the registration known from before; empty: look for one with URL.
	ID string
}

// WebhookState is what the vendor says of a webhook.
type WebhookState struct {
	// ID is the vendor's registration id.
	ID string
	// Active is false when the vendor switched it off.
	Active bool
	// Reactivated is true when EnsureWebhook found it off and switched it on:
	// events were lost, and the gap must be reconciled.
	Reactivated bool
	// ByHand is true when a person registers it in the system's settings, and the system
	// does not tell whether one has.
	ByHand bool
}

// Report is what Check found, for people.
type Report struct {
	// Token is empty when a token was had, else what is wrong.
	Token string
	// Objects maps a collection to empty (readable) or what is wrong.
	Objects map[string]string
	// Sample holds one record of each readable collection.
	Sample map[string]record.Record
	// Skew is the server's clock minus ours.
	Skew time.Duration
}

// Config is what a Driver opens a connector with. Everything comes from the
// integration file, with variables and secrets filled in.
type Config struct {
	// Side is where this connector stands; it goes into every Ref.
	Side record.Side
	// Connection and Tenant label logs and metrics.
	Tenant, Connection string
	// BaseURL is the API's root without a trailing slash.
	BaseURL string
	// Auth says how to get tokens.
	Auth Auth
	// Capabilities are the effective ones: declared, probed, or the vendor's defaults.
	Capabilities Capabilities
	// Objects are the collections of this connection, for scopes and webhooks.
	Objects []string
	// Allowed are the words of Object.Allows that the integration asks for, by
	// collection. Nothing else is done.
	Allowed map[string][]string
	// Client sends requests: built by transport.New with limits, logging,
	// quota, tracing and redaction inside.
	Client *http.Client
	// Tokens keeps the access token among workers.
	Tokens TokenStore
	// Now is the clock.
	Now func() time.Time
}

// Auth is the credentials section of a system.
type Auth struct {
	// Kind: "oauth2_client_credentials" (default), "oauth2_authorization_code", "static", "basic".
	Kind string
	// TokenURL, ClientID, ClientSecret, Audience, Scopes as in RFC 6749. Of Kind
	// basic ClientID is the user and ClientSecret the password.
	TokenURL, ClientID, ClientSecret, Audience string
	Scopes                                     []string
	// Token is the static token of Kind static.
	Token string
	// RefreshToken starts Kind oauth2_authorization_code.
	RefreshToken string
}

// Token is a stored credential. It is encrypted at rest.
type Token struct {
	Access, Refresh string
	Expires         time.Time
	// Origin names the consent that the grant began with; empty: not known.
	Origin string
}

// TokenStore shares one token among all workers of a connection's side.
type TokenStore interface {
	// Load returns the stored token, zero if there is none.
	Load(ctx context.Context) (Token, error)
	// Refresh calls mint at most once among all workers for the token that the
	// caller saw fail or expire (stale), stores what it returns and hands it to
	// everybody; when another worker has meanwhile stored a different token,
	// that one is returned and mint is not called.
	Refresh(ctx context.Context, stale Token, mint func(ctx context.Context, old Token) (Token, error)) (Token, error)
}
