package rest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
)

// valuesOf are the placeholders that every call of an object has.
func valuesOf(object *manifest.Object) manifest.Values {
	values := manifest.Values{"object": object.Name, "singular": object.Singular, "path": object.Path}
	if len(object.Fields) > 0 {
		values["fields"] = object.Fields
	}
	return values
}

// call fills a request in. Members of its query without a value are left out; a
// path must be complete.
func (c *client) call(request *manifest.Request, values manifest.Values, subject string) (transport.Call, error) {
	path, _ := values["path"].(string) // may have several steps, which stay steps
	filled, ok := manifest.FillPath(strings.ReplaceAll(request.Path, "{path}", path), values)
	if !ok {
		return transport.Call{}, fault.New(fault.Internal, "the manifest of %s needs a value in %s that this call does not have", c.title, request.Path)
	}
	call := transport.Call{Method: request.Method, Path: filled, Query: url.Values{}, Header: http.Header{}, Subject: subject}
	for key, value := range request.Query {
		name, named := manifest.Fill(key, values)
		if text, ok := manifest.Fill(value, values); ok && named {
			call.Query.Set(name, text)
		}
	}
	for _, headers := range []map[string]string{c.manifest.Headers, request.Headers} {
		for key, value := range headers {
			if text, ok := manifest.Fill(value, values); ok {
				call.Header.Set(key, text)
			}
		}
	}
	if request.Body != nil {
		call.Body, _ = manifest.FillTree(request.Body, values)
	}
	return call, nil
}

// stamp prints a time in a form of the manifest, UTC, cut down.
func stamp(at time.Time, form string) any {
	at = at.UTC()
	switch form {
	case "rfc3339_ms":
		return at.Format("2006-01-02T15:04:05.000Z")
	case "epoch_s":
		return int(at.Unix())
	case "epoch_ms":
		return int(at.UnixMilli())
	case "epoch_ms_text":
		return strconv.FormatInt(at.UnixMilli(), 10)
	case "date":
		return at.Format(time.DateOnly)
	}
	return at.Format(time.RFC3339)
}

// step is the least time that a form can tell apart.
func step(form string) time.Duration {
	switch form {
	case "rfc3339_ms", "epoch_ms", "epoch_ms_text":
		return time.Millisecond
	case "date":
		return 24 * time.Hour
	}
	return time.Second
}
