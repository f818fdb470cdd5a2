package shell_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pipeworks is the CRM of the guide: small, and with habits that are none of
// Acme's. Its people are numbered, their times are epoch seconds, lists go by
// page number, writes are wrapped and answer an id or nothing, an update is a
// PUT of the whole, a refusal is a 400 with a reason, and the key is in a header.
type pipeworks struct {
	mu     sync.Mutex
	people []map[string]any
	next   int
	now    func() time.Time
	writes int
}

const pipeKey = "pw-key"

// ServeHTTP implements http.Handler.
func (p *pipeworks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Header.Get("X-Pipe-Key") != pipeKey {
		refuse(w, http.StatusUnauthorized, "bad_key", "")
		return
	}
	id, one := strings.CutPrefix(r.URL.Path, "/rest/v1/people/")
	number, _ := strconv.Atoi(id) // none is nobody's number
	at := slices.IndexFunc(p.people, func(person map[string]any) bool { return person["person_id"] == number })
	switch {
	case !one && r.URL.Path == "/rest/v1/people" && r.Method == http.MethodGet:
		p.list(w, r)
	case !one && r.URL.Path == "/rest/v1/people" && r.Method == http.MethodPost:
		p.create(w, r)
	case !one:
		http.NotFound(w, r)
	case at < 0:
		refuse(w, http.StatusBadRequest, "no_such_person", "")
	case r.Method == http.MethodGet:
		answer(w, map[string]any{"person": p.people[at]})
	case r.Method == http.MethodPut:
		p.replace(w, r, at)
	case r.Method == http.MethodDelete:
		p.writes++
		p.people = slices.Delete(p.people, at, at+1)
		w.WriteHeader(http.StatusNoContent)
	default:
		http.NotFound(w, r)
	}
}

func (p *pipeworks) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	page, size, after := atoi(query.Get("page"), 1), atoi(query.Get("per_page"), 10), atoi(query.Get("modified_after"), 0)
	all := []map[string]any{}
	for _, person := range p.people {
		if changed, _ := person["changed"].(int64); changed > int64(after) { // without the moment itself
			all = append(all, person)
		}
	}
	slices.SortStableFunc(all, func(a, b map[string]any) int { return a["person_id"].(int) - b["person_id"].(int) })
	from := min((page-1)*size, len(all))
	answer(w, map[string]any{"result": map[string]any{"people": all[from:min(from+size, len(all))]}})
}

func atoi(text string, fallback int) int {
	if number, err := strconv.Atoi(text); err == nil {
		return number
	}
	return fallback
}

// read takes the wrapped fields of a write; false: it was refused.
func (p *pipeworks) read(w http.ResponseWriter, r *http.Request, own int) (map[string]any, bool) {
	var body struct{ Person map[string]any }
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.Person == nil {
		refuse(w, http.StatusBadRequest, "not_wrapped", "")
		return nil, false
	}
	mail, _ := body.Person["mail"].(string)
	if mail != "" && !strings.Contains(mail, "@") {
		refuse(w, http.StatusBadRequest, "bad_value", "mail")
		return nil, false
	}
	for _, person := range p.people {
		if mail != "" && person["mail"] == mail && person["person_id"] != own {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]any{"reason": "taken", "text": fmt.Sprintf("already there as number %d", person["person_id"])})
			return nil, false
		}
	}
	for _, key := range []string{"person_id", "changed", "made"} {
		if _, sent := body.Person[key]; sent {
			refuse(w, http.StatusBadRequest, "bad_value", key)
			return nil, false
		}
	}
	return body.Person, true
}

func (p *pipeworks) create(w http.ResponseWriter, r *http.Request) {
	person, ok := p.read(w, r, 0)
	if !ok {
		return
	}
	p.writes++
	p.next++
	person["person_id"], person["made"], person["changed"] = p.next, p.now().Unix(), p.now().Unix()
	p.people = append(p.people, person)
	answer(w, map[string]any{"person_id": p.next})
}

func (p *pipeworks) replace(w http.ResponseWriter, r *http.Request, at int) {
	own, _ := p.people[at]["person_id"].(int)
	person, ok := p.read(w, r, own)
	if !ok {
		return
	}
	p.writes++
	person["person_id"], person["made"], person["changed"] = own, p.people[at]["made"], p.now().Unix()
	p.people[at] = person
	w.WriteHeader(http.StatusNoContent)
}

// edit is what a user does at the screen.
func (p *pipeworks) edit(mail string, fields map[string]any) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, person := range p.people {
		if person["mail"] == mail {
			for key, value := range fields {
				person[key] = value
			}
			person["changed"] = p.now().Unix()
			return true
		}
	}
	return false
}

func (p *pipeworks) person(mail string) map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, person := range p.people {
		if person["mail"] == mail {
			copied := map[string]any{}
			for key, value := range person {
				copied[key] = value
			}
			return copied
		}
	}
	return nil
}

func (p *pipeworks) count() (people, writes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.people), p.writes
}

func refuse(w http.ResponseWriter, status int, reason, field string) {
	w.WriteHeader(status)
	said := map[string]any{"reason": reason, "text": "no"}
	if field != "" {
		said["wrong"] = []string{field}
	}
	answer(w, said)
}

func answer(w http.ResponseWriter, value any) {
	_ = json.NewEncoder(w).Encode(value) // the client is the test
}

// signed are the headers of an event of pipeworks.
func signed(body []byte, secret string) http.Header {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return http.Header{"X-Pipe-Signature": {"hmac " + base64.StdEncoding.EncodeToString(mac.Sum(nil))}}
}
