package acme

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// legacy answers a call of the old interface of companies: the same handler, in XML.
func (s *Server) legacy(root, row string, h handler) handler {
	return func(r *front.Request) front.Response {
		if len(r.Body) > 0 {
			given, err := companyOf(r.Body)
			if err != nil {
				return s.inXML(root, row, badRequest(err.Error()))
			}
			if r.Body, err = json.Marshal(given); err != nil {
				return s.inXML(root, row, badRequest(err.Error()))
			}
		}
		return s.inXML(root, row, h(r))
	}
}

// inXML writes an answer as XML in the encoding of the switch.
func (s *Server) inXML(root, row string, res front.Response) front.Response {
	body, ok := res.Body.(map[string]any)
	if !ok {
		return res
	}
	name := s.World.Switches().Encoding
	var out strings.Builder
	fmt.Fprintf(&out, "<?xml version=\"1.0\" encoding=\"%s\"?>\n", strings.ToUpper(name))
	switch refused, isError := body["error"].(map[string]any); {
	case isError:
		element(&out, "error", refused)
	case body["items"] != nil:
		next, _ := body["next_cursor"].(string)
		fmt.Fprintf(&out, "<%s next=\"%s\">", root, next)
		items, _ := body["items"].([]any)
		for _, item := range items {
			company(&out, row, item)
		}
		fmt.Fprintf(&out, "</%s>", root)
	default:
		company(&out, row, body)
	}
	header := maps.Clone(res.Header)
	if header == nil {
		header = map[string]string{}
	}
	header["Content-Type"] = "application/xml" // the declaration says the encoding
	header["Location"] = strings.Replace(header["Location"], base+"/", base+"/xml/", 1)
	if header["Location"] == "" {
		delete(header, "Location")
	}
	return front.Response{Status: res.Status, Header: header, Body: encoded(out.String(), name, reference)}
}

// company writes one record: id and version are attributes.
func company(out *strings.Builder, row string, item any) {
	fields, _ := item.(map[string]any)
	fields = maps.Clone(fields)
	fmt.Fprintf(out, "<%s id=\"%v\"", row, fields["id"])
	if version, there := fields["version"]; there {
		fmt.Fprintf(out, " version=\"%v\"", version)
	}
	out.WriteString(">")
	delete(fields, "id")
	delete(fields, "version")
	inner(out, fields)
	fmt.Fprintf(out, "</%s>\n", row)
}

func inner(out *strings.Builder, fields map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		element(out, name, fields[name])
	}
}

// element writes a value; a list is an element for each.
func element(out *strings.Builder, name string, value any) {
	switch typed := value.(type) {
	case nil:
		fmt.Fprintf(out, "<%s/>", name)
	case map[string]any:
		fmt.Fprintf(out, "<%s>", name)
		inner(out, typed)
		fmt.Fprintf(out, "</%s>", name)
	case map[string][]string: // what is wrong with which field
		fmt.Fprintf(out, "<%s>", name)
		for _, field := range slices.Sorted(maps.Keys(typed)) {
			element(out, field, strings.Join(typed[field], ", "))
		}
		fmt.Fprintf(out, "</%s>", name)
	case []any:
		for _, one := range typed {
			element(out, name, one)
		}
	default:
		fmt.Fprintf(out, "<%s>", name)
		// A builder takes everything.
		_ = xml.EscapeText(out, []byte(fmt.Sprint(typed)))
		fmt.Fprintf(out, "</%s>", name)
	}
}

// reference is what stands for a character that an encoding lacks.
func reference(r rune) string { return fmt.Sprintf("&#%d;", r) }

// charset is an encoding by its name; nil for UTF-8.
func charset(name string) encoding.Encoding {
	switch name {
	case wire.EncodingLatin:
		return charmap.ISO8859_1
	case wire.EncodingWindows:
		return charmap.Windows1252
	case wire.EncodingUTF16:
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	}
	return nil
}

// encoded is a text in an encoding; lacking gives what stands for a character
// that it lacks.
func encoded(text, name string, lacking func(r rune) string) []byte {
	known := charset(name)
	if known == nil {
		return []byte(text)
	}
	if whole, err := known.NewEncoder().Bytes([]byte(text)); err == nil {
		return whole
	}
	var out bytes.Buffer
	for _, r := range text {
		one, err := known.NewEncoder().Bytes([]byte(string(r)))
		if err != nil {
			one = []byte(lacking(r))
		}
		out.Write(one)
	}
	return out.Bytes()
}

// companyOf reads the one company of a body, in any of the encodings.
func companyOf(body []byte) (map[string]any, error) {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	decoder.CharsetReader = func(name string, in io.Reader) (io.Reader, error) {
		if known := charset(strings.ToLower(name)); known != nil {
			return known.NewDecoder().Reader(in), nil
		}
		return in, nil
	}
	for {
		token, err := decoder.Token()
		if err != nil {
			return nil, errors.New("the body is not XML")
		}
		if _, is := token.(xml.StartElement); is {
			value, err := valueOf(decoder)
			fields, _ := value.(map[string]any)
			if err != nil || fields == nil {
				return nil, errors.New("the body holds no company")
			}
			return fields, nil
		}
	}
}

// valueOf reads what is inside of an element: elements, or a text. Empty is null.
func valueOf(decoder *xml.Decoder) (any, error) {
	var text strings.Builder
	fields := map[string]any{}
	for {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		switch typed := token.(type) {
		case xml.StartElement:
			value, err := valueOf(decoder)
			if err != nil {
				return nil, err
			}
			fields[typed.Name.Local] = value
		case xml.CharData:
			text.Write(typed)
		case xml.EndElement:
			switch {
			case len(fields) > 0:
				return fields, nil
			case text.Len() == 0:
				return nil, nil
			}
			return text.String(), nil
		}
	}
}

// notFoundXML answers for what the old interface has not.
func (s *Server) notFoundXML(*front.Request) front.Response {
	return s.inXML("companies", "company", failure(http.StatusNotFound, "not_found", "not_found", "there is no such record or path"))
}
