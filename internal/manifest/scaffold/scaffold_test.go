package scaffold_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/manifest/scaffold"
)

func TestPipeworks(t *testing.T) {
	text, err := os.ReadFile("../../../docs/guides/pipeworks-openapi.yaml")
	require.NoError(t, err)
	made, err := scaffold.FromOpenAPI(text, "")
	require.NoError(t, err)
	read, err := manifest.Parse([]byte(made))
	require.NoError(t, err, made)
	require.Equal(t, "pipeworks", read.Name)
	require.Equal(t, []string{manifest.AuthAPIKey}, read.Auth.Kinds)
	require.Equal(t, "X-Pipe-Key", read.Auth.APIKey.Name)
	require.Equal(t, "reason", read.Errors.Known)
	people := read.Objects["people"]
	require.Equal(t, "result.people", people.List.Rows)
	require.Equal(t, manifest.PagingPage, people.List.Paging.Kind)
	require.Equal(t, map[string]string{"per_page": "{size}", "modified_after": "{since}", "page": "{page}"}, people.List.Query)
	require.Equal(t, "person", people.Get.Row)
	require.Equal(t, "PUT", people.Update.Method)
	require.Equal(t, "nothing", people.Update.Returns)
	require.Equal(t, "/people/{id}", people.Delete.Path)
	require.Contains(t, made, "accord connector test FILE --base-url https://pipeworks.example/rest/v1")
}

// another is a file of other habits: cursors, OAuth2, records at the top, nested parameters, references within references.
const another = `{"openapi": "3.1.0", "info": {"title": "Ünder & Over"}, "servers": [{"url": "{scheme}://x"}, {"url": "https://api.example.com/v2/"}],
"components": {
  "securitySchemes": {"o": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://x/token", "scopes": {}}}}, "b": {"type": "http", "scheme": "bearer"}},
  "schemas": {
    "Base": {"type": "object", "properties": {"id": {"type": "string"}, "updatedAt": {"type": "string"}}},
    "Deal": {"allOf": [{"$ref": "#/components/schemas/Base"}, {"properties": {"title": {"type": ["string", "null"]}}}]},
    "Loop": {"$ref": "#/components/schemas/Loop"},
    "Error": {"type": "object", "properties": {"error": {"type": "object", "properties": {"code": {"type": "string"}, "message": {"type": "string"}}}}}}},
"paths": {
  "/deals/": {"get": {"parameters": [{"name": "after", "in": "query"}, {"name": "page_size", "in": "query"}, {"name": "X", "in": "header"}],
      "responses": {"200": {"content": {"application/json": {"schema": {"type": "object", "properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Deal"}}, "next_cursor": {"type": "string"}}}}}},
                    "default": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}}},
    "post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Deal"}}}}, "responses": {"201": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Deal"}}}}}}},
  "/deals/{dealId}/": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Deal"}}}}}}, "patch": {"responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Deal"}}}}}}},
  "/loops": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Loop"}}}}}}}, "/loops/{id}": {"get": {}},
  "/accounts/{a}/notes": {"get": {}}, "/accounts/{a}/notes/{id}": {"get": {}},
  "/users": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Base"}}}}}}}}, "/users/{id}": {"get": {"responses": {}}}}}`

func TestOtherHabits(t *testing.T) {
	made, err := scaffold.FromOpenAPI([]byte(another), "mine")
	require.NoError(t, err)
	read, err := manifest.Parse([]byte(made))
	require.NoError(t, err, made)
	require.Equal(t, "mine", read.Name)
	require.Equal(t, "Ünder & Over", read.Title)
	require.Equal(t, []string{"deals", "users"}, read.Names(), "nothing that hangs below another record, nothing without rows")
	require.Equal(t, []string{manifest.AuthBearer, manifest.AuthClientCredentials}, read.Auth.Kinds)
	require.Equal(t, "error.code", read.Errors.Known)
	deals := read.Objects["deals"]
	require.Equal(t, "updatedAt", deals.Records.UpdatedAt)
	require.Equal(t, manifest.Paging{Kind: manifest.PagingCursor, Next: "next_cursor", First: 1}, deals.List.Paging)
	require.Equal(t, map[string]string{"page_size": "{size}", "after": "{next}"}, deals.List.Query)
	require.Equal(t, ".", deals.Create.Wrap)
	require.Nil(t, deals.Delete)
	require.True(t, read.Objects["users"].ReadOnly)
	require.Contains(t, made, "--base-url https://api.example.com/v2")
	require.Contains(t, made, "kind: none} # CHECK")
}

func TestNotForUs(t *testing.T) {
	for _, text := range []string{"", "[1]", "swagger: '2.0'\n", "openapi: 3.0.0\n", "openapi: 3.0.0\npaths: {/x: {get: {}}}\n", "{"} {
		_, err := scaffold.FromOpenAPI([]byte(text), "")
		require.Equal(t, fault.Usage, fault.CodeOf(err), text)
	}
	_, err := scaffold.FromOpenAPI(make([]byte, scaffold.MaxSize+1), "")
	require.Equal(t, fault.TooLarge, fault.CodeOf(err))
}

// FuzzFromOpenAPI: whatever is made is a manifest without mistakes.
// TestAReferenceThroughItself: it names nothing, and must not be followed for ever.
func TestAReferenceThroughItself(t *testing.T) {
	_, err := scaffold.FromOpenAPI([]byte(`{"openapi": "3.0.0", "info": {"$ref": "#/info/title"}, "paths": {"/a": {"$ref": "#/paths/~1a/get/x"}}}`), "x")
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

func FuzzFromOpenAPI(f *testing.F) {
	f.Add([]byte(another))
	text, err := os.ReadFile("../../../docs/guides/pipeworks-openapi.yaml")
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte(strings.ReplaceAll(another, "deals", "a\\\"b")))
	f.Fuzz(func(t *testing.T, text []byte) {
		made, err := scaffold.FromOpenAPI(text, "")
		if err != nil {
			if fault.As(err) == nil {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		if _, err := manifest.Parse([]byte(made)); err != nil {
			t.Fatalf("not a manifest: %v\n%s", err, made)
		}
	})
}
