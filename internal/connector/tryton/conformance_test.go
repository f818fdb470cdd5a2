package tryton_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/tryton"
	"github.com/accord-sync/accord/internal/connector/tryton/trytontest"
)

func TestRealTryton(t *testing.T) {
	trytontest.Need(t)
	connectortest.Run(t, connectortest.Harness{
		Driver: tryton.Driver{}, Capabilities: tryton.Driver{}.Defaults(),
		Object: "parties", Key: "email", Text: "name", Other: "website",
		Inner: "identifiers.score", InnerOther: "identifiers.theirs", Marker: "identifiers.salesos",
		APIPath: "/crm", TokenPath: "/login", ListPath: "/parties",
		Route: trytontest.Route, RealTime: true,
		Gone: connectortest.Answer(http.StatusOK,
			`{"id":1,"error":["UserError",["You are trying to read records \"5\" of \"Party\" that don't exist anymore.","",null]]}`),
		Refused: connectortest.Answer(http.StatusOK,
			`{"id":1,"error":["UserError",["A value is required for field \"E-Mail\" in \"Contact Mechanism\".","",null]]}`),
		Start: func(t *testing.T, _ func() time.Time) connectortest.Server { return trytontest.Start(t) },
	})
}
