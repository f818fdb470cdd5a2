package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/app/dev"
	"github.com/accord-sync/accord/internal/app/shell"
	"github.com/accord-sync/accord/internal/cli"
	"github.com/accord-sync/accord/internal/config"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/devserver"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/telemetry"
)

// more are the commands of other packages.
func more() []*cobra.Command { return []*cobra.Command{demoCommand()} }

func hooks() cli.Hooks {
	return cli.Hooks{
		Dev: runDev, Temporal: runTemporal, Sandbox: runSandbox, Now: time.Now,
		Worker: func(ctx context.Context) error {
			return app.Part(ctx, "worker", config.Need{Ledger: true}, app.RunWorker)
		},
		API: func(ctx context.Context) error {
			return app.Part(ctx, "api", config.Need{Ledger: true, Token: true}, app.RunAPI)
		},
		Migrate: func(ctx context.Context) error {
			return app.Part(ctx, "migrate", config.Need{Ledger: true}, app.Migrate)
		},
		Plan: func(text string, variables, secrets map[string]string) (cli.Plan, error) {
			allowed, err := allowPrivate()
			if err != nil {
				return cli.Plan{}, err
			}
			return shell.CheckPlan(allowed, time.Now)(text, variables, secrets)
		},
		Known: shell.Known,
		Manifest: func(read *manifest.Manifest, at cli.Reached) (connector.Connector, error) {
			allowed, err := allowPrivate()
			if err != nil {
				return nil, err
			}
			return shell.OpenManifest(allowed, time.Now)(read, at)
		},
	}
}

func allowPrivate() ([]netip.Prefix, error) {
	settings, err := config.Load(os.Getenv, config.Need{})
	return settings.AllowPrivate, err
}

func runDev(ctx context.Context, given cli.DevOptions) error {
	return dev.Run(ctx, dev.Options{
		DataDir: given.Data, API: given.API, UI: given.UI, TemporalAddress: given.Temporal, PublicURL: given.PublicURL,
		Version: app.Version(), Getenv: os.Getenv, Out: os.Stdout, Start: startTemporal,
	})
}

// startTemporal starts the embedded server for dev.
func startTemporal(ctx context.Context, options dev.TemporalOptions) (dev.Temporal, error) {
	server, err := devserver.Start(ctx, devserver.Options{
		DataDir: options.DataDir, Listen: options.Listen, UIListen: options.UIListen,
		SearchAttributes: options.SearchAttributes, Log: options.Log,
	})
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "%s", err)
	}
	return server, nil
}

// runTemporal runs the embedded server alone until ctx ends.
func runTemporal(ctx context.Context, given cli.TemporalOptions) error {
	log, err := logger(ctx, "temporal")
	if err != nil {
		return err
	}
	server, err := startTemporal(ctx, dev.TemporalOptions{
		DataDir: given.Data, Listen: given.Listen, UIListen: given.UI, SearchAttributes: app.SearchAttributes(), Log: log,
	})
	if err != nil {
		return err
	}
	defer server.Stop()
	fmt.Fprintf(os.Stdout, "Temporal     %s\n", server.Address())
	if server.UIURL() != "" {
		fmt.Fprintf(os.Stdout, "Temporal UI  %s\n", server.UIURL())
	}
	<-ctx.Done()
	return nil
}

func runSandbox(ctx context.Context, given cli.SandboxOptions) error {
	log, err := logger(ctx, "sandbox")
	if err != nil {
		return err
	}
	if err := sandbox.Run(ctx, sandbox.Options{SalesOSAddr: given.SalesOS, AcmeAddr: given.Acme, HubSpotAddr: given.HubSpot, Log: log}); err != nil {
		return fault.Wrap(fault.Usage, err, "%s", err)
	}
	return nil
}

func logger(ctx context.Context, service string) (*logrus.Logger, error) {
	watched, err := telemetry.New(ctx, telemetry.Options{Service: service, Version: app.Version(), Getenv: os.Getenv})
	if err != nil {
		return nil, err
	}
	return watched.Log, nil
}
