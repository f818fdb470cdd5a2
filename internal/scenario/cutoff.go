package scenario

import (
	"slices"
	"strings"
)

// WithoutCutOff takes lines out of the history of an ending: those of a write that
// a kill cut off on a record which cannot tell afterwards whether it was made. The
// service then writes down what it may have replaced, since it must not be lost.
// known holds the lines, as they stand in the file cut-off.txt of a scenario; those
// that the golden has anyway are not for it.
func WithoutCutOff(ending, known string) string {
	var unsure []string
	for line := range strings.Lines(known) {
		if line = strings.TrimRight(line, "\n"); strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#") {
			unsure = append(unsure, line)
		}
	}
	if len(unsure) == 0 {
		return ending
	}
	head, rest, found := strings.Cut(ending, "\nhistory\n")
	lines, tail, whole := strings.Cut(rest, "\nwrites\n")
	if !found || !whole {
		return ending
	}
	kept := slices.DeleteFunc(strings.Split(lines, "\n"), func(line string) bool { return slices.Contains(unsure, line) })
	if len(kept) == 0 {
		kept = []string{"  none"}
	}
	return head + "\nhistory\n" + strings.Join(kept, "\n") + "\nwrites\n" + tail
}
