package tryton_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/connector/tryton"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// script answers calls without a network and keeps what was sent.
type script struct {
	answer  func(body string) string
	bodies  []string
	headers []string
}

var _ http.RoundTripper = (*script)(nil)

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.bodies = append(s.bodies, string(body))
	s.headers = append(s.headers, r.Header.Get("Authorization"))
	recorder := httptest.NewRecorder()
	if strings.Contains(string(body), "common.db.login") {
		recorder.WriteString(`{"id":1,"result":[7,"abc"]}`)
		return recorder.Result(), nil
	}
	recorder.WriteString(s.answer(string(body)))
	return recorder.Result(), nil
}

func scripted(t *testing.T, answer func(body string) string) (connector.Connector, *script) {
	t.Helper()
	s := &script{answer: answer}
	conn, err := tryton.Driver{}.Open(connector.Config{Side: record.Right, BaseURL: "https://erp.example/crm/", Capabilities: tryton.Driver{}.Defaults(),
		Auth: connector.Auth{Kind: transport.KindBasic, ClientID: "sync", ClientSecret: "p"}, Client: transport.New(transport.Options{Transport: s})})
	require.NoError(t, err)
	return conn, s
}

func TestSessionIsTheToken(t *testing.T) {
	conn, s := scripted(t, func(string) string { return `{"id":1,"result":[]}` })
	_, err := conn.Get(context.Background(), "parties", "5")
	require.Equal(t, fault.Gone, fault.CodeOf(err), "a well-formed answer without the record")
	require.Equal(t, []string{"", "Session c3luYzo3OmFiYw=="}, s.headers)
	require.Equal(t, `{"id":1,"method":"common.db.login","params":["sync",{"password":"p"}]}`, s.bodies[0])
	require.Contains(t, s.bodies[1], `"method":"model.party.party.read"`)
}

func TestAnswersBecomeCodes(t *testing.T) {
	party := record.Record{Ref: record.Ref{Side: record.Right, Object: "parties", ID: "5"}, Fields: record.Fields{"contact_mechanisms": []any{}}}
	for _, row := range []struct {
		name, said  string
		read, write fault.Code
		field       string
	}{
		{"gone", `["UserError",["You are trying to read records \"5\" of \"Party\" that don't exist anymore.","",null]]`, fault.Gone, fault.Gone, ""},
		{"a rule", `["UserError",["You are not allowed to read records \"5\" of \"Party\" because of at least one of these rules:\nCompany","",null]]`, fault.Forbidden, fault.Forbidden, ""},
		{"no right", `["UserError",["You are not allowed to access \"Party\".","",null]]`, fault.Forbidden, fault.Forbidden, ""},
		{"words of somebody's own", `["UserError",["Nada aqui.","",null]]`, fault.Forbidden, fault.Invalid, "name"},
		{"a value", `["UserError",["The value \"secret person\" for field \"Name\" in \"Party\" is not valid.","",null]]`, fault.Forbidden, fault.Invalid, "name"},
		{"a warning", `["UserWarning",["w1","Sure?",""]]`, fault.Invalid, fault.Invalid, ""},
		{"concurrency", `["ConcurrencyException","Records were modified in the meanwhile"]`, fault.Stale, fault.Stale, ""},
		{"a second factor", `["LoginException",["code","Code",""]]`, fault.Auth, fault.Auth, ""},
		{"serialisation", `["could not serialize access due to concurrent update\n",""]`, fault.Transient, fault.Transient, ""},
		{"a defect", `["'nnn'","Traceback …"]`, fault.Transient, fault.Invalid, "name"},
		{"no error at all", `{}`, fault.Transient, fault.Transient, ""},
		{"an empty one", `[]`, fault.Transient, fault.Transient, ""},
	} {
		conn, _ := scripted(t, func(body string) string {
			return `{"id":1,"error":` + row.said + `}`
		})
		_, err := conn.Get(context.Background(), "parties", "5")
		require.Equal(t, row.read, fault.CodeOf(err), row.name)
		require.False(t, fault.As(err).MaybeApplied, row.name)
		require.Equal(t, "right/parties/5", fault.As(err).Subject, row.name)
		_, err = conn.Update(context.Background(), party, map[string]any{"name": "secret person"}, connector.WriteOptions{})
		require.Equal(t, row.write, fault.CodeOf(err), row.name)
		require.Equal(t, row.field, fault.As(err).Field, row.name)
		require.NotContains(t, err.Error(), "secret person")
		require.Equal(t, row.said == `{}` || row.said == `[]`, fault.As(err).MaybeApplied, row.name)
	}
}

func TestTimeStampsGuardWhatIsWritten(t *testing.T) {
	conn, s := scripted(t, func(body string) string {
		if strings.Contains(body, ".read") {
			return `{"id":1,"result":[{"id":5,"_timestamp":"1.5","contact_mechanisms.":[{"id":9,"type":"email","value":"a@b.c","active":true,"_timestamp":"2.5"}]}]}`
		}
		return `{"id":1,"result":null}`
	})
	current, err := conn.Get(context.Background(), "parties", "5")
	require.NoError(t, err)
	require.Equal(t, "party.party,5=1.5 party.contact_mechanism,9=2.5", current.Version)
	_, err = conn.Update(context.Background(), current, map[string]any{"email": nil}, connector.WriteOptions{IfMatch: current.Version})
	require.NoError(t, err)
	require.Equal(t, `{"id":1,"method":"model.party.party.write","params":[[5],{"contact_mechanisms":[["delete",[9]]]},`+
		`{"_timestamp":{"party.contact_mechanism,9":"2.5","party.party,5":"1.5"},"active_test":false,"language":"en"}]}`, s.bodies[2])
}

func TestTypedValuesArePlain(t *testing.T) {
	conn, _ := scripted(t, func(string) string {
		return `{"id":1,"result":[{"id":5,"_timestamp":"1.5","amount":{"__class__":"Decimal","decimal":"1250.50"},` +
			`"start_date":{"__class__":"date","year":2026,"month":2,"day":3},"comment":null,"company":1,` +
			`"create_date":{"__class__":"datetime","year":2026,"month":1,"day":2,"hour":3,"minute":4,"second":5,"microsecond":60}}]}`
	})
	got, err := conn.Get(context.Background(), "opportunities", "5")
	require.NoError(t, err)
	text, err := transport.DecodeJSON([]byte(`{"amount":1250.50}`))
	require.NoError(t, err)
	require.Equal(t, text, map[string]any{"amount": got.Fields["amount"]})
	require.Equal(t, "2026-02-03", got.Fields["start_date"])
	require.Equal(t, "1", got.Fields["company"])
	require.Equal(t, "2026-01-02T03:04:05.00006Z", got.Fields["created_at"])
}

func TestRowsOutOfOrderAreAnError(t *testing.T) {
	for _, body := range []string{`[{"id":5},{"id":5}]`, `[{"id":6},{"id":5}]`, `[{"name":"x"}]`, `[7]`, `{}`, `null`} {
		conn, _ := scripted(t, func(string) string { return `{"id":1,"result":` + body + `}` })
		_, err := conn.List(context.Background(), connector.ListRequest{Object: "parties"})
		require.Equal(t, fault.Transient, fault.CodeOf(err), body)
	}
}

func TestBadSettings(t *testing.T) {
	for name, cfg := range map[string]connector.Config{
		"no database": {BaseURL: "https://erp.example", Auth: connector.Auth{ClientID: "a", ClientSecret: "b"}},
		"no password": {BaseURL: "https://erp.example/crm", Auth: connector.Auth{ClientID: "a"}},
		"a colon":     {BaseURL: "https://erp.example/crm", Auth: connector.Auth{ClientID: "a:b", ClientSecret: "b"}},
		"consent":     {BaseURL: "https://erp.example/crm", Auth: connector.Auth{Kind: transport.KindAuthorizationCode, ClientID: "a", RefreshToken: "b"}},
	} {
		cfg.Client = http.DefaultClient
		_, err := tryton.Driver{}.Open(cfg)
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
	}
	conn, _ := scripted(t, nil)
	_, err := conn.EnsureWebhook(context.Background(), connector.WebhookSpec{})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.NoError(t, conn.RemoveWebhook(context.Background(), "1"))
	_, err = conn.Get(context.Background(), "parties", "abc")
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
}
