package integration

import (
	"slices"
	"strings"
)

// expand replaces the placeholders of one scalar. Before Resolve a variable stands
// for its default; ok is false where there is none yet.
func (d *decoder) expand(v value, text string) (string, bool) {
	found, bad := findPlaceholders(d.pattern, text)
	if bad >= 0 {
		d.problem(v, "a placeholder is ${NAME}, ${NAME:-default} or ${secret:NAME}")
		return "", false
	}
	var expanded strings.Builder
	rest, complete := 0, true
	for _, one := range found {
		d.note(v, one)
		expanded.WriteString(text[rest:one.start])
		rest = one.end
		replaced, ok := d.lookup(v, one)
		complete = complete && ok
		expanded.WriteString(replaced)
	}
	expanded.WriteString(text[rest:])
	if !complete {
		d.pending = true
		return "", false
	}
	return expanded.String(), true
}

// note remembers that a placeholder is used, and where it may be.
func (d *decoder) note(v value, one placeholder) {
	if one.secret {
		if !secretAllowed(v.path) {
			d.problem(v, "a secret is only allowed in client_id, client_secret, audience, token, refresh_token, username, password, the secrets of webhook and of a broker's auth, and url, get, headers and sign.secret of rules")
		}
		if !slices.Contains(d.secrets, one.name) && d.roomFor(v, len(d.secrets)) {
			d.secrets = append(d.secrets, one.name)
		}
		return
	}
	for i := range d.uses {
		if d.uses[i].Name != one.name {
			continue
		}
		if one.hasDefault && !d.uses[i].HasDefault {
			d.uses[i].Default, d.uses[i].HasDefault = one.fallback, true
		}
		return
	}
	if !d.roomFor(v, len(d.uses)) {
		return
	}
	line, column := startOf(v.node)
	d.uses = append(d.uses, Variable{Name: one.name, Default: one.fallback, HasDefault: one.hasDefault, Line: line, Column: column})
}

func (d *decoder) roomFor(v value, have int) bool {
	if have >= maxNames {
		d.problem(v, "the file has more than %d different placeholders", maxNames)
		return false
	}
	return true
}

// secretAllowed keeps secrets out of addresses, expressions and everything else
// that may be shown, logged or quoted in a problem.
func secretAllowed(path string) bool {
	if strings.HasPrefix(path, RulePrefix) {
		return secretOfRule(path)
	}
	for _, side := range []string{"left", "right"} {
		rest, ok := strings.CutPrefix(path, "systems."+side+".")
		if !ok {
			continue
		}
		switch rest {
		case "auth.client_id", "auth.client_secret", "auth.audience", "auth.token", "auth.refresh_token", "auth.username", "auth.password", "webhook.secret", "webhook.previous_secret":
			return true
		}
		if secretOfBroker(rest) {
			return true
		}
	}
	return false
}

// secretOfBroker allows how we log in to a broker.
func secretOfBroker(path string) bool {
	switch path {
	case "broker.auth.username", "broker.auth.password", "broker.auth.token",
		"broker.auth.access_key_id", "broker.auth.secret_access_key", "broker.auth.session_token":
		return true
	}
	return false
}

// secretOfRule allows the address, the headers and the signature of a rule's calls, and
// how it logs in to a broker: rules.NAME.then[0].call.url, rules.NAME.look_up[0].headers.NAME.
func secretOfRule(path string) bool {
	steps := strings.Split(path, ".")
	if len(steps) < 4 {
		return false
	}
	inner := steps[3:]
	if strings.HasPrefix(steps[2], "then[") {
		if inner[0] == "publish" {
			return secretOfBroker(strings.Join(inner[1:], "."))
		}
		if inner[0] != "call" || len(inner) < 2 {
			return false
		}
		inner = inner[1:]
		return inner[0] == "url" || inner[0] == "headers" || len(inner) == 2 && inner[0] == "sign" && inner[1] == "secret"
	}
	return strings.HasPrefix(steps[2], "look_up[") && (inner[0] == "get" || inner[0] == "headers")
}

// lookup returns the value of a placeholder; ok is false where there is none.
func (d *decoder) lookup(v value, one placeholder) (string, bool) {
	if !d.resolve {
		return one.fallback, one.hasDefault
	}
	values, what := d.variables, "variable"
	if one.secret {
		values, what = d.secretValues, "secret"
	}
	given, ok := values[one.name]
	switch {
	case !ok && one.hasDefault:
		return one.fallback, true
	case !ok:
		d.problem(v, "the %s %s has no value", what, one.name)
		return "", false
	case len(given) > maxValue:
		d.problem(v, "the value of the %s %s is longer than %d bytes", what, one.name, maxValue)
		return "", false
	}
	return given, true
}
