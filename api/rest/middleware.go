package rest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/fault"
)

// Keys of what middlewares leave in the gin context.
const (
	requestIDKey = "accord.request_id"
	rawBodyKey   = "accord.raw_body"
	tenantKey    = "accord.tenant"
)

const (
	requestIDHeader   = "X-Request-Id"
	idempotencyHeader = "Idempotency-Key"
	maxIdempotencyKey = 200
)

// identify gives the request an id: the caller's if it is short and plain, else a new one.
func (s *Server) identify() gin.HandlerFunc {
	plain := regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	return func(c *gin.Context) {
		id := c.GetHeader(requestIDHeader)
		if !plain.MatchString(id) {
			id = "rq_" + s.options.NewID()
		}
		c.Set(requestIDKey, id)
		c.Header(requestIDHeader, id)
	}
}

func requestID(c *gin.Context) string { return c.GetString(requestIDKey) }

// requestFields are safe to log: the path has ids only, the query is left out.
func requestFields(c *gin.Context) logrus.Fields {
	return logrus.Fields{"method": c.Request.Method, "route": c.FullPath(), "request_id": requestID(c)}
}

// logAccess writes one line per call. Health and metrics are asked every few
// seconds and are left out unless they fail.
func (s *Server) logAccess(c *gin.Context) {
	started := s.options.Now()
	c.Next()
	route := c.FullPath()
	quiet := route == "/healthz" || route == "/readyz" || route == "/metrics" || strings.HasPrefix(route, "/webhooks/")
	entry := s.options.Log.WithFields(requestFields(c)).WithFields(logrus.Fields{
		"status": c.Writer.Status(), "bytes": c.Writer.Size(), "duration_ms": s.options.Now().Sub(started).Milliseconds(),
	})
	// A path that was refused or not found may hold anything.
	if status := c.Writer.Status(); status != http.StatusNotFound && status != http.StatusUnauthorized && c.Param("connection") != "" {
		entry = entry.WithField("connection", c.Param("connection"))
	}
	if quiet && c.Writer.Status() < http.StatusBadRequest {
		entry.Debug("call answered")
		return
	}
	entry.Info("call answered")
}

// recoverPanic turns a panic into a 500 problem; the stack goes to the log
// without the panic's text, which may quote data.
func (s *Server) recoverPanic(c *gin.Context) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(cause)
		}
		s.options.Log.WithFields(requestFields(c)).WithField("stack", string(debug.Stack())).Errorf("panic (%T) in a handler", cause)
		if c.Writer.Written() {
			c.Abort()
			return
		}
		s.fail(c, fault.New(fault.Internal, "something went wrong inside; the log has it under this request_id"))
	}()
	c.Next()
}

// limitTime ends the context of a call after limit.
func limitTime(limit time.Duration) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, cancel := context.WithTimeout(c.Request.Context(), limit)
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
		c.Next()
	}
}

// authorize demands the admin token, compared in constant time.
func (s *Server) authorize(c *gin.Context) {
	scheme, token, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	given := sha256.Sum256([]byte(strings.TrimSpace(token)))
	wanted := sha256.Sum256([]byte(s.options.Token))
	if s.options.Token == "" || !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(given[:], wanted[:]) != 1 {
		c.Header("WWW-Authenticate", `Bearer realm="accord"`)
		s.fail(c, fault.New(fault.Unauthorized, "send the token of ACCORD_TOKEN in the header Authorization: Bearer …"))
		return
	}
	c.Set(tenantKey, s.options.Tenant)
}

// repeatable answers a POST that was made before with the same Idempotency-Key
// from the ledger. Only answers that did something are kept: a refused call may
// be corrected and sent again under its key.
func (s *Server) repeatable(c *gin.Context) {
	key := c.GetHeader(idempotencyHeader)
	if c.Request.Method != http.MethodPost || key == "" {
		return
	}
	if len(key) > maxIdempotencyKey {
		s.fail(c, fault.New(fault.Usage, "Idempotency-Key is longer than %d bytes", maxIdempotencyKey))
		return
	}
	ctx, tenant := c.Request.Context(), c.GetString(tenantKey)
	status, stored, err := s.options.Store.BeginRequest(ctx, tenant, key, fingerprint(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	if status > 0 {
		c.Header("Idempotent-Replayed", "true")
		c.Abort()
		c.Data(status, "application/json", stored)
		return
	}
	recorder := &recordingWriter{ResponseWriter: c.Writer}
	c.Writer = recorder
	finished := false
	defer func() { s.endRequest(ctx, tenant, key, recorder, finished) }()
	c.Next()
	finished = true
}

// endRequest keeps or frees an idempotency key, even if the caller has gone.
func (s *Server) endRequest(ctx context.Context, tenant, key string, answer *recordingWriter, finished bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	status, kept := answer.Status(), answer.kept.Bytes()
	if !finished || status >= http.StatusMultipleChoices {
		status, kept = 0, nil
	}
	if err := s.options.Store.EndRequest(ctx, tenant, key, status, kept); err != nil {
		s.options.Log.WithField("code", string(fault.CodeOf(err))).Warn("the answer under an Idempotency-Key was not stored; a repetition is refused until the key expires")
	}
}

func fingerprint(c *gin.Context) string {
	raw, _ := c.Get(rawBodyKey)
	body, _ := raw.([]byte)
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s\n", c.Request.Method, c.Request.URL.Path)
	sum.Write(body)
	return hex.EncodeToString(sum.Sum(nil))
}

// recordingWriter keeps a copy of the body it writes.
type recordingWriter struct {
	gin.ResponseWriter
	kept bytes.Buffer
}

// Write copies and passes on.
func (w *recordingWriter) Write(data []byte) (int, error) {
	w.kept.Write(data)
	return w.ResponseWriter.Write(data)
}

// WriteString copies and passes on.
func (w *recordingWriter) WriteString(text string) (int, error) {
	w.kept.WriteString(text)
	return w.ResponseWriter.WriteString(text)
}

// causeType names the innermost cause without its text, which may quote data.
func causeType(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return fmt.Sprintf("%T", err)
		}
		err = inner
	}
}
