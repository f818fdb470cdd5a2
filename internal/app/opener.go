package app

import (
	"container/list"
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

const (
	// openedLimit bounds how many connections are kept ready.
	openedLimit = 256
	// quotaReserve is the share of a plan that polls and backfills leave to live changes.
	quotaReserve = 0.1
)

// OpenerOptions make an Opener.
type OpenerOptions struct {
	Store     ledger.Store
	Installer *Installer
	// AllowPrivate are the private address ranges that may be called.
	AllowPrivate []netip.Prefix
	// Lease bounds how long one worker mints a token before others may.
	Lease      time.Duration
	Log        logrus.FieldLogger
	Registerer prometheus.Registerer
	Now        func() time.Time
	// Publisher connects to the brokers of rules; nil: to the real ones.
	Publisher OpenPublisher
}

// Opener keeps connections ready to work: the mapping compiled, a client per
// side. An edit of the integration or a new probe opens it anew.
type Opener struct {
	options OpenerOptions

	mutex  sync.Mutex
	opened map[ledger.Key]*list.Element
	order  *list.List
}

// opening is one entry, the most recently used in front.
type opening struct {
	key       ledger.Key
	version   int
	probed    [2]string
	installed *engine.Installed
}

// NewOpener makes an Opener.
func NewOpener(options OpenerOptions) *Opener {
	return &Opener{options: options, opened: map[ledger.Key]*list.Element{}, order: list.New()}
}

var _ engine.Opener = (*Opener)(nil).Open

// Open answers the working form of a connection. Bad settings are fault.Usage.
func (o *Opener) Open(ctx context.Context, connection ledger.Connection) (*engine.Installed, error) {
	var probed [2]string
	for n, side := range record.Sides() {
		state, err := o.options.Store.SideState(ctx, connection.Key, side)
		if err != nil {
			return nil, err
		}
		probed[n] = state.Capabilities
	}
	if installed := o.lookup(connection, probed); installed != nil {
		return installed, nil
	}
	installed, err := o.build(connection, probed)
	if err != nil {
		return nil, err
	}
	if err := o.amendments(ctx, connection, installed); err != nil {
		return nil, err
	}
	o.keep(opening{key: connection.Key, version: connection.Version, probed: probed, installed: installed})
	return installed, nil
}

func (o *Opener) lookup(connection ledger.Connection, probed [2]string) *engine.Installed {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	element, ok := o.opened[connection.Key]
	if !ok {
		return nil
	}
	entry, ok := element.Value.(opening)
	if !ok || entry.version != connection.Version || entry.probed != probed {
		return nil
	}
	o.order.MoveToFront(element)
	return entry.installed
}

func (o *Opener) keep(entry opening) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if old, ok := o.opened[entry.key]; ok {
		o.order.Remove(old)
	}
	o.opened[entry.key] = o.order.PushFront(entry)
	if o.order.Len() > openedLimit {
		oldest := o.order.Back()
		if gone, ok := o.order.Remove(oldest).(opening); ok {
			delete(o.opened, gone.key)
		}
	}
}

func (o *Opener) build(connection ledger.Connection, probed [2]string) (*engine.Installed, error) {
	plan, err := o.options.Installer.ofConnection(connection)
	if err != nil {
		return nil, err
	}
	installed := &engine.Installed{Key: connection.Key, Version: connection.Version, Integration: plan.Integration}
	for n, mapped := range plan.Streams {
		installed.Streams = append(installed.Streams, engine.Stream{Spec: plan.Integration.Streams[n], Mapping: mapped})
	}
	if err := o.rules(connection.Key, plan, installed); err != nil {
		return nil, err
	}
	systems := plan.Integration.Systems
	installed.LeftQuota = ledger.QuotaSpec{PerMinute: systems.Left.Limits.RequestsPerMinute, Reserve: quotaReserve}
	installed.RightQuota = ledger.QuotaSpec{PerMinute: systems.Right.Limits.RequestsPerMinute, Reserve: quotaReserve}
	// Every record needs both sides: more at once would only wait for a seat.
	installed.Concurrency = max(1, min(systems.Left.Limits.Concurrency, systems.Right.Limits.Concurrency))
	if installed.Left, err = o.connect(connection.Key, plan, record.Left, installed.LeftQuota, probed[0]); err != nil {
		return nil, err
	}
	installed.Right, err = o.connect(connection.Key, plan, record.Right, installed.RightQuota, probed[1])
	return installed, err
}

// connect opens the connector of one side with quota and token out of the ledger.
func (o *Opener) connect(key ledger.Key, plan Plan, side record.Side, spec ledger.QuotaSpec, probed string) (connector.Connector, error) {
	system := plan.Integration.System(side)
	client := transport.New(transport.Options{
		Connection: key.Connection, Tenant: key.Tenant, Side: side, Concurrency: system.Limits.Concurrency,
		Quota: NewQuota(o.options.Store, key, side, spec, o.options.Now), Log: o.options.Log, Registerer: o.options.Registerer,
		Now: o.options.Now, AllowPrivate: o.options.AllowPrivate, Plan: transport.PlanOf(plan.Driver(side)), Pace: transport.PaceOf(plan.Driver(side)),
	})
	opened, err := plan.Driver(side).Open(connector.Config{
		Side: side, Tenant: key.Tenant, Connection: key.Connection, BaseURL: system.BaseURL, Auth: authOf(system.Auth),
		Capabilities: effective(system.Capabilities, plan.Driver(side), probed), Objects: objectsOf(plan.Integration, side), Allowed: allowedOf(plan.Integration, side),
		Client: client, Tokens: NewTokens(o.options.Store, key, side, o.options.Lease, o.options.Now), Now: o.options.Now,
	})
	if err != nil {
		return nil, err
	}
	return lookedUp(opened, plan.Integration, side, o.options.Now), nil
}
