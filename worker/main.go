// Command worker runs the activities and workflows of Accord against an
// external Temporal. It is set up by the environment: ACCORD_DB, ACCORD_KEY and
// the rest of Accord's, TEMPORAL_ADDRESS and the rest of the Temporal SDK's.
package main

import (
	"os"

	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/config"
)

func main() {
	os.Exit(app.Main("worker", config.Need{Ledger: true}, app.RunWorker))
}
