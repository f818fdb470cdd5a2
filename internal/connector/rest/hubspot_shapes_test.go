package rest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestHubSpotShapes: the shipped integration fits the properties as they are, and what an
// update of HubSpot changes is told before records fail.
func TestHubSpotShapes(t *testing.T) {
	p := newPairing(t, func(*pairing) {})
	check := func() []string {
		t.Helper()
		_, err := p.engine.CheckShapes(t.Context(), p.key, true)
		require.NoError(t, err)
		states, err := p.store.ShapeStates(t.Context(), p.key)
		require.NoError(t, err)
		found, asked := []string{}, 0
		for _, state := range states {
			require.Empty(t, state.Code)
			if state.Side == record.Right && len(state.Types) > 0 {
				asked++
			}
			for _, one := range state.Findings {
				found = append(found, one.Code+" "+one.Text)
			}
		}
		require.Equal(t, 2, asked, "leads and deals have types; owners are not described")
		return found
	}
	require.Empty(t, check(), "the shipped integration fits")
	for _, shape := range []wire.Shape{
		{Object: "contacts", Field: "jobtitle", Gone: true},
		{Object: "contacts", Field: "company", Type: "datetime"},
		{Object: "contacts", Field: "hs_lead_status", Values: []string{"NEW", "OPEN", "IN_PROGRESS", "OPEN_DEAL", "UNQUALIFIED", "ATTEMPTED_TO_CONTACT", "CONNECTED", "BAD_TIMING", "RECYCLED"}},
	} {
		require.NoError(t, p.hub.SetShape(t.Context(), shape))
	}
	require.ElementsMatch(t, []string{
		"missing_field position: there is no field properties.jobtitle (any more)",
		"type_changed company: properties.company was of type string and is of type datetime now",
		`value_new stage: properties.hs_lead_status may hold "RECYCLED", which has no counterpart under values: such records are parked`,
	}, check())
}
