package rest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// BenchmarkWebhooks measures durable acceptance: 16 callers, each event another record.
func BenchmarkWebhooks(b *testing.B) {
	h := startFor(b)
	key := h.active()
	handler := h.server.Config.Handler
	var n atomic.Int64
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(loop *testing.PB) {
		for loop.Next() {
			body := fmt.Sprintf(`{"type":"lead.updated","data":{"id":"l%d"}}`, n.Add(1))
			request := httptest.NewRequest(http.MethodPost, "/webhooks/"+key.Connection+"/left", strings.NewReader(body))
			request.Header.Set("x-salesos-signature", sign(body))
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			if answer.Code != http.StatusAccepted {
				b.Errorf("answered %d: %s", answer.Code, answer.Body)
				return
			}
		}
	})
}
