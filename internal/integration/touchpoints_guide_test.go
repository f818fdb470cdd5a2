package integration

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheGuideOnTouchPoints puts the sections of docs/guides/touch-points.md and of
// the ready-made file into salesos-acme.yaml, as the guide says.
func TestTheGuideOnTouchPoints(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guides/touch-points.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)```yaml\n(touch_points:\n.*?)```").FindSubmatch(guide)
	require.NotNil(t, found)
	ready, err := os.ReadFile("../../integrations/acme-touch-points.yaml")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(ready), "\ntouch_points:\n")
	whole, err := os.ReadFile("../../integrations/salesos-acme.yaml")
	require.NoError(t, err)
	variables := map[string]string{"SALESOS_CLIENT_ID": "a", "ACME_URL": "https://acme.example/api/2", "ACME_TOKEN_URL": "https://acme.example/oauth/token", "ACME_CLIENT_ID": "a"}
	secrets := map[string]string{"salesos_client_secret": "a", "acme_client_secret": "b", "salesos_webhook": "c", "acme_webhook": "d"}
	for name, text := range map[string]string{
		"the guide's": string(whole) + "\n" + string(found[1]), "the ready-made one's": string(whole) + "\ntouch_points:\n" + section, "alone": string(ready),
	} {
		parsed, err := Parse([]byte(text))
		require.NoError(t, err, name)
		resolved, err := parsed.Resolve(variables, secrets)
		require.NoError(t, err, name)
		_, err = resolved.Compile()
		require.NoError(t, err, name)
		require.Equal(t, "America/Sao_Paulo", resolved.TouchPoints.Location().String())
		require.Len(t, resolved.TouchPoints.Sources, 2, name)
		for _, stream := range resolved.Streams {
			if stream.Mode == ModeTouchPoints {
				require.True(t, stream.OneSided())
				require.NotNil(t, resolved.TouchPoints.Source(stream.Name))
			}
		}
	}
}
