package rest

import _ "embed"

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi.yaml ../openapi.yaml
//go:generate cp ../openapi.yaml openapi.yaml

// document is a copy of api/openapi.yaml, which no package can embed that a
// binary imports; a test compares the two.
//
//go:embed openapi.yaml
var document string

// Document is openapi.yaml.
func Document() []byte { return []byte(document) }
