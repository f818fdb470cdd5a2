// Command starter starts, steers and queries the syncs of Accord from the
// shell. It is set up by the environment: ACCORD_DB, ACCORD_KEY, and the
// Temporal SDK's own settings.
package main

import (
	"context"
	"os"

	"golang.org/x/term"

	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/app/shell"
	"github.com/accord-sync/accord/internal/cli"
)

func main() {
	ctx, stop := app.Signals()
	code := cli.Run(ctx, cli.New(cli.Options{
		Name: "starter", About: "Start, steer and query the syncs of Accord",
		Version: app.Version(), Tenant: app.DefaultTenant,
		Connect: func(ctx context.Context) (*cli.Session, error) { return shell.Connect(ctx, os.Getenv, app.Version()) },
		In:      os.Stdin, Out: os.Stdout, Err: os.Stderr, Terminal: term.IsTerminal(int(os.Stderr.Fd())),
	}), os.Args[1:])
	stop()
	os.Exit(code)
}
