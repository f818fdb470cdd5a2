// Package ledger is the durable state of Accord: its types, and the Store
// interface that SQLite and Postgres implement (sqlstore) and every
// implementation proves with the same suite (ledgertest). It decides nothing.
package ledger

import (
	"time"
)

// Key names one connection of one tenant. Every row belongs to one.
type Key struct {
	Tenant     string `json:"tenant"`
	Connection string `json:"connection"`
}

// String returns "tenant/connection".
func (k Key) String() string { return k.Tenant + "/" + k.Connection }

// ConnectionState is the state of a connection.
type ConnectionState string

// The states of a connection. Changes are accepted from the moment of Active.
const (
	Draft   ConnectionState = "draft"
	Active  ConnectionState = "active"
	Paused  ConnectionState = "paused"
	Failing ConnectionState = "failing"
)

// Connection is one customer's installed pair of systems.
type Connection struct {
	Key
	// Name is the integration's name.
	Name  string
	State ConnectionState
	// StateReason says for people why it is failing or paused.
	StateReason string
	// Version counts the edits of the integration, from 1.
	Version int
	// Integration is the YAML or JSON as given, placeholders intact.
	Integration string
	// Variables fill ${NAME}; Secrets fill ${secret:NAME} and are encrypted at rest.
	Variables, Secrets map[string]string
	// Restored says whether the ledger was put back under it.
	Restored             Restored
	CreatedAt, UpdatedAt time.Time
}
