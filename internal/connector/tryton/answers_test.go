package tryton_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/connector/tryton"
	"github.com/accord-sync/accord/internal/record"
)

func answers(object string) connectortest.Answers {
	return connectortest.Answers{
		Open: func(client *http.Client) (connector.Connector, error) {
			return tryton.Driver{}.Open(connector.Config{Side: record.Right, BaseURL: "https://erp.example/crm", Capabilities: tryton.Driver{}.Defaults(), Objects: []string{object},
				Auth:   connector.Auth{Kind: transport.KindBasic, ClientID: "sync", ClientSecret: "p"},
				Client: client, Now: func() time.Time { return time.Unix(1795348800, 0) }})
		},
		Object: object, Text: "name", Inner: "identifiers.x", Key: "email", ID: "5",
		Login: func(body string) (string, bool) {
			return `{"id":1,"result":[7,"abc"]}`, strings.Contains(body, "common.db.login")
		},
		List:   func(rows string) string { return `{"id":1,"result":[` + rows + `]}` },
		Single: func(row string) string { return `{"id":1,"result":[` + row + `]}` },
		Seeds: []string{
			`{"id":1,"result":[{"id":5,"_timestamp":"1.5","contact_mechanisms.":[{"id":9,"type":"email","value":7}],"identifiers.":[{"code":"a:b"},3]}]}`,
			`{"result":[{"id":5,"_timestamp":"1.5","lang.":{"id":1,"code":"pt"}}]}`, `{"id":1,"result":[5]}`, `{"id":1,"result":null}`, `{"id":1,"result":7}`,
			`{"error":["UserError",["x"]]}`, `{"error":["UserError"]}`, `{"error":["ConcurrencyException",7]}`, `{"result":[{"id":5,"lang.":7}]}`,
			`{"error":["UserError",["You are trying to read records \"5\" of \"Party\" that don't exist anymore.","",null]]}`,
			`{"result":[{"id":5,"create_date":{"__class__":"datetime","year":1e300}}]}`, `{"result":{"__class__":"Decimal","decimal":[]}}`, ``, `<html>`,
		},
	}
}

func FuzzAnswers(f *testing.F) { answers("parties").Fuzz(f) }

func FuzzAnswersOfOpportunities(f *testing.F) { answers("opportunities").Fuzz(f) }

func FuzzCursor(f *testing.F) {
	f.Add("5")
	f.Add(`eyJsIjoyfQ`)
	f.Fuzz(answers("parties").Cursor)
}

func TestLargeAnswers(t *testing.T) { answers("parties").Large(t) }
