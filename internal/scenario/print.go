package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// String is the text that Parse reads.
func (s Scenario) String() string {
	var b strings.Builder
	for _, line := range s.About {
		b.WriteString(strings.TrimSpace("# "+line) + "\n")
	}
	if len(s.Variables)+len(s.Replace) > 0 {
		b.WriteString("\nsettings\n")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Variables)) {
		fmt.Fprintf(&b, "%s=%s\n", name, jsonText(s.Variables[name]))
	}
	for _, one := range s.Replace {
		fmt.Fprintf(&b, "replace %s with %s\n", jsonText(one.Old), jsonText(one.New))
	}
	for _, part := range []struct {
		heading string
		steps   []Step
	}{{"given", s.Given}, {"when", s.When}} {
		if len(part.steps) == 0 {
			continue
		}
		b.WriteString("\n" + part.heading + "\n")
		for _, step := range part.steps {
			b.WriteString(step.String() + "\n")
		}
	}
	return b.String()
}

// String is the line that ParseStep reads.
func (s Step) String() string {
	words := []string{s.subject(), string(s.Verb)}
	switch s.Verb {
	case Creates, Edits, Races:
		words = append(append(words, s.Record), pairsText(s.Fields)...)
	case Clears:
		words = append(append(words, s.Record), s.Names...)
	case Deletes, Delivers:
		words = append(words, s.Record)
	case Merges:
		words = append(words, s.Record, "into", s.Into)
	case Holds:
		words = append(words, "webhooks")
	case Drops:
		words = append(words, fmt.Sprint(s.Count), "webhooks")
	case Repeats:
		words = append(words, "webhooks", fmt.Sprint(s.Count))
	case Releases:
		words = append(words, "webhooks", s.Word)
	case Fails, Switches:
		words = append(words, jsonText(s.Fields))
	case Dies:
		words = append(words, fmt.Sprint(s.Count))
		if s.Word != "" {
			words = append(words, jsonText(s.Word))
		}
	case Decides:
		words = append(append(words, s.Record), s.Names...)
		if s.Word == "value" {
			words = append(words, "value="+jsonText(s.Value))
		} else {
			words = append(words, s.Word)
		}
	case Waits:
		words = []string{string(Waits), s.For.String()}
	}
	return strings.Join(words, " ")
}

func (s Step) subject() string {
	switch s.Verb {
	case Drains, Settles, Polls, Compares, Dies:
		return "service"
	case Decides, Approves, Rejects, Replays:
		return "person"
	}
	return string(s.Side)
}

func pairsText(fields map[string]any) []string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		words = append(words, name+"="+jsonText(fields[name]))
	}
	return words
}

// jsonText is JSON with "<" and "&" as they are.
func jsonText(value any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		// Only values that JSON knows come from Parse; others are a mistake of a test.
		return fmt.Sprintf("%q", fmt.Sprint(value))
	}
	return strings.TrimSpace(b.String())
}
