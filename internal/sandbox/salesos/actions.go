package salesos

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/accord-sync/accord/internal/sandbox/auth"
	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/wire"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

// token answers POST /oauth/token, which takes a JSON body only.
func (s *Server) token(r *front.Request) front.Response {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return oauthError(&auth.Error{Status: 400, Code: "invalid_request", Description: "Content-Type must be application/json"})
	}
	given, err := world.Decode(r.Body)
	if err != nil {
		return oauthError(&auth.Error{Status: 400, Code: "invalid_request", Description: err.Error()})
	}
	p := map[string]string{}
	for k, v := range given {
		if text, ok := v.(string); ok {
			p[k] = text
		}
	}
	if p["grant_type"] == "client_credentials" && p["audience"] == "" {
		return oauthError(&auth.Error{Status: 400, Code: "invalid_request", Description: "audience is missing"})
	}
	r.Call.Actor = "app:" + p["client_id"]
	a, oerr := s.auth.Grant(p)
	if oerr != nil {
		return oauthError(oerr)
	}
	body := map[string]any{"access_token": a.Token.Value, "token_type": "Bearer", "expires_in": int64(a.TTL.Seconds()), "scope": a.Token.ScopeText()}
	if a.Refresh != "" {
		body["refresh_token"] = a.Refresh
		body["id_token"] = idToken(p["client_id"], p["client_secret"])
	}
	return front.Response{Status: http.StatusOK, Header: map[string]string{"Cache-Control": "no-store"}, Body: body}
}

// idToken is a JWT of the one person who consents in a sandbox, signed with the client's secret.
func idToken(client, secret string) string {
	enc := base64.RawURLEncoding
	head := enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))
	claims, err := front.Encode(map[string]any{"sub": "sandbox-user", "aud": client, "name": "Sandbox User", "email": "user@example.com"})
	if err != nil {
		return ""
	}
	text := head + "." + enc.EncodeToString(claims)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + enc.EncodeToString(mac.Sum(nil))
}

func oauthError(e *auth.Error) front.Response { return front.Response{Status: e.Status, Body: e} }

// authorize approves at once and redirects back with a code.
func (s *Server) authorize(r *front.Request) front.Response {
	back, err := s.auth.Authorize(r.URL.Query())
	if err != nil {
		return oauthError(err)
	}
	return front.Response{Status: http.StatusFound, Header: map[string]string{"Location": back}}
}

// convert makes a deal of a lead.
func (s *Server) convert(r *front.Request) front.Response {
	id := r.PathValue("id")
	r.Call.Object, r.Call.ID = "leads", id
	s.World.Race(wire.BeforeWrite, "leads", id)
	leads, deals := s.World.Table("leads"), s.World.Table("deals")
	lead := leads.Get(id)
	if lead == nil {
		return s.fail(http.StatusNotFound, "not found")
	}
	if lead.Text("status") == "converted" {
		return s.invalid([]world.Problem{{Field: "status", Message: "is converted already"}})
	}
	lead, effect, err := leads.Update(id, r.Actor(), s.seen(r), world.MergePatch(leads.Schema, map[string]any{"status": "converted"}))
	if err != nil {
		return s.refused(err)
	}
	s.wrote(r, lead, "update", effect)
	deal, err := deals.Create("", r.Actor(), map[string]any{"name": lead.Text("name"), "contact_name": lead.Text("name"), "contact_email": lead.Fields["email"],
		"company": lead.Fields["company"], "owner_id": lead.Fields["owner_id"], "lead_id": lead.ID})
	if err != nil {
		return s.refused(err)
	}
	s.World.Log.Wrote(r.Actor(), "deals", deal.ID, "create", true)
	return s.ok(http.StatusCreated, render(deal))
}

// teams are those that users belong to.
func (s *Server) teams(*front.Request) front.Response {
	seen := map[string]bool{}
	out := []any{}
	for _, u := range s.World.Table("users").All() {
		team, _ := u.Fields["team"].(map[string]any)
		id, _ := team["id"].(string)
		if id == "" || seen[id] || !u.Live() {
			continue
		}
		seen[id] = true
		out = append(out, team)
	}
	return s.ok(http.StatusOK, out)
}

// invite makes a user who is invited; a real server would send a mail.
func (s *Server) invite(r *front.Request) front.Response {
	t := s.World.Table("users")
	r.Call.Object = "users"
	given, bad := s.fields(r, t, true)
	if bad != nil {
		return *bad
	}
	given["status"] = "invited"
	rec, err := t.Create("", r.Actor(), given)
	if err != nil {
		return s.refused(err)
	}
	s.wrote(r, rec, "create", true)
	return s.record(http.StatusCreated, rec)
}

// deactivate is what DELETE does to a user: the person stays, deactivated.
func (s *Server) deactivate(r *front.Request) front.Response {
	t, id := s.World.Table("users"), r.PathValue("id")
	r.Call.Object, r.Call.ID = "users", id
	s.World.Race(wire.BeforeWrite, "users", id)
	rec, effect, err := t.Update(id, r.Actor(), 0, world.MergePatch(t.Schema, map[string]any{"status": "deactivated"}))
	if err != nil {
		return s.refused(err)
	}
	s.wrote(r, rec, "delete", effect)
	return front.Response{Status: http.StatusNoContent}
}
