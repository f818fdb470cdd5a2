// Package connectors carries the connector manifests of this folder inside the
// binaries, so that integrations can name them.
package connectors

import (
	"embed"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// Read returns a manifest by its name, which is that of its file without .yaml.
// An error means that there is none of that name.
func Read(name string) ([]byte, error) { return files.ReadFile(name + ".yaml") }

// Names lists the manifests in alphabetical order.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil // the folder is part of the binary
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(entry.Name(), ".yaml"))
	}
	return names
}
