package caldav

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// multistatus is the answer of a WebDAV server about several resources (RFC 4918, 13).
type multistatus struct {
	XMLName   xml.Name   `xml:"DAV: multistatus"`
	Responses []response `xml:"DAV: response"`
	Token     string     `xml:"DAV: sync-token"`
}

type response struct {
	Href   string     `xml:"DAV: href"`
	Status string     `xml:"DAV: status"`
	Parts  []propstat `xml:"DAV: propstat"`
}

type propstat struct {
	Status string `xml:"DAV: status"`
	Prop   struct {
		ETag     string `xml:"DAV: getetag"`
		Modified string `xml:"DAV: getlastmodified"`
		Token    string `xml:"DAV: sync-token"`
		Data     string `xml:"urn:ietf:params:xml:ns:caldav calendar-data"`
		Type     struct {
			Calendar *struct{} `xml:"urn:ietf:params:xml:ns:caldav calendar"`
		} `xml:"DAV: resourcetype"`
	} `xml:"DAV: prop"`
}

// resource is what is known of one object of the calendar.
type resource struct {
	// name is the last step of its address.
	name, etag string
	// modified is the server's time of the last change; zero: not said.
	modified time.Time
	data     string
	// gone: the server says that it has no such object.
	gone bool
}

// version is the ETag with the time of the change. The ETag alone may be a hash of
// the content: a change that was taken back would not show.
func (r resource) version() string {
	if r.modified.IsZero() {
		return r.etag
	}
	return r.etag + " " + r.modified.UTC().Format(time.RFC3339)
}

// etagOf is the ETag of a version.
func etagOf(version string) string {
	if at := strings.LastIndexByte(version, '"'); at >= 0 {
		return version[:at+1]
	}
	return version
}

// quoted is an ETag as the header has it; some servers leave the quotes out elsewhere.
func quoted(etag string) string {
	etag = strings.TrimSpace(etag)
	if etag == "" || strings.HasSuffix(etag, `"`) {
		return etag
	}
	return `"` + etag + `"`
}

// status reads "HTTP/1.1 404 Not Found".
func status(line string) string {
	parts := strings.Fields(line)
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

// read makes a resource of a response; false for what is no direct member of the
// calendar. Servers behind a proxy may name another path: the last step counts.
func (r response) read() (resource, bool) {
	name, ok := nameOf(r.Href)
	if !ok {
		return resource{}, false
	}
	found := resource{name: name, gone: status(r.Status) == "404" || status(r.Status) == "410"}
	for _, part := range r.Parts {
		if status(part.Status) != "200" {
			continue
		}
		if etag := quoted(part.Prop.ETag); etag != "" {
			found.etag = etag
		}
		if at, err := http.ParseTime(part.Prop.Modified); err == nil {
			found.modified = at.UTC()
		}
		if part.Prop.Data != "" {
			found.data = part.Prop.Data
		}
	}
	return found, true
}

// nameOf is the last step of an address; false for that of a collection.
func nameOf(href string) (string, bool) {
	parsed, err := url.Parse(strings.TrimSpace(href))
	if err != nil || parsed.Path == "" || strings.HasSuffix(parsed.Path, "/") {
		return "", false
	}
	name, err := url.PathUnescape(path.Base(parsed.EscapedPath()))
	if err != nil {
		return "", false
	}
	return transport.ParseID(name)
}

// itself finds the asked collection among its members, by the shortest address, and
// answers its sync token; false when it is no calendar.
func (m multistatus) itself() (token string, isCalendar bool) {
	shortest := ""
	for _, one := range m.Responses {
		if shortest != "" && len(one.Href) >= len(shortest) {
			continue
		}
		shortest, token, isCalendar = one.Href, "", false
		for _, part := range one.Parts {
			if status(part.Status) == "200" && part.Prop.Type.Calendar != nil {
				isCalendar = true
			}
			if status(part.Status) == "200" && part.Prop.Token != "" {
				token = part.Prop.Token
			}
		}
	}
	return token, isCalendar
}

func (c *client) subject(id string) string {
	return record.Ref{Side: c.cfg.Side, Object: objectName, ID: id}.String()
}

// ask sends a question about the calendar and reads the answer about its objects.
func (c *client) ask(ctx context.Context, method, depth, body, subject string) (multistatus, transport.Reply, error) {
	call := transport.Call{Method: method, Path: "/", Subject: subject, Safe: true, Header: http.Header{"Depth": {depth}},
		Body: transport.Raw{Type: "application/xml; charset=utf-8", Accept: "application/xml, text/xml", Text: `<?xml version="1.0" encoding="utf-8"?>` + body}}
	reply, err := c.do(ctx, call)
	if err != nil {
		return multistatus{}, reply, err
	}
	var answer multistatus
	if reply.Status != http.StatusMultiStatus || xml.Unmarshal(reply.Body, &answer) != nil {
		coded := fault.New(fault.Transient, "%s answered something that is not WebDAV; is base_url the address of a calendar?", title)
		coded.Subject, coded.Status = subject, reply.Status
		return multistatus{}, reply, coded
	}
	return answer, reply, nil
}

// do sends a call. A refused log-in is worded as one.
func (c *client) do(ctx context.Context, call transport.Call) (transport.Reply, error) {
	reply, err := c.api.Do(ctx, call)
	coded := fault.As(err)
	if coded == nil || coded.Code != fault.Auth {
		return reply, err
	}
	worded := *coded
	worded.Message = title + " refuses the log-in; check the user (username, client_id) and the password (client_secret), or the token"
	return reply, &worded
}

const (
	namespaces = ` xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"`
	askListing = `<D:propfind` + namespaces + `><D:prop><D:getetag/><D:getlastmodified/><D:resourcetype/><D:sync-token/></D:prop></D:propfind>`
	askObjects = `<C:calendar-multiget` + namespaces + `><D:prop><D:getetag/><D:getlastmodified/><C:calendar-data/></D:prop>`
)

// askChanges is a sync-collection report (RFC 6578).
func askChanges(token string) string {
	return `<D:sync-collection` + namespaces + `><D:sync-token>` + escaped(token) + `</D:sync-token><D:sync-level>1</D:sync-level>` +
		`<D:prop><D:getetag/></D:prop></D:sync-collection>`
}

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}

// objects reads several objects at once; those that are gone say so.
func (c *client) objects(ctx context.Context, names []string, subject string) (map[string]resource, transport.Reply, error) {
	var body strings.Builder
	body.WriteString(askObjects)
	for _, name := range names {
		body.WriteString("<D:href>" + escaped(c.path+url.PathEscape(name)) + "</D:href>")
	}
	body.WriteString("</C:calendar-multiget>")
	answer, reply, err := c.ask(ctx, "REPORT", "1", body.String(), subject)
	if err != nil {
		return nil, reply, err
	}
	found := map[string]resource{}
	for _, one := range answer.Responses {
		if read, ok := one.read(); ok {
			found[read.name] = read
		}
	}
	return found, reply, nil
}

// explain reads the error body of a WebDAV server (RFC 4918, 16): the condition
// that was not met, and the object that stands in the way.
func explain(body []byte) transport.VendorError {
	var said struct {
		XMLName    xml.Name `xml:"DAV: error"`
		Conditions []struct {
			XMLName xml.Name
			Href    string `xml:"DAV: href"`
		} `xml:",any"`
	}
	if xml.Unmarshal(body, &said) != nil || len(said.Conditions) == 0 {
		return transport.VendorError{}
	}
	first := said.Conditions[0]
	existing, _ := nameOf(first.Href)
	return transport.VendorError{Known: true, Code: first.XMLName.Local, ExistingID: existing}
}
