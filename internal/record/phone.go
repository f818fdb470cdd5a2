package record

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// maxPhoneLength bounds what is given to the parser; longer text is no number.
const maxPhoneLength = 64

// canonPhone returns the E.164 form, with ";ext=" where there is an extension.
// An incomplete number, or text around a number, has no normal form and is
// returned as written.
func canonPhone(text, region string) any {
	if len(text) > maxPhoneLength || !phoneShaped(text) {
		return text
	}
	normal, ok := e164(text, region)
	if !ok {
		return text
	}
	// A number that reads differently the second time would make the normal
	// form depend on who normalised it first.
	if again, ok := e164(normal, region); !ok || again != normal {
		return text
	}
	return normal
}

func e164(text, region string) (string, bool) {
	number, err := phonenumbers.Parse(text, region)
	if err != nil || phonenumbers.IsPossibleNumberWithReason(number) != phonenumbers.IS_POSSIBLE {
		return "", false
	}
	normal := phonenumbers.Format(number, phonenumbers.E164)
	if extension := number.GetExtension(); extension != "" {
		normal += ";ext=" + extension
	}
	return normal, true
}

// phoneShaped reports whether text is digits and the usual punctuation, with an
// optional extension. The parser would skip words, and with them what a user typed.
func phoneShaped(text string) bool {
	lower := strings.ToLower(text)
	for _, mark := range []string{";ext=", "ext.", "ext", "ramal", "x"} {
		if number, extension, found := strings.Cut(lower, mark); found {
			extension = strings.TrimSpace(extension)
			return onlyRunes(number, "+()-./ \u00a0") && extension != "" && onlyRunes(extension, "")
		}
	}
	return onlyRunes(lower, "+()-./ \u00a0")
}

func onlyRunes(text, punctuation string) bool {
	for _, r := range text {
		if (r < '0' || r > '9') && !strings.ContainsRune(punctuation, r) {
			return false
		}
	}
	return true
}

// KnownRegion reports whether phone numbers of an ISO 3166 country ("BR") can be read.
func KnownRegion(region string) bool { return phonenumbers.GetSupportedRegions()[region] }
