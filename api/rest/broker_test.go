package rest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
)

func TestBrokerStatus(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	require.Nil(t, brokerStatus("", ledger.SideState{Broker: ledger.BrokerState{State: "receiving"}}), "what an edit took away is not told")
	require.Equal(t, "waiting", brokerStatus("nats", ledger.SideState{}).State)
	failed := brokerStatus("nats", ledger.SideState{Broker: ledger.BrokerState{State: "failed", Reason: "auth", At: at, Unreadable: 2, UnreadableAt: at, UnreadableCode: "invalid"}})
	require.Equal(t, "failed", failed.State)
	require.Equal(t, "auth", *failed.Reason)
	require.Equal(t, at, *failed.Since)
	require.Equal(t, 2, failed.Unreadable)
	require.Equal(t, "invalid", *failed.UnreadableCode)
	require.Nil(t, failed.TakenAt)
	// One that calls us is as its last deliveries were.
	require.Equal(t, "waiting", brokerStatus("sns", ledger.SideState{}).State)
	require.Equal(t, "receiving", brokerStatus("sns", ledger.SideState{WebhookTakenAt: at}).State)
	refused := brokerStatus("sns", ledger.SideState{WebhookTakenAt: at, WebhookRefusedAt: at.Add(time.Minute)})
	require.Equal(t, "failed", refused.State)
	require.Equal(t, "unauthorized", *refused.Reason)
}
