package acme

import "github.com/accord-sync/accord/internal/connector"

// objects is the table of collections. A new one is one more row. Searchable is
// what the vendor's page promises; anything else is found by reading.
func objects() []connector.Object {
	return []connector.Object{
		{Name: "contacts", Singular: "contact", Creatable: true, UpdatedAt: true, Searchable: []string{"email", "external_ref", "phone"}},
		{Name: "companies", Singular: "company", Creatable: true, UpdatedAt: true, Searchable: []string{"external_ref", "phone"}},
		{Name: "deals", Singular: "deal", Creatable: true, UpdatedAt: true, Searchable: []string{"external_ref"}},
		{Name: "appointments", Singular: "appointment", Creatable: true, UpdatedAt: true, Searchable: []string{"external_ref"}},
		{Name: "calls", Singular: "call", Creatable: true, UpdatedAt: true, Searchable: []string{"external_ref"}},
		{Name: "emails", Singular: "email", Creatable: true, UpdatedAt: true, Searchable: []string{"external_ref"}},
		{Name: "orders", Singular: "order", Creatable: true, UpdatedAt: true, Searchable: []string{"external_ref", "number"}},
		{Name: "submissions", Singular: "submission", Creatable: true, UpdatedAt: true, Searchable: []string{"external_ref"}},
		{Name: "users", Singular: "user", UpdatedAt: true, Searchable: []string{"email"}},
	}
}

// references are the collections that fields of any of them refer to.
func references() map[string]string {
	return map[string]string{"owner_id": "users", "contact_id": "contacts", "company_id": "companies"}
}

func objectOf(name string) (connector.Object, bool) {
	for _, candidate := range objects() {
		if candidate.Name == name {
			return candidate, true
		}
	}
	return connector.Object{}, false
}

// objectOfWord finds a collection by either of its words.
func objectOfWord(word string) (connector.Object, bool) {
	for _, candidate := range objects() {
		if candidate.Name == word || candidate.Singular == word {
			return candidate, true
		}
	}
	return connector.Object{}, false
}
