// Package integrations carries the integration files of this folder inside the
// binaries, so that they work wherever they were copied to.
package integrations

import "embed"

//go:embed *.yaml
var files embed.FS

// SalesOSAcme is the name of the file that keeps SalesOS leads and Acme contacts in step.
const SalesOSAcme = "salesos-acme.yaml"

// Read returns an integration file by its name in this folder. An error means
// that there is none of that name.
func Read(name string) ([]byte, error) { return files.ReadFile(name) }
