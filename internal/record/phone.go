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
	if len(text) > maxPhoneLength {
		return text
	}
	number, extension, ok := splitPhone(text)
	if !ok {
		return text
	}
	normal, ok := e164(number, region)
	if !ok {
		return text
	}
	// A number that reads differently the second time would make the normal
	// form depend on who normalised it first.
	if again, ok := e164(normal, region); !ok || again != normal {
		return text
	}
	if extension != "" {
		normal += ";ext=" + extension
	}
	return normal
}

func e164(text, region string) (string, bool) {
	number, err := phonenumbers.Parse(text, region)
	if err != nil || !complete(number) {
		return "", false
	}
	return phonenumbers.Format(number, phonenumbers.E164), true
}

// complete reports whether a number has its area code and all its digits. Numbers
// of ranges that are not in use (yet) are complete when they are as long as the
// country's fixed or mobile numbers.
func complete(number *phonenumbers.PhoneNumber) bool {
	if phonenumbers.IsValidNumber(number) {
		return true
	}
	if phonenumbers.IsPossibleNumberWithReason(number) != phonenumbers.IS_POSSIBLE {
		return false
	}
	length := len(phonenumbers.GetNationalSignificantNumber(number))
	region := phonenumbers.GetRegionCodeForCountryCode(int(number.GetCountryCode()))
	for _, kind := range []phonenumbers.PhoneNumberType{phonenumbers.FIXED_LINE, phonenumbers.MOBILE} {
		example := phonenumbers.GetExampleNumberForType(region, kind)
		if example != nil && len(phonenumbers.GetNationalSignificantNumber(example)) == length {
			return true
		}
	}
	return false
}

// splitPhone cuts an extension off; ok is false unless the rest is digits and the
// usual punctuation. The parser would skip words, and with them what a user typed.
func splitPhone(text string) (number, extension string, ok bool) {
	number = strings.ToLower(text)
	for _, mark := range []string{";ext=", "ext.", "ext", "ramal", "x"} {
		before, after, found := strings.Cut(number, mark)
		if !found {
			continue
		}
		number, extension = before, strings.TrimSpace(after)
		if extension == "" || !onlyRunes(extension, "") {
			return "", "", false
		}
		break
	}
	return number, extension, onlyRunes(number, "+()-./ \u00a0")
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
