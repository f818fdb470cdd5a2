package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// target is a SalesOS and an Acme that cost next to nothing at any size: rows are
// made up from their numbers when they are asked for, and only what differs is
// kept. It sends no webhooks, and lists only the records below visible.
type target struct {
	mutex   sync.Mutex
	visible int
	// edited holds the companies that differ, by id; versions count the writes on the right.
	edited   map[string]string
	versions map[string]int
	written  int
}

// runTarget is the program.
func runTarget(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("target", flag.ContinueOnError)
	left, right := flags.String("left", "", "where SalesOS listens"), flags.String("right", "", "where Acme listens")
	visible := flags.Int("visible", 1, "how many records are listed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	t := &target{visible: *visible, edited: map[string]string{}, versions: map[string]int{}}
	servers := []*http.Server{
		{Addr: *left, Handler: t.salesOS(), ReadHeaderTimeout: 10 * time.Second},
		{Addr: *right, Handler: t.acme(), ReadHeaderTimeout: 10 * time.Second},
	}
	failed := make(chan error, len(servers))
	for _, one := range servers {
		go func() { failed <- one.ListenAndServe() }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return errors.Join(servers[0].Close(), servers[1].Close())
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who does not read it does not need it
}

// numbered is the part of an id behind its letter.
func numbered(id string) string { return id[min(1, len(id)):] }

const (
	tokenTTL = 86400
	longAgo  = "2026-01-01T00:00:00Z"
)

// company is what a record holds, under the lock.
func (t *target) company(id string) string {
	if edited, ok := t.edited[id]; ok {
		return edited
	}
	return "Casa " + numbered(id)
}

func (t *target) updated(id string) string {
	if _, ok := t.edited[id]; ok {
		return time.Now().UTC().Format(time.RFC3339)
	}
	return longAgo
}

// lead is a row of SalesOS, under the lock.
func (t *target) lead(id string) map[string]any {
	n := numbered(id)
	return map[string]any{
		"id": id, "name": "Ana Lima " + n, "email": "ana" + n + "@lima.example", "phone": "+5511900000000", "company": t.company(id), "position": "Chefe",
		"source": "site", "status": "contacted", "owner_id": nil, "team_id": nil, "tags": []string{"feira", "site"},
		"custom_fields": map[string]any{"note": "nota " + n, "score": 7, "external_id": "r" + n}, "created_at": longAgo, "updated_at": t.updated(id),
	}
}

// contact is a row of Acme, under the lock.
func (t *target) contact(id string) map[string]any {
	n := numbered(id)
	return map[string]any{
		"id": id, "version": 1 + t.versions[id], "first_name": "Ana", "last_name": "Lima " + n, "email": "ana" + n + "@lima.example", "phone": "+5511900000000",
		"mobile": nil, "company_id": nil, "company_name": t.company(id), "job_title": "Chefe", "lifecycle": "contacted", "owner_id": nil,
		"labels": []string{"feira", "site"}, "score": 7, "note": "nota " + n, "properties": map[string]any{}, "external_ref": "l" + n,
		"created_at": longAgo, "updated_at": t.updated(id), "updated_by": "user:ana",
	}
}

func (t *target) locked(do func() any) any {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return do()
}

// listed are the rows below visible.
func (t *target) listed(letter string, row func(string) map[string]any) []any {
	rows := []any{}
	for n := range t.visible {
		rows = append(rows, row(fmt.Sprintf("%s%09d", letter, n)))
	}
	return rows
}

func (t *target) salesOS() http.Handler {
	mux := http.NewServeMux()
	wrap := func(data any) map[string]any {
		return map[string]any{"data": data, "meta": map[string]any{"request_id": "req", "timestamp": time.Now().UTC().Format(time.RFC3339)}}
	}
	list := func(rows []any) map[string]any {
		body := wrap(rows)
		body["meta"] = map[string]any{"total": len(rows), "page": 1, "per_page": 100, "total_pages": 1}
		return body
	}
	mux.HandleFunc("POST /oauth/token", token)
	mux.HandleFunc("GET /v1/{collection}", func(w http.ResponseWriter, r *http.Request) {
		rows := []any{}
		if r.PathValue("collection") == "leads" && r.FormValue("search") == "" && r.FormValue("page") <= "1" {
			t.locked(func() any { rows = t.listed("l", t.lead); return nil })
		}
		answer(w, http.StatusOK, list(rows))
	})
	mux.HandleFunc("POST /v1/webhooks", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusCreated, wrap(map[string]any{"id": "wh_1", "active": true}))
	})
	mux.HandleFunc("GET /v1/leads/{id}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, wrap(t.locked(func() any { return t.lead(r.PathValue("id")) })))
	})
	mux.HandleFunc("PATCH /v1/leads/{id}", func(w http.ResponseWriter, r *http.Request) {
		t.patch(w, r, "company", func(id string) any { return wrap(t.lead(id)) })
	})
	mux.HandleFunc("POST /bench/edit", t.edit)
	mux.HandleFunc("GET /bench/written", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, t.locked(func() any { return t.written }))
	})
	return mux
}

func token(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"access_token": "token", "token_type": "Bearer", "expires_in": tokenTTL})
}

func (t *target) acme() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/token", token)
	mux.HandleFunc("GET /api/2/{collection}", func(w http.ResponseWriter, r *http.Request) {
		rows := []any{}
		if r.PathValue("collection") == "contacts" {
			t.locked(func() any { rows = t.listed("r", t.contact); return nil })
		}
		answer(w, http.StatusOK, map[string]any{"items": rows, "next_cursor": nil})
	})
	mux.HandleFunc("POST /api/2/hooks", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusCreated, map[string]any{"id": "hk_1", "active": true})
	})
	mux.HandleFunc("GET /api/2/contacts/{id}", func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		if id == "search" {
			answer(w, http.StatusOK, map[string]any{"items": []any{}})
			return
		}
		row := t.locked(func() any { w.Header().Set("ETag", fmt.Sprintf(`"v%d"`, 1+t.versions[id])); return t.contact(id) })
		answer(w, http.StatusOK, row)
	})
	mux.HandleFunc("PATCH /api/2/contacts/{id}", func(w http.ResponseWriter, r *http.Request) {
		t.patch(w, r, "company_name", func(id string) any {
			w.Header().Set("ETag", fmt.Sprintf(`"v%d"`, 1+t.versions[id]))
			return t.contact(id)
		})
	})
	return mux
}

// patch writes a company, the only field that anybody writes here.
func (t *target) patch(w http.ResponseWriter, r *http.Request, field string, row func(id string) any) {
	id := r.PathValue("id")
	var given map[string]any
	if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if wanted := strings.Trim(r.Header.Get("If-Match"), `"`); wanted != "" && wanted != fmt.Sprintf("v%d", 1+t.versions[id]) {
		http.Error(w, `{"error": {"type": "conflict", "code": "stale"}}`, http.StatusPreconditionFailed)
		return
	}
	if company, ok := given[field].(string); ok {
		t.edited[id] = company
		t.written++
	}
	t.versions[id]++
	answer(w, http.StatusOK, row(id))
}

// edit is a volley of users' edits of leads: {ids, company}; it answers with their rows.
func (t *target) edit(w http.ResponseWriter, r *http.Request) {
	var given struct {
		IDs     []string `json:"ids"`
		Company string   `json:"company"`
	}
	if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	rows := []any{}
	for _, id := range given.IDs {
		t.edited[id] = given.Company + " " + numbered(id)
		rows = append(rows, t.lead(id))
	}
	answer(w, http.StatusOK, rows)
}
