package manifest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// inherit gives each object the common parts that it does not have, and each
// call its method.
func (m *Manifest) inherit() {
	if m.Records == nil {
		m.Records = &Records{ID: "id", VersionForm: "{version}", Times: "auto"}
	}
	m.Common.methods()
	m.plainFormats()
	for name, object := range m.Objects {
		object.Name = name
		if object.Singular == "" {
			object.Singular = strings.TrimSuffix(name, "s")
		}
		if object.Path == "" {
			object.Path = name
		}
		object.Common.methods()
		own, all := &object.Common, m.Common
		take(&own.Records, all.Records)
		take(&own.XML, all.XML)
		take(&own.CSV, all.CSV)
		own.Format = cmp.Or(own.Format, all.Format)
		if own.Types == nil {
			own.Types = all.Types
		}
		take(&own.List, all.List)
		take(&own.Get, all.Get)
		if !object.Scan {
			take(&own.Changes, all.Changes)
			take(&own.Search, all.Search)
			take(&own.Describe, all.Describe)
		}
		take(&own.Deleted, all.Deleted)
		for _, relation := range object.Relations {
			relation.methods()
		}
		if !object.ReadOnly {
			take(&own.Create, all.Create)
			take(&own.Update, all.Update)
			take(&own.Delete, all.Delete)
		}
	}
}

func take[T any](own **T, common *T) {
	if *own == nil {
		*own = common
	}
}

// methods fills in what is usual.
func (c *Common) methods() {
	usual := func(request *Request, method string) {
		if request.Method == "" {
			request.Method = method
		}
	}
	for _, listing := range []*Listing{c.List, c.Changes, c.Search, c.Deleted} {
		if listing != nil {
			usual(&listing.Request, http.MethodGet)
		}
	}
	if c.Describe != nil {
		usual(&c.Describe.Request, http.MethodGet)
	}
	if c.Get != nil {
		usual(&c.Get.Request, http.MethodGet)
	}
	if c.Create != nil {
		usual(&c.Create.Request, http.MethodPost)
	}
	if c.Update != nil {
		usual(&c.Update.Request, http.MethodPatch)
	}
	if c.Delete != nil {
		usual(c.Delete, http.MethodDelete)
	}
}

// methods fills in what is usual.
func (r *Relation) methods() {
	if r.Batch != nil && r.Batch.Method == "" {
		r.Batch.Method = http.MethodPost
	}
	if r.Set.Method == "" {
		r.Set.Method = http.MethodPut
	}
	if r.Unset.Method == "" {
		r.Unset.Method = http.MethodDelete
	}
}

// Names lists the collections in alphabetical order.
func (m *Manifest) Names() []string {
	names := make([]string, 0, len(m.Objects))
	for name := range m.Objects {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Word finds the collection that a webhook names by any of its words; nil: none.
func (m *Manifest) Word(word string) *Object {
	if found, ok := m.Objects[word]; ok {
		return found
	}
	for _, name := range m.Names() {
		object := m.Objects[name]
		if object.Singular == word || object.Path == word || slices.Contains(object.Words, word) {
			return object
		}
	}
	return nil
}

// ChangesBy is the call that reads what changed since a time; nil: everything must be read.
func (o *Object) ChangesBy() *Listing {
	switch {
	case o.Changes != nil:
		return o.Changes
	case o.List != nil && o.List.Request.Holds("since"):
		return o.List
	}
	return nil
}
