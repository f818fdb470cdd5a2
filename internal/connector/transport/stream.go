package transport

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/accord-sync/accord/internal/fault"
)

const (
	// streamTimeout bounds the reading of a part of a file, streamBody what of it is
	// read, in bytes: nothing of it is kept, so that time is what counts.
	streamTimeout = 2 * time.Minute
	streamBody    = 8 << 30
)

type streamKey struct{}

// streamed marks a call whose answer is read piece by piece.
func streamed(ctx context.Context) bool {
	marked, _ := ctx.Value(streamKey{}).(bool)
	return marked
}

// Stream is Do for an answer that is read piece by piece and never held whole.
// read gets the answer without its body, and the body; it may stop before its end.
// An error that is not coded, from read, is one of the network.
func (a *API) Stream(ctx context.Context, call Call, read func(reply Reply, body io.Reader) error) error {
	payload, err := encode(call.Body)
	if err != nil {
		return a.on(call, fault.Wrap(fault.Internal, err, "the request could not be encoded"))
	}
	token, err := a.Tokens.Token(ctx)
	if err != nil {
		return a.on(call, err)
	}
	ctx = context.WithValue(ctx, streamKey{}, true)
	err = a.piecewise(ctx, call, payload, token.Access, read)
	if !fault.Is(err, fault.Auth) {
		return err
	}
	fresh, renewErr := a.Tokens.Renew(ctx, token)
	if renewErr != nil {
		return a.on(call, answered401(renewErr))
	}
	if fresh.Access == token.Access {
		return err
	}
	err = a.piecewise(WithAttempt(ctx, attemptOf(ctx)+1), call, payload, fresh.Access, read)
	if fault.Is(err, fault.Auth) {
		a.Tokens.Refused(fresh)
	}
	return err
}

func (a *API) piecewise(ctx context.Context, call Call, payload []byte, token string, read func(reply Reply, body io.Reader) error) error {
	wire := &wire{}
	request, err := a.request(httptrace.WithClientTrace(ctx, wire.trace()), call, payload, token)
	if err != nil {
		return a.on(call, fault.Wrap(fault.Usage, withoutURL(err), "the address is not valid; correct base_url"))
	}
	// Places in a packed answer are not those of the file.
	request.Header.Set("Accept-Encoding", "identity")
	response, err := a.Client.Do(request)
	if err != nil {
		return a.on(call, networkFault(err, a.Title, false))
	}
	defer closeBody(response.Body)
	reply := Reply{Status: response.StatusCode, Header: response.Header, ServerTime: serverTime(response.Header, time.Time{})}
	if response.StatusCode < http.StatusOK || response.StatusCode >= http.StatusMultipleChoices {
		reply.Body, err = io.ReadAll(io.LimitReader(response.Body, DefaultMaxBody))
		if err != nil {
			return a.on(call, networkFault(err, a.Title, false))
		}
		return a.on(call, a.refusal(call, reply))
	}
	if err := read(reply, response.Body); err != nil {
		return a.on(call, networkFault(err, a.Title, false))
	}
	return nil
}
