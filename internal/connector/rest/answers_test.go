package rest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/record"
)

func answers(t testing.TB) connectortest.Answers {
	driver := shipped(t, "acme")
	return connectortest.Answers{
		Open: func(client *http.Client) (connector.Connector, error) {
			return driver.Open(connector.Config{Side: record.Right, BaseURL: "https://crm.example/api/2", Objects: []string{"contacts"},
				Capabilities: connector.Capabilities{UpdatedFilter: true, Versions: true, IdempotencyKey: true, DeletedList: true},
				Auth:         connector.Auth{Kind: transport.KindStatic, Token: "t"}, Client: client, Now: func() time.Time { return time.Unix(1795348800, 0) }})
		},
		Object: "contacts", Text: "first_name", Inner: "properties.theirs", Key: "email", ID: "ct_1",
		List:   func(rows string) string { return `{"items":[` + rows + `],"next_cursor":"c2"}` },
		Single: func(row string) string { return row },
		Seeds: []string{
			`{"items":[{"id":"ct_1","version":17,"email":"ana@example.com","updated_at":"2026-11-22T12:00:00.250Z"},{"id":"ct_2"}],"next_cursor":"c2"}`,
			`{"items":[],"next_cursor":"c3"}`, `{"items":[{"id":"ct_1"}],"next_cursor":null}`, `{"items":null,"next_cursor":7}`, `[{"id":7,"version":"v9"}]`,
			`{"id":"ct_1","version":1e400,"properties":{"theirs":7},"labels":["a"],"updated_by":7}`, `{"id":"..","version":[]}`, ``, `<html>`, `[]`, `null`,
			`{"error":{"type":"conflict","code":"duplicate","existing_id":"ct_2"}}`, `{"error":{"type":"not_found"}}`,
			`{"error":{"type":"validation","message":"no: x","fields":{"email":["is invalid",7],"phone":"x","":[]}}}`,
			`{"items":[{"id":"hk_1","target_url":"https://accord.example/hook","active":false,"events":["contact.*"]}],"next_cursor":"c2"}`,
		},
	}
}

func FuzzAnswers(f *testing.F) { answers(f).Fuzz(f) }

func TestLargeAnswers(t *testing.T) { answers(t).Large(t) }

func FuzzCursor(f *testing.F) {
	f.Add(`eyJzIjoxNzk1MzQ4ODAwMDAwLCJjIjoiYzIiLCJsIjoyfQ`)
	f.Add(`eyJsIjoxLCJyIjotOX0`)
	f.Fuzz(answers(f).Cursor)
}
