// Package caldavtest is a real Radicale for tests, started on loopback in a folder
// of its own, and a person with a calendar program.
package caldavtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector/caldav/ical"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/record"
)

// Path is the calendar's on the server.
const Path = "/" + connectortest.ClientID + "/work"

// Server is a running Radicale with one calendar.
type Server struct {
	http.Handler
	// Root is the server's address without the calendar's path.
	Root string
	next int
	mu   sync.Mutex
	lies map[string]bool
}

var _ connectortest.Server = (*Server)(nil)

// Start starts a Radicale for the rest of the test, or skips it.
func Start(t *testing.T) *Server {
	t.Helper()
	program, err := exec.LookPath("radicale")
	if err != nil {
		t.Skip("no Radicale to test against: apt-get install radicale")
	}
	folder := t.TempDir()
	users := filepath.Join(folder, "users")
	require.NoError(t, os.WriteFile(users, []byte(connectortest.ClientID+":"+connectortest.ClientSecret+"\n"), 0o600))
	s := &Server{Root: "http://" + freeAddress(t), lies: map[string]bool{}}
	settings := fmt.Sprintf("[server]\nhosts = %s\n[auth]\ntype = htpasswd\nhtpasswd_filename = %s\nhtpasswd_encryption = plain\ndelay = 0\n"+
		"[storage]\nfilesystem_folder = %s\n[logging]\nlevel = critical\n",
		strings.TrimPrefix(s.Root, "http://"), users, filepath.Join(folder, "calendars"))
	file := filepath.Join(folder, "config")
	require.NoError(t, os.WriteFile(file, []byte(settings), 0o600))
	said, err := os.Create(filepath.Join(folder, "log"))
	require.NoError(t, err)
	running := exec.CommandContext(context.Background(), program, "--config", file)
	running.Stdout, running.Stderr = said, said
	require.NoError(t, running.Start())
	t.Cleanup(func() {
		_ = running.Process.Kill() // it may have ended by itself, which the test has noticed
		_ = running.Wait()         // killed: that it did not end well is no news
		require.NoError(t, said.Close())
	})
	if !assert.Eventually(t, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.Root, "http://"))
		return err == nil && conn.Close() == nil
	}, time.Minute, 50*time.Millisecond) {
		log, err := os.ReadFile(said.Name())
		t.Fatalf("radicale did not start: %s %v", log, err)
	}
	target, err := url.Parse(s.Root)
	require.NoError(t, err)
	s.Handler = httputil.NewSingleHostReverseProxy(target)
	s.call(t, "MKCALENDAR", "/", "", nil)
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().String()
}

// Empty makes the calendar anew.
func (s *Server) Empty(t *testing.T) *Server {
	t.Helper()
	s.call(t, http.MethodDelete, "/", "", nil)
	s.call(t, "MKCALENDAR", "/", "", nil)
	return s
}

// call speaks to the calendar as its owner and answers what came.
func (s *Server) call(t *testing.T, method, name, body string, header http.Header) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, s.Root+Path+name, strings.NewReader(body))
	require.NoError(t, err)
	if header != nil {
		request.Header = header
	}
	request.SetBasicAuth(connectortest.ClientID, connectortest.ClientSecret)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode, string(answer)
}

// Put stores an object as a calendar program does.
func (s *Server) Put(t *testing.T, id, text string) {
	t.Helper()
	status, said := s.call(t, http.MethodPut, "/"+url.PathEscape(id), strings.ReplaceAll(text, "\n", "\r\n"), http.Header{"Content-Type": {"text/calendar"}})
	require.Equal(t, http.StatusCreated, status, said)
}

// Text reads an object.
func (s *Server) Text(t *testing.T, id string) string {
	t.Helper()
	status, text := s.call(t, http.MethodGet, "/"+url.PathEscape(id), "", nil)
	require.Equal(t, http.StatusOK, status, text)
	return strings.ReplaceAll(text, "\r\n", "\n")
}

// Event is an object with one event of these lines.
func Event(uid string, lines ...string) string {
	return "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Example//EN\nBEGIN:VEVENT\nUID:" + uid + "\nDTSTAMP:20261101T000000Z\n" +
		strings.Join(lines, "\n") + "\nEND:VEVENT\nEND:VCALENDAR\n"
}

// NextSecond waits until what changes from now on has a later time than what changed
// before: the server's times have no fractions.
func (s *Server) NextSecond() {
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
}

// Seed makes n events, several of them to tell changes from now on by.
func (s *Server) Seed(t *testing.T, n int) []string {
	t.Helper()
	ids := make([]string, 0, n)
	for range n {
		s.next++
		uid := fmt.Sprintf("event-%d-%s", s.next, rand.Text())
		s.Put(t, uid+".ics", Event(uid, fmt.Sprintf("SUMMARY:Event %d", s.next), fmt.Sprintf("LOCATION:Room %d", s.next), "DTSTART:20261201T120000Z"))
		ids = append(ids, uid+".ics")
	}
	if n > 1 {
		s.NextSecond()
	}
	return ids
}

// lines are the properties that stand for fields of text.
func lines(path string) string {
	known := map[string]string{"title": "SUMMARY", "location": "LOCATION", "description": "DESCRIPTION"}
	if name, ok := known[path]; ok {
		return name
	}
	return strings.ToUpper(strings.ReplaceAll(strings.Replace(path, "x.", "X-", 1), "_", "-"))
}

// Edit changes texts of an event.
func (s *Server) Edit(t *testing.T, id string, fields map[string]any) {
	t.Helper()
	calendar, err := ical.Parse(s.Text(t, id))
	require.NoError(t, err)
	for path, value := range fields {
		calendar.Components("VEVENT")[0].Put(lines(path), ical.NewText(lines(path), fmt.Sprint(value)))
	}
	s.Put(t, id, strings.ReplaceAll(calendar.Text(), "\r\n", "\n"))
}

// Remove deletes an event.
func (s *Server) Remove(t *testing.T, id string) {
	t.Helper()
	status, said := s.call(t, http.MethodDelete, "/"+url.PathEscape(id), "", nil)
	require.Equal(t, http.StatusOK, status, said)
}

// IDs are the objects of the calendar.
func (s *Server) IDs(t *testing.T) []string {
	t.Helper()
	status, said := s.call(t, "PROPFIND", "/", "", http.Header{"Depth": {"1"}})
	require.Equal(t, http.StatusMultiStatus, status)
	var ids []string
	for part := range strings.SplitSeq(said, "<href>") {
		href, _, _ := strings.Cut(part, "</href>")
		if name, ok := strings.CutPrefix(href, Path+"/"); ok && name != "" {
			ids = append(ids, name)
		}
	}
	return ids
}

// Fields reads an event past the connector.
func (s *Server) Fields(t *testing.T, id string) record.Fields {
	t.Helper()
	calendar, err := ical.Parse(s.Text(t, id))
	require.NoError(t, err)
	event, extensions := calendar.Components("VEVENT")[0], map[string]any{}
	for _, line := range event.Properties("") {
		if name, ok := strings.CutPrefix(line.Name, "X-"); ok {
			extensions[strings.ReplaceAll(strings.ToLower(name), "-", "_")] = ical.Unescape(line.Value)
		}
	}
	return record.Fields{"title": event.TextOf("SUMMARY"), "location": event.TextOf("LOCATION"), "description": event.TextOf("DESCRIPTION"), "x": extensions}
}

// ExpireTokens has nothing to end: each call carries user and password.
func (s *Server) ExpireTokens(*testing.T) {}

// ReplaceInner has nothing to switch: each property stands for itself.
func (s *Server) ReplaceInner(*testing.T, bool) {}

// ServeHTTP passes calls on, but for a lie that was ordered.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, path := Route(r); r.Method == "REPORT" && s.lied(path) {
		connectortest.Answer(http.StatusMultiStatus, `<multistatus xmlns="DAV:"><response><href>`+r.URL.Path+strings.TrimPrefix(path, "/events/")+
			`</href><status>HTTP/1.1 404 Not Found</status></response></multistatus>`)(w, r, nil)
		return
	}
	s.Handler.ServeHTTP(w, r)
}

// lied tells once whether a lie about a path was ordered.
func (s *Server) lied(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ordered := s.lies[path]
	delete(s.lies, path)
	return ordered
}

// Gone answers like a server that has no such event, to the question and to the
// one that makes sure.
func (s *Server) Gone(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, path := Route(r)
	s.mu.Lock()
	s.lies[path] = true
	s.mu.Unlock()
	connectortest.Answer(http.StatusNotFound, "The requested resource could not be found.")(w, r, nil)
}

// Route names a call in the words of REST: a PUT that must find nothing makes an
// event, questions about the calendar read the collection or one event of it.
func Route(r *http.Request) (method, path string) {
	name, _ := strings.CutPrefix(r.URL.Path, Path)
	method, path = r.Method, "/events"+strings.TrimSuffix(name, "/")
	switch {
	case method == http.MethodPut && r.Header.Get("If-None-Match") != "":
		method = http.MethodPost
	case method == http.MethodPut:
		method = http.MethodPatch
	case method == "PROPFIND":
		method = http.MethodGet
	case method == "REPORT":
		method = http.MethodGet
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return method, path
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if asked := strings.Split(string(body), "<D:href>"); len(asked) == 2 {
			href, _, _ := strings.Cut(asked[1], "</D:href>")
			path = "/events" + strings.TrimPrefix(href, Path)
		}
	}
	return method, path
}
