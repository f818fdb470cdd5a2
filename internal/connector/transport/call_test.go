package transport_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

// TestRefusedForGoodTellsItsStatus: also where no new token can be had, the error says
// what the server answered.
func TestRefusedForGoodTellsItsStatus(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	static, err := transport.NewTokenSource(connector.Config{Auth: connector.Auth{Kind: transport.KindStatic, Token: "t"}, Now: time.Now}, "CRM", nil)
	require.NoError(t, err)
	for name, tokens := range map[string]*transport.TokenSource{"no credentials": transport.NoTokens("CRM"), "a fixed token": static} {
		api := transport.API{Client: transport.New(transport.Options{AllowPrivate: loopback()}), Tokens: tokens, Base: base, Title: "CRM",
			Explain: func([]byte) transport.VendorError { return transport.VendorError{} }, Now: time.Now}
		call := transport.Call{Method: http.MethodGet, Path: "/x", Subject: "leads"}
		_, err := api.Do(context.Background(), call)
		streamed := api.Stream(context.Background(), call, func(transport.Reply, io.Reader) error { return nil })
		for _, err := range []error{err, streamed} {
			require.Equal(t, fault.Auth, fault.CodeOf(err), name)
			require.Equal(t, http.StatusUnauthorized, fault.As(err).Status, name)
			require.Equal(t, "leads", fault.As(err).Subject, name)
		}
	}
}
