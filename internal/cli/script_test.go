package cli_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/app/dev"
	"github.com/accord-sync/accord/internal/app/shell"
	"github.com/accord-sync/accord/internal/cli"
	"github.com/accord-sync/accord/internal/config"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"accord": accord, "starter": starter})
}

// TestScripts runs the commands as a user would, without a Temporal.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			integration, err := os.ReadFile("../../integrations/salesos-acme.yaml")
			if err != nil {
				return err
			}
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Defer(func() { _ = taken.Close() })
			env.Setenv("TAKEN", taken.Addr().String())
			env.Setenv("KEY", "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=")
			env.Setenv("OTHER_KEY", "b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28=")
			env.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
			env.Setenv("HOME", env.WorkDir)
			return os.WriteFile(env.WorkDir+"/salesos-acme.yaml", integration, 0o600)
		},
	})
}

func options(name string) cli.Options {
	return cli.Options{
		Name: name, About: "Accord in a test", Version: "v0.0.0-test", Tenant: app.DefaultTenant,
		Connect: func(ctx context.Context) (*cli.Session, error) { return shell.Connect(ctx, os.Getenv, "test") },
		In:      os.Stdin, Out: os.Stdout, Err: os.Stderr,
	}
}

func starter() {
	ctx, stop := app.Signals()
	code := cli.Run(ctx, cli.New(options("starter")), os.Args[1:])
	stop()
	os.Exit(code)
}

// accord is the shipped binary without the embedded Temporal and the sandboxes.
func accord() {
	ctx, stop := app.Signals()
	root := cli.New(options("accord"))
	cli.AddAccord(root, options("accord"), cli.Hooks{
		Manifest: shell.OpenManifest(loopback(), time.Now),
		Dev: func(ctx context.Context, given cli.DevOptions) error {
			return dev.Run(ctx, dev.Options{
				DataDir: given.Data, API: given.API, UI: given.UI, TemporalAddress: given.Temporal, PublicURL: given.PublicURL, Getenv: os.Getenv, Out: os.Stdout,
			})
		},
		Worker: func(ctx context.Context) error {
			return app.Part(ctx, "worker", config.Need{Ledger: true}, app.RunWorker)
		},
		API: func(ctx context.Context) error {
			return app.Part(ctx, "api", config.Need{Ledger: true, Token: true}, app.RunAPI)
		},
		Migrate: func(ctx context.Context) error {
			return app.Part(ctx, "migrate", config.Need{Ledger: true}, app.Migrate)
		},
		Plan: shell.CheckPlan(nil, time.Now), Known: shell.Known, Now: time.Now,
	})
	code := cli.Run(ctx, root, os.Args[1:])
	stop()
	os.Exit(code)
}

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
