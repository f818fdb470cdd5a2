package scenario

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// Ledger is what the service says about itself.
type Ledger interface {
	// Links are those of one record, of all states, oldest first.
	Links(ctx context.Context, side record.Side, id string) ([]Link, error)
	// Conflicts are all open ones.
	Conflicts(ctx context.Context) ([]Conflict, error)
	// DeadLetters are all open ones.
	DeadLetters(ctx context.Context) ([]DeadLetter, error)
	// History are the entries of one record, oldest first.
	History(ctx context.Context, side record.Side, id string) ([]Entry, error)
}

// Link is a link as the service tells it.
type Link struct {
	ID, Left, Right string
	// State is active, tombstone or detached.
	State string
}

// On is the id on a side.
func (l Link) On(side record.Side) string {
	if side == record.Left {
		return l.Left
	}
	return l.Right
}

// Conflict is an open conflict; Link is its link's id.
type Conflict struct {
	ID, Link, Field   string
	Base, Left, Right any
}

// DeadLetter is an open dead letter.
type DeadLetter struct {
	Side        record.Side
	ID          string
	Code, Field string
}

// Entry is one entry of the history. Field is empty for a whole record.
type Entry struct {
	Field    string
	Old, New any
	// Kind and Side are those of its cause.
	Kind, Side string
}

// service is the actor that the servers know the service as.
const service = "app:accord"

// person is a record of a side that belongs to the scenario.
type person struct {
	side  record.Side
	name  string
	found wire.Record
}

// snapshot is what is left out of an ending: what was there before.
type snapshot struct {
	entries map[string]int
	writes  map[string]int
}

// Begin marks the end of what was given: history and writes before it are no
// part of the ending.
func (s *Stage) Begin(ctx context.Context) error {
	found, err := s.people(ctx)
	if err != nil {
		return err
	}
	s.before = snapshot{entries: map[string]int{}}
	for _, one := range found {
		entries, err := s.Service.History(ctx, one.side, one.found.ID)
		if err != nil {
			return err
		}
		s.before.entries[one.found.ID] = len(entries)
	}
	s.before.writes, err = s.writes(ctx, found)
	return err
}

// Ending tells how things stand, as text: the records on both servers, links,
// conflicts, dead letters, the history since Begin, and how many of the
// service's writes have changed something since Begin.
func (s *Stage) Ending(ctx context.Context) (string, error) {
	found, err := s.people(ctx)
	if err != nil {
		return "", err
	}
	e := &ending{stage: s, people: found, links: map[string]Link{}}
	for _, part := range []struct {
		heading string
		lines   func(context.Context) ([]string, error)
	}{
		{"records", e.records}, {"links", e.linked}, {"conflicts", e.conflicts}, {"dead letters", e.letters},
		{"history", e.history}, {"writes", e.written},
	} {
		lines, err := part.lines(ctx)
		if err != nil {
			return "", fmt.Errorf("read the %s: %w", part.heading, err)
		}
		if len(lines) == 0 {
			lines = []string{"none"}
		}
		e.text.WriteString(part.heading + "\n  " + strings.Join(lines, "\n  ") + "\n")
	}
	return e.text.String(), nil
}

// ending collects the text.
type ending struct {
	stage  *Stage
	people []person
	links  map[string]Link
	text   strings.Builder
}

// name is what a record is called in the text.
func (e *ending) name(side record.Side, id string) string {
	for _, one := range e.people {
		if one.side == side && one.found.ID == id {
			return string(side) + " " + one.name
		}
	}
	return string(side) + " ?"
}

// plain gives a value as the scenario would write it: with its own domain, and
// names for ids.
func (e *ending) plain(value any) string {
	text := jsonText(value)
	if e.stage.Domain != "" {
		text = strings.ReplaceAll(text, "@"+e.stage.Domain, "@"+usual)
	}
	for _, one := range e.people {
		text = strings.ReplaceAll(text, `"`+one.found.ID+`"`, "<"+string(one.side)+" "+one.name+">")
	}
	return text
}

func (e *ending) records(context.Context) ([]string, error) {
	var lines []string
	for _, one := range e.people {
		state := ""
		switch {
		case one.found.MergedInto != "":
			state = " merged into " + e.name(one.side, one.found.MergedInto)
		case one.found.DeletedAt != nil:
			state = " deleted by " + actor(one.found.UpdatedBy)
		}
		words := []string{string(one.side), one.name + state}
		if state == "" {
			flat := map[string]any{}
			flatten("", one.found.Fields, flat)
			for _, name := range slices.Sorted(maps.Keys(flat)) {
				words = append(words, name+"="+e.plain(flat[name]))
			}
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines, nil
}

func actor(by string) string {
	if by == service {
		return "the service"
	}
	return "a user"
}

// flatten lists what is not blank by dotted path, lists in order of their elements:
// their order means nothing.
func flatten(prefix string, fields map[string]any, into map[string]any) {
	for name, value := range fields {
		switch v := value.(type) {
		case nil:
		case string:
			if v != "" {
				into[prefix+name] = v
			}
		case map[string]any:
			flatten(prefix+name+".", v, into)
		case []any:
			if len(v) > 0 {
				into[prefix+name] = sorted(v)
			}
		default:
			into[prefix+name] = v
		}
	}
}

// sorted orders a list of texts.
func sorted(list []any) []any {
	out := slices.Clone(list)
	sort.Slice(out, func(i, j int) bool { return fmt.Sprint(out[i]) < fmt.Sprint(out[j]) })
	return out
}

func (e *ending) linked(ctx context.Context) ([]string, error) {
	var lines []string
	for _, one := range e.people {
		links, err := e.stage.Service.Links(ctx, one.side, one.found.ID)
		if err != nil {
			return nil, err
		}
		for _, link := range links {
			if _, told := e.links[link.ID]; told {
				continue
			}
			e.links[link.ID] = link
			lines = append(lines, fmt.Sprintf("%s - %s %s", e.name(record.Left, link.Left), e.name(record.Right, link.Right), link.State))
		}
	}
	sort.Strings(lines)
	return lines, nil
}

func (e *ending) conflicts(ctx context.Context) ([]string, error) {
	found, err := e.stage.Service.Conflicts(ctx)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, one := range found {
		link, ours := e.links[one.Link]
		if !ours {
			continue
		}
		values := fmt.Sprintf("%s: was %s, left %s, right %s", one.Field, e.plain(one.Base), e.plain(one.Left), e.plain(one.Right))
		if one.Field == "" {
			values = "deleted here, edited there"
		}
		lines = append(lines, fmt.Sprintf("%s - %s %s", e.name(record.Left, link.Left), e.name(record.Right, link.Right), values))
	}
	sort.Strings(lines)
	return lines, nil
}

func (e *ending) letters(ctx context.Context) ([]string, error) {
	found, err := e.stage.Service.DeadLetters(ctx)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, one := range found {
		name := e.name(one.Side, one.ID)
		if strings.HasSuffix(name, "?") {
			continue
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", name, one.Code, one.Field)))
	}
	sort.Strings(lines)
	return lines, nil
}

// history tells what each write replaced. Between fields and records the order
// says nothing; within one field it does.
func (e *ending) history(ctx context.Context) ([]string, error) {
	var lines []string
	for _, one := range e.people {
		entries, err := e.stage.Service.History(ctx, one.side, one.found.ID)
		if err != nil {
			return nil, err
		}
		entries = slices.Clone(entries[min(len(entries), e.stage.before.entries[one.found.ID]):])
		sort.SliceStable(entries, func(i, j int) bool { return entries[i].Field < entries[j].Field })
		for _, entry := range entries {
			cause := entry.Kind
			if entry.Side != "" {
				cause += " on the " + entry.Side
			}
			change := fmt.Sprintf("%s: %s -> %s", entry.Field, e.plain(entry.Old), e.plain(entry.New))
			switch {
			case entry.Field == "" && entry.New == nil:
				change = "deleted"
			case entry.Field == "":
				change = "created"
			}
			lines = append(lines, fmt.Sprintf("%s %s %s (%s)", one.side, one.name, change, cause))
		}
	}
	return lines, nil
}

func (e *ending) written(ctx context.Context) ([]string, error) {
	counts, err := e.stage.writes(ctx, e.people)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		if more := counts[what] - e.stage.before.writes[what]; more > 0 {
			lines = append(lines, fmt.Sprintf("%s %d", what, more))
		}
	}
	return lines, nil
}
