package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// key names a connection of the caller's tenant.
func (s *Server) key(connection string) ledger.Key {
	return ledger.Key{Tenant: s.options.Tenant, Connection: connection}
}

// baseURL is where webhooks can be sent: the public URL, or the address the
// caller used, which is right for a developer on one machine.
func (s *Server) baseURL(ctx context.Context) string {
	if s.options.PublicURL != "" {
		return strings.TrimRight(s.options.PublicURL, "/")
	}
	c, ok := ctx.(*gin.Context)
	if !ok {
		return ""
	}
	scheme := "http"
	if c.Request.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.Request.Host
}

// ListConnections answers GET /api/v1/connections.
func (s *Server) ListConnections(ctx context.Context, request ListConnectionsRequestObject) (ListConnectionsResponseObject, error) {
	options, err := paging(request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	items, next, err := s.options.Store.ListConnections(ctx, s.options.Tenant, options)
	if err != nil {
		return nil, err
	}
	base := s.baseURL(ctx)
	tell := func(connection ledger.Connection) Connection { return connectionOf(connection, base, false) }
	return ListConnections200JSONResponse{Items: mapped(items, tell), NextCursor: optional(next)}, nil
}

// CreateConnection answers POST /api/v1/connections.
func (s *Server) CreateConnection(ctx context.Context, request CreateConnectionRequestObject) (CreateConnectionResponseObject, error) {
	text, err := integrationText(request.Body.Integration)
	if err != nil {
		return nil, err
	}
	now, err := s.options.Store.Now(ctx)
	if err != nil {
		return nil, err
	}
	connection := ledger.Connection{
		Key: s.key("cn_" + s.options.NewID()), State: ledger.Draft, Version: 1, Integration: text,
		Variables: textOf(request.Body.Variables), Secrets: textOf(request.Body.Secrets), CreatedAt: now, UpdatedAt: now,
	}
	described, err := s.options.Installer.Describe(ctx, connection)
	if err != nil {
		return nil, err
	}
	connection.Name = described.Name
	if err := s.options.Store.CreateConnection(ctx, connection); err != nil {
		return nil, err
	}
	return CreateConnection201JSONResponse{
		Body:    connectionOf(connection, s.baseURL(ctx), true),
		Headers: CreateConnection201ResponseHeaders{Location: optional("/api/v1/connections/" + connection.Connection)},
	}, nil
}

// GetConnection answers GET /api/v1/connections/{connection}.
func (s *Server) GetConnection(ctx context.Context, request GetConnectionRequestObject) (GetConnectionResponseObject, error) {
	connection, err := s.options.Store.Connection(ctx, s.key(request.Connection))
	if err != nil {
		return nil, err
	}
	return GetConnection200JSONResponse(connectionOf(connection, s.baseURL(ctx), true)), nil
}

// UpdateConnection answers PUT /api/v1/connections/{connection}.
func (s *Server) UpdateConnection(ctx context.Context, request UpdateConnectionRequestObject) (UpdateConnectionResponseObject, error) {
	connection, err := s.options.Store.Connection(ctx, s.key(request.Connection))
	if err != nil {
		return nil, err
	}
	if wanted := request.Body.ExpectedVersion; wanted != nil && *wanted != connection.Version {
		return nil, fault.New(fault.Conflict, "connection %s is at version %d, not %d: read it again and repeat the edit",
			connection.Connection, connection.Version, *wanted)
	}
	if len(request.Body.Integration) > 0 {
		if connection.Integration, err = integrationText(request.Body.Integration); err != nil {
			return nil, err
		}
	}
	connection.Variables = merged(connection.Variables, textOf(request.Body.Variables))
	connection.Secrets = merged(connection.Secrets, textOf(request.Body.Secrets))
	connection.Version++
	described, err := s.options.Installer.Describe(ctx, connection)
	if err != nil {
		return nil, err
	}
	connection.Name = described.Name
	if connection.UpdatedAt, err = s.options.Store.Now(ctx); err != nil {
		return nil, err
	}
	if err := s.options.Store.UpdateConnection(ctx, connection); err != nil {
		return nil, err
	}
	s.nudge(ctx, connection.Key)
	if connection.State == ledger.Active || connection.State == ledger.Failing && !connection.Restored.Waiting() {
		s.reactivate(ctx, connection.Key)
	}
	return UpdateConnection200JSONResponse(connectionOf(connection, s.baseURL(ctx), true)), nil
}

// reactivate lets an edit take effect everywhere: webhooks with their secrets,
// schedules, and a first load for fields that have no common past yet; an activation
// that gave up is tried with what was corrected. The edit
// is stored by now: a Temporal that does not answer only delays the rest, and
// activating once more makes up for it.
func (s *Server) reactivate(ctx context.Context, key ledger.Key) {
	if err := s.options.Control.Activate(ctx, key); err != nil {
		s.options.Log.WithField("connection", key.String()).WithField("code", fault.CodeOf(err)).
			Warn("webhooks and schedules could not be brought up to the new version; activate the connection again")
	}
}

// DeleteConnection answers DELETE /api/v1/connections/{connection}.
func (s *Server) DeleteConnection(ctx context.Context, request DeleteConnectionRequestObject) (DeleteConnectionResponseObject, error) {
	if _, err := s.options.Store.Connection(ctx, s.key(request.Connection)); err != nil {
		return nil, err
	}
	if err := s.options.Control.Delete(ctx, s.key(request.Connection)); err != nil {
		return nil, err
	}
	return DeleteConnection202JSONResponse{Id: request.Connection, State: "deleting"}, nil
}

// ActivateConnection answers POST …/activate.
func (s *Server) ActivateConnection(ctx context.Context, request ActivateConnectionRequestObject) (ActivateConnectionResponseObject, error) {
	accepted, err := s.steer(ctx, request.Connection, s.options.Control.Activate)
	return ActivateConnection202JSONResponse(accepted), err
}

// PauseConnection answers POST …/pause.
func (s *Server) PauseConnection(ctx context.Context, request PauseConnectionRequestObject) (PauseConnectionResponseObject, error) {
	accepted, err := s.steer(ctx, request.Connection, s.options.Control.Pause)
	return PauseConnection202JSONResponse(accepted), err
}

// ResumeConnection answers POST …/resume.
func (s *Server) ResumeConnection(ctx context.Context, request ResumeConnectionRequestObject) (ResumeConnectionResponseObject, error) {
	accepted, err := s.steer(ctx, request.Connection, s.options.Control.Resume)
	return ResumeConnection202JSONResponse(accepted), err
}

// AcceptRestored answers POST …/restored.
func (s *Server) AcceptRestored(ctx context.Context, request AcceptRestoredRequestObject) (AcceptRestoredResponseObject, error) {
	var from time.Time
	if request.Body != nil && request.Body.From != nil {
		from = *request.Body.From
	}
	accepted, err := s.steer(ctx, request.Connection, func(ctx context.Context, key ledger.Key) error {
		return s.options.Control.AcceptRestored(ctx, key, from)
	})
	return AcceptRestored202JSONResponse(accepted), err
}

// steer does one thing to an existing connection and tells its state afterwards.
func (s *Server) steer(ctx context.Context, id string, do func(context.Context, ledger.Key) error) (Accepted, error) {
	key := s.key(id)
	if _, err := s.options.Store.Connection(ctx, key); err != nil {
		return Accepted{}, err
	}
	if err := do(ctx, key); err != nil {
		return Accepted{}, err
	}
	connection, err := s.options.Store.Connection(ctx, key)
	if err != nil {
		return Accepted{}, err
	}
	return Accepted{Id: id, State: string(connection.State)}, nil
}

// nudge tells Temporal; if it does not answer, the sweep finds what is due.
func (s *Server) nudge(ctx context.Context, key ledger.Key) {
	if err := s.options.Control.Nudge(ctx, key); err != nil {
		s.options.Log.WithField("connection", key.Connection).WithField("code", string(fault.CodeOf(err))).
			Warn("Temporal was not told; the sweep will")
	}
}

// integrationText is the integration as text: a YAML string as it is, an object as JSON.
func integrationText(raw json.RawMessage) (string, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '{' {
		return string(raw), nil
	}
	var text string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		return "", &fault.Error{Code: fault.Usage, Message: "the integration is missing", Details: []fault.Detail{
			{Path: "integration", Message: "give the integration as an object, or its YAML as a string"}}}
	}
	return text, nil
}

func textOf(given *Text) map[string]string {
	if given == nil {
		return nil
	}
	return *given
}

// merged is old with what is given added or replaced.
func merged(old, given map[string]string) map[string]string {
	out := make(map[string]string, len(old)+len(given))
	maps.Copy(out, old)
	maps.Copy(out, given)
	return out
}

// paging checks limit and cursor of a list.
func paging(limit *int, cursor *string) (ledger.ListOptions, error) {
	options := ledger.ListOptions{}
	if limit != nil {
		if *limit < 1 || *limit > maxLimit {
			return options, invalidParameter("limit", "1 to 200 is wanted")
		}
		options.Limit = *limit
	}
	if cursor != nil {
		options.Cursor = *cursor
	}
	return options, nil
}

const maxLimit = 200

func invalidParameter(name, message string) error {
	return &fault.Error{Code: fault.Usage, Message: "a parameter is wrong: " + name, Details: []fault.Detail{{Path: name, Message: message}}}
}
