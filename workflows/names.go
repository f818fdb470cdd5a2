package workflows

// The workflow types.
const (
	// ConnectionType drains the inbox of one connection, for as long as it exists.
	ConnectionType = "Connection"
	// RunType carries one run: backfill, poll, compare or replay.
	RunType = "Run"
	// ConflictType waits for a person's decision on one conflict.
	ConflictType = "Conflict"
	// PollerType looks after all connections.
	PollerType = "Poller"
	// ActivationType brings a connection up.
	ActivationType = "Activation"
	// DeactivationType takes a connection down for good.
	DeactivationType = "Deactivation"
)

// The signals.
const (
	// ChangesSignal tells a connection to look at its inbox; without arguments.
	ChangesSignal = "changes"
	// ResumedSignal tells a run that its connection is active again.
	ResumedSignal = "resumed"
	// ClosedSignal tells a conflict that it is over.
	ClosedSignal = "closed"
)

// The updates.
const (
	// PauseUpdate takes a PauseRequest and stops all work on a connection.
	PauseUpdate = "pause"
	// ResumeUpdate goes on.
	ResumeUpdate = "resume"
	// RunUpdate takes a RunRequest and answers a RunAnswer.
	RunUpdate = "run"
	// ResolveUpdate takes a ResolveRequest; conflicts and connections have it.
	ResolveUpdate = "resolve"
)

// The queries.
const (
	// StatusQuery answers a ConnectionStatus, a ConflictStatus or an ActivationStatus.
	StatusQuery = "status"
	// ProgressQuery answers a RunStatus.
	ProgressQuery = "progress"
)

// The search attributes, all of type Keyword. Everything works without them.
const (
	TenantAttribute     = "AccordTenant"
	ConnectionAttribute = "AccordConnection"
	StreamAttribute     = "AccordStream"
	RunKindAttribute    = "AccordRunKind"
)
