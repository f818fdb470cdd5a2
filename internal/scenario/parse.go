package scenario

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// Parse reads a scenario. Errors name the line.
func Parse(text string) (Scenario, error) {
	out := Scenario{Variables: map[string]string{}}
	heading := ""
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		var err error
		switch {
		case line == "":
		case strings.HasPrefix(line, "#"):
			if heading == "" {
				out.About = append(out.About, strings.TrimSpace(strings.TrimPrefix(line, "#")))
			}
		case line == "settings" || line == "given" || line == "when":
			heading = line
		case heading == "settings":
			err = out.setting(line)
		case heading == "given":
			out.Given, err = addStep(out.Given, line)
		case heading == "when":
			out.When, err = addStep(out.When, line)
		default:
			err = fmt.Errorf("%q stands under no heading", line)
		}
		if err != nil {
			return Scenario{}, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return out, nil
}

func (s *Scenario) setting(line string) error {
	l := &lexer{rest: line}
	if l.word("replace") {
		found, with := l.text(), l.word("with")
		s.Replace = append(s.Replace, Replacement{Old: found, New: l.text()})
		if !with {
			l.fail("a replacement has the form: replace \"old\" with \"new\"")
		}
		return l.end()
	}
	name, value := l.pair()
	word, ok := value.(string)
	if !ok && l.err == nil {
		l.fail("the value of %s is a text in quotes", name)
	}
	s.Variables[name] = word
	return l.end()
}

func addStep(steps []Step, line string) ([]Step, error) {
	step, err := ParseStep(line)
	return append(steps, step), err
}

// ParseStep reads one step.
func ParseStep(line string) (Step, error) {
	l := &lexer{rest: strings.TrimSpace(line)}
	var s Step
	switch who := l.name(); who {
	case string(record.Left), string(record.Right):
		s.Side = record.Side(who)
		s.Verb = l.verb(Creates, Edits, Clears, Deletes, Merges, Delivers, Holds, Drops, Repeats, Releases, Fails, Recovers, Switches, Races)
	case "service":
		s.Verb = l.verb(Drains, Settles, Polls, Compares, Dies)
	case "person":
		s.Verb = l.verb(Decides, Approves, Rejects, Replays)
	case string(Waits):
		s.Verb = Waits
	default:
		l.fail("a step begins with left, right, service, person or wait, not %q", who)
	}
	if l.err == nil {
		l.object(&s)
	}
	return s, l.end()
}

// object reads what follows the verb.
func (l *lexer) object(s *Step) {
	switch s.Verb {
	case Creates, Edits, Races:
		s.Record, s.Fields = l.name(), l.pairs()
	case Clears:
		s.Record = l.name()
		for l.err == nil && l.rest != "" {
			s.Names = append(s.Names, l.name())
		}
	case Deletes, Delivers:
		s.Record = l.name()
	case Merges:
		s.Record = l.name()
		l.must("into")
		s.Into = l.name()
	case Holds:
		l.must("webhooks")
	case Drops:
		s.Count = l.number()
		l.must("webhooks")
	case Repeats:
		l.must("webhooks")
		s.Count = l.number()
	case Releases:
		l.must("webhooks")
		s.Word = l.name()
	case Fails, Switches:
		fields, ok := l.json().(map[string]any)
		if !ok {
			l.fail("%s takes a JSON object", s.Verb)
		}
		s.Fields = fields
	case Dies:
		s.Count = l.number()
		if l.rest != "" {
			s.Word = l.text()
		}
	case Decides:
		s.Record, s.Names = l.name(), []string{l.name()}
		l.choice(s)
	case Waits:
		l.duration(s)
	}
}

func (l *lexer) choice(s *Step) {
	if strings.HasPrefix(l.rest, "value=") {
		s.Word, s.Value = l.pair()
		return
	}
	s.Word = l.name()
	if s.Word != "left" && s.Word != "right" {
		l.fail("decide for left, right or value=…, not %q", s.Word)
	}
}

func (l *lexer) duration(s *Step) {
	word := l.name()
	found, err := time.ParseDuration(word)
	if err != nil || found < 0 {
		l.fail("%q is no duration", word)
	}
	s.For = found
}

// lexer takes a line apart; after its first error it gives zero values.
type lexer struct {
	rest string
	err  error
}

func (l *lexer) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format, args...)
	}
}

func (l *lexer) end() error {
	if l.err == nil && l.rest != "" {
		l.fail("%q is too much", l.rest)
	}
	return l.err
}

// name takes the next bare word.
func (l *lexer) name() string {
	word, rest, _ := strings.Cut(l.rest, " ")
	l.rest = strings.TrimSpace(rest)
	if word == "" {
		l.fail("the line ends too early")
	}
	return word
}

// word takes the next word if it is this one.
func (l *lexer) word(want string) bool {
	if before := *l; l.name() != want {
		*l = before
		return false
	}
	return true
}

func (l *lexer) must(want string) {
	if l.err == nil && !l.word(want) {
		l.fail("%q is wanted before %q", want, l.rest)
	}
}

func (l *lexer) verb(known ...Verb) Verb {
	word := Verb(l.name())
	if l.err == nil && !slices.Contains(known, word) {
		l.fail("%q is none of %v", word, known)
	}
	return word
}

func (l *lexer) number() int {
	word := l.name()
	n, err := strconv.Atoi(word)
	if err != nil || n < 1 {
		l.fail("%q is no number above zero", word)
	}
	return n
}

// json takes the next JSON value.
func (l *lexer) json() any {
	decoder := json.NewDecoder(strings.NewReader(l.rest))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		l.fail("%q does not begin with a JSON value", l.rest)
		return nil
	}
	l.rest = strings.TrimSpace(l.rest[decoder.InputOffset():])
	return value
}

func (l *lexer) text() string {
	value, ok := l.json().(string)
	if !ok {
		l.fail("a text in quotes is wanted before %q", l.rest)
	}
	return value
}

// pair takes name=JSON.
func (l *lexer) pair() (string, any) {
	name, rest, ok := strings.Cut(l.rest, "=")
	if !ok || strings.ContainsAny(name, " \"") {
		l.fail("name=value is wanted, not %q", l.rest)
		return "", nil
	}
	l.rest = rest
	return name, l.json()
}

func (l *lexer) pairs() map[string]any {
	fields := map[string]any{}
	for l.err == nil && l.rest != "" {
		name, value := l.pair()
		fields[name] = value
	}
	return fields
}
