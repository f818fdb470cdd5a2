package connectortest

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// Answers tells about a driver what is needed to put any answer before it.
type Answers struct {
	// Open makes a connector that sends with client.
	Open func(client *http.Client) (connector.Connector, error)
	// Object is a collection with the text fields Text and Inner (a dotted path)
	// and the key Key.
	Object, Text, Inner, Key string
	// Needs is what a new record must have besides, by dotted path; nil: nothing.
	Needs map[string]any
	// ID is an id that the driver takes for one.
	ID string
	// Login answers a request for a token; nil, or false: there are none.
	Login func(body string) (answer string, ok bool)
	// List and Single wrap rows and one row as a good answer does.
	List   func(rows string) string
	Single func(row string) string
	// Seeds are answers to begin with.
	Seeds []string
}

// maxCalls is more than any one method needs against a server that answers two
// things in turn.
const maxCalls = 400

// scripted is a server that answers the same two things in turn, whatever it is asked.
type scripted struct {
	t       testing.TB
	login   func(body string) (string, bool)
	answers [2]*http.Response
	bodies  [2]string
	calls   int
}

var _ http.RoundTripper = (*scripted)(nil)

// RoundTrip implements http.RoundTripper.
func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := ""
	if r.Body != nil {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		asked = string(raw)
	}
	if s.login != nil {
		if text, ok := s.login(asked); ok {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}, nil
		}
	}
	if strings.Contains(r.URL.Path, "/../") || strings.HasSuffix(r.URL.Path, "/..") || strings.HasSuffix(r.URL.Path, "/.") {
		s.t.Errorf("an id leads elsewhere: %s", r.URL.Path)
	}
	turn := s.calls % 2
	if s.calls++; s.calls > maxCalls {
		s.t.Fatalf("a method goes on and on: %d calls", s.calls)
	}
	response := *s.answers[turn]
	response.Header = response.Header.Clone()
	response.Body = io.NopCloser(strings.NewReader(s.bodies[turn]))
	return &response, nil
}

func (a Answers) open(t testing.TB, maxBody int64, status int, header http.Header, first, second string) (connector.Connector, *scripted) {
	s := &scripted{t: t, login: a.Login, bodies: [2]string{first, second},
		answers: [2]*http.Response{{StatusCode: status, Header: header}, {StatusCode: http.StatusOK, Header: http.Header{}}}}
	conn, err := a.Open(transport.New(transport.Options{Transport: s, MaxBody: maxBody}))
	require.NoError(t, err)
	return conn, s
}

// Fuzz puts any two answers before every method of the driver: none panics or
// goes on for ever, errors have codes, and what is taken for a record can be one.
func (a Answers) Fuzz(f *testing.F) {
	for _, first := range a.Seeds {
		for _, status := range []int{200, 409} {
			f.Add(status, "", first, a.Seeds[0])
		}
	}
	for _, status := range []int{201, 204, 302, 400, 401, 403, 404, 412, 422, 429, 500, 503} {
		f.Add(status, `"v1"`, a.Single(`{"id":"`+a.ID+`"}`), a.List(`{"id":"`+a.ID+`","updated_at":"2026-11-22T12:00:00Z"}`))
	}
	f.Fuzz(func(t *testing.T, status int, header, first, second string) {
		if status %= 600; status < 200 {
			return // no final answer of HTTP
		}
		headers := http.Header{}
		for _, name := range []string{"Etag", "Location", "Date", "Retry-After", "X-Ratelimit-Remaining", "Ratelimit-Reset", "X-Request-Id"} {
			headers.Set(name, header)
		}
		conn, s := a.open(t, 0, status, headers, first, second)
		for name, method := range a.methods(conn) {
			s.calls = 0
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			records, err := method(ctx)
			cancel()
			a.look(t, name, records, err)
		}
	})
}

// methods are the calls of the engine, on a record that may be the one answered.
func (a Answers) methods(conn connector.Connector) map[string]func(context.Context) ([]record.Record, error) {
	current := record.Record{Ref: record.Ref{Side: record.Right, Object: a.Object, ID: a.ID}, Version: `"v1"`,
		Fields: record.Fields{a.Text: "old", "tags": []any{"x"}}}
	one := func(found record.Record, err error) ([]record.Record, error) { return []record.Record{found}, err }
	none := func(err error) ([]record.Record, error) { return nil, err }
	options := connector.WriteOptions{IfMatch: `"v1"`, IdempotencyKey: "k"}
	return map[string]func(context.Context) ([]record.Record, error){
		"get":  func(ctx context.Context) ([]record.Record, error) { return one(conn.Get(ctx, a.Object, a.ID)) },
		"list": func(ctx context.Context) ([]record.Record, error) { return a.listing(ctx, conn, time.Time{}) },
		"changes": func(ctx context.Context) ([]record.Record, error) {
			return a.listing(ctx, conn, time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC))
		},
		"search": func(ctx context.Context) ([]record.Record, error) {
			return conn.Search(ctx, connector.SearchRequest{Object: a.Object, Path: a.Key, Value: "Ana@example.com"})
		},
		"scan": func(ctx context.Context) ([]record.Record, error) {
			return conn.Search(ctx, connector.SearchRequest{Object: a.Object, Path: a.Inner, Value: json.Number("7"), Since: time.Unix(1, 0)})
		},
		"create": func(ctx context.Context) ([]record.Record, error) {
			fields := map[string]any{a.Text: "Ana", a.Inner: "x"}
			maps.Copy(fields, a.Needs)
			return one(conn.Create(ctx, a.Object, fields, options))
		},
		"update": func(ctx context.Context) ([]record.Record, error) {
			return one(conn.Update(ctx, current, map[string]any{a.Text: "Ana", a.Inner: nil}, options))
		},
		"delete": func(ctx context.Context) ([]record.Record, error) {
			return none(conn.Delete(ctx, a.Object, a.ID, options))
		},
		"deleted": func(ctx context.Context) ([]record.Record, error) {
			_, _, err := conn.Deleted(ctx, a.Object, time.Time{}, "")
			return none(err)
		},
		"hooks": func(ctx context.Context) ([]record.Record, error) {
			_, err := conn.EnsureWebhook(ctx, connector.WebhookSpec{URL: "https://accord.example/hook", Secret: "s", Objects: []string{a.Object}})
			return none(err)
		},
		"hook": func(ctx context.Context) ([]record.Record, error) {
			_, err := conn.WebhookStatus(ctx, a.ID)
			return none(err)
		},
		"hook gone": func(ctx context.Context) ([]record.Record, error) { return none(conn.RemoveWebhook(ctx, a.ID)) },
		"probe":     func(ctx context.Context) ([]record.Record, error) { _, err := conn.Probe(ctx); return none(err) },
		"check": func(ctx context.Context) ([]record.Record, error) {
			_, err := conn.Check(ctx, []string{a.Object})
			return none(err)
		},
	}
}

// listing reads a few pages.
func (a Answers) listing(ctx context.Context, conn connector.Connector, since time.Time) (found []record.Record, err error) {
	request := connector.ListRequest{Object: a.Object, Since: since, Limit: 2}
	for range 6 {
		page, err := conn.List(ctx, request)
		if err != nil || page.Next == "" {
			return append(found, page.Records...), err
		}
		found = append(found, page.Records...)
		request.Cursor = page.Next
	}
	return found, nil
}

// Cursor lists from any cursor: it is one of the driver's, or a mistake of the caller.
func (a Answers) Cursor(t *testing.T, cursor string) {
	conn, _ := a.open(t, 0, http.StatusOK, http.Header{}, a.Seeds[0], a.Seeds[0])
	page, err := conn.List(t.Context(), connector.ListRequest{Object: a.Object, Cursor: cursor})
	a.look(t, "list", page.Records, err)
	if page.Next != "" {
		next, err := conn.List(t.Context(), connector.ListRequest{Object: a.Object, Cursor: page.Next})
		if fault.Is(err, fault.Usage) {
			t.Fatalf("its own cursor is refused: %v", err)
		}
		a.look(t, "list", next.Records, err)
	}
}

// look judges what a method gave.
func (a Answers) look(t *testing.T, name string, records []record.Record, err error) {
	t.Helper()
	if err != nil {
		if fault.As(err) == nil {
			t.Fatalf("%s: an error without a code: %v", name, err)
		}
		return
	}
	for _, found := range records {
		id := found.Ref.ID
		if id == "" || len(id) > 256 || strings.ContainsFunc(id, unicode.IsControl) || found.Ref.Object != a.Object {
			t.Fatalf("%s: no record: %q", name, found.Ref)
		}
		record.Fingerprint(map[string]any(found.Fields))
		record.Canon(record.Kind{}, map[string]any(found.Fields))
	}
}

// Large puts answers before the driver that are small on the wire for what they
// hold, or larger than the client takes: each is refused with a code, and soon.
func (a Answers) Large(t *testing.T) {
	const limit = 4 << 20
	row := `{"id":"` + a.ID + `","x":`
	for name, text := range map[string]string{
		"too long":     a.List(row + `"` + strings.Repeat("x", limit) + `"}`),
		"endless list": a.List(strings.TrimSuffix(strings.Repeat(row+"0},", limit/len(row)), ",")),
		"many values":  a.List(row + "[" + strings.TrimSuffix(strings.Repeat("{},", limit/3-100), ",") + "]}"),
		"deep":         a.List(row + strings.Repeat("[", limit/4) + strings.Repeat("]", limit/4) + "}"),
	} {
		t.Run(name, func(t *testing.T) {
			conn, s := a.open(t, limit, http.StatusOK, http.Header{}, text, text)
			for name, method := range a.methods(conn) {
				s.calls = 0
				_, err := method(t.Context())
				if slices.Contains([]string{"get", "list", "changes", "create", "update"}, name) {
					require.Equal(t, fault.TooLarge, fault.CodeOf(err), name)
				} else if err != nil {
					require.NotNil(t, fault.As(err), name)
				}
			}
		})
	}
}
