package app

import (
	"context"
	"slices"
	"strings"
	"time"

	api "github.com/accord-sync/accord/api/rest"
	"github.com/accord-sync/accord/api/webhook"
	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/acme"
	"github.com/accord-sync/accord/internal/connector/caldav"
	"github.com/accord-sync/accord/internal/connector/rest"
	"github.com/accord-sync/accord/internal/connector/salesos"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/connector/tryton"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// Drivers are the connectors of this build.
func Drivers() *connector.Registry {
	return connector.NewRegistry(salesos.Driver{}, acme.Driver{}, tryton.Driver{}, caldav.Driver{})
}

// Installer understands the integration of a connection. It calls nothing outside.
type Installer struct {
	drivers *connector.Registry
}

var _ api.Installer = (*Installer)(nil)

// NewInstaller makes an Installer of the drivers.
func NewInstaller(drivers *connector.Registry) *Installer { return &Installer{drivers: drivers} }

// Plan is an integration with its placeholders filled in and its mappings compiled.
type Plan struct {
	Integration *integration.Integration
	Streams     []*mapping.Stream
	left, right connector.Driver
}

// Driver is the driver of a side.
func (p Plan) Driver(side record.Side) connector.Driver {
	if side == record.Left {
		return p.left
	}
	return p.right
}

// Objects are the collections that the streams use on a side.
func (p Plan) Objects(side record.Side) []string { return objectsOf(p.Integration, side) }

// Plan reads an integration in full: syntax, placeholders, mappings, drivers
// and their collections. Mistakes are fault.Usage with positions.
func (i *Installer) Plan(text string, variables, secrets map[string]string) (Plan, error) {
	parsed, err := integration.Parse([]byte(text))
	if err != nil {
		return Plan{}, err
	}
	resolved, err := parsed.Resolve(variables, secrets)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Integration: resolved}
	if plan.Streams, err = resolved.Compile(); err != nil {
		return Plan{}, err
	}
	if plan.left, err = i.driver(resolved, record.Left); err != nil {
		return Plan{}, err
	}
	plan.right, err = i.driver(resolved, record.Right)
	return plan, err
}

// named is the driver of a system: that of its connector's name, or of its manifest.
func (i *Installer) named(system *integration.System) (connector.Driver, error) {
	if system.Manifest != nil {
		return rest.New(system.Manifest), nil
	}
	return i.drivers.Driver(system.Connector)
}

// Known fails with a fault.Usage that has positions if a connector of the integration,
// resolved or not, does not exist.
func (i *Installer) Known(file *integration.Integration) error {
	for _, side := range record.Sides() {
		if err := i.known(file, side); err != nil {
			return err
		}
	}
	return nil
}

func (i *Installer) known(file *integration.Integration, side record.Side) error {
	system := file.System(side)
	_, err := i.named(system)
	if err == nil || (system.Connector == "" && !file.Resolved()) {
		return nil // what a variable names is known when the variable is
	}
	return &fault.Error{Code: fault.Usage, Message: "the integration has mistakes", Err: err, Details: []fault.Detail{
		{Path: "systems." + string(side) + ".connector", Line: system.Line, Column: system.Column, Message: err.Error()}}}
}

// driver finds the driver of a side and checks that it knows the collections.
func (i *Installer) driver(file *integration.Integration, side record.Side) (connector.Driver, error) {
	if err := i.known(file, side); err != nil {
		return nil, err
	}
	driver, err := i.named(file.System(side))
	if err != nil {
		return nil, err
	}
	wrong := slices.Concat(endsOf(file, side, driver), lookUpsOf(file, side, driver), asksOf(file, side, driver), readable(file, side, driver))
	if len(wrong) > 0 {
		return nil, &fault.Error{Code: fault.Usage, Message: "the integration has mistakes", Details: wrong}
	}
	// Opening calls nothing: it checks addresses and credentials for completeness.
	if _, err := driver.Open(connector.Config{
		Side: side, BaseURL: file.System(side).BaseURL, Auth: authOf(file.System(side).Auth), Objects: objectsOf(file, side), Allowed: allowedOf(file, side),
		Client: transport.New(transport.Options{}), Tokens: transport.NewMemoryTokens(), Now: time.Now,
	}); err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "the integration has mistakes", Err: err, Details: []fault.Detail{
			{Path: "systems." + string(side), Message: err.Error()}}}
	}
	return driver, nil
}

// ofConnection is the plan of an installed connection.
func (i *Installer) ofConnection(connection ledger.Connection) (Plan, error) {
	return i.Plan(connection.Integration, connection.Variables, connection.Secrets)
}

// Describe tells the API about a connection's integration.
func (i *Installer) Describe(_ context.Context, connection ledger.Connection) (api.Description, error) {
	plan, err := i.ofConnection(connection)
	if err != nil {
		return api.Description{}, err
	}
	described := api.Description{Name: plan.Integration.Name, Brokers: map[record.Side]string{}}
	for _, side := range record.Sides() {
		if said := plan.Integration.System(side).Broker; said != nil {
			described.Brokers[side] = string(said.Kind)
		}
	}
	for n := range plan.Integration.Streams {
		stream := &plan.Integration.Streams[n]
		described.Streams = append(described.Streams, api.StreamDescription{Name: stream.Name, Guards: guardsOf(stream)})
	}
	return described, nil
}

func guardsOf(stream *integration.Stream) []api.GuardDescription {
	if stream.Mode == integration.ModeMatchOnly {
		return nil
	}
	var guards []api.GuardDescription
	add := func(op ledger.GuardOp, guard integration.Guard) {
		if !guard.Off {
			guards = append(guards, api.GuardDescription{Op: op, Max: guard.Max, Per: guard.Per})
		}
	}
	add(ledger.GuardDelete, stream.Deletes.Guard)
	add(ledger.GuardClear, stream.Guard.Clears)
	add(ledger.GuardRewrite, stream.Guard.Rewrites)
	return guards
}

// Target tells the webhook receiver about a connection. The signing secrets of
// versions that were just replaced count as well.
func (i *Installer) Target(connection ledger.Connection, replaced ...ledger.Connection) (webhook.Target, error) {
	plan, err := i.ofConnection(connection)
	if err != nil {
		return webhook.Target{}, fault.Wrap(fault.Unavailable, err, "the connection's integration cannot be read; correct it, the event will be sent again")
	}
	target := webhook.Target{
		Key: connection.Key, State: connection.State, Left: source(plan, record.Left), Right: source(plan, record.Right),
	}
	for _, version := range replaced {
		old, err := i.ofConnection(version)
		if err != nil {
			continue // a version that cannot be read any more signs nothing
		}
		addSecrets(&target.Left, old.Integration.Systems.Left.Webhook)
		addSecrets(&target.Right, old.Integration.Systems.Right.Webhook)
	}
	return target, nil
}

// addSecrets lets a side take what is still signed with the secret of before. A
// side that has no secret any more takes nothing.
func addSecrets(source *webhook.Source, before integration.Webhook) {
	if before.Secret != "" && len(source.Secrets) > 0 && !slices.Contains(source.Secrets, before.Secret) {
		source.Secrets = append(source.Secrets, before.Secret)
	}
}

func source(plan Plan, side record.Side) webhook.Source {
	found := webhook.Source{Driver: plan.Driver(side), Streams: map[string][]string{}, Each: map[string][]string{}}
	hook := plan.Integration.System(side).Webhook
	if said := plan.Integration.System(side).Broker; said != nil && said.Kind == broker.SNS {
		found.SNS = said.Topic
	}
	for _, secret := range []string{hook.Secret, hook.PreviousSecret} {
		if secret != "" && hook.Secret != "" {
			found.Secrets = append(found.Secrets, secret)
		}
	}
	for n := range plan.Integration.Streams {
		stream := &plan.Integration.Streams[n]
		object := stream.End(side).Object
		if object == "" {
			continue
		}
		found.Streams[object] = append(found.Streams[object], stream.Name)
	}
	for _, rule := range plan.Integration.Rules {
		if rule.Side == side && rule.Once == integration.OnceEvent {
			found.Each[rule.StreamName()] = rule.Events
		}
	}
	return found
}

// authOf says an integration's credentials in a connector's words.
func authOf(auth integration.Auth) connector.Auth {
	kind := auth.Kind
	switch kind {
	case integration.AuthBearer:
		kind = transport.KindStatic
	case integration.AuthAPIKey:
		kind = transport.KindAPIKey
	case integration.AuthNone:
		kind = transport.KindNone
	case integration.AuthAuthorizationCode:
		kind = transport.KindAuthorizationCode
	case integration.AuthBasic:
		return connector.Auth{Kind: transport.KindBasic, ClientID: auth.Username, ClientSecret: auth.Password}
	}
	return connector.Auth{
		Kind: kind, TokenURL: auth.TokenURL, ClientID: auth.ClientID, ClientSecret: auth.ClientSecret,
		Audience: auth.Audience, Scopes: auth.Scopes, Token: auth.Token, RefreshToken: auth.RefreshToken,
	}
}

// endsOf checks that a driver speaks the collections of a side, and does what they ask for by name.
func endsOf(file *integration.Integration, side record.Side, driver connector.Driver) []fault.Detail {
	known := map[string]connector.Object{}
	for _, object := range driver.Objects() {
		known[object.Name] = object
	}
	var wrong []fault.Detail
	for n := range file.Streams {
		stream := &file.Streams[n]
		end := stream.End(side)
		if end.Object == "" {
			continue
		}
		at := "streams." + stream.Name + "." + string(side)
		object, found := known[end.Object]
		if !found {
			wrong = append(wrong, fault.Detail{Path: at + ".object", Message: driver.Title() + " has no collection " + end.Object + " that this build can speak"})
			continue
		}
		if stream.Writes(side) && !object.Creatable && len(object.Allows) > 0 && len(end.Allow) == 0 {
			wrong = append(wrong, fault.Detail{Path: at, Message: end.Object + " of " + driver.Title() + " are only read: make the stream match_only, give it a direction that leaves the " +
				string(side) + " side alone, or allow by name what shall be done (" + strings.Join(object.Allows, ", ") + ")"})
		}
		for _, word := range end.Allow {
			if !slices.Contains(object.Allows, word) {
				wrong = append(wrong, fault.Detail{Path: at + ".allow", Message: driver.Title() + " has nothing named " + word + " to allow for " + end.Object})
			}
		}
	}
	return wrong
}

// allowedOf are the words that the streams of a side ask for, by collection.
func allowedOf(file *integration.Integration, side record.Side) map[string][]string {
	allowed := map[string][]string{}
	for n := range file.Streams {
		if end := file.Streams[n].End(side); len(end.Allow) > 0 {
			allowed[end.Object] = append(allowed[end.Object], end.Allow...)
		}
	}
	return allowed
}

// objectsOf lists the collections that a side's streams use or look up, each once.
func objectsOf(file *integration.Integration, side record.Side) []string {
	var objects []string
	have := map[string]bool{}
	add := func(object string) {
		if object != "" && !have[object] {
			have[object] = true
			objects = append(objects, object)
		}
	}
	for n := range file.Streams {
		add(file.Streams[n].End(side).Object)
		for _, one := range file.Streams[n].End(side).LookUps {
			add(one.Object)
		}
	}
	for _, rule := range file.Rules {
		for _, ask := range rule.Asks {
			if ask.Side == side {
				add(ask.Object)
			}
		}
	}
	return objects
}
