package integration

import (
	"net/url"
	"time"
)

// Defaults of the two systems.
const (
	defaultConcurrency = 4
	defaultLateBy      = 60 * time.Second
	defaultGranularity = time.Second
)

func (d *decoder) system(v value) System {
	system := System{
		Auth:         Auth{Kind: AuthClientCredentials},
		Limits:       Limits{Concurrency: defaultConcurrency},
		Capabilities: d.capabilities(value{d: d}),
	}
	body := v.object()
	if body == nil {
		return system
	}
	system.Connector = body.need("connector").word("the name of a connector", isName)
	system.BaseURL = body.need("base_url").address()
	if auth := body.need("auth").object(); auth != nil {
		system.Auth = auth.auth()
	}
	if limits := body.take("limits").object(); limits != nil {
		system.Limits.RequestsPerMinute = limits.take("requests_per_minute").integer(0, 1, 1_000_000)
		system.Limits.Concurrency = limits.take("concurrency").integer(defaultConcurrency, 1, 256)
		limits.done()
	}
	if webhook := body.take("webhook").object(); webhook != nil {
		system.Webhook.Secret = webhook.need("secret").credential()
		system.Webhook.PreviousSecret = webhook.take("previous_secret").credential()
		webhook.done()
	}
	system.Capabilities = d.capabilities(body.take("capabilities"))
	body.done()
	return system
}

// auth reads one kind of credentials; the keys of the other kinds are unknown keys.
func (o *object) auth() Auth {
	auth := Auth{Kind: o.need("kind").choice(AuthClientCredentials, AuthBearer, AuthBasic)}
	switch auth.Kind {
	case AuthBearer:
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

func (d *decoder) capabilities(v value) Capabilities {
	body := v.object()
	if body == nil {
		body = &object{value: value{d: d}}
	}
	read := Capabilities{
		UpdatedFilter:  Switch(body.take("updated_filter").choice("probe", "true", "false")),
		Versions:       Switch(body.take("versions").choice("probe", "true", "false")),
		IdempotencyKey: Switch(body.take("idempotency_key").choice("probe", "true", "false")),
		Unique:         body.take("unique").names(),
		SearchLag:      body.take("search_lag").span(0),
		LateBy:         body.take("late_by").span(defaultLateBy),
		Granularity:    body.take("granularity").span(defaultGranularity),
		CustomFields:   body.take("custom_fields").choice("probe", Merge, Replace),
	}
	body.done()
	return read
}

func (v value) span(fallback time.Duration) Span {
	if text, ok := v.scalar(); ok && text == "probe" {
		return Span{Probe: true, Value: fallback}
	}
	return Span{Value: v.duration(fallback, 0)}
}

func (v value) names() Names {
	if text, ok := v.literal(); ok && text == "probe" {
		return Names{Probe: true}
	}
	return Names{List: v.words("a path", isPath)}
}
