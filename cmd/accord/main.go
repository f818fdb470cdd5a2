// Command accord is the shipped binary: everything in one process (dev), each
// part alone (worker, api, temporal, sandbox), and the commands of the shell.
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
	options := cli.Options{
		Name: "accord", About: "Accord keeps two systems in agreement, durably",
		Version: app.Version(), Tenant: app.DefaultTenant,
		Connect: func(ctx context.Context) (*cli.Session, error) { return shell.Connect(ctx, os.Getenv, app.Version()) },
		In:      os.Stdin, Out: os.Stdout, Err: os.Stderr, Terminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	root := cli.New(options)
	cli.AddAccord(root, options, hooks())
	root.AddCommand(more()...)
	code := cli.Run(ctx, root, os.Args[1:])
	stop()
	os.Exit(code)
}
