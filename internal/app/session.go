package app

import (
	"context"
	"net/netip"
	"os"
	"time"

	"github.com/accord-sync/accord/internal/config"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/telemetry"
)

// CommandTimeout is how long a command of the shell waits for the ledger and for Temporal.
const CommandTimeout = 3 * time.Second

// Look lets the control use our search attributes if the namespace has them. It
// adds none, and a Temporal that does not answer is no matter.
func (p Process) Look(ctx context.Context, parts *Parts) {
	if have, err := haveAttributes(ctx, parts.Temporal, parts.Namespace); err == nil && have {
		parts.Steering.Replace(p.control(parts, true))
	}
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
	ctx, cancel := context.WithTimeout(ctx, CommandTimeout)
	defer cancel()
	store, err := OpenStore(ctx, process.Settings, process.Telemetry.Log, process.Now)
	if err != nil {
		return err
	}
	return store.Close()
}

// OpenAlone makes the connector of one side for the command check: it shares
// nothing with the ledger, so that a test needs no database.
func OpenAlone(plan Plan, side record.Side, allowPrivate []netip.Prefix, now func() time.Time) (connector.Connector, error) {
	system := plan.Integration.System(side)
	client := transport.New(transport.Options{Side: side, Concurrency: system.Limits.Concurrency, Now: now, AllowPrivate: allowPrivate,
		Plan: transport.PlanOf(plan.Driver(side)), Pace: transport.PaceOf(plan.Driver(side))})
	connected, err := plan.Driver(side).Open(connector.Config{
		Side: side, BaseURL: system.BaseURL, Auth: authOf(system.Auth), Objects: objectsOf(plan.Integration, side), Allowed: allowedOf(plan.Integration, side),
		Capabilities: effective(system.Capabilities, plan.Driver(side), ""), Client: client, Tokens: transport.NewMemoryTokens(), Now: now,
	})
	if err != nil && fault.As(err) == nil {
		err = fault.Wrap(fault.Internal, err, "the %s side cannot be opened", side)
	}
	if err != nil {
		return nil, err
	}
	return lookedUp(connected, plan.Integration, side, now), nil
}
