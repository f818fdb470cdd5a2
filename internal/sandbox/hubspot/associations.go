package hubspot

import (
	"net/http"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

// association is one of a create.
type association struct {
	To struct {
		ID any `json:"id"`
	} `json:"to"`
	Types []struct {
		Category string `json:"associationCategory"`
		ID       any    `json:"associationTypeId"`
	} `json:"types"`
}

// link is an association that was understood: the id of a contact.
type link struct{ contact string }

// typeID is the number of the unlabelled association from an object to contacts
// (https://developers.hubspot.com/docs/api/crm/associations#association-type-id-values); "": there is none.
func typeID(object string) string {
	return map[string]string{"deals": "3", "meetings": "200", "calls": "194", "emails": "198"}[object]
}

// linksOf reads the associations of a create; the text is what is wrong with them.
func (s *Server) linksOf(object string, given []association) ([]link, string) {
	var links []link
	for _, one := range given {
		id := textOf(one.To.ID)
		if len(one.Types) == 0 || typeID(object) == "" {
			return nil, "one or more associations are not valid"
		}
		for _, kind := range one.Types {
			if kind.Category != "HUBSPOT_DEFINED" || textOf(kind.ID) != typeID(object) {
				return nil, "associationTypeId " + textOf(kind.ID) + " is not one from " + object + " to contacts"
			}
		}
		if s.World.Table("contacts").Get(id) == nil {
			return nil, "No contact with ID " + id + " exists"
		}
		links = append(links, link{contact: id})
	}
	return links, ""
}

func contactIDs(links []link) []any {
	var ids []any
	for _, one := range links {
		if !slices.Contains(ids, any(one.contact)) {
			ids = append(ids, one.contact)
		}
	}
	return ids
}

// contactsOf are the contacts that a record is associated with: merged ones by their
// survivor, archived ones not at all.
func (s *Server) contactsOf(r *world.Record) []string {
	held, _ := r.Fields[associated].([]any)
	var ids []string
	for _, id := range held {
		words, _ := id.(string)
		if found := s.World.Table("contacts").Get(words); found != nil && !slices.Contains(ids, found.ID) {
			ids = append(ids, found.ID)
		}
	}
	return ids
}

// with adds to a record what it is associated with, of the objects asked for.
func (s *Server) with(r *world.Record, shown map[string]any, objects []string) map[string]any {
	held := map[string]any{}
	for _, object := range objects {
		rows := []any{}
		for _, id := range s.others(r, object) {
			rows = append(rows, map[string]any{"id": id, "type": nouns()[r.Object] + "_to_" + nouns()[object]})
		}
		if len(rows) > 0 {
			held[object] = map[string]any{"results": rows}
		}
	}
	if len(held) > 0 {
		shown["associations"] = held
	}
	return shown
}

// others are the records of an object that a record is associated with.
func (s *Server) others(r *world.Record, object string) []string {
	if object == "contacts" && r.Object != "contacts" {
		return s.contactsOf(r)
	}
	var ids []string
	if t := s.World.Table(object); r.Object == "contacts" && t != nil && typeID(object) != "" {
		for _, one := range t.All() {
			if one.Live() && slices.Contains(s.contactsOf(one), r.ID) {
				ids = append(ids, one.ID)
			}
		}
	}
	return ids
}

// pair is the record that holds an association and the contact at its other end.
func (s *Server) pair(r *front.Request) (t *world.Table, holder, contact string, ok bool) {
	from, to := r.PathValue("from"), r.PathValue("to")
	holder, contact = r.PathValue("id"), r.PathValue("other")
	if from == "contacts" {
		from, to, holder, contact = to, from, contact, holder
	}
	if to != "contacts" || typeID(from) == "" || !r.Token.Has(scopeOf(from)+".write") {
		return nil, "", "", false
	}
	r.Call.Object, r.Call.ID, r.Call.Fields = from, holder, []string{"associations"}
	return s.World.Table(from), holder, contact, true
}

func (s *Server) associations(r *front.Request) front.Response {
	t := s.World.Table(r.PathValue("from"))
	if t == nil || t.Get(r.PathValue("id")) == nil {
		return notFound()
	}
	r.Call.Object, r.Call.ID = t.Schema.Name, r.PathValue("id")
	return front.Response{Status: http.StatusOK, Body: map[string]any{"results": s.ends(t.Get(r.PathValue("id")), r.PathValue("to"))}}
}

// ends are the far ends of a record's associations as version 4 shows them.
func (s *Server) ends(r *world.Record, object string) []any {
	kind := typeID(r.Object)
	rows := []any{}
	for _, id := range s.others(r, object) {
		rows = append(rows, map[string]any{"toObjectId": number64(id), "associationTypes": []any{map[string]any{"category": "HUBSPOT_DEFINED", "typeId": number64(kind), "label": nil}}})
	}
	return rows
}

// batchAssociations leaves out those that have none.
func (s *Server) batchAssociations(r *front.Request) front.Response {
	t := s.World.Table(r.PathValue("from"))
	var in struct {
		Inputs []struct {
			ID any `json:"id"`
		} `json:"inputs"`
	}
	if err := world.DecodeInto(r.Body, &in); err != nil || t == nil || len(in.Inputs) == 0 || len(in.Inputs) > 1000 {
		return badRequest("inputs must be a list of 1 to 1000 ids")
	}
	r.Call.Object = t.Schema.Name
	results := []any{}
	for _, input := range in.Inputs {
		id := textOf(input.ID)
		found := t.Get(id)
		if found == nil {
			continue
		}
		if ends := s.ends(found, r.PathValue("to")); len(ends) > 0 {
			results = append(results, map[string]any{"from": map[string]any{"id": id}, "to": ends})
		}
	}
	return front.Response{Status: http.StatusOK, Body: map[string]any{"status": "COMPLETE", "results": results}}
}

func (s *Server) associate(r *front.Request) front.Response {
	t, holder, contact, ok := s.pair(r)
	if !ok || t.Get(holder) == nil || s.World.Table("contacts").Get(contact) == nil {
		return notFound()
	}
	if wrong := s.relink(r, t, holder, func(held []any) []any {
		if slices.Contains(held, any(contact)) {
			return held
		}
		return append(slices.Clone(held), contact)
	}); wrong != nil {
		return *wrong
	}
	return front.Response{Status: http.StatusOK, Body: map[string]any{"status": "COMPLETE", "results": []any{map[string]any{
		"from": map[string]any{"id": r.PathValue("id")}, "to": map[string]any{"id": r.PathValue("other")},
		"associationSpec": map[string]any{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number64(typeID(t.Schema.Name))}}}}}
}

func (s *Server) dissociate(r *front.Request) front.Response {
	t, holder, contact, ok := s.pair(r)
	if !ok || t.Get(holder) == nil {
		return notFound()
	}
	survivor := contact
	if found := s.World.Table("contacts").Get(contact); found != nil {
		survivor = found.ID
	}
	if wrong := s.relink(r, t, holder, func(held []any) []any {
		return slices.DeleteFunc(slices.Clone(held), func(id any) bool {
			words, _ := id.(string)
			found := s.World.Table("contacts").Get(words)
			return words == contact || found != nil && found.ID == survivor
		})
	}); wrong != nil {
		return *wrong
	}
	return front.Response{Status: http.StatusNoContent}
}

// relink changes whom a record is associated with. It counts as a change of the record:
// HubSpot keeps the number of associated contacts as a property of it.
func (s *Server) relink(r *front.Request, t *world.Table, id string, change func(held []any) []any) *front.Response {
	rec, effect, err := t.Update(id, r.Actor(), 0, func(cur *world.Record) map[string]any {
		out := make(map[string]any, len(cur.Fields))
		for key, value := range cur.Fields {
			out[key] = value
		}
		held, _ := cur.Fields[associated].([]any)
		out[associated] = change(held)
		return out
	})
	if err != nil {
		wrong := s.refused(t, err)
		return &wrong
	}
	s.wrote(r, rec, "update", effect)
	return nil
}

// relation is the name of an association in events, DEAL_TO_CONTACT.
func relation(from, to string) string {
	return strings.ToUpper(nouns()[from] + "_to_" + nouns()[to])
}
