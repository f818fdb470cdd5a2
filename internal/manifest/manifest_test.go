package manifest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/connectors"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
)

// small is a manifest with nothing but what is needed.
const small = `manifest: small
title: Small CRM
auth: {kinds: [bearer]}
errors: {known: error}
list: {path: /items}
get:
  path: /items/{id}
objects:
  items: {read_only: true}
`

func TestDefaults(t *testing.T) {
	read, err := manifest.Parse([]byte(small))
	require.NoError(t, err)
	items := read.Objects["items"]
	require.Equal(t, "items", items.Name)
	require.Equal(t, "item", items.Singular)
	require.Equal(t, "id", items.Records.ID)
	require.Equal(t, ".", items.List.Rows)
	require.Equal(t, 100, items.List.Size)
	require.Equal(t, "GET", items.Get.Method)
	require.Equal(t, manifest.PagingNone, items.List.Paging.Kind)
	require.Equal(t, 1, items.List.Paging.First)
	require.Nil(t, items.ChangesBy())
	require.Nil(t, items.Create)
	require.Equal(t, "merge", read.Capabilities.CustomFields)
}

// TestShippedManifests are what users can name.
func TestShippedManifests(t *testing.T) {
	require.Contains(t, connectors.Names(), "acme")
	for _, name := range connectors.Names() {
		text, err := connectors.Read(name)
		require.NoError(t, err)
		read, err := manifest.Parse(text)
		require.NoError(t, err, problems(err))
		require.Equal(t, name, read.Name, "a shipped manifest is called like its file")
	}
}

// TestMistakes: every mistake is told, where it stands.
func TestMistakes(t *testing.T) {
	for _, row := range []struct{ name, from, to, want string }{
		{"an unknown key", "title: Small CRM", "title: Small CRM\ntitel: x", "3:1 titel: unknown key titel: known here are manifest"},
		{"a missing key", "errors: {known: error}\n", "", "1:1 : the key errors is missing"},
		{"a key twice", "title: Small CRM", "title: Small CRM\ntitle: x", "3:1 title: the key appears twice"},
		{"a list for a text", "title: Small CRM", "title: [x]", "2:8 title: must be a single value, not a list"},
		{"a text for an object", "auth: {kinds: [bearer]}", "auth: bearer", "3:7 auth: must be an object of keys and values, not text"},
		{"an unknown kind", "kinds: [bearer]", "kinds: [magic]", `3:15 auth.kinds: "magic" is not one of oauth2_client_credentials`},
		{"a key without a place", "kinds: [bearer]", "kinds: [api_key]", "3:7 auth: the kind api_key needs the key api_key"},
		{"a path without an id", "/items/{id}", "/items", "7:3 get: {id} must stand somewhere"},
		{"a path elsewhere", "path: /items}", "path: //evil.example/items}", "5:14 list.path: must begin with one /"},
		{"an unknown placeholder", "path: /items}", "path: '/{nothing}'}", "5:14 list.path: {nothing} is not known"},
		{"a cursor that goes nowhere", "path: /items}", "path: /items, paging: {kind: cursor, next: next}}", "5:7 list: {next} must stand somewhere"},
		{"a cursor out of nowhere", "path: /items}", "path: /items, query: {c: '{next}'}, paging: {kind: cursor}}", "5:52 list.paging: needs next"},
		{"an unknown paging", "path: /items}", "path: /items, paging: {kind: scroll}}", `5:37 list.paging.kind: "scroll" is not one of`},
		{"no objects", "  items: {read_only: true}", "  {}", "9:3 objects: at least one object is needed"},
		{"an object that cannot be read", "get:\n  path: /items/{id}\n", "", "7:10 objects.items: needs get"},
		{"half a writer", "get:", "create: {path: /items}\nget:", ""},
		{"a writer without update", "  items: {read_only: true}", "  items: {create: {path: /items}}", "9:10 objects.items: needs both create and update"},
		{"a secret", "Small CRM", "${secret:x}", "2:8 title: a manifest holds no variables or secrets"},
		{"a header of ours", "objects:", "headers: {authorization: x}\nobjects:", "8:26 headers.authorization: is set by Accord itself"},
		{"a number too large", "path: /items}", "path: /items, size: 20000}", "5:28 list.size: must be a number from 1 to 10000"},
		{"no number", "path: /items}", "path: /items, size: many}", `5:28 list.size: "many" is not a whole number`},
		{"an anchor", "title: Small CRM", "title: &a Small CRM", "2:8 : anchors, aliases and merge keys are not supported"},
		{"no YAML", "title: Small CRM", "title: [", ""},
		{"a bad pattern", "errors: {known: error}", "errors: {known: error, existing_match: 'x('}", "4:40 errors.existing_match: must be a regular expression"},
		{"a case of nothing", "errors: {known: error}", "errors: {known: error, cases: [{means: gone}]}", "errors.cases: a case needs status, code or both"},
		{"versions of nothing", "objects:\n  items: {read_only: true}", "capabilities: {versions: true}\nobjects:\n  items: {create: {path: /i}, update: {path: '/i/{id}'}}", "objects.items: capabilities.versions is true"},
	} {
		t.Run(row.name, func(t *testing.T) {
			text := strings.Replace(small, row.from, row.to, 1)
			require.NotEqual(t, small, text)
			_, err := manifest.Parse([]byte(text))
			if row.name == "half a writer" {
				require.NoError(t, err, "what a read-only object does not use does not count")
				return
			}
			require.Equal(t, fault.Usage, fault.CodeOf(err))
			require.Contains(t, problems(err), row.want)
		})
	}
}

func TestEveryMistakeIsTold(t *testing.T) {
	_, err := manifest.Parse([]byte("manifest: small\ncolour: red\nauth: {kind: x}\nobjects:\n  items: {shape: round}\n"))
	for _, want := range []string{"2:1 colour", "1:1 : the key title", "3:8 auth.kind", "5:11 objects.items.shape", "the key errors"} {
		require.Contains(t, problems(err), want)
	}
}

// TestInlineKeepsPositions: a manifest inside another file is told where that file has it.
func TestInlineKeepsPositions(t *testing.T) {
	file, err := parser.ParseBytes([]byte("system:\n  manifest:\n    title: X\n    shape: round\n"), 0)
	require.NoError(t, err)
	node, err := manifestNode(file.Docs[0].Body)
	require.NoError(t, err)
	_, found := manifest.Decode(node, "system.manifest")
	require.Equal(t, 4, found[len(found)-1].Line)
	require.Equal(t, "system.manifest.shape", found[len(found)-1].Path)
}

func TestTooLarge(t *testing.T) {
	_, err := manifest.Parse(make([]byte, 2<<20))
	require.Equal(t, fault.TooLarge, fault.CodeOf(err))
}

func problems(err error) string {
	if coded := fault.As(err); coded != nil {
		lines := ""
		for _, one := range coded.Details {
			lines += fmt.Sprintf("%d:%d %s: %s\n", one.Line, one.Column, one.Path, one.Message)
		}
		return lines
	}
	return ""
}

func TestFill(t *testing.T) {
	values := manifest.Values{"id": "a/b ?", "size": 5, "list": []string{"x", "y"}}
	for _, row := range []struct {
		text, want, path string
		ok               bool
	}{
		{"/items/{id}", "/items/a/b ?", "/items/a%2Fb%20%3F", true},
		{"{size}-{size}", "5-5", "5-5", true},
		{"{list}", "x,y", "x%2Cy", true},
		{"plain } {", "plain } {", "plain } {", true},
		{"{missing}", "", "", false},
	} {
		got, ok := manifest.Fill(row.text, values)
		require.Equal(t, row.ok, ok, row.text)
		require.Equal(t, row.want, got)
		got, _ = manifest.FillPath(row.text, values)
		require.Equal(t, row.path, got)
	}
	body := map[string]any{"limit": "{size}", "after": "{missing}", "show": "{list}", "filters": []any{map[string]any{"value": "{missing}"}}, "keep": json.Number("1"), "{id}": true}
	filled, ok := manifest.FillTree(body, values)
	require.True(t, ok)
	require.Equal(t, map[string]any{"limit": 5, "show": []string{"x", "y"}, "keep": json.Number("1"), "a/b ?": true}, filled)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	for _, name := range connectors.Names() {
		text, err := connectors.Read(name)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte(`{"manifest":"x","title":"X","auth":{"kinds":["none"]},"errors":{"known":"e"},"objects":{"a":{"list":{"path":"/a"},"get":{"path":"/a/{id}"}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := manifest.Parse(text)
		if err != nil {
			coded := fault.As(err)
			if coded == nil || (coded.Code == fault.Usage && len(coded.Details) == 0) {
				t.Fatalf("a mistake that is not told: %v", err)
			}
			return
		}
		for _, name := range read.Names() {
			object := read.Objects[name]
			if object.List == nil || object.Get == nil || object.Records == nil || !object.Get.Holds("id") || !strings.HasPrefix(object.List.Path, "/") {
				t.Fatalf("half an object passed: %+v", object)
			}
		}
	})
}

// manifestNode is the value of system.manifest.
func manifestNode(root ast.Node) (ast.Node, error) {
	path, err := yaml.PathString("$.system.manifest")
	if err != nil {
		return nil, err
	}
	return path.FilterNode(root)
}
