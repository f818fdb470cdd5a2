// Package shell connects the commands of the shell to the parts that app opens.
package shell

import (
	"context"
	"net/netip"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/cli"
	"github.com/accord-sync/accord/internal/config"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/rest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/record"
)

// Connect opens what the commands work on, as the environment says. It gives up
// after app.CommandTimeout: a person waits.
func Connect(ctx context.Context, getenv func(string) string, version string) (*cli.Session, error) {
	process, err := app.Environment(ctx, getenv, "cli", version, config.Need{Ledger: true})
	if err != nil {
		return nil, err
	}
	// The log is for what goes wrong.
	if getenv(config.EnvLog) == "" {
		process.Telemetry.Log.SetLevel(logrus.WarnLevel)
	}
	opening, cancel := context.WithTimeout(ctx, app.CommandTimeout)
	defer cancel()
	parts, err := process.Open(opening)
	if err != nil {
		return nil, err
	}
	process.Look(opening, parts)
	return &cli.Session{
		Store: parts.Store, Control: parts.Steering.Control(), NewID: process.NewID, WebhookBase: process.Settings.PublicURL, Close: parts.Close,
		Describe: func(ctx context.Context, connection ledger.Connection) (string, []string, error) {
			described, err := parts.Installer.Describe(ctx, connection)
			streams := make([]string, 0, len(described.Streams))
			for _, stream := range described.Streams {
				streams = append(streams, stream.Name)
			}
			return described.Name, streams, err
		},
	}, nil
}

// CheckPlan reads an integration for the command check.
func CheckPlan(allowPrivate []netip.Prefix, now func() time.Time) func(text string, variables, secrets map[string]string) (cli.Plan, error) {
	installer := app.NewInstaller(app.Drivers())
	return func(text string, variables, secrets map[string]string) (cli.Plan, error) {
		plan, err := installer.Plan(text, variables, secrets)
		if err != nil {
			return cli.Plan{}, err
		}
		return cli.Plan{
			Integration: plan.Integration, Streams: plan.Streams, Objects: plan.Objects,
			Title: func(side record.Side) string { return plan.Driver(side).Title() },
			Open: func(side record.Side) (connector.Connector, error) {
				return app.OpenAlone(plan, side, allowPrivate, now)
			},
			Broker: func(ctx context.Context, side record.Side) error {
				return app.CheckBroker(ctx, plan, side, allowPrivate, now)
			},
		}, nil
	}
}

// Known fails if an integration names a connector that there is not.
func Known(parsed *integration.Integration) error {
	return app.NewInstaller(app.Drivers()).Known(parsed)
}

// OpenManifest opens a connector of a manifest alone, for the command connector test.
func OpenManifest(allowPrivate []netip.Prefix, now func() time.Time) func(read *manifest.Manifest, at cli.Reached) (connector.Connector, error) {
	return func(read *manifest.Manifest, at cli.Reached) (connector.Connector, error) {
		driver := rest.New(read)
		return driver.Open(connector.Config{
			Side: record.Right, BaseURL: at.BaseURL, Auth: at.Auth, Objects: read.Names(), Capabilities: driver.Defaults(),
			Client: transport.New(transport.Options{Side: record.Right, Now: now, AllowPrivate: allowPrivate, Plan: driver.PlanHeaders()}),
			Tokens: transport.NewMemoryTokens(), Now: now,
		})
	}
}
