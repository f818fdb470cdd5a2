package hubspot

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/accord-sync/accord/internal/sandbox/auth"
	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

// renderOwner gives an owner, which is no CRM object: its fields are its own.
func renderOwner(r *world.Record) map[string]any {
	return map[string]any{"id": r.ID, "email": r.Fields["email"], "firstName": r.Fields["firstName"], "lastName": r.Fields["lastName"], "userId": r.ID,
		"createdAt": stamp(r.CreatedAt), "updatedAt": stamp(r.UpdatedAt), "archived": !r.DeletedAt.IsZero()}
}

// owners lists the users that records may belong to, of one e-mail address if asked.
func (s *Server) owners(r *front.Request) front.Response {
	r.Call.Object = "owners"
	v := r.URL.Query()
	limit, ok := limited(v.Get("limit"), 100, 500)
	if !ok {
		return badRequest("limit must be a number from 1 to 500")
	}
	rows := []any{}
	body := map[string]any{}
	last := ""
	for _, one := range s.World.Table("owners").All() {
		if one.ID <= v.Get("after") || one.DeletedAt.IsZero() == (v.Get("archived") == "true") || v.Get("email") != "" && !strings.EqualFold(one.Text("email"), v.Get("email")) {
			continue
		}
		if len(rows) == limit {
			body["paging"] = paging(last)
			break
		}
		rows, last = append(rows, renderOwner(one)), one.ID
	}
	body["results"] = rows
	return front.Response{Status: http.StatusOK, Body: body}
}

func (s *Server) owner(r *front.Request) front.Response {
	r.Call.Object, r.Call.ID = "owners", r.PathValue("id")
	found := s.World.Table("owners").Raw(r.PathValue("id"))
	if found == nil || found.DeletedAt.IsZero() == (r.URL.Query().Get("archived") == "true") {
		return notFound()
	}
	return front.Response{Status: http.StatusOK, Body: renderOwner(found)}
}

// pipelines lists the one pipeline of deals with its stages.
func (s *Server) pipelines(*front.Request) front.Response {
	listed := []any{}
	for at, one := range stages() {
		closed := "false"
		if one.closed {
			closed = "true"
		}
		listed = append(listed, map[string]any{"id": one.id, "label": one.label, "displayOrder": at, "archived": false,
			"metadata": map[string]any{"isClosed": closed, "probability": one.probability}})
	}
	return front.Response{Status: http.StatusOK, Body: map[string]any{"results": []any{
		map[string]any{"id": defaultPipeline, "label": "Sales Pipeline", "displayOrder": 0, "archived": false, "stages": listed}}}}
}

// token answers POST /oauth/v1/token: a code or a refresh token, form-encoded. There is no grant for a client alone.
func (s *Server) token(r *front.Request) front.Response {
	refuse := func(status, message string) front.Response {
		return front.Response{Status: http.StatusBadRequest, Body: map[string]any{"status": status, "message": message, "correlationId": correlation()}}
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return refuse("BAD_REQUEST", "Content-Type must be application/x-www-form-urlencoded")
	}
	values, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return refuse("BAD_REQUEST", "the body is no form")
	}
	given := map[string]string{}
	for key := range values {
		given[key] = values.Get(key)
	}
	r.Call.Actor = "app:" + given["client_id"]
	if given["grant_type"] != "authorization_code" && given["grant_type"] != "refresh_token" {
		return refuse("BAD_GRANT_TYPE", "missing or unknown grant type")
	}
	granted, wrong := s.auth.Grant(given)
	switch {
	case wrong != nil && wrong.Code == "invalid_client":
		return refuse("BAD_CLIENT_SECRET", "missing or invalid client secret")
	case wrong != nil && given["grant_type"] == "refresh_token":
		return refuse("BAD_REFRESH_TOKEN", "missing or invalid refresh token")
	case wrong != nil:
		return refuse("BAD_AUTH_CODE", "missing or unknown auth code")
	}
	return front.Response{Status: http.StatusOK, Header: map[string]string{"Cache-Control": "no-store"}, Body: map[string]any{
		"access_token": granted.Token.Value, "token_type": "bearer", "expires_in": int64(granted.TTL.Seconds()), "refresh_token": granted.Refresh}}
}

// authorize approves at once and redirects back with a code.
func (s *Server) authorize(r *front.Request) front.Response {
	asked := r.URL.Query()
	asked.Set("response_type", "code") // HubSpot has no other
	back, wrong := s.auth.Authorize(asked)
	if wrong != nil {
		return oauthError(wrong)
	}
	return front.Response{Status: http.StatusFound, Header: map[string]string{"Location": back}}
}

func oauthError(e *auth.Error) front.Response {
	return front.Response{Status: http.StatusBadRequest, Body: map[string]any{"status": "BAD_REQUEST", "message": e.Description, "correlationId": correlation()}}
}
