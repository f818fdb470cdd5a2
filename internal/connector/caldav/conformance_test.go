package caldav_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/accord-sync/accord/internal/connector/caldav"
	"github.com/accord-sync/accord/internal/connector/caldav/caldavtest"
	"github.com/accord-sync/accord/internal/connector/connectortest"
)

func TestRadicale(t *testing.T) {
	if testing.Short() {
		t.Skip("the suite waits for a real clock that ticks in whole seconds")
	}
	server := caldavtest.Start(t)
	connectortest.Run(t, connectortest.Harness{
		Driver: caldav.Driver{}, Capabilities: caldav.Driver{}.Defaults(),
		Object: "events", Key: "location", Text: "title", Other: "description",
		Inner: "x.score", InnerOther: "x.theirs", Marker: "x.accord_source",
		Needs:   map[string]any{"starts_at": "2026-12-01T09:00:00-03:00"},
		APIPath: caldavtest.Path, ListPath: "/events",
		Route: caldavtest.Route, RealTime: true,
		Gone: server.Gone, Refused: connectortest.Answer(http.StatusBadRequest, "Bad Request"),
		Start: func(t *testing.T, _ func() time.Time) connectortest.Server { return server.Empty(t) },
	})
}
