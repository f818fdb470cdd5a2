package salesos_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/salesos"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/record"
)

func answers(capabilities connector.Capabilities) connectortest.Answers {
	return connectortest.Answers{
		Open: func(client *http.Client) (connector.Connector, error) {
			return salesos.Driver{}.Open(connector.Config{Side: record.Right, BaseURL: "https://api.example/v1", Capabilities: capabilities, Objects: []string{"leads"},
				Auth: connector.Auth{Kind: transport.KindStatic, Token: "t"}, Client: client, Now: func() time.Time { return time.Unix(1795348800, 0) }})
		},
		Object: "leads", Text: "name", Inner: "custom_fields.external_id", Key: "email", ID: "l-1",
		List: func(rows string) string {
			return `{"data":[` + rows + `],"meta":{"total":3,"page":1,"per_page":2,"total_pages":2}}`
		},
		Single: func(row string) string { return `{"data":` + row + `}` },
		Seeds: []string{
			`{"data":[{"id":"l-1","name":"Ana","updated_at":"2026-11-22T12:00:00Z","created_at":"2026-11-22T12:00:00Z"},{"id":"l-2","created_at":"2026-11-22T12:00:01Z"}],"meta":{"total":9,"total_pages":5,"per_page":2}}`,
			`{"data":{"id":"l-1","custom_fields":{"external_id":"7"},"tags":["a"]}}`, `{"data":{"lead":{"id":7}}}`, `{"id":"l-1"}`, `{"data":{"items":[]}}`,
			`{"data":[],"meta":{"total":-1,"per_page":1e15,"total_pages":1e99}}`, `{"data":null}`, `[[[]]]`, `{"data":[{"id":".."},{"id":"\u0000"}]}`, ``, `<html>`,
			`{"error":{"code":"CONFLICT","details":[{"field":"email","id":"l-2"}]}}`, `{"error":{"code":"NOT_FOUND","message":"no"},"meta":{"request_id":"req_1"}}`,
			`{"data":{"id":"w","url":"https://accord.example/hook","active":false,"events":["lead.created",7]}}`,
		},
	}
}

func FuzzAnswers(f *testing.F) { answers(connector.Capabilities{}).Fuzz(f) }

// FuzzAnswersWithChangeFilter reads listings by updated_after and sends custom fields whole.
func FuzzAnswersWithChangeFilter(f *testing.F) {
	answers(connector.Capabilities{UpdatedFilter: true, CustomFieldsReplace: true, Granularity: time.Second}).Fuzz(f)
}

func TestLargeAnswers(t *testing.T) { answers(connector.Capabilities{UpdatedFilter: true}).Large(t) }

func FuzzCursor(f *testing.F) {
	f.Add(`eyJtIjoiYyIsInAiOjEsImwiOjJ9`)
	f.Add(`eyJtIjoiZCIsInMiOjE3OTUzNDg4MDAwMDAsInAiOjIsImwiOjIsInQiOlsiIl0sImgiOjF9`)
	f.Fuzz(answers(connector.Capabilities{}).Cursor)
}
