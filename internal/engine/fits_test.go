package engine

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// TestAVendorsUpdateShows: what a server says of its fields, against the mapping of
// the shipped integration.
func TestAVendorsUpdateShows(t *testing.T) {
	text, err := os.ReadFile("../../integrations/salesos-acme.yaml")
	require.NoError(t, err)
	parsed, err := integration.Parse(text)
	require.NoError(t, err)
	leads := parsed.Stream("leads")
	lifecycle := []string{"lead", "contacted", "qualified", "disqualified", "customer"}
	described := func(edit func(*connector.FieldShape) bool, more ...connector.FieldShape) []connector.FieldShape {
		var shapes []connector.FieldShape
		for name := range strings.FieldsSeq("first_name last_name email phone company_name job_title lifecycle labels score note owner_id external_ref properties") {
			shape := connector.FieldShape{Name: name}
			if name == "lifecycle" {
				shape.Values = lifecycle
			}
			if edit == nil || edit(&shape) {
				shapes = append(shapes, shape)
			}
		}
		return append(shapes, more...)
	}
	only := func(name string, change func(*connector.FieldShape)) func(*connector.FieldShape) bool {
		return func(shape *connector.FieldShape) bool {
			if shape.Name != name {
				return true
			}
			if change != nil {
				change(shape)
			}
			return change != nil
		}
	}
	cases := map[string]struct {
		described []connector.FieldShape
		wrong     []string
	}{
		"it fits":                {described(nil, connector.FieldShape{Name: "nickname"}), nil},
		"a field is gone":        {described(only("job_title", nil)), []string{"position: there is no field job_title (any more)"}},
		"a field is read-only":   {described(only("score", func(s *connector.FieldShape) { s.ReadOnly = true })), []string{"score: score cannot be written: narrow the field's direction"}},
		"a new required field":   {described(nil, connector.FieldShape{Name: "consent", Required: true}), []string{"consent must be sent with each new record, and no field writes it"}},
		"required and filled":    {described(only("email", func(s *connector.FieldShape) { s.Required = true })), nil},
		"required by the system": {described(nil, connector.FieldShape{Name: "id", Required: true, ReadOnly: true}), nil},
		"a new value": {described(only("lifecycle", func(s *connector.FieldShape) { s.Values = append(append([]string{}, lifecycle...), "churned") })),
			[]string{`stage: lifecycle may hold "churned", which has no counterpart under values: such records are parked`}},
		"a value is gone": {described(only("lifecycle", func(s *connector.FieldShape) { s.Values = lifecycle[:4] })),
			[]string{`stage: lifecycle does not take "customer" (any more); it takes lead, contacted, qualified, disqualified`}},
	}
	for name, one := range cases {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, one.wrong, texts(CompareShapes(leads, record.Right, one.described, nil)))
		})
	}
	other := described(only("lifecycle", func(s *connector.FieldShape) { s.Values = append(append([]string{}, lifecycle[:4]...), "churned") }))
	t.Run("what is never read there need not have a counterpart", func(t *testing.T) {
		there := *leads
		there.Direction = integration.LeftToRight
		require.Equal(t, []string{`stage: lifecycle does not take "customer" (any more); it takes lead, contacted, qualified, disqualified, churned`},
			texts(CompareShapes(&there, record.Right, other, nil)))
	})
	t.Run("what is never written there need not be taken", func(t *testing.T) {
		here := *leads
		here.Direction = integration.RightToLeft
		require.Equal(t, []string{`stage: lifecycle may hold "churned", which has no counterpart under values: such records are parked`},
			texts(CompareShapes(&here, record.Right, other, nil)))
	})
}

func texts(found []ledger.ShapeFinding) []string {
	var list []string
	for _, one := range found {
		list = append(list, one.Text)
	}
	return list
}

// TestAChangedTypeShows: what a field was when the mapping fitted, against what it is.
func TestAChangedTypeShows(t *testing.T) {
	text, err := os.ReadFile("../../integrations/salesos-acme.yaml")
	require.NoError(t, err)
	parsed, err := integration.Parse(text)
	require.NoError(t, err)
	leads := parsed.Stream("leads")
	described := func(score string) []connector.FieldShape {
		var shapes []connector.FieldShape
		for name := range strings.FieldsSeq("first_name last_name email phone company_name job_title lifecycle labels note owner_id external_ref properties") {
			shapes = append(shapes, connector.FieldShape{Name: name, Type: "string"})
		}
		return append(shapes, connector.FieldShape{Name: "score", Type: score}, connector.FieldShape{Name: "nickname", Type: "string"})
	}
	before := ShapeTypes(leads, record.Right, described("number"))
	require.Equal(t, "number", before["score"])
	require.NotContains(t, before, "nickname", "nobody maps it")
	require.Empty(t, CompareShapes(leads, record.Right, described("number"), before))
	require.Empty(t, CompareShapes(leads, record.Right, described("string"), nil), "nobody knows what it was")
	require.Empty(t, CompareShapes(leads, record.Right, described(""), before), "the server does not say")
	require.Equal(t, []ledger.ShapeFinding{{Code: ShapeType, Field: "score", Text: "score: score was of type number and is of type string now"}},
		CompareShapes(leads, record.Right, described("string"), before))
}
