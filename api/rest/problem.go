package rest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/accord-sync/accord/internal/fault"
)

// methodNotAllowed is the code of a 405, which no fault carries.
const methodNotAllowed fault.Code = "method_not_allowed"

// problemOf says err as an RFC 9457 problem. An uncoded error is a defect of
// ours: its text stays in the log.
func problemOf(err error, requestID string) Problem {
	coded := fault.As(err)
	if coded == nil {
		coded = fault.Wrap(fault.Internal, err, "something went wrong inside; the log has it under this request_id")
	}
	status := fault.HTTPStatus(coded.Code)
	if coded.Code == methodNotAllowed {
		status = http.StatusMethodNotAllowed
	}
	problem := Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Code: string(coded.Code), RequestId: requestID, Detail: detailOf(coded),
	}
	if len(coded.Details) > 0 {
		details := make([]ProblemDetail, 0, len(coded.Details))
		for _, detail := range coded.Details {
			details = append(details, ProblemDetail{
				Path: detail.Path, Message: detail.Message, Line: optionalInt(detail.Line), Column: optionalInt(detail.Column),
			})
		}
		problem.Errors = &details
	}
	return problem
}

// detailOf is the error's text without its positions, which have a list of their own.
func detailOf(coded *fault.Error) string {
	plain := *coded
	plain.Details = nil
	return plain.Error()
}

// fail answers err as a problem and ends the request.
func (s *Server) fail(c *gin.Context, err error) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		err = fault.New(fault.TooLarge, "the body is larger than %d bytes", tooLarge.Limit)
	case c.Request.Context().Err() != nil && fault.As(err) == nil:
		err = fault.Wrap(fault.Unavailable, err, "the request took too long and was given up; try again")
	}
	problem := problemOf(err, requestID(c))
	if problem.Status >= http.StatusInternalServerError {
		s.options.Log.WithFields(requestFields(c)).WithField("code", problem.Code).WithField("cause", causeType(err)).Error(problem.Detail)
	}
	if after := fault.AfterOf(err); after > 0 {
		c.Header("Retry-After", strconv.Itoa(int(after/time.Second)+1))
	} else if problem.Status == http.StatusServiceUnavailable {
		c.Header("Retry-After", "1")
	}
	body, marshalErr := json.Marshal(problem)
	if marshalErr != nil {
		c.AbortWithStatus(http.StatusInternalServerError)
		return
	}
	c.Abort()
	c.Data(problem.Status, "application/problem+json", body)
}

// badRequest is what the generated code says of parameters and bodies it cannot read.
func (s *Server) badRequest(c *gin.Context, err error) {
	if coded := fault.As(err); coded != nil {
		s.fail(c, coded)
		return
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		s.fail(c, err)
		return
	}
	const form = "cannot be read; openapi.yaml has its form"
	if rest, ok := strings.CutPrefix(err.Error(), "Invalid format for parameter "); ok {
		// What follows the name may quote the value.
		name, _, _ := strings.Cut(rest, ":")
		wrong := &fault.Error{Code: fault.Usage, Message: "a parameter is wrong: " + name, Details: []fault.Detail{{Path: name, Message: form}}, Err: err}
		s.fail(c, wrong)
		return
	}
	s.fail(c, fault.Wrap(fault.Usage, err, "a parameter or the body of the request "+form))
}
