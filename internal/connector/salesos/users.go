package salesos

import (
	"context"
	"net/http"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

const deactivated = "deactivated"

// newcomer takes the status out of a new user's fields: whoever is invited is
// invited. Somebody who is deactivated elsewhere gets no invitation.
func newcomer(fields map[string]any) error {
	if fields[statusPath] == deactivated {
		refused := fault.New(fault.Invalid, "somebody who is deactivated is not invited to %s; leave such users out with where", title)
		refused.Field = statusPath
		return refused
	}
	delete(fields, statusPath)
	return nil
}

// deactivate is the one change that the API knows of a user: a DELETE, after
// which the user is still there. Nothing else of a user can be written.
func (c *client) deactivate(ctx context.Context, object object, current record.Record, fields map[string]any) (record.Record, error) {
	ref := record.Ref{Side: c.cfg.Side, Object: object.Name, ID: current.Ref.ID}
	for path, value := range fields {
		if path != statusPath || value != deactivated {
			return record.Record{}, refusal(ref, path, "SalesOS has no call that changes this of a user; a person does it there")
		}
	}
	if err := c.Delete(ctx, object.Name, current.Ref.ID, connector.WriteOptions{}); err != nil {
		return record.Record{}, err
	}
	return c.written(ctx, c.recordCall(http.MethodDelete, object, current.Ref.ID, nil), transport.Reply{}, object, wrote{id: current.Ref.ID})
}
