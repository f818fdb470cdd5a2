package rest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// signedWith is the header that each vendor signs a body with.
func signedWith(side, secret, body string) []string {
	mac := hmac.New(sha256.New, []byte(secret))
	if side == "left" {
		mac.Write([]byte(body))
		return []string{"x-salesos-signature", "sha256=" + hex.EncodeToString(mac.Sum(nil))}
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac.Write([]byte(at + "." + body))
	return []string{"x-acme-signature", "t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))}
}

// The vendor learns of a new secret a little after us, and repeats what it signed
// before: refusing that would lose events, and SalesOS switches a webhook off after
// ten refusals. For an hour both are taken, then only the new one.
func TestASigningSecretIsRotated(t *testing.T) {
	for side, is := range map[string]struct{ secret, first, event string }{
		"left":  {"salesos_webhook", "hook-left", `{"type":"lead.updated","data":{"id":"l%d"}}`},
		"right": {"acme_webhook", "hook-right", `[{"event":"contact.updated","id":"c%d"}]`},
	} {
		t.Run(side, func(t *testing.T) {
			h := start(t)
			key := h.active()
			n := 0
			deliver := func(secret string) int {
				n++
				body := fmt.Sprintf(is.event, n)
				return h.send("POST", "/webhooks/"+key.Connection+"/"+side, body, signedWith(side, secret, body)...).status
			}
			put := func(body map[string]any) {
				require.Equal(t, http.StatusOK, h.call("PUT", "/api/v1/connections/"+key.Connection, body).status)
			}
			require.Equal(t, http.StatusAccepted, deliver(is.first))
			require.Equal(t, http.StatusUnauthorized, deliver("second"), "not yet")

			put(map[string]any{"secrets": map[string]string{is.secret: "second"}})
			require.Eventually(t, func() bool { return deliver("second") == http.StatusAccepted }, waitLong, waitShort, "the new one counts at once")
			require.Equal(t, http.StatusAccepted, deliver(is.first), "and the old one still does")
			put(map[string]any{"variables": map[string]string{"SALESOS_CLIENT_ID": "other"}})
			require.Never(t, func() bool {
				return deliver(is.first) != http.StatusAccepted || deliver("second") != http.StatusAccepted
			},
				time.Second/4, waitShort, "another edit ends nothing")
			require.Equal(t, http.StatusUnauthorized, deliver("third"))

			h.offset.Store(int64(61 * time.Minute))
			require.Eventually(t, func() bool { return deliver(is.first) == http.StatusUnauthorized }, waitLong, waitShort, "its time is over")
			require.Equal(t, http.StatusAccepted, deliver("second"))
		})
	}
}

// A vendor that signs with another secret is seen in the status, and so is that it
// was put right. One forged delivery says nothing.
func TestRefusedDeliveriesShowInTheStatus(t *testing.T) {
	h := start(t)
	key := h.active()
	for side, secret := range map[record.Side]string{record.Left: "hook-left", record.Right: "hook-right"} {
		_, err := h.store.UpdateSideState(t.Context(), key, side, func(state *ledger.SideState) { state.WebhookState = "active" })
		require.NoError(t, err)
		deliver := func(secret string) int {
			body := map[record.Side]string{
				record.Left: `{"type":"lead.updated","data":{"id":"l1"}}`, record.Right: `[{"event":"contact.updated","id":"c1"}]`,
			}[side]
			return h.send("POST", "/webhooks/"+key.Connection+"/"+string(side), body, signedWith(string(side), secret, body)...).status
		}
		shown := func() any {
			status := h.call("GET", "/api/v1/connections/"+key.Connection+"/status", nil)
			require.Equal(t, http.StatusOK, status.status, string(status.raw))
			return objectOf(t, string(status.raw))["sides"].(map[string]any)[string(side)].(map[string]any)["webhook"].(map[string]any)["state"]
		}
		require.Equal(t, http.StatusUnauthorized, deliver("wrong"))
		require.Equal(t, "active", shown())
		for range 3 {
			require.Equal(t, http.StatusUnauthorized, deliver("wrong"))
		}
		require.Equal(t, "refused", shown())
		require.Equal(t, http.StatusAccepted, deliver(secret))
		require.Equal(t, "active", shown())
		for range 3 {
			require.Equal(t, http.StatusUnauthorized, deliver("wrong"))
		}
		require.Equal(t, "refused", shown(), "it is told again, however short after")
	}
}

// Where a person registers the webhook at the vendor, nobody knows whether one has until
// a delivery comes.
func TestAWebhookMadeByHandIsActiveOnceADeliveryHasCome(t *testing.T) {
	h := start(t)
	key := h.active()
	_, err := h.store.UpdateSideState(t.Context(), key, record.Left, func(state *ledger.SideState) { state.WebhookState = ledger.WebhookByHand })
	require.NoError(t, err)
	body := `{"type":"lead.updated","data":{"id":"l1"}}`
	deliver := func(secret string) int {
		return h.send("POST", "/webhooks/"+key.Connection+"/left", body, signedWith("left", secret, body)...).status
	}
	shown := func() any {
		status := h.call("GET", "/api/v1/connections/"+key.Connection+"/status", nil)
		require.Equal(t, http.StatusOK, status.status, string(status.raw))
		return objectOf(t, string(status.raw))["sides"].(map[string]any)["left"].(map[string]any)["webhook"].(map[string]any)["state"]
	}
	require.Equal(t, "by_hand", shown())
	require.Equal(t, http.StatusUnauthorized, deliver("wrong"))
	require.Equal(t, "by_hand", shown(), "anybody may send one")
	for range 3 {
		require.Equal(t, http.StatusUnauthorized, deliver("wrong"))
	}
	require.Equal(t, "refused", shown())
	require.Equal(t, http.StatusAccepted, deliver("hook-left"))
	require.Equal(t, "active", shown())
}
