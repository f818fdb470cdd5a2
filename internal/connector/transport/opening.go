package transport

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
)

// Opening checks what every driver needs to open a connector and returns the
// parsed base_url. meant says in the error what base_url must be; deep asks for a
// path behind the host. cfg.Now defaults to time.Now. Errors: fault.Usage for a
// bad base_url, fault.Internal without a client.
func Opening(cfg *connector.Config, title, meant string, deep bool) (*url.URL, error) {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") || deep && strings.Trim(base.Path, "/") == "" {
		return nil, fault.New(fault.Usage, "%s: base_url must be %s", title, meant)
	}
	if cfg.Client == nil {
		return nil, fault.New(fault.Internal, "%s: no HTTP client was given", title)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return base, nil
}

// Scheme is an API.Authorize that sends the token under another scheme than Bearer.
func Scheme(name string) func(request *http.Request, token string) {
	return func(request *http.Request, token string) { request.Header.Set("Authorization", name+" "+token) }
}
