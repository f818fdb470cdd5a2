package control

import (
	"context"
	"errors"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/accord-sync/accord/internal/fault"
)

// temporalFault turns an error of a call to Temporal into a coded one; what
// says what was tried, in words that go on "could not …".
func temporalFault(err error, what string) error {
	if err == nil {
		return nil
	}
	if coded := fault.As(err); coded != nil {
		return coded
	}
	var application *temporal.ApplicationError
	if errors.As(err, &application) {
		return fault.New(codeFrom(application.Type()), "%s", application.Message())
	}
	if lost(err) {
		return fault.Wrap(fault.Unavailable, err, "could not %s: Temporal does not answer; it is safe to try again", what)
	}
	var notFound *serviceerror.NotFound
	if errors.As(err, &notFound) {
		return fault.Wrap(fault.NotFound, err, "could not %s: there is no such workflow", what)
	}
	var namespace *serviceerror.NamespaceNotFound
	if errors.As(err, &namespace) {
		return fault.Wrap(fault.Unavailable, err, "could not %s: Temporal has no such namespace; create it or name another", what)
	}
	var denied *serviceerror.PermissionDenied
	if errors.As(err, &denied) {
		return fault.Wrap(fault.Auth, err, "could not %s: Temporal refuses our credentials", what)
	}
	return fault.Wrap(fault.Internal, err, "could not %s: Temporal refused (%T)", what, err)
}

// lost reports whether the server did not answer or asked to come back later.
func lost(err error) bool {
	var (
		unavailable *serviceerror.Unavailable
		deadline    *serviceerror.DeadlineExceeded
		canceled    *serviceerror.Canceled
		exhausted   *serviceerror.ResourceExhausted
		aborted     *serviceerror.Aborted
		update      *client.WorkflowUpdateServiceTimeoutOrCanceledError
	)
	return errors.As(err, &unavailable) || errors.As(err, &deadline) || errors.As(err, &canceled) ||
		errors.As(err, &exhausted) || errors.As(err, &aborted) || errors.As(err, &update) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// codeFrom reads the code that an activity or a validator put into its error.
func codeFrom(kind string) fault.Code {
	code := fault.Code(kind)
	switch code {
	case fault.Transient, fault.Throttled, fault.Auth, fault.Forbidden, fault.Invalid, fault.Duplicate, fault.Stale, fault.Gone,
		fault.Busy, fault.Usage, fault.NotFound, fault.Conflict, fault.TooLarge, fault.Unauthorized, fault.Unavailable:
		return code
	}
	return fault.Internal
}
