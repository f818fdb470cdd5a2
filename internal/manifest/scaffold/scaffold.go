package scaffold

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
)

// FromOpenAPI begins a manifest. name may be empty: it is then made of the title.
// What it answers has no mistakes of form; whether it is true, the live system
// tells. Errors are fault.Usage: no OpenAPI 3, or no collection in it.
func FromOpenAPI(text []byte, name string) (string, error) {
	api, err := read(text)
	if err != nil {
		return "", err
	}
	w := &writer{api: api}
	info := api.object(api.root["info"])
	title, _ := info["title"].(string)
	title = strings.TrimSpace(title)
	if title == "" {
		title = "New system"
	}
	if name == "" {
		name = slug(title)
	}
	w.line("# Begun from an OpenAPI file. Look at every CHECK, then: accord connector test FILE --base-url %s", w.base())
	w.line("manifest: %s", quote(name))
	w.line("title: %s", quote(title))
	if docs, _ := api.object(api.root["externalDocs"])["url"].(string); strings.HasPrefix(docs, "https://") {
		w.line("docs: %s", quote(docs))
	}
	w.auth()
	w.errors()
	w.line("")
	w.line("objects:")
	if w.objects() == 0 {
		return "", fault.New(fault.Usage, "the OpenAPI file has no collection: a path with GET whose rows can be read at the same path with an id, without other parameters")
	}
	if _, err := manifest.Parse([]byte(w.text.String())); err != nil {
		return "", fault.Wrap(fault.Usage, err, "no manifest could be made of the OpenAPI file (%s); write one by hand", detailsOf(err))
	}
	return w.text.String(), nil
}

func detailsOf(err error) string {
	var told []string
	for _, one := range fault.As(err).Details {
		told = append(told, one.Path+": "+one.Message)
	}
	return strings.Join(told, "; ")
}

type writer struct {
	api  spec
	text strings.Builder
}

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(&w.text, format+"\n", args...)
}

// quote is a text in double quotes, as JSON and YAML have it.
func quote(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		return `""` // a text always encodes
	}
	return string(encoded)
}

// slug is a name made of a title.
func slug(title string) string {
	made := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(title), "-"), "-")
	if made = made[:min(len(made), 40)]; made == "" {
		return "new-system"
	}
	return made
}

// base is the address of the first server.
func (w *writer) base() string {
	servers, _ := w.api.root["servers"].([]any)
	for _, one := range servers {
		address, _ := w.api.object(one)["url"].(string)
		if parsed, err := url.Parse(address); err == nil && parsed.Host != "" && !strings.ContainsAny(address, "{} \n") {
			return strings.TrimRight(address, "/")
		}
	}
	return "https://…"
}

// auth says how calls are authorised, as the file's security schemes do.
func (w *writer) auth() {
	var kinds []string
	key := ""
	schemes := w.api.object(w.api.object(w.api.root["components"])["securitySchemes"])
	for _, name := range slices.Sorted(maps.Keys(schemes)) {
		scheme := w.api.object(schemes[name])
		kind, _ := scheme["type"].(string)
		flows := w.api.object(scheme["flows"])
		switch {
		case kind == "http" && strings.EqualFold(fmt.Sprint(scheme["scheme"]), "basic"):
			kinds = append(kinds, manifest.AuthBasic)
		case kind == "http":
			kinds = append(kinds, manifest.AuthBearer)
		case kind == "apiKey" && (scheme["in"] == "header" || scheme["in"] == "query") && key == "":
			called, _ := scheme["name"].(string)
			if strings.EqualFold(called, "Authorization") {
				kinds = append(kinds, manifest.AuthBearer)
				continue
			}
			kinds = append(kinds, manifest.AuthAPIKey)
			key = fmt.Sprintf("  api_key: {in: %s, name: %s}", scheme["in"], quote(called))
		case flows["clientCredentials"] != nil:
			kinds = append(kinds, manifest.AuthClientCredentials)
		case flows["authorizationCode"] != nil:
			kinds = append(kinds, manifest.AuthAuthorizationCode)
		}
	}
	check := ""
	if len(kinds) == 0 {
		kinds, check = []string{manifest.AuthNone}, " # CHECK: the file names no way to authorise that is known here"
	}
	slices.Sort(kinds)
	w.line("auth:")
	w.line("  kinds: [%s]%s", strings.Join(slices.Compact(kinds), ", "), check)
	if key != "" {
		w.line("%s", key)
	}
}

// errors says how the system's own refusals are known.
func (w *writer) errors() {
	schema := w.api.refusal()
	known := w.api.find(schema, "error.type", "error.code", "error.status", "error.message", "errorCode", "error_code", "code", "error", "type", "category", "reason", "status", "message", "title", "detail")
	w.line("errors:")
	if known == "" {
		w.line("  known: error # CHECK: the path of a text that only the system's own refusals have")
	} else {
		w.line("  known: %s # CHECK: has the answer for a record that does not exist this?", quote(known))
	}
	if code := w.api.find(schema, "error.code", "error.type", "errorCode", "error_code", "code", "category"); code != "" {
		w.line("  code: [%s]", quote(code))
	}
	if message := w.api.find(schema, "error.message", "message", "detail", "title", "error_description"); message != "" {
		w.line("  message: %s", quote(message))
	}
	if fields := w.api.find(schema, "error.fields", "fields", "error.details", "errors", "details"); fields != "" {
		w.line("  fields: %s # CHECK: field_name if this is a list of objects", quote(fields))
	}
}

// objects writes every collection and answers how many there are.
func (w *writer) objects() int {
	paths := w.api.object(w.api.root["paths"])
	count := 0
	seen := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		found := w.collection(paths, strings.TrimRight(path, "/"))
		if found == nil || seen[found.name] {
			continue
		}
		seen[found.name] = true
		count++
		w.object(found)
	}
	return count
}
