package rest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/connectors"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/rest"
	"github.com/accord-sync/accord/internal/manifest"
)

// harness is that of internal/connector/acme, with the manifest in the driver's place.
func harness(t *testing.T) connectortest.Harness {
	driver := shipped(t, "acme")
	return connectortest.Harness{
		Driver: driver, Capabilities: driver.Defaults(),
		Object: "contacts", Key: "email", Text: "first_name", Other: "job_title",
		Inner: "properties.score", InnerOther: "properties.theirs", Marker: "external_ref",
		APIPath: "/api/2", TokenPath: "/oauth/token", HookPath: "/hooks", ListPath: "/contacts",
		GoneBody:    `{"error":{"type":"not_found"}}`,
		RefusedBody: `{"error":{"type":"validation","code":"invalid","message":"no","fields":{"email":["is invalid"]}}}`,
		Event: func(id string) []byte {
			return []byte(`[{"event_id":"e1","event":"contact.updated","object":"contact","id":"` + id + `","version":3,"changes":["email"],"occurred_at":1790000000000}]`)
		},
		Sign:  sign,
		Start: startSandbox,
	}
}

func sign(body []byte, secret string, at time.Time) http.Header {
	t := strconv.FormatInt(at.Unix(), 10)
	return http.Header{"X-Acme-Signature": {"t=" + t + ",v1=" + digest(t, body, "rotated-away") + ",v1=" + digest(t, body, secret)}}
}

func digest(t string, body []byte, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// TestAcmeAsManifest runs the suite of the connectors in Go.
func TestAcmeAsManifest(t *testing.T) {
	connectortest.Run(t, harness(t))
}

// shipped is the driver of a manifest of connectors/.
func shipped(t testing.TB, name string) rest.Driver {
	t.Helper()
	text, err := connectors.Read(name)
	require.NoError(t, err)
	read, err := manifest.Parse(text)
	require.NoError(t, err)
	return rest.New(read)
}
