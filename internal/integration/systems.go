package integration

import (
	"net/url"
	"strings"
	"time"

	"github.com/accord-sync/accord/connectors"
	"github.com/accord-sync/accord/internal/manifest"
)

// Defaults of the two systems.
const (
	defaultConcurrency = 4
	defaultLateBy      = 60 * time.Second
	defaultGranularity = time.Second
)

// The kinds of Auth.
const (
	// AuthClientCredentials mints tokens at TokenURL (RFC 6749, section 4.4).
	AuthClientCredentials = "oauth2_client_credentials"
	// AuthBearer sends Token as it is.
	AuthBearer = "bearer"
	// AuthBasic is a user with a password; how they are sent is the connector's affair.
	AuthBasic = "basic"
	// AuthAPIKey sends Token as the manifest says.
	AuthAPIKey = "api_key"
	// AuthAuthorizationCode mints tokens at TokenURL with RefreshToken (RFC 6749, section 6).
	AuthAuthorizationCode = "oauth2_authorization_code"
	// AuthNone sends nothing.
	AuthNone = "none"
)

// Auth says how calls are authorised.
type Auth struct {
	// Kind is one of the above.
	Kind string
	// TokenURL, ClientID and ClientSecret are required for AuthClientCredentials
	// and AuthAuthorizationCode.
	TokenURL, ClientID, ClientSecret string
	// Audience is sent with the token request where it is not empty.
	Audience string
	// Scopes are asked for; empty asks for what the client may.
	Scopes []string
	// RefreshToken is required for AuthAuthorizationCode: what a person's consent gave.
	RefreshToken string
	// Token is required for AuthBearer and AuthAPIKey.
	Token string
	// Username and Password are required for AuthBasic.
	Username, Password string
}

func (d *decoder) system(v value) System {
	system := System{
		Auth:         Auth{Kind: AuthClientCredentials},
		Limits:       Limits{Concurrency: defaultConcurrency},
		Capabilities: d.capabilities(value{d: d}, false),
	}
	body := v.object()
	if body == nil {
		return system
	}
	connector := body.need("connector")
	system.Connector = connector.word("the name of a connector", isName)
	if connector.given() {
		system.Line, system.Column = startOf(connector.node)
	}
	described := system.Connector == ConnectorREST
	if described {
		system.Manifest = d.manifest(body.need("manifest"))
	}
	system.BaseURL = body.need("base_url").address()
	if auth := body.need("auth").object(); auth != nil {
		system.Auth = auth.auth()
	}
	if limits := body.take("limits").object(); limits != nil {
		system.Limits.RequestsPerMinute = limits.take("requests_per_minute").integer(0, 1, 1_000_000_000)
		system.Limits.Concurrency = limits.take("concurrency").integer(defaultConcurrency, 1, 256)
		limits.done()
	}
	if webhook := body.take("webhook").object(); webhook != nil {
		system.Webhook.Secret = webhook.need("secret").credential()
		system.Webhook.PreviousSecret = webhook.take("previous_secret").credential()
		webhook.done()
	}
	system.Broker = d.broker(body.take("broker"))
	system.Capabilities = d.capabilities(body.take("capabilities"), described)
	body.done()
	return system
}

// manifest reads the manifest of a system: its name, if Accord ships it, or the
// whole of it in place.
func (d *decoder) manifest(v value) *manifest.Manifest {
	if !v.given() {
		return nil
	}
	if kindOf(v.node) == "an object" {
		read, problems := manifest.Decode(v.node, v.path)
		for _, problem := range problems {
			if !d.full() {
				d.problems = append(d.problems, problem)
			}
		}
		return read
	}
	name := v.word("the name of a manifest", isName)
	if name == "" {
		return nil
	}
	text, err := connectors.Read(name)
	if err != nil {
		d.problem(v, "there is no manifest %s: Accord has %s; another one is written here in place, as an object", name, strings.Join(connectors.Names(), ", "))
		return nil
	}
	read, err := manifest.Parse(text)
	if err != nil {
		d.problem(v, "the manifest %s cannot be read: %v", name, err)
	}
	return read
}

// auth reads one kind of credentials; the keys of the other kinds are unknown keys.
func (o *object) auth() Auth {
	auth := Auth{Kind: o.need("kind").choice(AuthClientCredentials, AuthBearer, AuthBasic, AuthAPIKey, AuthAuthorizationCode, AuthNone)}
	switch auth.Kind {
	case AuthNone:
		o.done()
		return auth
	case AuthBearer, AuthAPIKey:
		auth.Token = o.need("token").credential()
		o.done()
		return auth
	case AuthBasic:
		auth.Username = o.need("username").credential()
		auth.Password = o.need("password").credential()
		o.done()
		return auth
	}
	auth.TokenURL = o.need("token_url").address()
	auth.ClientID = o.need("client_id").credential()
	auth.ClientSecret = o.need("client_secret").credential()
	if auth.Kind == AuthAuthorizationCode {
		auth.RefreshToken = o.need("refresh_token").credential()
	}
	auth.Audience, _, _ = o.take("audience").text()
	auth.Scopes = o.take("scopes").words("a scope", func(text string) bool { return text != "" })
	o.done()
	return auth
}

// credential reads a text that must not be empty. Its value never shows in a problem.
func (v value) credential() string {
	stored, now, ok := v.text()
	if ok && now == "" && v.given() {
		v.d.problem(v, "must not be empty")
	}
	return stored
}

// address reads an absolute http or https URL without credentials, query or fragment.
func (v value) address() string {
	stored, now, ok := v.text()
	if !ok {
		return stored
	}
	parsed, err := url.Parse(now)
	switch {
	case err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https"):
		v.d.problem(v, "must be an absolute http or https address")
	case parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "":
		v.d.problem(v, "must not hold a user, a query or a fragment")
	}
	return stored
}

// capabilities reads what a server can do. What is left out of a system with a
// manifest is what the manifest says.
func (d *decoder) capabilities(v value, described bool) Capabilities {
	body := v.object()
	if body == nil {
		body = &object{value: value{d: d}}
	}
	read := Capabilities{
		UpdatedFilter:  Switch(body.take("updated_filter").choice("probe", "true", "false")),
		Versions:       Switch(body.take("versions").choice("probe", "true", "false")),
		IdempotencyKey: Switch(body.take("idempotency_key").choice("probe", "true", "false")),
		Unique:         body.take("unique").names(described),
		SearchLag:      body.take("search_lag").span(0, described),
		LateBy:         body.take("late_by").span(defaultLateBy, described),
		Granularity:    body.take("granularity").span(defaultGranularity, described),
		CustomFields:   body.take("custom_fields").choice("probe", Merge, Replace),
	}
	body.done()
	return read
}

func (v value) span(fallback time.Duration, described bool) Span {
	if text, ok := v.scalar(); (ok && text == "probe") || (described && !v.given()) {
		return Span{Probe: true, Value: fallback}
	}
	return Span{Value: v.duration(fallback, 0)}
}

func (v value) names(described bool) Names {
	if text, ok := v.literal(); (ok && text == "probe") || (described && !v.given()) {
		return Names{Probe: true}
	}
	return Names{List: v.words("a path", isPath)}
}
