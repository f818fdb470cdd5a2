// Command api serves Accord's HTTP API and takes webhooks. It is set up by the
// environment: ACCORD_DB, ACCORD_KEY, ACCORD_TOKEN, ACCORD_LISTEN and the rest
// of Accord's, TEMPORAL_ADDRESS and the rest of the Temporal SDK's.
package main

import (
	"os"

	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/config"
)

func main() {
	os.Exit(app.Main("api", config.Need{Ledger: true, Token: true}, app.RunAPI))
}
