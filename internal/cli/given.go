package cli

import (
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
)

// checkNames refuses a variable that the file does not have: one that is misspelled would
// leave a default in force without a word. A misspelled secret is one that is missing.
func checkNames(parsed *integration.Integration, variables map[string]string) error {
	var known []string
	for _, variable := range parsed.Variables() {
		known = append(known, variable.Name)
	}
	var wrong []string
	for name := range variables {
		if !slices.Contains(known, name) {
			wrong = append(wrong, name)
		}
	}
	slices.Sort(wrong)
	if len(wrong) > 0 && len(known) == 0 {
		return fault.New(fault.Usage, "the file has no variable %s; it has none", wrong[0])
	}
	if len(wrong) > 0 {
		return fault.New(fault.Usage, "the file has no variable %s: did you mean %s? It has %s", wrong[0], nearest(wrong[0], known), strings.Join(known, ", "))
	}
	return nil
}

// nearest is the one of names that takes the fewest edits of letters to become name,
// upper and lower case being the same; the first of several. names must not be empty.
func nearest(name string, names []string) string {
	return slices.MinFunc(names, func(a, b string) int {
		return distance(strings.ToUpper(name), strings.ToUpper(a)) - distance(strings.ToUpper(name), strings.ToUpper(b))
	})
}

// distance counts the letters to insert, to drop or to replace (Levenshtein).
func distance(a, b string) int {
	to := []rune(b)
	row := make([]int, len(to)+1)
	for n := range row {
		row[n] = n
	}
	for i, from := range []rune(a) {
		diagonal := row[0]
		row[0] = i + 1
		for n, letter := range to {
			replaced := diagonal
			if from != letter {
				replaced++
			}
			diagonal = row[n+1]
			row[n+1] = min(replaced, row[n]+1, row[n+1]+1)
		}
	}
	return row[len(to)]
}
