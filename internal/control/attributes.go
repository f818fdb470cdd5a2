package control

import (
	"context"
	"slices"

	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/accord-sync/accord/workflows"
)

// MissingSearchAttributes names those of ours that a namespace does not know, or
// knows with another type. All works without them: set
// workflows.Tuning.SearchAttributes only when none is missing. A server that
// does not tell (it may forbid the question) is an error.
func MissingSearchAttributes(ctx context.Context, temporal client.Client, namespace string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	known, err := temporal.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, temporalFault(err, "ask Temporal for its search attributes")
	}
	var missing []string
	for name, kind := range workflows.SearchAttributes() {
		if known.GetCustomAttributes()[name] != kind {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing, nil
}
