// Package webcall makes the calls of rules to addresses that no connector knows: a
// chat's web hook, a rate service. They go through the same transport as a
// connector's.
package webcall

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

// Spec is one call that can be made.
type Spec struct {
	// Name is for people and logs: "rules.won then[0]". It stands for the address,
	// which may be a secret.
	Name string
	// Method and URL say what is called; the URL may have a query.
	Method, URL string
	// Header is sent as it is.
	Header http.Header
	// SignHeader gets SignPrefix and the HMAC-SHA256 of the body under SignSecret, in
	// hexadecimal; empty: nothing is signed.
	SignHeader, SignPrefix, SignSecret string
}

// Options are what the calls of one connection share.
type Options struct {
	Connection, Tenant string
	AllowPrivate       []netip.Prefix
	Log                logrus.FieldLogger
	Registerer         prometheus.Registerer
	Now                func() time.Time
}

// side is how these calls are labelled beside those to the left and the right system.
const side = "outside"

const (
	// concurrency bounds the calls in flight to one address.
	concurrency = 4
	// maxAnswer bounds an answer in bytes.
	maxAnswer = 1 << 20
)

// Call is one Spec, ready to be made. It is safe for concurrent use.
type Call struct {
	spec  Spec
	api   transport.API
	query url.Values
}

// New prepares a call. The error is a fault.Usage of a bad address; it does not
// quote it.
func New(spec Spec, options Options) (*Call, error) {
	target, err := url.Parse(spec.URL)
	if err != nil || target.Host == "" {
		return nil, fault.New(fault.Usage, "%s: the address is not valid", spec.Name)
	}
	query := target.Query()
	target.RawQuery = ""
	return &Call{spec: spec, query: query, api: transport.API{
		Client: transport.New(transport.Options{
			Connection: options.Connection, Tenant: options.Tenant, Side: side, Concurrency: concurrency, MaxBody: maxAnswer, Name: spec.Name,
			Log: options.Log, Registerer: options.Registerer, Now: options.Now, AllowPrivate: options.AllowPrivate,
		}),
		Tokens: transport.NoTokens(spec.Name), Base: target.String(), Title: spec.Name, Explain: explain, Means: means(spec.Method),
		Authorize: func(*http.Request, string) {}, Now: options.Now,
	}}, nil
}

// Send makes the call once and returns the body of its answer. query is added to the
// address, body is sent as JSON (nil: none), key is the Idempotency-Key (empty: none).
// Errors: fault.Invalid is a refusal for good, fault.Gone the 404 of a GET; Transient,
// Throttled, Auth and Forbidden may pass.
func (c *Call) Send(ctx context.Context, query map[string]string, body []byte, key string) ([]byte, error) {
	call := transport.Call{Method: c.spec.Method, Query: url.Values{}, Header: c.spec.Header.Clone(), Subject: c.spec.Name, Record: c.spec.Method == http.MethodGet}
	if call.Header == nil {
		call.Header = http.Header{}
	}
	for name, values := range c.query {
		call.Query[name] = values
	}
	for name, value := range query {
		call.Query.Set(name, value)
	}
	if body != nil {
		call.Body = transport.Raw{Type: "application/json", Accept: "application/json, */*;q=0.5", Text: string(body)}
		if c.spec.SignHeader != "" {
			mac := hmac.New(sha256.New, []byte(c.spec.SignSecret))
			mac.Write(body)
			call.Header.Set(c.spec.SignHeader, c.spec.SignPrefix+hex.EncodeToString(mac.Sum(nil)))
		}
	}
	if key != "" {
		// In small letters: Go's transport repeats a POST by itself that has the header
		// in its usual spelling, and not every receiver honours it.
		call.Header["idempotency-key"] = []string{key}
	}
	reply, err := c.api.Do(ctx, call)
	if fault.Is(err, fault.Auth) {
		refused := fault.Wrap(fault.Auth, err, "the receiver refuses the credentials; correct the headers, the address or the signature")
		refused.Subject, refused.Status = c.spec.Name, http.StatusUnauthorized
		return nil, refused
	}
	return reply.Body, err
}

// means tells refusals for good from what may pass, where the status alone would say
// something else: there is no base_url here that could be wrong.
func means(method string) func(status int, said transport.VendorError) fault.Code {
	return func(status int, _ transport.VendorError) fault.Code {
		read := method == http.MethodGet
		switch status {
		case http.StatusNotFound, http.StatusGone:
			if read {
				return fault.Gone
			}
			return fault.Invalid
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusPaymentRequired, http.StatusUnavailableForLegalReasons,
			http.StatusRequestTimeout, http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests:
			return ""
		case http.StatusConflict:
			if !read {
				return ""
			}
		}
		if status >= 400 && status < 500 {
			return fault.Invalid
		}
		return ""
	}
}

// explain takes any refusal for the receiver's own.
func explain(body []byte) transport.VendorError {
	said := transport.VendorError{Known: true}
	var object map[string]any
	if json.Unmarshal(body, &object) != nil {
		return said
	}
	for _, name := range []string{"message", "error", "detail", "title"} {
		if text, ok := object[name].(string); ok {
			said.Message = text
			break
		}
	}
	if code, ok := object["code"].(string); ok && !strings.ContainsAny(code, " @") {
		said.Code = code
	}
	if field, ok := object["field"].(string); ok {
		said.Field = field
	}
	return said
}
