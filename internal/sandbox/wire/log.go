package wire

import "time"

// ActorAdmin is the actor of requests to the admin API that are no edit of a record.
const ActorAdmin = "admin"

// Call is one request that a server got, as its request log keeps it. It
// carries names of fields, never their values.
type Call struct {
	Seq    int64     `json:"seq"`
	At     time.Time `json:"at"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Query  string    `json:"query,omitempty"`
	// Status is 0 when the connection was dropped.
	Status int `json:"status"`
	// Actor is "app:<client id>", "user:<name>" (a record was edited, through the
	// admin API or by a race) or "admin" (the rest of the admin API, reads left
	// out); empty when nobody was recognised.
	Actor  string   `json:"actor,omitempty"`
	Object string   `json:"object,omitempty"`
	ID     string   `json:"id,omitempty"`
	Fields []string `json:"fields,omitempty"`
	// Effect is true when the call changed a record, whatever was answered.
	Effect bool `json:"effect,omitempty"`
	// Fault is the kind of the injected fault that the call met.
	Fault string `json:"fault,omitempty"`
}

// Version is one state that a record went through, kept while the switch
// KeepVersions is on. Seq counts them over all records of an object in the
// order in which they were made; At is the true time, whatever the server's
// clock says and however coarse it is. Who made it stands in UpdatedBy.
type Version struct {
	Seq int64     `json:"seq"`
	At  time.Time `json:"at"`
	Record
}

// WriteCount says how often an actor wrote a record. Op is create, update,
// delete or merge. Calls counts requests that were accepted; Effects those
// that changed something.
type WriteCount struct {
	Actor   string `json:"actor"`
	Object  string `json:"object"`
	ID      string `json:"id"`
	Op      string `json:"op"`
	Calls   int    `json:"calls"`
	Effects int    `json:"effects"`
}

// States of a Delivery.
const (
	StateHeld      = "held"
	StatePending   = "pending"
	StateRetrying  = "retrying"
	StateDelivered = "delivered"
	StateLost      = "lost"
	StateDropped   = "dropped"
)

// Delivery is one webhook message: one event (SalesOS) or a batch (Acme).
type Delivery struct {
	ID       string   `json:"id"`
	HookID   string   `json:"hook_id"`
	State    string   `json:"state"`
	Events   []string `json:"events"`
	Records  []string `json:"records"`
	EventIDs []string `json:"event_ids"`
	Attempts int      `json:"attempts"`
	// LastStatus is the receiver's last answer, 0 when there was none.
	LastStatus int `json:"last_status,omitempty"`
	// Body is what was sent last.
	Body string `json:"body,omitempty"`
	// Spoilt is the kind of the last Spoil that the message met.
	Spoilt string `json:"spoilt,omitempty"`
	// Forged says that nothing of the kind ever happened.
	Forged bool `json:"forged,omitempty"`
}

// Orders of a Release.
const (
	InOrder  = "in_order"
	Reversed = "reversed"
	Shuffled = "shuffled"
)

// Release sends what was held, one message after another in the order given
// (default in_order). Batch events go into one message where the vendor
// batches (default 1). Seed makes a shuffle repeatable.
type Release struct {
	Order string `json:"order,omitempty"`
	Batch int    `json:"batch,omitempty"`
	Seed  int64  `json:"seed,omitempty"`
	// Merge sends only the last of several events of one name and record.
	Merge bool `json:"merge,omitempty"`
}

// Kinds of Spoil.
const (
	// SpoilSignature signs with another secret.
	SpoilSignature = "bad_signature"
	// SpoilUnsigned leaves the signature out.
	SpoilUnsigned = "unsigned"
	// SpoilStale signs as of ten minutes ago (Acme; SalesOS signs no time).
	SpoilStale = "stale"
	// SpoilPartial leaves out the last event of a message with several (Acme).
	SpoilPartial = "partial"
	// SpoilFields leaves Fields out of the data; none given: all but ids and names.
	SpoilFields = "fields"
)

// Spoil sends the next Count attempts (default 1) wrongly. A retry is an attempt.
type Spoil struct {
	Kind   string   `json:"kind"`
	Count  int      `json:"count,omitempty"`
	Fields []string `json:"fields,omitempty"`
}

// Broker is where a server publishes its events.
type Broker struct {
	// Kind is the make of the broker: nats or rabbitmq.
	Kind string `json:"kind"`
	// URL is its address without credentials; Topic what is published to.
	URL   string `json:"url"`
	Topic string `json:"topic"`
	// Exchange of RabbitMQ is what the topic is a routing key of; none: it is a queue.
	Exchange string `json:"exchange,omitempty"`
	// Username and Password are the log-in; none when empty.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
}

// Forge sends an event that never happened to every hook that wants it, once.
// Without Signed its signature is wrong.
type Forge struct {
	Event string `json:"event"`
	ID    string `json:"id"`
	// Data is put into the event's data.
	Data   map[string]any `json:"data,omitempty"`
	Signed bool           `json:"signed,omitempty"`
}

// Repeat delivers each of the next Count events (0: all from now on) Times times
// (1 or less turns it off).
type Repeat struct {
	Times int `json:"times"`
	Count int `json:"count,omitempty"`
}

// Drop loses the next Count events.
type Drop struct {
	Count int `json:"count"`
}

// HookStatus is a registered webhook, without its secret.
type HookStatus struct {
	ID       string   `json:"id"`
	URL      string   `json:"url"`
	Events   []string `json:"events"`
	Active   bool     `json:"active"`
	Failures int      `json:"failures"`
}

// HookState is the state of the whole webhook queue.
type HookState struct {
	Hooks   []HookStatus `json:"hooks"`
	Holding bool         `json:"holding"`
	// Held counts events; Waiting and Retrying count messages.
	Held      int `json:"held"`
	Waiting   int `json:"waiting"`
	Retrying  int `json:"retrying"`
	Delivered int `json:"delivered"`
	Dropped   int `json:"dropped"`
	Lost      int `json:"lost"`
	// Deliveries are the latest messages, oldest first.
	Deliveries []Delivery `json:"deliveries,omitempty"`
}
