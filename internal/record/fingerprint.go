package record

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// hashBytes is the length of fingerprints: 128 bits, 32 hexadecimal digits.
const hashBytes = 16

// Fingerprint returns a short hash of v's JSON: the same for the same value in
// every process, whatever the order of an object's keys and however a number is
// written. Unlike Equal it tells null, "" and a missing key apart: it says
// whether a server's answer moved, not whether that matters.
func Fingerprint(v any) string {
	sum := sha256.Sum256(appendJSON(nil, v))
	return hex.EncodeToString(sum[:hashBytes])
}

// Hash returns a short hash of the parts in their order. ("ab", "c") and
// ("a", "bc") differ.
func Hash(parts ...string) string {
	digest := sha256.New()
	var length [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		digest.Write(length[:])
		digest.Write([]byte(part))
	}
	return hex.EncodeToString(digest.Sum(nil)[:hashBytes])
}

// appendJSON writes v with sorted keys and plain numbers. Not-JSON values write
// what Plain makes of them.
func appendJSON(out []byte, v any) []byte {
	switch value := Plain(v).(type) {
	case bool:
		if value {
			return append(out, "true"...)
		}
		return append(out, "false"...)
	case string:
		return appendString(out, value)
	case json.Number:
		return append(out, plainDecimal(value.String())...)
	case []any:
		out = append(out, '[')
		for i, element := range value {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendJSON(out, element)
		}
		return append(out, ']')
	case map[string]any:
		keys := make([]string, 0, len(value))
		for key := range value {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		out = append(out, '{')
		for i, key := range keys {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(appendString(out, key), ':')
			out = appendJSON(out, value[key])
		}
		return append(out, '}')
	}
	return append(out, "null"...)
}

func appendString(out []byte, text string) []byte {
	encoded, err := json.Marshal(text)
	if err != nil {
		return append(out, `""`...)
	}
	return append(out, encoded...)
}
