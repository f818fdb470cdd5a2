package console

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/letters"
)

const (
	// shownLetters is how many dead letters are on a page, and so how many are done at once.
	shownLetters = 100
	// maxForm bounds a form that is sent, in bytes.
	maxForm = 64 << 10
	// maxReason bounds what a person says about discarded ones, in bytes, as the API does.
	maxReason = 1000
)

// What a person may have done to dead letters.
const (
	doReplay  = "replay"
	doDiscard = "discard"
)

// letterPage is what the page of dead letters shows. There are no values of records in it.
type letterPage struct {
	Connection ledger.Connection
	// Code and Field are those that the list is narrowed to.
	Code, Field string
	Letters     []letterLine
	// Next is the address of the page behind this one; empty: there is none.
	Next string
	// Told is what became of those that a person has just chosen.
	Told string
	// Proof goes back with the form: who sends it has read this page.
	Proof string
	Most  int
}

// letterLine is one dead letter.
type letterLine struct {
	ID, At, Stream, Record, Field, Why string
	Tries                              int
	// Corrected says that it has values for its next replay.
	Corrected bool
}

// letters lists the open dead letters of a connection, oldest first.
func (c *Console) letters(w http.ResponseWriter, r *http.Request) error {
	key := ledger.Key{Tenant: c.options.Tenant, Connection: r.PathValue("connection")}
	connection, err := c.options.Store.Connection(r.Context(), key)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	shown := letterPage{Connection: connection, Code: query.Get("code"), Field: query.Get("field"), Told: toldOf(query), Proof: c.proof(key), Most: shownLetters}
	filter := ledger.DeadLetterFilter{State: ledger.DeadLetterOpen, Code: shown.Code, Field: shown.Field}
	found, next, err := c.options.Store.ListDeadLetters(r.Context(), key, filter, ledger.ListOptions{Limit: shownLetters, Cursor: query.Get("cursor")})
	if err != nil {
		return err
	}
	if next != "" {
		shown.Next = letterPath(key) + "?" + url.Values{"code": {shown.Code}, "field": {shown.Field}, "cursor": {next}}.Encode()
	}
	for _, one := range found {
		shown.Letters = append(shown.Letters, letterLine{ID: one.ID, At: one.LastAt.UTC().Format(time.DateTime), Stream: one.Stream, Record: one.Ref.String(),
			Field: one.Reason.Field, Why: why(one.Reason), Tries: one.Tries, Corrected: len(one.Overrides) > 0})
	}
	return c.show(w, "letters.html", shown)
}

func letterPath(key ledger.Key) string {
	return "/console/connections/" + url.PathEscape(key.Connection) + "/dead-letters"
}

// why is "invalid 422: is not accepted".
func why(reason ledger.Reason) string {
	text := reason.Code
	if reason.Status != 0 {
		text += " " + strconv.Itoa(reason.Status)
	}
	return text + ": " + reason.Message
}

// toldOf says what became of those that were chosen; it reads numbers and known words only.
func toldOf(query url.Values) string {
	did := map[string]string{doReplay: "due to be tried again", doDiscard: "discarded"}[query.Get("did")]
	done, err := strconv.Atoi(query.Get("done"))
	if did == "" || err != nil {
		return ""
	}
	text := strconv.Itoa(done) + " " + did
	if rest, err := strconv.Atoi(query.Get("rest")); err == nil && rest > 0 {
		text += ", " + strconv.Itoa(rest) + " not open any more"
	}
	return text + "."
}

// proof is known to whoever can read a page of the connection, which no page of another
// origin can.
func (c *Console) proof(key ledger.Key) string {
	mac := hmac.New(sha256.New, []byte(c.options.Token))
	mac.Write([]byte("console form " + key.String()))
	return hex.EncodeToString(mac.Sum(nil))
}

// workOnLetters replays or discards the dead letters that a person has chosen.
func (c *Console) workOnLetters(w http.ResponseWriter, r *http.Request) error {
	key := ledger.Key{Tenant: c.options.Tenant, Connection: r.PathValue("connection")}
	if _, err := c.options.Store.Connection(r.Context(), key); err != nil {
		return err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return fault.Wrap(fault.Usage, err, "The form cannot be read.")
	}
	form := r.PostForm
	if !hmac.Equal([]byte(form.Get("proof")), []byte(c.proof(key))) {
		return fault.New(fault.Forbidden, "The form is not one of this console; load the page again.")
	}
	ids := form["id"]
	if form.Get("all") != "" {
		ids = form["listed"]
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	reason := strings.TrimSpace(form.Get("reason"))
	did := form.Get("do")
	switch {
	case did != doReplay && did != doDiscard:
		return fault.New(fault.Usage, "Choose what is to be done: replay or discard.")
	case len(ids) == 0:
		return fault.New(fault.Usage, "Choose at least one dead letter.")
	case len(ids) > shownLetters:
		return fault.New(fault.Usage, "At most %d dead letters are worked on at once.", shownLetters)
	case did == doDiscard && (reason == "" || len(reason) > maxReason):
		return fault.New(fault.Usage, "Say why they are discarded, in 1 to %d bytes.", maxReason)
	}
	outcome, err := c.done(r.Context(), key, did, ids, reason)
	if err != nil {
		return err
	}
	done := outcome.Counts[letters.Done]
	back := url.Values{"code": {form.Get("code")}, "field": {form.Get("field")}, "did": {did}, "done": {strconv.Itoa(done)}, "rest": {strconv.Itoa(len(ids) - done)}}
	http.Redirect(w, r, letterPath(key)+"?"+back.Encode(), http.StatusSeeOther)
	return nil
}

func (c *Console) done(ctx context.Context, key ledger.Key, did string, ids []string, reason string) (letters.Outcome, error) {
	desk := letters.Desk{Store: c.options.Store, Key: key, Replay: func(ctx context.Context, ids []string) (int, error) {
		return c.options.Replay(ctx, key, ids)
	}}
	chosen := letters.Chosen{IDs: ids}
	if did == doReplay {
		return desk.Again(ctx, chosen)
	}
	return desk.Discard(ctx, chosen, reason)
}
