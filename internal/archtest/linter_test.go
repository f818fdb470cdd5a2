package archtest

import (
	"os"
	"sort"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// TestLinterKnowsTheSameLayers compares the table of this package with the depguard rules called arrows-*.
func TestLinterKnowsTheSameLayers(t *testing.T) {
	content, err := os.ReadFile("../../.golangci.yml")
	require.NoError(t, err)
	var config struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]struct {
						Deny []struct {
							Pkg string `yaml:"pkg"`
						} `yaml:"deny"`
					} `yaml:"rules"`
				} `yaml:"depguard"`
			} `yaml:"settings"`
		} `yaml:"linters"`
	}
	require.NoError(t, yaml.Unmarshal(content, &config))
	got := map[string][]string{}
	for name, rule := range config.Linters.Settings.Depguard.Rules {
		group, ok := strings.CutPrefix(name, "arrows-")
		if !ok {
			continue
		}
		denied := []string{}
		for _, entry := range rule.Deny {
			denied = append(denied, strings.TrimPrefix(entry.Pkg, module+"/"))
		}
		sort.Strings(denied)
		got[group] = denied
	}
	require.Equal(t, deniedByLayer(), got)
}

// deniedByLayer lists, for each group below the mains, the groups beside and above it. Some are left to rules of
// their own or need none: internal/devserver, and e2e and bench, whose packages nobody can import.
func deniedByLayer() map[string][]string {
	table := layers()
	denied := map[string][]string{}
	for i, groups := range table[:len(table)-1] {
		for _, group := range groups {
			list := []string{}
			for _, above := range table[i:] {
				for _, other := range above {
					if other != group && other != "internal/devserver" && other != "e2e" && other != "bench" {
						list = append(list, other)
					}
				}
			}
			sort.Strings(list)
			denied[strings.TrimPrefix(group, "internal/")] = list
		}
	}
	return denied
}
