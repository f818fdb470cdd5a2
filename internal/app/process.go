// Package app puts the parts of Accord together: it opens the ledger, reaches
// Temporal, and runs a worker, the API, or both, until it is told to stop. It
// is the only package that knows all the others.
package app

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"

	"github.com/accord-sync/accord/internal/config"
	"github.com/accord-sync/accord/internal/control"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/telemetry"
	"github.com/accord-sync/accord/workflows"
)

// DefaultTenant is whose connections the admin token sees.
const DefaultTenant = "default"

// Process is what all parts in one process share.
type Process struct {
	Settings  config.Settings
	Telemetry *telemetry.Telemetry
	// TemporalAddress and TemporalNamespace replace those of the environment
	// where they are set.
	TemporalAddress, TemporalNamespace string
	Now                                func() time.Time
	NewID                              func() string
}

// NewProcess makes the Process of a main program: time of this machine, random ids.
func NewProcess(settings config.Settings, watched *telemetry.Telemetry) Process {
	return Process{Settings: settings, Telemetry: watched, Now: time.Now, NewID: NewID}
}

// NewID makes a unique id that sorts by time: a ULID in lower case.
func NewID() string { return strings.ToLower(ulid.Make().String()) }

// Parts are the open connections of a process to what it works with.
type Parts struct {
	Store     ledger.Store
	Temporal  client.Client
	Namespace string
	Installer *Installer
	Steering  *Steering
	log       *telemetry.Telemetry
}

// Open opens the ledger (waiting for it) and makes a Temporal client, which
// connects when it is first used.
func (p Process) Open(ctx context.Context) (*Parts, error) {
	store, err := OpenStore(ctx, p.Settings, p.Telemetry.Log, p.Now)
	if err != nil {
		return nil, err
	}
	temporal, namespace, err := p.dial()
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	parts := &Parts{Store: store, Temporal: temporal, Namespace: namespace, Installer: NewInstaller(Drivers()), log: p.Telemetry}
	parts.Steering = NewSteering(p.control(parts, false))
	return parts, nil
}

func (p Process) dial() (client.Client, string, error) {
	tracing, err := p.Telemetry.TemporalTracing()
	if err != nil {
		return nil, "", err
	}
	return DialTemporal(TemporalOptions{
		Address: p.TemporalAddress, Namespace: p.TemporalNamespace, Log: p.Telemetry.Log,
		Metrics: telemetry.TemporalMetrics(p.Telemetry.Registry), Interceptors: []interceptor.ClientInterceptor{tracing},
	})
}

func (p Process) control(parts *Parts, attributes bool) *control.Control {
	return control.New(control.Options{
		Temporal: parts.Temporal, Store: parts.Store, TaskQueue: p.Settings.TaskQueue, Tuning: p.tuning(attributes),
		Log: p.Telemetry.Log, Now: p.Now, NewID: p.NewID,
	})
}

func (p Process) tuning(attributes bool) workflows.Tuning {
	return workflows.Tuning{Lease: p.Settings.Lease, SearchAttributes: attributes, Housekeeping: p.Settings.Housekeeping}
}

// learn waits for Temporal, adds our search attributes where it may, and lets
// the control use them. It ends with ctx.
func (p Process) learn(ctx context.Context, parts *Parts) error {
	attributes := false
	err := persist(ctx, p.Telemetry.Log, "Temporal does not answer; waiting for it (TEMPORAL_ADDRESS says where it is)", func(ctx context.Context) error {
		var err error
		attributes, err = EnsureSearchAttributes(ctx, parts.Temporal, parts.Namespace, p.Telemetry.Log)
		return err
	})
	if err == nil && attributes {
		parts.Steering.Replace(p.control(parts, true))
	}
	return err
}

// webhookURLs are where vendors reach a connection; nil without a public URL.
func (p Process) webhookURLs(key ledger.Key) map[record.Side]string {
	if p.Settings.PublicURL == "" {
		return nil
	}
	urls := map[record.Side]string{}
	for _, side := range record.Sides() {
		urls[side] = p.Settings.PublicURL + "/webhooks/" + key.Connection + "/" + string(side)
	}
	return urls
}

// Close gives everything back: Temporal first, the ledger last.
func (p *Parts) Close() {
	p.Temporal.Close()
	if err := p.Store.Close(); err != nil {
		p.log.Log.WithField("code", string(fault.CodeOf(err))).Warn("the ledger did not close cleanly; its data is safe")
	}
}

// ended reports whether err only says that ctx ended, as it should.
func ended(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.Canceled) || fault.Is(err, fault.Unavailable, fault.Transient))
}
