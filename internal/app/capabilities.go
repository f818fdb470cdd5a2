package app

import (
	"encoding/json"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/integration"
)

// effective is what a server can do: what the file declares; else what was
// probed; else what the vendor's servers usually can.
func effective(declared integration.Capabilities, driver connector.Driver, probed string) connector.Capabilities {
	known := connector.Defaults(driver)
	if probed != "" {
		// A stored probe that cannot be read counts as not made.
		if found := known; json.Unmarshal([]byte(probed), &found) == nil {
			known = found
		}
	}
	known.UpdatedFilter = declaredSwitch(declared.UpdatedFilter, known.UpdatedFilter)
	if declared.UpdatedFilter == integration.Yes || declared.UpdatedFilter == integration.No {
		known.Unsure = false // a person said what a probe would ask
	}
	known.Versions = declaredSwitch(declared.Versions, known.Versions)
	known.IdempotencyKey = declaredSwitch(declared.IdempotencyKey, known.IdempotencyKey)
	if !declared.Unique.Probe {
		known.Unique = declared.Unique.List
	}
	known.SearchLag = declaredSpan(declared.SearchLag, known.SearchLag)
	known.LateBy = declaredSpan(declared.LateBy, known.LateBy)
	known.Granularity = declaredSpan(declared.Granularity, known.Granularity)
	switch declared.CustomFields {
	case integration.Merge:
		known.CustomFieldsReplace = false
	case integration.Replace:
		known.CustomFieldsReplace = true
	}
	return known
}

func declaredSwitch(declared integration.Switch, known bool) bool {
	switch declared {
	case integration.Yes:
		return true
	case integration.No:
		return false
	}
	return known
}

func declaredSpan(declared integration.Span, known time.Duration) time.Duration {
	if declared.Probe {
		return known
	}
	return declared.Value
}
