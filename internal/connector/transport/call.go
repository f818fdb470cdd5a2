package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/accord-sync/accord/internal/fault"
)

// API makes authorised JSON calls to one system and turns every bad ending
// into a coded error. It is safe for concurrent use.
type API struct {
	// Client sends, Tokens authorises.
	Client *http.Client
	Tokens *TokenSource
	// Base is the API's root without a trailing slash.
	Base string
	// Title is the system's name in error texts.
	Title string
	// Explain reads the vendor's error envelope; body may be anything.
	Explain func(body []byte) VendorError
	// Means says what a refusal means where its status alone would say something
	// else; nil, or an empty code: the status counts.
	Means func(status int, said VendorError) fault.Code
	// Authorize puts the token on a request; nil: as a bearer token.
	Authorize func(request *http.Request, token string)
	// Plan names the headers that tell about the plan, beyond the usual ones.
	Plan PlanHeaders
	// Now is the clock.
	Now func() time.Time
}

// Call is one request.
type Call struct {
	// Method, Path (from Base, escaped) and Query.
	Method, Path string
	Query        url.Values
	// Header is added to the usual ones.
	Header http.Header
	// Body is sent as JSON, or as it is if it is Raw; nil: no body.
	Body any
	// Subject names what is called in errors: a ref or a collection, no personal data.
	Subject string
	// Record says that Path is one record: only then can a 404 mean fault.Gone.
	Record bool
	// Safe says that the call changes nothing, whatever its method (REPORT).
	Safe bool
}

// Raw is a body that is not JSON.
type Raw struct {
	// Type is its media type, Accept what the answer may be.
	Type, Accept string
	Text         string
}

func (c Call) write() bool {
	return !c.Safe && c.Method != http.MethodGet && c.Method != http.MethodHead
}

// Reply is an answer with a 2xx status.
type Reply struct {
	Status int
	Header http.Header
	// Body is the whole answer, at most the client's MaxBody.
	Body []byte
	// ServerTime is the Date header; zero when absent.
	ServerTime time.Time
}

// Do sends call with a token. A 401 is tried once more with a fresh token;
// nothing else is repeated. MaybeApplied is set on the error of a write that
// reached the network without a clear answer.
func (a *API) Do(ctx context.Context, call Call) (Reply, error) {
	payload, err := encode(call.Body)
	if err != nil {
		return Reply{}, a.on(call, fault.Wrap(fault.Internal, err, "the request could not be encoded"))
	}
	token, err := a.Tokens.Token(ctx)
	if err != nil {
		return Reply{}, a.on(call, err)
	}
	reply, err := a.once(ctx, call, payload, token.Access)
	if !fault.Is(err, fault.Auth) {
		return reply, err
	}
	fresh, renewErr := a.Tokens.Renew(ctx, token)
	if renewErr != nil {
		return Reply{}, a.on(call, answered401(renewErr))
	}
	if fresh.Access == token.Access {
		return reply, err
	}
	reply, err = a.once(WithAttempt(ctx, attemptOf(ctx)+1), call, payload, fresh.Access)
	if fault.Is(err, fault.Auth) {
		a.Tokens.Refused(fresh)
	}
	return reply, err
}

// answered401 tells the status of the call that a token could not be renewed for,
// where the renewal has none of its own to tell.
func answered401(err error) error {
	coded := fault.As(err)
	if coded == nil || coded.Code != fault.Auth || coded.Status != 0 {
		return err
	}
	told := *coded
	told.Status = http.StatusUnauthorized
	return &told
}

// once sends one request and reads its whole answer.
func (a *API) once(ctx context.Context, call Call, payload []byte, token string) (Reply, error) {
	wire := &wire{}
	request, err := a.request(httptrace.WithClientTrace(ctx, wire.trace()), call, payload, token)
	if err != nil {
		return Reply{}, a.on(call, fault.Wrap(fault.Usage, withoutURL(err), "the address is not valid; correct base_url"))
	}
	response, err := a.Client.Do(request)
	if err != nil {
		return Reply{}, a.on(call, networkFault(err, a.Title, call.write() && wire.maybeSent(err)))
	}
	defer closeBody(response.Body)
	body, err := io.ReadAll(response.Body)
	if err != nil && response.StatusCode < 300 {
		return Reply{}, a.on(call, networkFault(err, a.Title, call.write()))
	}
	reply := Reply{Status: response.StatusCode, Header: response.Header, Body: body,
		ServerTime: serverTime(response.Header, time.Time{})}
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return reply, nil
	}
	return reply, a.on(call, a.refusal(call, reply))
}

func (a *API) request(ctx context.Context, call Call, payload []byte, token string) (*http.Request, error) {
	target := a.Base + call.Path
	if len(call.Query) > 0 {
		target += "?" + call.Query.Encode()
	}
	var body io.Reader
	if payload != nil {
		body = bytes.NewReader(payload)
	}
	request, err := http.NewRequestWithContext(ctx, call.Method, target, body)
	if err != nil {
		return nil, err
	}
	for name, values := range call.Header {
		request.Header[name] = values
	}
	accept, content := "application/json", "application/json"
	if raw, isRaw := call.Body.(Raw); isRaw {
		accept, content = raw.Accept, raw.Type
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", "accord-sync")
	if a.Authorize == nil {
		request.Header.Set("Authorization", "Bearer "+token)
	} else {
		a.Authorize(request, token)
	}
	if payload != nil {
		request.Header.Set("Content-Type", content)
	}
	return request, nil
}

// on names the subject of an error that has none.
func (a *API) on(call Call, err error) error {
	coded := fault.As(err)
	if coded == nil || coded.Subject != "" {
		return err
	}
	named := *coded
	named.Subject = call.Subject
	return &named
}

// Decode reads the answer as one JSON value with numbers as json.Number. An
// answer that is not JSON is fault.Transient: something stands between us and
// the system; a write may have been applied all the same. One of more than
// MaxValues values is fault.TooLarge.
func (a *API) Decode(call Call, reply Reply) (any, error) {
	value, err := DecodeJSON(reply.Body)
	if err == nil {
		return value, nil
	}
	if fault.Is(err, fault.TooLarge) {
		large := *fault.As(err)
		large.Status, large.MaybeApplied = reply.Status, call.write()
		return nil, a.on(call, &large)
	}
	broken := fault.Wrap(fault.Transient, err, "%s answered something that is not JSON; is base_url its API?", a.Title)
	broken.Status = reply.Status
	broken.MaybeApplied = call.write()
	return nil, a.on(call, broken)
}

// Malformed is the error of a 2xx answer that is JSON but not what the API
// promises. A write may have been applied.
func (a *API) Malformed(call Call, reply Reply, what string) error {
	broken := fault.New(fault.Transient, "%s answered without %s; it is tried again", a.Title, what)
	broken.Status = reply.Status
	broken.MaybeApplied = call.write()
	return a.on(call, broken)
}

func encode(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	if raw, isRaw := body.(Raw); isRaw {
		if raw.Text == "" {
			return nil, nil
		}
		return []byte(raw.Text), nil
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(buffer.Bytes()), nil
}

// wire watches whether a request may have reached the server.
type wire struct{ asked, wrote atomic.Bool }

func (w *wire) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:      func(string) { w.asked.Store(true) },
		WroteHeaders: func() { w.wrote.Store(true) },
	}
}

// maybeSent is false only when the request surely never left: an error of our
// own chain, a failed dial, or a transport that never got to write the headers.
func (w *wire) maybeSent(err error) bool {
	if fault.As(err) != nil {
		return false
	}
	return w.wrote.Load() || (!w.asked.Load() && failureKind(err) != "connect")
}

// networkFault codes an error of the network. Coded errors of our own chain
// pass as they are.
func networkFault(err error, title string, maybe bool) error {
	if coded := fault.As(err); coded != nil {
		passed := *coded
		passed.MaybeApplied = maybe
		return &passed
	}
	coded := fault.Wrap(fault.Transient, withoutURL(err), "%s did not answer (%s); check base_url and the network, it is tried again", title, failureKind(err))
	coded.MaybeApplied = maybe
	return coded
}

// withoutURL takes the URL off an error: its query may hold what was searched
// for, and whoever prints the chain of causes must not print that.
func withoutURL(err error) error {
	var located *url.Error
	if errors.As(err, &located) {
		return located.Err
	}
	return err
}

// failureKind names a network error without quoting it: its text holds the URL.
func failureKind(err error) string {
	var (
		dns     *net.DNSError
		op      *net.OpError
		timeout net.Error
	)
	switch {
	case errors.As(err, &dns):
		return "name not found"
	case errors.As(err, &op) && op.Op == "dial":
		return "connect"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "time-out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed"
	case fault.As(err) != nil:
		return string(fault.CodeOf(err))
	}
	return "connection broken"
}
