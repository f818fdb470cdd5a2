package rest_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// TestAWholeRecordIsNeverSentUnread: whoever knows the version of a record may
// update it without having read it. A server that takes records only whole must not
// lose the rest by it.
func TestAWholeRecordIsNeverSentUnread(t *testing.T) {
	const text = `manifest: notes
title: Notes
auth: {kinds: [none]}
errors: {known: error}
capabilities: {versions: true}
records: {updated_at: changed, etag: true}
list: {path: /notes}
get: {path: "/notes/{id}"}
create: {path: /notes}
update: {method: PUT, path: "/notes/{id}"}
objects:
  notes:
`
	s := stock(0)
	conn := open(t, text, s.handler(func(s *shop, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		if r.Method == http.MethodPut {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			s.body = append(s.body, r.Header.Get("If-Match")+" "+string(body))
		}
		show(w, map[string]any{"id": "7", "title": "old", "kept": "y", "changed": "2026-11-22T12:00:00Z"})
	}), connector.Auth{Kind: transport.KindNone})
	unread := record.Record{Ref: record.Ref{Side: record.Right, Object: "notes", ID: "7"}, Version: `"v1"`, Fields: record.Fields{}}
	_, err := conn.Update(t.Context(), unread, map[string]any{"title": "new"}, connector.WriteOptions{IfMatch: `"v1"`})
	require.NoError(t, err)
	require.Equal(t, []string{`"v1" {"kept":"y","title":"new"}`}, s.body)

	_, err = conn.Update(t.Context(), unread, map[string]any{"title": "new"}, connector.WriteOptions{IfMatch: `"v0"`})
	require.Equal(t, fault.Stale, fault.CodeOf(err))
	require.False(t, fault.As(err).MaybeApplied)
	require.Len(t, s.body, 1, "nothing was sent")
}
