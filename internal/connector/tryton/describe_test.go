package tryton_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/fault"
)

// TestDescribe: what fields_get and default_get say of a party.
func TestDescribe(t *testing.T) {
	conn, s := scripted(t, func(body string) string {
		if strings.Contains(body, "default_get") {
			return `{"id":1,"result":{"active":true,"code_readonly":true}}`
		}
		return `{"id":1,"result":{
			"name":{"type":"char","required":false,"readonly":false},"code":{"type":"char","required":true,"readonly":false},"code_readonly":{"type":"boolean"},
			"active":{"type":"boolean","required":true,"readonly":false},"identifiers":{"type":"one2many"},
			"tax_class":{"type":"selection","required":true,"readonly":false,"selection":[[null,""],["a","A"],["b","B"]]},
			"note":{"type":"text","required":false,"readonly":false}}}`
	})
	require.Equal(t, map[string]connector.FieldShape{
		"id": {Name: "id", ReadOnly: true}, "created_at": {Name: "created_at", ReadOnly: true}, "updated_at": {Name: "updated_at", ReadOnly: true},
		"name": {Name: "name", Type: "char"}, "code": {Name: "code", Type: "char"},
		"active":          {Name: "active", Type: "boolean"},
		"tax_class":       {Name: "tax_class", Type: "selection", Required: true, Values: []string{"a", "b"}},
		"identifiers":     {Name: "identifiers"},
		"identifier_rows": {Name: "identifier_rows", ReadOnly: true},
	}, connectortest.Described(t, conn, "parties"), "lang and the contact mechanisms are gone, a field that must be sent is new")
	require.Contains(t, s.bodies[1], `"method":"model.party.party.fields_get","params":[{`)
	require.Contains(t, s.bodies[2], `"params":[["active","code","code_readonly","tax_class"],false,{`)
}

func TestDescribeOfAnotherAnswer(t *testing.T) {
	conn, _ := scripted(t, func(string) string { return `{"id":1,"result":[]}` })
	server, ok := conn.(connector.Describer)
	require.True(t, ok)
	_, err := server.Describe(t.Context(), "parties")
	require.Equal(t, fault.Transient, fault.CodeOf(err))
	_, err = server.Describe(t.Context(), "orders")
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

// TestRealDescribe: every field of the table is described by a real Tryton, and none asks for more.
func TestRealDescribe(t *testing.T) {
	s, conn := real(t)
	require.True(t, connectortest.Described(t, conn, "opportunities")["company"].Required, "while the user works in none")
	s.Employee(t, s.Company(t))
	parties := connectortest.Described(t, conn, "parties")
	for _, path := range []string{"id", "created_at", "name", "code", "active", "lang", "email", "phone", "identifiers", "categories"} {
		require.Contains(t, parties, path)
	}
	require.Equal(t, "char", parties["name"].Type)
	opportunities := connectortest.Described(t, conn, "opportunities")
	for _, path := range []string{"number", "reference", "description", "comment", "party", "company", "amount", "conversion_probability", "start_date", "end_date"} {
		require.Contains(t, opportunities, path)
	}
	require.True(t, opportunities["number"].ReadOnly)
	state := opportunities["state"]
	require.False(t, state.ReadOnly, "moved by buttons")
	slices.Sort(state.Values)
	require.Equal(t, []string{"cancelled", "converted", "lead", "lost", "opportunity", "won"}, state.Values)
	for _, all := range []map[string]connector.FieldShape{parties, opportunities} {
		for path, shape := range all {
			require.False(t, shape.Required && !shape.ReadOnly && path != "description", "%s must be sent", path)
		}
	}
}
