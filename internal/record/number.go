package record

import (
	"math"
	"strconv"
	"strings"
)

// maxPlainDigits bounds the digits a plain decimal may be padded to; beyond it
// the exponent stays, so that 1e999999999 costs no memory.
const maxPlainDigits = 400

// plainDecimal returns the one plain form of a JSON number: no exponent, no
// superfluous zeros, no negative zero. Numbers whose plain form would be longer
// than maxPlainDigits become "<digits>e<exponent>". What is no number is
// returned as it is. The arithmetic is on the text, hence exact.
func plainDecimal(text string) string {
	if !isJSONNumber(text) {
		return text
	}
	mantissa, exponentText, _ := strings.Cut(strings.ToLower(text), "e")
	exponent, ok := parseExponent(exponentText)
	if !ok {
		return text
	}
	negative := strings.HasPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(mantissa, "-"), ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	exponent -= int64(len(fraction))
	trimmed := strings.TrimRight(digits, "0")
	exponent += int64(len(digits) - len(trimmed))
	if trimmed == "" {
		return "0"
	}
	sign := ""
	if negative {
		sign = "-"
	}
	return sign + placePoint(trimmed, exponent)
}

// placePoint writes digits × 10^exponent without an exponent where that is short.
func placePoint(digits string, exponent int64) string {
	length := int64(len(digits))
	switch {
	case exponent == 0:
		return digits
	case exponent > 0 && exponent <= maxPlainDigits:
		return digits + strings.Repeat("0", int(exponent))
	case exponent < 0 && -exponent < length:
		point := length + exponent
		return digits[:point] + "." + digits[point:]
	case exponent < 0 && -exponent-length <= maxPlainDigits:
		return "0." + strings.Repeat("0", int(-exponent-length)) + digits
	}
	return digits + "e" + strconv.FormatInt(exponent, 10)
}

// parseExponent refuses exponents near the end of int64, where sums could wrap.
func parseExponent(text string) (int64, bool) {
	if text == "" {
		return 0, true
	}
	exponent, err := strconv.ParseInt(text, 10, 64)
	if err != nil || exponent > math.MaxInt64/2 || exponent < math.MinInt64/2 {
		return 0, false
	}
	return exponent, true
}

// isJSONNumber reports whether text is a number as JSON writes it (RFC 8259, section 6).
func isJSONNumber(text string) bool {
	rest := strings.TrimPrefix(text, "-")
	whole := countDigits(rest)
	if whole == 0 || (whole > 1 && rest[0] == '0') {
		return false
	}
	rest = rest[whole:]
	if strings.HasPrefix(rest, ".") {
		fraction := countDigits(rest[1:])
		if fraction == 0 {
			return false
		}
		rest = rest[1+fraction:]
	}
	if rest == "" {
		return true
	}
	if rest[0] != 'e' && rest[0] != 'E' {
		return false
	}
	rest = rest[1:]
	if rest != "" && (rest[0] == '+' || rest[0] == '-') {
		rest = rest[1:]
	}
	return rest != "" && countDigits(rest) == len(rest)
}

func countDigits(text string) int {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return i
		}
	}
	return len(text)
}
