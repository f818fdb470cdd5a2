package sandbox_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
)

// TestTheGuideWorksAsWritten sends every curl line of the guide. What the guide
// asks a shell for, the ids and the token, is put in here.
func TestTheGuideWorksAsWritten(t *testing.T) {
	text, err := os.ReadFile("../../docs/guides/sandbox.md")
	require.NoError(t, err)
	lines := regexp.MustCompile("(?m)(?:^|`)(curl -s [^\n]*?)(?:`|$)").FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(lines), 80, "the guide shows every fault and switch")
	p := start(t, sandbox.Options{})
	leads, contacts := p.salesos.seed("leads", 2), p.acme.seed("contacts", 3)
	values := map[string]string{"S": p.salesos.url, "A": p.acme.url, "H": p.hubspot.url, "TOKEN": p.salesos.token, "LEAD": leads[0], "CONTACT": contacts[0], "OTHER": contacts[1], "THIRD": contacts[2]}
	for _, line := range lines {
		command := regexp.MustCompile(`\$\(.*?\)\?`).ReplaceAllString(line[1], leads[1]+"?")
		// What one line arms must not meet the next; and a clock set back lets no token end.
		require.NoError(t, p.salesos.admin.ClearFaults(t.Context()))
		require.NoError(t, p.acme.admin.ClearFaults(t.Context()))
		if strings.Contains(command, "/_admin/reset") {
			continue // it empties everything: at the end
		}
		p.curl(t, command, values)
	}
	p.curl(t, "curl -s -X POST $S/_admin/reset", values)
}

// curl does what the command does with the options that the guide uses.
func (p *pair) curl(t *testing.T, command string, values map[string]string) {
	t.Helper()
	method, address, body := http.MethodGet, "", any(nil)
	headers := []string{"Content-Type", "application/x-www-form-urlencoded"} // as curl does
	words := shellWords(t, command, values)
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "-s":
		case "-X":
			i++
			method = words[i]
		case "-d":
			i++
			body = words[i]
			if method == http.MethodGet {
				method = http.MethodPost
			}
		case "-H":
			i++
			name, value, _ := strings.Cut(words[i], ": ")
			headers = append(headers, name, value)
		default:
			require.Empty(t, address, "two addresses: %s", command)
			address = words[i]
		}
	}
	anybody := &side{t: t}
	a := anybody.do(method, address, body, headers...)
	require.NoError(t, a.err, command)
	require.Less(t, a.status, 300, "%s\n%s", command, a.raw)
}

// shellWords splits a command as a shell does: quotes, and $NAME outside of single ones.
func shellWords(t *testing.T, command string, values map[string]string) (words []string) {
	t.Helper()
	variable := regexp.MustCompile(`^\$([A-Z]+)`)
	word, open, quote := "", false, byte(0)
	for i := 0; i < len(command); i++ {
		char := command[i]
		name := variable.FindStringSubmatch(command[i:])
		switch {
		case quote == 0 && char == ' ':
			if open {
				words = append(words, word)
			}
			word, open = "", false
		case quote == 0 && (char == '\'' || char == '"'):
			quote, open = char, true
		case char == quote && quote != 0:
			quote = 0
		case quote != '\'' && name != nil:
			value, known := values[name[1]]
			require.True(t, known, "what is $%s in %s", name[1], command)
			word, open = word+value, true
			i += len(name[0]) - 1
		default:
			require.False(t, quote == 0 && (char == '|' || char == ';'), "more than one command: %s", command)
			word, open = word+string(char), true
		}
	}
	require.Zero(t, quote, "a quote is open: %s", command)
	if open {
		words = append(words, word)
	}
	return words
}

// TestTheGuideLeavesNothingOut compares the guide with the shapes of the admin API.
func TestTheGuideLeavesNothingOut(t *testing.T) {
	text, err := os.ReadFile("../../docs/guides/sandbox.md")
	require.NoError(t, err)
	p := start(t, sandbox.Options{})
	switches := p.salesos.do("GET", "/_admin/switches", nil)
	for name := range switches.body {
		require.Contains(t, string(text), `"`+name+`"`, "a switch")
	}
	source, err := os.ReadFile("wire/faults.go")
	require.NoError(t, err)
	log, err := os.ReadFile("wire/log.go")
	require.NoError(t, err)
	for _, kind := range regexp.MustCompile(`(?m)^\t(?:Fault|Spoil|Alter)\w+ += "(\w+)"`).FindAllStringSubmatch(string(source)+string(log), -1) {
		require.Contains(t, string(text), kind[1], "a kind")
	}
}
