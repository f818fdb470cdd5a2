package fault

import "net/http"

// class is what a code means to each of the three callers.
type class struct {
	httpStatus int
	retryable  bool
	exitCode   int
}

// classOf is the one table of codes. Exit codes: 0 done, 1 failed, 2 usage,
// 3 not found, 4 refused by state, 5 credentials, 75 try again (EX_TEMPFAIL of sysexits.h).
func classOf(code Code) class {
	switch code {
	case Transient:
		return class{http.StatusBadGateway, true, 75}
	case Throttled:
		return class{http.StatusTooManyRequests, true, 75}
	case Auth:
		return class{http.StatusBadGateway, true, 5}
	case Forbidden:
		return class{http.StatusBadGateway, true, 5}
	case Invalid:
		return class{http.StatusUnprocessableEntity, false, 1}
	case Duplicate, Conflict:
		return class{http.StatusConflict, false, 4}
	case Stale:
		return class{http.StatusConflict, true, 75}
	case Gone, NotFound:
		return class{http.StatusNotFound, false, 3}
	case Busy:
		return class{http.StatusServiceUnavailable, true, 75}
	case Usage:
		return class{http.StatusUnprocessableEntity, false, 2}
	case TooLarge:
		return class{http.StatusRequestEntityTooLarge, false, 2}
	case Unauthorized:
		return class{http.StatusUnauthorized, false, 5}
	case Unavailable:
		return class{http.StatusServiceUnavailable, true, 75}
	}
	return class{http.StatusInternalServerError, true, 1}
}

// HTTPStatus is the status our API answers for code.
func HTTPStatus(code Code) int { return classOf(code).httpStatus }

// Retryable reports whether the same call may succeed later without anybody
// changing anything; Temporal's non-retryable list is its complement.
func Retryable(code Code) bool { return classOf(code).retryable }

// ExitCode is the process exit code for code.
func ExitCode(code Code) int { return classOf(code).exitCode }
