package salesos

import (
	"github.com/accord-sync/accord/internal/connector"
)

// object is one collection with what only this driver needs to know of it.
type object struct {
	connector.Object
	// events are the vendor's webhook events of it.
	events []string
}

// What a stream must ask for by name.
const (
	allowInvite     = "invite"
	allowDeactivate = "deactivate"
)

// objects is the table of collections. Stages are read only. So are users, unless a
// stream allows more: creating one sends an invitation, deleting one locks a person out.
func objects() []object {
	return []object{
		{
			Object: connector.Object{Name: "leads", Singular: "lead", Creatable: true, UpdatedAt: true,
				Searchable: []string{"email", "name", "phone"}},
			events: []string{"lead.created", "lead.updated", "lead.status_changed", "lead.converted", "lead.deleted"},
		},
		{
			Object: connector.Object{Name: "deals", Singular: "deal", Creatable: true, UpdatedAt: true,
				Searchable: []string{"name"}},
			events: []string{"deal.created", "deal.updated", "deal.stage_changed", "deal.won", "deal.lost", "deal.deleted"},
		},
		{
			Object: connector.Object{Name: "users", Singular: "user", Searchable: []string{"email", "name"},
				Allows: []string{allowInvite, allowDeactivate}},
			events: []string{"user.created", "user.activated", "user.updated", "user.deactivated"},
		},
		{Object: connector.Object{Name: "stages", Singular: "stage"}},
	}
}

// references are the collections that fields of any of them refer to.
func references() map[string]string {
	return map[string]string{"owner_id": "users", "lead_id": "leads"}
}

func objectOf(name string) (object, bool) {
	for _, candidate := range objects() {
		if candidate.Name == name {
			return candidate, true
		}
	}
	return object{}, false
}

func objectOfSingular(word string) (object, bool) {
	for _, candidate := range objects() {
		if candidate.Singular == word {
			return candidate, true
		}
	}
	return object{}, false
}
