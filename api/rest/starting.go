package rest

import (
	"encoding/json"
	"net/http"

	"github.com/accord-sync/accord/internal/fault"
)

// Starting answers while the ledger is not open yet: the process is alive, and
// everything else is to be asked again shortly. newID makes request ids.
func Starting(newID func() string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, "application/json", Health{Status: "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusServiceUnavailable, "application/json",
			Readiness{Status: "unavailable", Ledger: "does not answer", Temporal: "not asked yet"})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		id := "rq_" + newID()
		w.Header().Set(requestIDHeader, id)
		w.Header().Set("Retry-After", "1")
		problem := problemOf(fault.New(fault.Unavailable, "the process waits for its ledger; try again"), id)
		answerJSON(w, problem.Status, "application/problem+json", problem)
	})
	return mux
}

func answerJSON(w http.ResponseWriter, status int, contentType string, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(raw) // a caller that went away needs no answer
}
