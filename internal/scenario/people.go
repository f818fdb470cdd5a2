package scenario

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// people finds all records of the scenario: those that users made, those that
// bear their e-mail addresses, the other ends of their links, and whatever
// carries one of their ids as a marker. A record that the service made twice is
// found too.
func (s *Stage) people(ctx context.Context) ([]person, error) {
	all := map[record.Side][]wire.Record{}
	names := map[string]string{}
	for _, side := range record.Sides() {
		found, err := s.Client(side).AllRecords(ctx, object(side))
		if err != nil {
			return nil, err
		}
		sort.SliceStable(found, func(i, j int) bool { return found[i].CreatedAt.Before(found[j].CreatedAt) })
		all[side] = found
		for name, ids := range s.ids[side] {
			for _, id := range ids {
				names[id] = name
			}
		}
	}
	if err := s.nameCounterparts(ctx, names); err != nil {
		return nil, err
	}
	for _, side := range record.Sides() {
		for _, one := range all[side] {
			if name := names[marker(side, one)]; names[one.ID] == "" && name != "" {
				names[one.ID] = name
			}
		}
	}
	s.nameTwins(all, names)
	var people []person
	for _, side := range record.Sides() {
		times := map[string]int{}
		for _, one := range all[side] {
			name := names[one.ID]
			if name == "" {
				continue
			}
			if times[name]++; times[name] > 1 {
				name = fmt.Sprintf("%s(%d)", name, times[name])
			}
			people = append(people, person{side: side, name: name, found: one})
		}
	}
	sort.SliceStable(people, func(i, j int) bool {
		if people[i].side != people[j].side {
			return people[i].side == record.Left
		}
		return people[i].name < people[j].name
	})
	return people, nil
}

// nameCounterparts names the other ends of links.
func (s *Stage) nameCounterparts(ctx context.Context, names map[string]string) error {
	for _, side := range record.Sides() {
		for name, ids := range s.ids[side] {
			for _, id := range ids {
				links, err := s.Service.Links(ctx, side, id)
				if err != nil {
					return err
				}
				for _, link := range links {
					if other := link.On(side.Other()); names[other] == "" {
						names[other] = name
					}
				}
			}
		}
	}
	return nil
}

// nameTwins names records that are nobody's, by the e-mail address they share.
func (s *Stage) nameTwins(all map[record.Side][]wire.Record, names map[string]string) {
	byEmail := map[string]string{}
	for _, side := range record.Sides() {
		for _, one := range all[side] {
			if name := names[one.ID]; name != "" {
				byEmail[email(one)] = name
			}
		}
	}
	for _, side := range record.Sides() {
		for _, one := range all[side] {
			if key := email(one); names[one.ID] == "" && key != "" && byEmail[key] != "" {
				names[one.ID] = byEmail[key]
			}
		}
	}
}

func email(one wire.Record) string {
	text, _ := one.Fields["email"].(string)
	return strings.ToLower(strings.TrimSpace(text))
}

// marker is the id of another record that a record carries.
func marker(side record.Side, one wire.Record) string {
	where := "external_ref"
	if side == record.Left {
		where = "custom_fields.external_id"
	}
	value, _ := record.Fields(one.Fields).Get(where)
	id, _ := value.(string)
	return id
}

// writes counts the service's writes that changed a record, by side, name and
// kind. A create or an edit that is sent again after a kill, where the server
// makes that safe, changes nothing and is not counted.
func (s *Stage) writes(ctx context.Context, people []person) (map[string]int, error) {
	names := map[string]string{}
	for _, one := range people {
		names[one.found.ID] = one.name
	}
	counts := map[string]int{}
	for _, side := range record.Sides() {
		found, err := s.Client(side).Writes(ctx, sandboxclient.Filter{Actor: service, Object: object(side)})
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			if name := names[one.ID]; name != "" && one.Effects > 0 {
				counts[fmt.Sprintf("%s %s: %s", side, name, one.Op)] += one.Effects
			}
		}
	}
	return counts, nil
}
