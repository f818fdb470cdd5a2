package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/api/rest"
)

// document is openapi.yaml, as far as answers are checked against it.
type document map[string]any

func readDocument(t testing.TB) document {
	t.Helper()
	var parsed document
	require.NoError(t, yaml.Unmarshal(rest.Document(), &parsed))
	return parsed
}

func object(value any) map[string]any {
	found, _ := value.(map[string]any)
	return found
}

// resolve follows a $ref.
func (d document) resolve(value any) map[string]any {
	node := object(value)
	ref, ok := node["$ref"].(string)
	if !ok {
		return node
	}
	var at any = map[string]any(d)
	for _, step := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		at = object(at)[step]
	}
	return d.resolve(at)
}

// operation finds the operation of a real path.
func (d document) operation(method, path string) map[string]any {
	variable := regexp.MustCompile(`\\\{[^/]+\\\}`)
	for template, item := range object(d["paths"]) {
		pattern := "^" + variable.ReplaceAllString(regexp.QuoteMeta(template), "[^/]+") + "$"
		if regexp.MustCompile(pattern).MatchString(path) {
			if found := object(object(item)[strings.ToLower(method)]); found != nil {
				return found
			}
		}
	}
	return nil
}

// check compares an answer with what the document says of its call. Paths that
// it does not know are not checked.
func (d document) check(t testing.TB, method, path string, got answer) {
	t.Helper()
	operation := d.operation(method, path)
	if operation == nil {
		return
	}
	responses := object(operation["responses"])
	response, ok := responses[strconv.Itoa(got.status)]
	if !ok {
		response, ok = responses["default"]
	}
	require.True(t, ok, "%s %s answered %d, which openapi.yaml does not say: %s", method, path, got.status, got.raw)
	contents := object(d.resolve(response)["content"])
	sent, _, _ := strings.Cut(got.header.Get("Content-Type"), ";")
	if _, said := contents[sent]; said && !strings.HasSuffix(sent, "json") {
		return
	}
	for contentType, content := range contents {
		if !strings.HasSuffix(contentType, "json") {
			continue
		}
		require.True(t, strings.HasPrefix(got.header.Get("Content-Type"), contentType), "%s %s: %s", method, path, got.header.Get("Content-Type"))
		var value any
		decoder := json.NewDecoder(strings.NewReader(string(got.raw)))
		decoder.UseNumber()
		require.NoError(t, decoder.Decode(&value), string(got.raw))
		mistakes := d.mismatches("", object(content)["schema"], value)
		require.Empty(t, mistakes, "%s %s: %s", method, path, got.raw)
	}
}

// mismatches lists where value is not what schema says. A key that the schema
// does not name is a mismatch too: the document is to be complete.
func (d document) mismatches(at string, schema, value any) []string {
	node := d.resolve(schema)
	if value == nil {
		if node["type"] == nil || node["nullable"] == true {
			return nil
		}
		return []string{at + " is null"}
	}
	if choices, ok := node["enum"].([]any); ok && !slices.Contains(choices, value) {
		return []string{fmt.Sprintf("%s is %v", at, value)}
	}
	wrong := []string{fmt.Sprintf("%s is no %v", at, node["type"])}
	switch node["type"] {
	case "object":
		fields, ok := value.(map[string]any)
		if !ok {
			return wrong
		}
		return d.fieldMismatches(at, node, fields)
	case "array":
		items, ok := value.([]any)
		if !ok {
			return wrong
		}
		var found []string
		for i, item := range items {
			found = append(found, d.mismatches(fmt.Sprintf("%s[%d]", at, i), node["items"], item)...)
		}
		return found
	case "string":
		text, ok := value.(string)
		if !ok {
			return wrong
		}
		if _, err := time.Parse(time.RFC3339, text); node["format"] == "date-time" && (err != nil || !strings.HasSuffix(text, "Z")) {
			return []string{at + " is no time in UTC"}
		}
	case "integer", "number":
		number, ok := value.(json.Number)
		if !ok || node["type"] == "integer" && strings.Contains(number.String(), ".") {
			return wrong
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			return wrong
		}
	}
	return nil
}

func (d document) fieldMismatches(at string, node, fields map[string]any) []string {
	var found []string
	required, _ := node["required"].([]any)
	for _, name := range required {
		if _, ok := fields[fmt.Sprint(name)]; !ok {
			found = append(found, fmt.Sprintf("%s.%v is missing", at, name))
		}
	}
	properties := object(node["properties"])
	for name, value := range fields {
		schema, ok := properties[name]
		if !ok {
			if schema, ok = node["additionalProperties"]; !ok {
				found = append(found, at+"."+name+" is not in openapi.yaml")
				continue
			}
		}
		found = append(found, d.mismatches(at+"."+name, schema, value)...)
	}
	return found
}

func TestCopyOfTheDocumentIsTheDocument(t *testing.T) {
	original, err := os.ReadFile("../openapi.yaml")
	require.NoError(t, err)
	require.Equal(t, string(original), string(rest.Document()), "run make generate")
}

func TestCheckerBites(t *testing.T) {
	d := readDocument(t)
	schema := map[string]any{"$ref": "#/components/schemas/Link"}
	good := `{"id":"l","stream":"s","left":{"id":"a"},"right":{"id":"b"},"state":"active","created_at":"2026-11-21T09:30:00Z","updated_at":"2026-11-21T09:30:00Z"}`
	for change, want := range map[string]string{
		`"id":"l"|"id":7`:                     "is no string",
		`"stream":"s",|`:                      ".stream is missing",
		`"state":"active"|"state":"gone"`:     "is gone",
		`"id":"l"|"id":"l","more":1`:          ".more is not in",
		`"left":{"id":"a"}|"left":null`:       ".left is null",
		`09:30:00Z"}|09:30:00+01:00"}`:        "is no time in UTC",
		`"left":{"id":"a"}|"left":["a"]`:      ".left is no object",
		`"right":{"id":"b"}|"right":{"id":1}`: ".right.id is no string",
	} {
		from, to, _ := strings.Cut(change, "|")
		var value any
		decoder := json.NewDecoder(strings.NewReader(strings.Replace(good, from, to, 1)))
		decoder.UseNumber()
		require.NoError(t, decoder.Decode(&value))
		require.Contains(t, strings.Join(d.mismatches("", schema, value), "\n"), want)
	}
}

// TestEveryPathHasARoute calls every operation of the document: none may be
// unknown to the router, and all but the open ones want the token.
func TestEveryPathHasARoute(t *testing.T) {
	h := start(t)
	variable := regexp.MustCompile(`\{[^/]+\}`)
	operations := 0
	for template, item := range object(h.schema["paths"]) {
		for method := range object(item) {
			if method == "parameters" {
				continue
			}
			operations++
			path := strings.Replace(template, "{side}", "left", 1)
			got := h.send(strings.ToUpper(method), variable.ReplaceAllString(path, "nothing"), nil)
			if strings.HasPrefix(template, "/api/") {
				got.problem(t, http.StatusUnauthorized, "unauthorized")
				require.NotEmpty(t, got.header.Get("WWW-Authenticate"))
				continue
			}
			require.NotContains(t, string(got.raw), "no such path", template)
			require.NotEqual(t, http.StatusMethodNotAllowed, got.status, template)
		}
	}
	require.Greater(t, operations, 30)
}
