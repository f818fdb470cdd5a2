package rest

import (
	"context"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// MaxWebhook is the largest body of a webhook, in bytes.
const MaxWebhook = 1 << 20

func (s *Server) healthz(c *gin.Context) { c.JSON(http.StatusOK, Health{Status: "ok"}) }

// readyz asks the ledger and Temporal at the same time, so that both slow ones
// together still answer in time.
func (s *Server) readyz(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), readyTimeout)
	defer cancel()
	answer := Readiness{Status: "ok"}
	var parts sync.WaitGroup
	parts.Go(func() { answer.Ledger = pingState(ctx, s.options.Store.Ping) })
	parts.Go(func() { answer.Temporal = pingState(ctx, s.options.Control.Ping) })
	parts.Wait()
	if answer.Ledger != "ok" || answer.Temporal != "ok" {
		answer.Status = "unavailable"
		c.JSON(http.StatusServiceUnavailable, answer)
		return
	}
	c.JSON(http.StatusOK, answer)
}

// pingState asks, and gives up with ctx even if ping does not.
func pingState(ctx context.Context, ping func(context.Context) error) string {
	answered := make(chan error, 1)
	go func() { answered <- ping(ctx) }()
	select {
	case err := <-answered:
		if err == nil {
			return "ok"
		}
	case <-ctx.Done():
	}
	return "does not answer"
}

func (s *Server) document(c *gin.Context) {
	c.Data(http.StatusOK, "application/yaml", s.options.Document)
}

// receiveWebhook answers 202 once the changes are stored, 200 when there was nothing to store.
func (s *Server) receiveWebhook(c *gin.Context) {
	side := record.Side(c.Param("side"))
	if !side.Valid() {
		s.fail(c, fault.New(fault.NotFound, "a webhook path ends in left or right"))
		return
	}
	body, err := readAtMost(c, MaxWebhook)
	if err != nil {
		s.fail(c, err)
		return
	}
	accepted, ignored, err := s.options.Receiver.Receive(c.Request.Context(), c.Param("connection"), side, c.Request.Header, body)
	if err != nil {
		s.fail(c, err)
		return
	}
	status := http.StatusAccepted
	if accepted == 0 {
		status = http.StatusOK
	}
	c.JSON(status, Received{Accepted: accepted, Ignored: ignored})
}
