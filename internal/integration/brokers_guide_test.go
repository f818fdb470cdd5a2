package integration

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/record"
)

// TestTheGuideOnBrokers follows docs/guides/brokers.md: each diff in it turns the
// file with webhooks into one that passes, and the first one into the ready-made file.
func TestTheGuideOnBrokers(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guides/brokers.md")
	require.NoError(t, err)
	before, err := os.ReadFile("../../integrations/salesos-acme.yaml")
	require.NoError(t, err)
	after, err := os.ReadFile("../../integrations/salesos-acme-nats.yaml")
	require.NoError(t, err)
	diffs := regexp.MustCompile("(?s)```diff\n(.*?)```").FindAllStringSubmatch(string(guide), -1)
	require.NotEmpty(t, diffs)
	for n, diff := range diffs {
		var old, new strings.Builder
		lines := strings.Split(strings.TrimSuffix(diff[1], "\n"), "\n")
		for _, line := range lines {
			switch line[0] {
			case '-':
				old.WriteString(line[1:] + "\n")
			case '+':
				new.WriteString(line[1:] + "\n")
			default:
				t.Fatalf("a line of a diff begins with - or +: %s", line)
			}
		}
		require.LessOrEqual(t, len(lines), 12, "a few lines")
		require.Equal(t, 1, strings.Count(string(before), old.String()), "what is replaced is there, once")
		edited := strings.Replace(string(before), old.String(), new.String(), 1)
		parsed, err := Parse([]byte(edited))
		require.NoError(t, err, edited)
		require.NotNil(t, parsed.System(record.Right).Broker)
		require.NotContains(t, parsed.SecretNames(), "acme_webhook")
		if n == 0 {
			require.Equal(t, body(edited), body(string(after)), "integrations/salesos-acme-nats.yaml is what the guide says")
		}
	}
	// What check says is told in the guide as it is.
	parsed, err := Parse(after)
	require.NoError(t, err)
	variables, secrets := shippedValues()
	variables["ACME_BROKER_URL"], variables["POLL_EVERY"], secrets["acme_broker"] = "nats://127.0.0.1:4222", "30s", "pw"
	parsed, err = parsed.Resolve(variables, secrets)
	require.NoError(t, err)
	said := regexp.MustCompile("“(Changes .*?) …”").FindStringSubmatch(string(guide))
	require.NotNil(t, said)
	require.Contains(t, polls(parsed), said[1])
}

// body is a file from its systems on.
func body(text string) string {
	_, after, _ := strings.Cut(text, "\nsystems:")
	return after
}
