package integration

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGuideOfRules holds docs/guides/rules.md to what it says: the sentence that check
// prints, the rule that it writes, the files that it names.
func TestGuideOfRules(t *testing.T) {
	text, err := os.ReadFile("../../docs/guides/rules.md")
	require.NoError(t, err)
	guide := string(text)
	shippedText, err := os.ReadFile("../../integrations/salesos-orders.yaml")
	require.NoError(t, err)
	orders := mustParse(t, string(shippedText))
	var when string
	for _, sentence := range Sentences(orders) {
		if sentence.Stream == "rules.won" && sentence.About == "when" {
			when = sentence.Text
		}
	}
	require.Contains(t, guide, "\n> "+when+"\n")
	_, block, found := strings.Cut(guide, "```yaml\n")
	require.True(t, found)
	block, _, _ = strings.Cut(block, "```")
	rule := mustParse(t, base(t)+"\n"+block).Rule("won")
	require.Equal(t, "(status == 'won') && (value > 1000)", rule.If)
	require.Len(t, rule.Effects, 1)
	for _, file := range []string{"salesos-orders.yaml", "webforms-salesos.yaml", "appointment-calendar.yaml"} {
		require.Contains(t, guide, "../../integrations/"+file)
		content, err := os.ReadFile("../../integrations/" + file)
		require.NoError(t, err)
		require.NotEmpty(t, mustParse(t, string(content)).Rules)
	}
}
