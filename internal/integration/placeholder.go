package integration

import (
	"regexp"
	"strings"
)

// Placeholders are ${NAME}, ${NAME:-default} and ${secret:NAME}. They are replaced
// inside scalars after parsing, so that no value can change the structure of a file.

// maxNames is how many different variables, and secrets, a file may use.
const maxNames = 500

// maxValue is the longest value of a variable or secret, in bytes.
const maxValue = 8 << 10

// placeholder is one ${…} of a scalar.
type placeholder struct {
	name       string
	secret     bool
	fallback   string
	hasDefault bool
	// start and end are its place in the scalar, in bytes.
	start, end int
}

func placeholderPattern() *regexp.Regexp {
	return regexp.MustCompile(`\$\{(?:(secret:)([A-Za-z0-9_][A-Za-z0-9_.-]{0,63})|([A-Za-z_][A-Za-z0-9_]{0,63})(:-([^{}\n]*))?)\}`)
}

// findPlaceholders returns the placeholders of text. bad is the offset of a "${"
// that begins none, or -1.
func findPlaceholders(pattern *regexp.Regexp, text string) (found []placeholder, bad int) {
	if !strings.Contains(text, "${") {
		return nil, -1
	}
	bad = -1
	rest := 0
	check := func(end int) {
		if at := strings.Index(text[rest:end], "${"); at >= 0 && bad < 0 {
			bad = rest + at
		}
	}
	for _, at := range pattern.FindAllStringSubmatchIndex(text, -1) {
		check(at[0])
		rest = at[1]
		one := placeholder{start: at[0], end: at[1]}
		if at[2] >= 0 {
			one.secret, one.name = true, text[at[4]:at[5]]
		} else {
			one.name = text[at[6]:at[7]]
			if at[8] >= 0 {
				one.hasDefault, one.fallback = true, text[at[10]:at[11]]
			}
		}
		found = append(found, one)
	}
	check(len(text))
	return found, bad
}

// The characters of a placeholder that mean something in YAML are carried through
// the parser in Unicode's private use area, one for one, so that positions stay:
// {secret: ${secret:NAME}} would not be valid YAML otherwise.
const maskBase, maskSpan = '\ue000', 0x80

func isMask(r rune) bool { return r >= maskBase && r < maskBase+maskSpan }

// mask hides the placeholders of a whole file. Those with quotes or backslashes
// are left alone: they can only stand in quoted text, where nothing needs hiding.
func mask(text string) string {
	return placeholderPattern().ReplaceAllStringFunc(text, func(found string) string {
		if strings.ContainsAny(found, "\"'\\") {
			return found
		}
		return strings.Map(func(r rune) rune {
			if r < maskSpan && strings.ContainsRune("{}[],:#&*!|>%@` ?-", r) {
				return maskBase + r
			}
			return r
		}, found)
	})
}

func unmask(text string) string {
	return strings.Map(func(r rune) rune {
		if isMask(r) {
			return r - maskBase
		}
		return r
	}, text)
}
