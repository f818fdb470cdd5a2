// Package format reads and writes bodies that are not JSON: XML and CSV, in the
// character encodings that old systems use. What it reads becomes the same tree
// of objects, lists and texts that JSON becomes, so that nothing above it has to
// know. It makes no calls.
package format

import (
	"bytes"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
)

// UTF8 is the encoding where nothing says another.
const UTF8 = "utf-8"

// charset finds the encoding of a name; nil for UTF-8. ok is false for one that
// is not known.
func charset(name string) (found encoding.Encoding, ok bool) {
	switch plain(name) {
	case "", UTF8, "utf8", "us-ascii", "ascii":
		return nil, true
	case "utf-16":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM), true
	case "utf-16le":
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), true
	case "utf-16be":
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), true
	case "iso-8859-1", "latin1", "latin-1":
		return charmap.ISO8859_1, true
	case "iso-8859-2", "latin2":
		return charmap.ISO8859_2, true
	case "iso-8859-15", "latin9":
		return charmap.ISO8859_15, true
	case "windows-1250", "cp1250":
		return charmap.Windows1250, true
	case "windows-1251", "cp1251":
		return charmap.Windows1251, true
	case "windows-1252", "cp1252":
		return charmap.Windows1252, true
	}
	return nil, false
}

func plain(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// CharsetOf is the charset of a Content-Type; empty: it says none.
func CharsetOf(contentType string) string {
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return ""
	}
	return plain(parameters["charset"])
}

// marks are the byte order marks and what they say.
func marks() map[string]string {
	return map[string]string{"\xef\xbb\xbf": UTF8, "\xfe\xff": "utf-16be", "\xff\xfe": "utf-16le"}
}

// markOf is what a byte order mark says, and its length; empty without one.
func markOf(body []byte) (name string, size int) {
	for mark, says := range marks() {
		if bytes.HasPrefix(body, []byte(mark)) {
			return says, len(mark)
		}
	}
	return "", 0
}

// text decodes bytes. Those that are not text in that encoding are an error.
func text(body []byte, name string) (string, error) {
	known, ok := charset(name)
	if !ok {
		return "", fault.New(fault.Invalid, "the encoding %q is not known; known are %s", clip(name), strings.Join(manifest.Encodings(), ", "))
	}
	if known == nil {
		if !utf8.Valid(body) {
			return "", fault.New(fault.Invalid, "it is not text in UTF-8")
		}
		return string(body), nil
	}
	decoded, err := known.NewDecoder().Bytes(body)
	if err != nil || bytes.ContainsRune(decoded, utf8.RuneError) {
		return "", fault.New(fault.Invalid, "it is not text in %s", plain(name))
	}
	return string(decoded), nil
}

// encoded is the reverse of text. A character that the encoding lacks is an error;
// lacking, if it is not nil, gives what stands for it instead.
func encoded(said string, name string, lacking func(r rune) string) ([]byte, error) {
	known, ok := charset(name)
	if !ok {
		return nil, fault.New(fault.Usage, "the encoding %q is not known; known are %s", clip(name), strings.Join(manifest.Encodings(), ", "))
	}
	if !utf8.ValidString(said) {
		return nil, fault.New(fault.Invalid, "the value is not text")
	}
	if known == nil {
		return []byte(said), nil
	}
	if whole, err := known.NewEncoder().Bytes([]byte(said)); err == nil {
		return whole, nil
	}
	// A character of a single-byte encoding is encoded without its neighbours.
	encoder := known.NewEncoder()
	var out []byte
	for _, r := range said {
		one, err := encoder.Bytes([]byte(string(r)))
		if err != nil && lacking == nil {
			return nil, fault.New(fault.Invalid, "%s has no %U; write the value without it", plain(name), r)
		}
		if err != nil {
			one = []byte(lacking(r))
		}
		out = append(out, one...)
	}
	return slices.Clip(out), nil
}

// clip keeps what somebody else's text puts into an error short.
func clip(text string) string {
	const longest = 60
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}
