// Package scaffold begins a connector manifest from the OpenAPI 3 file of a
// system. It finds collections and says where things are as far as names and
// shapes tell; what it could not find out is marked with CHECK.
package scaffold

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/accord-sync/accord/internal/fault"
)

// MaxSize is the largest OpenAPI file that is read, in bytes.
const MaxSize = 32 << 20

const (
	// maxHops bounds how many references are followed to resolve one.
	maxHops = 20
	// maxParts bounds how deep schemas may be put together of others (allOf).
	maxParts = 5
)

type object = map[string]any

// spec is an OpenAPI file.
type spec struct{ root object }

// read takes YAML or JSON.
func read(text []byte) (spec, error) {
	if len(text) > MaxSize {
		return spec{}, fault.New(fault.TooLarge, "the OpenAPI file is larger than %d bytes", MaxSize)
	}
	var root object
	err := json.Unmarshal(text, &root)
	if err != nil {
		root = nil
		err = yaml.Unmarshal(text, &root)
	}
	if err != nil || root == nil {
		return spec{}, fault.Wrap(fault.Usage, err, "the OpenAPI file is neither YAML nor JSON")
	}
	version, _ := root["openapi"].(string)
	if !strings.HasPrefix(version, "3.") {
		return spec{}, fault.New(fault.Usage, "only OpenAPI 3 is read; convert the file first (openapi: %q)", version)
	}
	return spec{root: root}, nil
}

// object resolves a value: what it refers to, or itself. nil: no object.
func (s spec) object(value any) object {
	hops := maxHops
	return s.resolved(value, &hops)
}

// resolved is object within the hops that are left, those on the way to what a
// reference names included: it may lead through itself.
func (s spec) resolved(value any, hops *int) object {
	found, _ := value.(object)
	for {
		ref, isRef := found["$ref"].(string)
		if !isRef {
			return found
		}
		if *hops == 0 {
			return nil
		}
		*hops--
		found, _ = s.pointer(ref, hops).(object)
	}
}

// pointer follows "#/components/…" (RFC 6901).
func (s spec) pointer(ref string, hops *int) any {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	var value any = s.root
	for step := range strings.SplitSeq(path, "/") {
		if plain, err := url.PathUnescape(step); err == nil {
			step = plain
		}
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		value = s.resolved(value, hops)[step]
	}
	return value
}

// properties of a schema, those of allOf included.
func (s spec) properties(schema any) object {
	return s.propertiesWithin(schema, maxParts)
}

func (s spec) propertiesWithin(schema any, hops int) object {
	all := object{}
	if hops == 0 {
		return all
	}
	found := s.object(schema)
	parts, _ := found["allOf"].([]any)
	for _, part := range parts {
		maps.Copy(all, s.propertiesWithin(part, hops-1))
	}
	maps.Copy(all, s.object(found["properties"]))
	return all
}

// kind is the type of a schema: object, array, string … (3.1 allows a list of types).
func (s spec) kind(schema any) string {
	found := s.object(schema)
	switch typed := found["type"].(type) {
	case string:
		return typed
	case []any:
		for _, one := range typed {
			if name, ok := one.(string); ok && name != "null" {
				return name
			}
		}
	}
	switch {
	case found["items"] != nil:
		return "array"
	case len(s.properties(schema)) > 0:
		return "object"
	}
	return ""
}

// body is the JSON schema of a request body or a response.
func (s spec) body(value any) any {
	content := s.object(s.object(value)["content"])
	for _, media := range slices.Sorted(maps.Keys(content)) {
		if strings.Contains(media, "json") {
			return s.object(content[media])["schema"]
		}
	}
	return nil
}

// good is the schema of the answer to an operation that went well.
func (s spec) good(operation object) any {
	responses := s.object(operation["responses"])
	for _, status := range []string{"200", "201", "2XX", "default"} {
		if schema := s.body(responses[status]); schema != nil {
			return schema
		}
	}
	return nil
}

// refusal is the schema of an answer with an error, of the first operation that has one.
func (s spec) refusal() any {
	paths := s.object(s.root["paths"])
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		for _, method := range []string{"get", "post", "patch", "put", "delete"} {
			responses := s.object(s.object(s.object(paths[path])[method])["responses"])
			for _, status := range []string{"404", "400", "422", "409", "401", "4XX", "default"} {
				if schema := s.body(responses[status]); schema != nil {
					return schema
				}
			}
		}
	}
	return nil
}

// queries are the names of the query parameters of an operation.
func (s spec) queries(path, operation object) []string {
	var names []string
	for _, holder := range []object{path, operation} {
		parameters, _ := holder["parameters"].([]any)
		for _, one := range parameters {
			parameter := s.object(one)
			if name, _ := parameter["name"].(string); parameter["in"] == "query" && name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// find looks for the first of the paths that a schema has.
func (s spec) find(schema any, candidates ...string) string {
	for _, candidate := range candidates {
		inner, found := schema, true
		for step := range strings.SplitSeq(candidate, ".") {
			if inner, found = s.properties(inner)[step]; !found {
				break
			}
		}
		if found {
			return candidate
		}
	}
	return ""
}

// rows finds the list in an answer, up to two steps inside; empty: there is none.
func (s spec) rows(schema any, name string) (path string, row any) {
	if s.kind(schema) == "array" {
		return ".", s.object(schema)["items"]
	}
	properties := s.properties(schema)
	usual := []string{"items", "data", "results", "records", "value", "values", "entries", "content", name}
	for _, key := range slices.Concat(usual, slices.Sorted(maps.Keys(properties))) {
		if s.kind(properties[key]) == "array" && s.kind(s.object(properties[key])["items"]) == "object" {
			return key, s.object(properties[key])["items"]
		}
	}
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		inner := s.properties(properties[key])
		for _, second := range slices.Concat(usual, slices.Sorted(maps.Keys(inner))) {
			if s.kind(inner[second]) == "array" && s.kind(s.object(inner[second])["items"]) == "object" {
				return key + "." + second, s.object(inner[second])["items"]
			}
		}
	}
	return "", nil
}

// wrapped is the one key under which a schema holds the record; ".": it is the record.
func (s spec) wrapped(schema any, id string) string {
	properties := s.properties(schema)
	if _, own := properties[id]; own {
		return "."
	}
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		inner := s.properties(properties[key])
		if _, has := inner[id]; has || (len(properties) == 1 && len(inner) > 0) {
			return key
		}
	}
	return "."
}
