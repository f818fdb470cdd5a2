//go:build e2e

package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// postEvent sends a signed event about a record, as the vendor would.
func (w *world) postEvent(t testing.TB, from *system, id string) int {
	t.Helper()
	return w.send(t, from, id, w.secrets[map[string]string{"left": "salesos_webhook", "right": "acme_webhook"}[from.side]])
}

// postForged sends an event signed with a wrong secret.
func (w *world) postForged(t testing.TB, from *system, id string) int {
	t.Helper()
	return w.send(t, from, id, "forged-"+rand.Text())
}

func (w *world) send(t testing.TB, from *system, id, secret string) int {
	t.Helper()
	now := time.Now()
	body := fmt.Sprintf(`{"type":"lead.updated","data":{"id":%q,"name":%q}}`, id, w.canary)
	header, value := "x-salesos-signature", "sha256="+sign(secret, body)
	if from.side == "right" {
		body = fmt.Sprintf(`[{"event_id":%q,"event":"contact.updated","object":"contact","id":%q,"version":1,"changes":["email"],"actor":"user:x","occurred_at":%d}]`,
			rand.Text(), id, now.UnixMilli())
		header, value = "X-Acme-Signature", fmt.Sprintf("t=%d,v1=%s", now.Unix(), sign(secret, fmt.Sprintf("%d.%s", now.Unix(), body)))
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.s.api.root+"/webhooks/"+w.id+"/"+from.side, bytes.NewBufferString(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(header, value)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

func sign(secret, text string) string {
	sum := hmac.New(sha256.New, []byte(secret))
	sum.Write([]byte(text))
	return hex.EncodeToString(sum.Sum(nil))
}
