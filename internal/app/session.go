package app

import (
	"context"
	"net/netip"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/cli"
	"github.com/accord-sync/accord/internal/config"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/telemetry"
)

// connectTimeout is how long a command waits for the ledger and for Temporal.
const connectTimeout = 3 * time.Second

// Connect opens what the commands of the shell work on, as the environment says.
func Connect(ctx context.Context, getenv func(string) string, version string) (*cli.Session, error) {
	process, err := Environment(ctx, getenv, "cli", version, config.Need{Ledger: true})
	if err != nil {
		return nil, err
	}
	// A person waits: the log is for what goes wrong.
	if getenv(config.EnvLog) == "" {
		process.Telemetry.Log.SetLevel(logrus.WarnLevel)
	}
	opening, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	parts, err := process.Open(opening)
	if err != nil {
		return nil, err
	}
	if attributes, err := haveAttributes(opening, parts.Temporal, parts.Namespace); err == nil && attributes {
		parts.Steering.Replace(process.control(parts, true))
	}
	return &cli.Session{
		Store: parts.Store, Control: parts.Steering.Control(), NewID: process.NewID, WebhookBase: process.Settings.PublicURL, Close: parts.Close,
		Describe: func(ctx context.Context, connection ledger.Connection) (string, error) {
			described, err := parts.Installer.Describe(ctx, connection)
			return described.Name, err
		},
	}, nil
}

// Environment reads the settings and sets up logs, metrics and traces.
func Environment(ctx context.Context, getenv func(string) string, service, version string, need config.Need) (Process, error) {
	settings, err := config.Load(getenv, need)
	if err != nil {
		return Process{}, err
	}
	watched, err := telemetry.New(ctx, telemetry.Options{Service: service, Version: version, Output: os.Stderr, Getenv: getenv})
	if err != nil {
		return Process{}, err
	}
	return NewProcess(settings, watched), nil
}

// Migrate brings the schema of the ledger up to date.
func Migrate(ctx context.Context, process Process) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	store, err := OpenStore(ctx, process.Settings, process.Telemetry.Log, process.Now)
	if err != nil {
		return err
	}
	return store.Close()
}

// CheckPlan reads an integration for the command check. Its connectors share
// nothing with the ledger: a test needs no database.
func CheckPlan(allowPrivate []netip.Prefix, now func() time.Time) func(text string, variables, secrets map[string]string) (cli.Plan, error) {
	installer := NewInstaller(Drivers())
	return func(text string, variables, secrets map[string]string) (cli.Plan, error) {
		plan, err := installer.Plan(text, variables, secrets)
		if err != nil {
			return cli.Plan{}, err
		}
		return cli.Plan{
			Integration: plan.Integration, Streams: plan.Streams,
			Title:   func(side record.Side) string { return plan.Driver(side).Title() },
			Objects: func(side record.Side) []string { return objectsOf(plan.Integration, side) },
			Open: func(side record.Side) (connector.Connector, error) {
				return openAlone(plan, side, allowPrivate, now)
			},
		}, nil
	}
}

func openAlone(plan Plan, side record.Side, allowPrivate []netip.Prefix, now func() time.Time) (connector.Connector, error) {
	system := plan.Integration.System(side)
	client := transport.New(transport.Options{Side: side, Concurrency: system.Limits.Concurrency, Now: now, AllowPrivate: allowPrivate})
	connected, err := plan.Driver(side).Open(connector.Config{
		Side: side, BaseURL: system.BaseURL, Auth: authOf(system.Auth), Objects: objectsOf(plan.Integration, side),
		Capabilities: effective(system.Capabilities, plan.Driver(side), ""), Client: client, Tokens: transport.NewMemoryTokens(), Now: now,
	})
	if err != nil && fault.As(err) == nil {
		err = fault.Wrap(fault.Internal, err, "the %s side cannot be opened", side)
	}
	return connected, err
}
