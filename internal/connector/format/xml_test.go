package format_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/accord-sync/accord/internal/connector/format"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
)

func rules() *manifest.XML { return &manifest.XML{Encoding: "utf-8", Null: manifest.NullEmpty} }

func TestReadXML(t *testing.T) {
	for body, want := range map[string]any{
		`<a>x</a>`:             "x",
		`<a/>`:                 nil,
		`<a> </a>`:             nil,
		`<a b="1"/>`:           map[string]any{"@b": "1"},
		`<a b="1">x</a>`:       map[string]any{"@b": "1", "#text": "x"},
		`<a><b>1</b><b/></a>`:  map[string]any{"b": []any{"1", nil}},
		`<a> x <b>1</b> y</a>`: map[string]any{"#text": "x  y", "b": "1"},
		`<?xml version="1.0"?><!-- c --><n:a xmlns:n="u"><n:b>&lt;&#8364;&amp;<![CDATA[<i>]]></n:b></n:a>`:      map[string]any{"b": "<€&<i>"},
		`<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><b xsi:nil="true"/><c xsi:type="t">1</c></a>`: map[string]any{"b": nil, "c": "1"},
	} {
		got, err := format.ReadXML([]byte(body), "", rules())
		require.NoError(t, err, body)
		require.Equal(t, map[string]any{"a": want}, got, body)
	}
}

// TestWhatIsRefused: nothing that somebody's text defines is expanded or fetched.
func TestWhatIsRefused(t *testing.T) {
	for body, code := range map[string]fault.Code{
		`<!DOCTYPE a [<!ENTITY x "yyyy">]><a>&x;</a>`:                                     fault.Invalid,
		`<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd"><a/>`:                                fault.Invalid,
		`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a/>`: fault.Invalid,
		`<a>&x;</a>`:  fault.Invalid,
		`<a>`:         fault.Invalid,
		`<a></b>`:     fault.Invalid,
		``:            fault.Invalid,
		"<a>\xff</a>": fault.Invalid,
		`<?xml version="1.0" encoding="klingon"?><a/>`:              fault.Invalid,
		strings.Repeat("<a>", 300) + strings.Repeat("</a>", 300):    fault.TooLarge,
		"<a>" + strings.Repeat("<b/>", format.MaxElements) + "</a>": fault.TooLarge,
	} {
		_, err := format.ReadXML([]byte(body), "", rules())
		require.Equal(t, code, fault.CodeOf(err), body[:min(len(body), 60)])
		require.NotContains(t, err.Error(), "yyyy")
	}
}

func TestTheEncodingThatIsSaid(t *testing.T) {
	const text = `<a>Zürich</a>`
	latin, err := charmap.Windows1252.NewEncoder().String(text)
	require.NoError(t, err)
	wide, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(text)
	require.NoError(t, err)
	big, err := unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder().String(`<?xml version="1.0" encoding="UTF-16"?>` + text)
	require.NoError(t, err)
	for _, one := range []struct{ body, contentType string }{
		{text, ""},
		{"\xef\xbb\xbf" + text, "text/xml; charset=iso-8859-1"}, // the mark goes first
		{latin, "text/xml; charset=ISO-8859-1"},
		{`<?xml version='1.0' encoding='windows-1252'?>` + latin, "application/xml"},
		{`<?xml version="1.0" encoding="UTF-8" ?>` + latin, "application/xml; charset=windows-1252"},
		{wide, ""}, {big, ""}, {big, "application/xml; charset=utf-16"},
	} {
		got, err := format.ReadXML([]byte(one.body), one.contentType, rules())
		require.NoError(t, err, one.contentType)
		require.Equal(t, map[string]any{"a": "Zürich"}, got)
	}
}

func TestWriteXML(t *testing.T) {
	said := &manifest.XML{Encoding: "iso-8859-1", Null: manifest.NullOmit}
	out, err := format.WriteXML(map[string]any{"a": map[string]any{"c": nil, "b": "Zürich 5 €", "d": true, "e": []any{}}}, said)
	require.NoError(t, err)
	require.Equal(t, "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<a><b>Z\xfcrich 5 &#x20AC;</b><d>true</d></a>", string(out))
	for field, tree := range map[string]any{
		"b":     map[string]any{"a": map[string]any{"b": "\x00"}},
		"b.@c":  map[string]any{"a": map[string]any{"b": map[string]any{"@c": "\x01"}}},
		"b.c d": map[string]any{"a": map[string]any{"b": map[string]any{"c d": "1"}}},
		"b.x:y": map[string]any{"a": map[string]any{"b": map[string]any{"x:y": "1"}}},
	} {
		_, err := format.WriteXML(tree, said)
		require.Equal(t, fault.Invalid, fault.CodeOf(err), field)
		require.Equal(t, field, fault.As(err).Field)
	}
	for _, tree := range []any{nil, map[string]any{}, map[string]any{"a": "1", "b": "2"}} {
		_, err := format.WriteXML(tree, said)
		require.Equal(t, fault.Usage, fault.CodeOf(err))
	}
}

// FuzzXML: no text makes the reader fail otherwise than with a code, and what it
// read comes back the same after it was written.
func FuzzXML(f *testing.F) {
	for _, seed := range []string{`<a>x</a>`, `<a b="1"><c/><c>2</c>x</a>`, `<!DOCTYPE a><a/>`, "\xff\xfe<\x00a\x00/\x00>\x00", `<?xml version="1.0" encoding="latin1"?><a>` + "\xe9</a>"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		tree, err := format.ReadXML(body, "", rules())
		if err != nil {
			require.Contains(t, []fault.Code{fault.Invalid, fault.TooLarge}, fault.CodeOf(err))
			return
		}
		out, err := format.WriteXML(tree, rules())
		if err != nil {
			return // a name that we do not write
		}
		again, err := format.ReadXML(out, "", rules())
		require.NoError(t, err)
		require.Equal(t, tree, again)
	})
}
