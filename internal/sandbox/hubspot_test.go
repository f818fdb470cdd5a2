package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/hubspot"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

const hubContacts = "/crm/v3/objects/contacts"

// properties wraps the properties of a write.
func properties(of fields) fields { return fields{"properties": of} }

// searching is a search for what a property's value is compared with.
func searching(property, operator string, value any, more fields) fields {
	body := fields{"filterGroups": []any{fields{"filters": []any{fields{"propertyName": property, "operator": operator, "value": value}}}}}
	for key, part := range more {
		body[key] = part
	}
	return body
}

func TestHubSpotRecords(t *testing.T) {
	h := start(t, sandbox.Options{}).hubspot
	made := h.do("POST", hubContacts, properties(fields{"email": " Ana@Example.com ", "firstname": "Ana", "phone": nil}))
	require.Equal(t, 201, made.status, "%s", made.raw)
	id := made.text("id")
	require.Equal(t, "ana@example.com", made.text("properties", "email"), "kept in small letters")
	require.Equal(t, id, made.text("properties", "hs_object_id"))
	require.NotContains(t, made.at("properties"), "phone", "only the usual properties are shown")

	again := h.do("POST", hubContacts, properties(fields{"email": "ANA@example.com"}))
	require.Equal(t, 409, again.status)
	require.Equal(t, "Contact already exists. Existing ID: "+id, again.text("message"))
	require.Equal(t, "CONFLICT", again.text("category"))

	wrong := h.do("POST", hubContacts, properties(fields{"email": "rubbish", "firstname": "x"}))
	require.Equal(t, 400, wrong.status)
	require.Equal(t, "VALIDATION_ERROR", wrong.text("category"))
	require.Contains(t, string(wrong.raw), `"propertyName":["email"]`)
	require.Equal(t, 400, h.do("POST", hubContacts, properties(fields{"no_such": "x"})).status)

	edited := h.do("PATCH", hubContacts+"/"+id, properties(fields{"firstname": "", "jobtitle": "CTO"}))
	require.Equal(t, 200, edited.status)
	held := h.do("GET", hubContacts+"/"+id+"?properties=firstname,jobtitle,email", nil)
	require.Equal(t, []any{"", "CTO", "ana@example.com"}, []any{held.at("properties", "firstname"), held.at("properties", "jobtitle"), held.at("properties", "email")}, "the empty text empties")

	require.Equal(t, 204, h.do("DELETE", hubContacts+"/"+id, nil).status)
	require.Equal(t, 204, h.do("DELETE", hubContacts+"/"+id, nil).status, "what is archived is no error")
	require.Equal(t, 404, h.do("GET", hubContacts+"/"+id, nil).status)
	archived := h.do("GET", hubContacts+"/"+id+"?archived=true", nil)
	require.Equal(t, true, archived.at("archived"))
	require.Len(t, h.do("GET", hubContacts+"?archived=true", nil).list("results"), 1)
	require.Empty(t, h.do("GET", hubContacts, nil).list("results"))
	require.Empty(t, h.do("POST", hubContacts+"/search", searching("email", "EQ", "ana@example.com", nil)).list("results"))
	require.Equal(t, 201, h.do("POST", hubContacts, properties(fields{"email": "ana@example.com"})).status, "its address is free again")
}

func TestHubSpotMerge(t *testing.T) {
	h := start(t, sandbox.Options{}).hubspot
	ids := h.seed("contacts", 2)
	deal := h.do("POST", "/crm/v3/objects/deals", fields{"properties": fields{"dealname": "Roof"}, "associations": []any{
		fields{"to": fields{"id": ids[1]}, "types": []any{fields{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 3}}}}})
	require.Equal(t, 201, deal.status, "%s", deal.raw)
	require.Equal(t, 200, h.do("POST", hubContacts+"/merge", fields{"primaryObjectId": ids[0], "objectIdToMerge": ids[1]}).status)
	survivor := h.do("GET", hubContacts+"/"+ids[1], nil)
	require.Equal(t, ids[0], survivor.text("id"), "the merged id answers with the survivor")
	held := h.do("GET", "/crm/v3/objects/deals/"+deal.text("id")+"?associations=contacts", nil)
	require.Equal(t, ids[0], idOf(held.list("associations", "contacts", "results")[0]))
	require.Len(t, h.do("GET", hubContacts, nil).list("results"), 1)
}

func TestHubSpotSearch(t *testing.T) {
	p := start(t, sandbox.Options{})
	h := p.hubspot
	_, err := h.admin.Seed(t.Context(), wire.Seed{Object: "contacts", Count: 10_050})
	require.NoError(t, err)
	sorted := fields{"limit": 200, "sorts": []any{fields{"propertyName": "lastmodifieddate", "direction": "ASCENDING"}}}
	page := h.do("POST", hubContacts+"/search", searching("lastmodifieddate", "GTE", "1", sorted))
	require.Equal(t, 200, page.status, "%s", page.raw)
	require.Len(t, page.list("results"), 200)
	require.Equal(t, json.Number("10050"), number(page.at("total")))
	require.Equal(t, "200", page.text("paging", "next", "after"))
	sorted["after"] = "9800"
	require.Equal(t, 200, h.do("POST", hubContacts+"/search", searching("lastmodifieddate", "GTE", "1", sorted)).status)
	sorted["after"] = "9801"
	beyond := h.do("POST", hubContacts+"/search", searching("lastmodifieddate", "GTE", "1", sorted))
	require.Equal(t, 400, beyond.status, "no more than 10,000 are shown")
	require.Equal(t, 400, h.do("POST", hubContacts+"/search", fields{"limit": 201}).status)
	require.Equal(t, 400, h.do("POST", hubContacts+"/search", searching("hs_lastmodifieddate", "GTE", "1", nil)).status, "it has another name with contacts")
	require.Equal(t, 200, h.do("POST", "/crm/v3/objects/deals/search", searching("hs_lastmodifieddate", "GTE", "1", nil)).status)
	require.Equal(t, 400, h.do("GET", hubContacts+"?limit=101", nil).status)
	for operator, want := range map[string]int{"EQ": 1, "HAS_PROPERTY": 10_050, "NEQ": 10_049} {
		got := h.do("POST", hubContacts+"/search", searching("lastname", operator, "77", nil))
		require.Equal(t, json.Number(fmt.Sprint(want)), number(got.at("total")), operator)
	}
	require.Equal(t, 400, h.do("POST", hubContacts+"/search", searching("lastname", "LIKE", "77", nil)).status)

	require.NoError(t, h.admin.SetSwitches(t.Context(), fields{"search_lag_ms": 5000, "visible_late_ms": 5000}))
	made := h.do("POST", hubContacts, properties(fields{"email": "late@example.com", "firstname": "Late"}))
	for name, search := range map[string]fields{"exact": searching("email", "EQ", "late@example.com", nil), "other": searching("firstname", "EQ", "Late", nil)} {
		require.Empty(t, h.do("POST", hubContacts+"/search", search).list("results"), name)
	}
	require.Equal(t, 200, h.do("GET", hubContacts+"/"+made.text("id"), nil).status, "it is there")
	p.clock.Add(5 * time.Second)
	require.Len(t, h.do("POST", hubContacts+"/search", searching("email", "EQ", "late@example.com", nil)).list("results"), 1)
	require.Len(t, h.do("POST", hubContacts+"/search", searching("firstname", "EQ", "Late", nil)).list("results"), 1)
}

// number reads a number that encoding/json made a float.
func number(v any) json.Number {
	held, _ := v.(float64)
	return json.Number(fmt.Sprint(int(held)))
}

func TestHubSpotLimits(t *testing.T) {
	p := start(t, sandbox.Options{})
	h := p.hubspot
	require.NoError(t, h.admin.SetLimits(t.Context(), hubspot.Limits()))
	search := func() answer {
		return h.do("POST", hubContacts+"/search", searching("email", "EQ", "a@example.com", nil))
	}
	for range 5 {
		got := search()
		require.Equal(t, 200, got.status)
		require.Empty(t, got.header.Get("X-HubSpot-RateLimit-Remaining"), "searches do not tell")
	}
	refused := search()
	require.Equal(t, 429, refused.status)
	require.Equal(t, []any{"SECONDLY", "RATE_LIMIT"}, []any{refused.text("policyName"), refused.text("errorType")})
	require.Empty(t, refused.header.Get("Retry-After"))
	for left := 109; left >= 0; left-- {
		got := h.do("GET", hubContacts, nil)
		require.Equal(t, 200, got.status, "searches are not part of the ten seconds")
		require.Equal(t, []string{"110", fmt.Sprint(left), "10000"},
			[]string{got.header.Get("X-HubSpot-RateLimit-Max"), got.header.Get("X-HubSpot-RateLimit-Remaining"), got.header.Get("X-HubSpot-RateLimit-Interval-Milliseconds")})
		if left == 60 {
			p.clock.Add(6 * time.Second)
		}
	}
	refused = h.do("GET", hubContacts, nil)
	require.Equal(t, 429, refused.status)
	require.Equal(t, "TEN_SECONDLY_ROLLING", refused.text("policyName"))
	p.clock.Add(4 * time.Second)
	for range 50 {
		require.Equal(t, 200, h.do("GET", hubContacts, nil).status, "those of ten seconds ago do not count any more")
	}
	require.Equal(t, 429, h.do("GET", hubContacts, nil).status, "those of six seconds later do")
	require.Equal(t, 200, search().status)
}

func TestHubSpotTokens(t *testing.T) {
	p := start(t, sandbox.Options{})
	h := p.hubspot
	require.Equal(t, 400, h.do("POST", "/oauth/v1/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"accord"}, "client_secret": {"accord-secret"}}).status,
		"there is no grant for a client alone")
	back, err := url.Parse(h.do("GET", "/oauth/authorize?client_id=accord&redirect_uri=https%3A%2F%2Fapp.example%2Fback&scope=oauth&state=s1", nil).header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, "s1", back.Query().Get("state"))
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {"accord"}, "client_secret": {"accord-secret"}, "redirect_uri": {"https://app.example/back"}, "code": {back.Query().Get("code")}}
	granted := h.do("POST", "/oauth/v1/token", form)
	require.Equal(t, 200, granted.status, "%s", granted.raw)
	require.Equal(t, json.Number("1800"), number(granted.at("expires_in")))
	private := h.token
	h.token = granted.text("access_token")
	require.Equal(t, 403, h.do("GET", hubContacts, nil).status, "the consent was for less")
	p.clock.Add(30 * time.Minute)
	ended := h.do("GET", hubContacts, nil)
	require.Equal(t, 401, ended.status)
	require.Equal(t, "EXPIRED_AUTHENTICATION", ended.text("category"))
	refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {"accord"}, "client_secret": {"accord-secret"}, "refresh_token": {granted.text("refresh_token")}}
	for range 2 {
		fresh := h.do("POST", "/oauth/v1/token", refresh)
		require.Equal(t, 200, fresh.status)
		require.Equal(t, granted.text("refresh_token"), fresh.text("refresh_token"), "it stays the same")
		h.token = fresh.text("access_token")
		require.Equal(t, 403, h.do("GET", hubContacts, nil).status)
	}
	refresh.Set("refresh_token", "none")
	require.Equal(t, "BAD_REFRESH_TOKEN", h.do("POST", "/oauth/v1/token", refresh).text("status"))
	h.token = private
	p.clock.Add(1000 * time.Hour)
	require.Equal(t, 200, h.do("GET", hubContacts, nil).status, "the token of a private app does not end")
}

func TestHubSpotAssociations(t *testing.T) {
	h := start(t, sandbox.Options{}).hubspot
	ids := h.seed("contacts", 2)
	deal := h.seed("deals", 1)[0]
	at := "/crm/v4/objects/deals/" + deal + "/associations/"
	before := h.do("GET", "/crm/v3/objects/deals/"+deal, nil).text("updatedAt")
	require.Equal(t, 200, h.do("PUT", at+"default/contacts/"+ids[1], nil).status)
	require.Equal(t, 200, h.do("PUT", "/crm/v4/objects/contacts/"+ids[0]+"/associations/default/deals/"+deal, nil).status, "from the other end")
	require.Equal(t, 404, h.do("PUT", at+"default/contacts/1", nil).status)
	require.LessOrEqual(t, before, h.do("GET", "/crm/v3/objects/deals/"+deal, nil).text("updatedAt"))
	many := h.do("POST", "/crm/v4/associations/deals/contacts/batch/read", fields{"inputs": []any{fields{"id": deal}}})
	require.Len(t, many.list("results"), 1)
	require.Contains(t, string(many.raw), `"toObjectId":`+ids[0])
	require.Len(t, h.do("GET", at+"contacts", nil).list("results"), 2)
	require.Equal(t, 204, h.do("DELETE", at+"contacts/"+ids[1], nil).status)
	held := h.do("GET", "/crm/v3/objects/deals?associations=contacts&limit=100", nil)
	first, _ := held.list("results")[0].(fields)
	require.Equal(t, fields{"contacts": fields{"results": []any{fields{"id": ids[0], "type": "deal_to_contact"}}}}, first["associations"])
	require.Equal(t, 400, h.do("POST", "/crm/v3/objects/deals", fields{"properties": fields{}, "associations": []any{
		fields{"to": fields{"id": ids[0]}, "types": []any{fields{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 4}}}}}).status, "that is the way from contacts to deals")
}

func TestHubSpotOwnersAndStages(t *testing.T) {
	h := start(t, sandbox.Options{}).hubspot
	owner := h.seed("owners", 3)[1]
	listed := h.do("GET", "/crm/v3/owners?limit=2", nil)
	require.Len(t, listed.list("results"), 2)
	require.Len(t, h.do("GET", "/crm/v3/owners?after="+listed.text("paging", "next", "after"), nil).list("results"), 1)
	require.Equal(t, owner, idOf(h.do("GET", "/crm/v3/owners?email=OWNER2@example.com", nil).list("results")[0]))
	require.Equal(t, "owner2@example.com", h.do("GET", "/crm/v3/owners/"+owner, nil).text("email"))
	require.Equal(t, 400, h.do("POST", hubContacts, properties(fields{"hubspot_owner_id": "1"})).status)
	require.Equal(t, 201, h.do("POST", hubContacts, properties(fields{"hubspot_owner_id": owner})).status)
	require.Contains(t, string(h.do("GET", "/crm/v3/pipelines/deals", nil).raw), `"closedwon"`)
	deal := h.do("POST", "/crm/v3/objects/deals", properties(fields{"amount": 12.5, "closedate": "2026-12-24"}))
	require.Equal(t, []any{"12.5", "2026-12-24T00:00:00.000Z", "appointmentscheduled"},
		[]any{deal.at("properties", "amount"), deal.at("properties", "closedate"), deal.at("properties", "dealstage")}, "%s", deal.raw)
	require.Equal(t, 400, h.do("POST", "/crm/v3/objects/deals", properties(fields{"dealstage": "no_such"})).status)
	require.Equal(t, 400, h.do("POST", "/crm/v3/objects/meetings", properties(fields{"hs_meeting_title": "x"})).status, "hs_timestamp is needed")
}
