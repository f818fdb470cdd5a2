package rest

import (
	"context"
	"net/http"
	"strings"

	"github.com/accord-sync/accord/internal/connector/format"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
)

// do sends a call in the format that the manifest gives it.
func (c *client) do(ctx context.Context, call transport.Call, object *manifest.Object, request *manifest.Request) (transport.Reply, error) {
	call, err := c.dressed(call, object, request)
	if err != nil {
		return transport.Reply{}, err
	}
	return c.api.Do(ctx, call)
}

// isFile reports whether a call is about a CSV file.
func isFile(object *manifest.Object, request *manifest.Request) bool {
	return object.FormatOf(request) == manifest.FormatCSV
}

// dressed is the call with its body written, and with what it accepts.
func (c *client) dressed(call transport.Call, object *manifest.Object, request *manifest.Request) (transport.Call, error) {
	var body []byte
	var err error
	raw := transport.Raw{}
	switch object.FormatOf(request) {
	case manifest.FormatXML:
		raw.Accept, raw.Type = "application/xml, text/xml", "application/xml; charset="+object.XML.Encoding
		if call.Body != nil {
			body, err = format.WriteXML(call.Body, object.XML)
		}
	case manifest.FormatCSV:
		raw.Accept, raw.Type = "text/csv", "text/csv; charset="+object.CSV.Encoding+"; header=present"
		if fields, ok := call.Body.(map[string]any); ok {
			body, err = format.WriteCSV(fields, object.CSV)
		}
	default:
		return call, nil
	}
	raw.Text, call.Body = string(body), raw
	if coded := fault.As(err); coded != nil && coded.Subject == "" {
		named := *coded
		named.Subject = call.Subject
		// The path of the record in the body is not part of its fields.
		named.Field = inRecord(named.Field, object, request)
		return call, &named
	}
	call.Body = raw
	return call, err
}

// inRecord takes what wraps a record off a path in a body.
func inRecord(path string, object *manifest.Object, request *manifest.Request) string {
	for _, writing := range []*manifest.Writing{object.Create, object.Update} {
		if writing == nil || &writing.Request != request {
			continue
		}
		// The root element is not part of the path.
		if _, inner, nested := strings.Cut(writing.Wrap, "."); nested {
			path = strings.TrimPrefix(path, inner+".")
		}
	}
	return path
}

// decode reads an answer in the format of its call, or in the one that it says.
func (c *client) decode(call transport.Call, reply transport.Reply, object *manifest.Object, request *manifest.Request) (any, error) {
	said := reply.Header.Get("Content-Type")
	if object.FormatOf(request) == manifest.FormatJSON || strings.Contains(said, "json") {
		return c.api.Decode(call, reply)
	}
	if object.FormatOf(request) == manifest.FormatCSV {
		return nil, nil // what it says of a file that was taken in is for people
	}
	tree, err := format.ReadXML(reply.Body, said, object.XML)
	if err == nil {
		return tree, nil
	}
	if fault.Is(err, fault.TooLarge) {
		large := *fault.As(err)
		large.Subject, large.Status, large.MaybeApplied = call.Subject, reply.Status, writes(call)
		return nil, &large
	}
	broken := fault.Wrap(fault.Transient, err, "%s answered something that is not XML; is base_url its API?", c.title)
	broken.Subject, broken.Status, broken.MaybeApplied = call.Subject, reply.Status, writes(call)
	return nil, broken
}

func writes(call transport.Call) bool {
	return !call.Safe && call.Method != http.MethodGet && call.Method != http.MethodHead
}

// shaped gives a record out of XML its lists, numbers and booleans.
func shaped(item any, object *manifest.Object, request *manifest.Request) any {
	if fields, ok := item.(map[string]any); ok && object.FormatOf(request) == manifest.FormatXML {
		format.Shape{Lists: object.XML.Lists, Types: object.Types}.Apply(fields)
	}
	return item
}

// listed are the rows at a path of an answer. In XML one row is no list yet, and
// none leave an element without any; in JSON null stands for an empty list.
func listed(body any, path string, xml bool) (items []any, ok bool) {
	found, present := manifest.Look(body, path)
	if list, is := found.([]any); is {
		return list, true
	}
	if !xml {
		return nil, present && found == nil && path != "."
	}
	if present && found != nil {
		return []any{found}, true
	}
	// The element around the rows must be there: any other answer lists nothing.
	around := ""
	if cut := strings.LastIndexByte(path, '.'); cut >= 0 {
		around = path[:cut]
	}
	_, ok = manifest.Look(body, around)
	return nil, ok
}

// explainText reads a refusal in XML or JSON, as it comes.
func (c *client) explainText(body []byte) (any, error) {
	if strings.HasPrefix(strings.TrimLeft(strings.TrimPrefix(string(body[:min(len(body), 64)]), "\xef\xbb\xbf"), " \t\r\n"), "<") {
		return format.ReadXML(body, "", c.manifest.XML)
	}
	return transport.DecodeJSON(body)
}
