package transport

import (
	"encoding/json"
	"maps"
	"strconv"
	"sync"
)

// Numbers remembers which collections of a system have numbers for ids. Where such an
// id is referred to it is sent as a number again: "7" may be nobody there. The zero
// value is ready, and safe for concurrent use.
type Numbers struct{ seen sync.Map }

// See looks at the ids of one row: its own, and those that it refers to. references
// are the collections by the name of the field.
func (n *Numbers) See(collection string, row map[string]any, references map[string]string) {
	n.note(collection, row["id"])
	for name, other := range references {
		n.note(other, row[name])
	}
}

func (n *Numbers) note(collection string, id any) {
	if _, number := id.(json.Number); number {
		n.seen.LoadOrStore(collection, true)
	}
}

// ID is an id of a collection as its system writes it.
func (n *Numbers) ID(collection, id string) any {
	number, err := strconv.ParseInt(id, 10, 64)
	if _, numbers := n.seen.Load(collection); !numbers || err != nil || strconv.FormatInt(number, 10) != id {
		return id
	}
	return json.Number(id)
}

// Refer gives fields with the ids that they refer to as their system writes them.
func (n *Numbers) Refer(fields map[string]any, references map[string]string) map[string]any {
	referred := maps.Clone(fields)
	for name, collection := range references {
		if text, ok := fields[name].(string); ok {
			referred[name] = n.ID(collection, text)
		}
	}
	return referred
}
