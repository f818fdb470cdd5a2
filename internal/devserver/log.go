package devserver

import (
	"sync/atomic"

	"github.com/sirupsen/logrus"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// logAdapter passes the server's warnings and errors on to logrus and drops the rest. While the server starts or
// stops it is quiet: its services complain about each other's absence then.
type logAdapter struct {
	log   logrus.FieldLogger
	quiet *atomic.Bool
}

var (
	_ log.Logger     = (*logAdapter)(nil)
	_ log.WithLogger = (*logAdapter)(nil)
)

// newLogAdapter begins quiet.
func newLogAdapter(logger logrus.FieldLogger) *logAdapter {
	quiet := &atomic.Bool{}
	quiet.Store(true)
	return &logAdapter{log: logger.WithField("component", "temporal"), quiet: quiet}
}

func (l *logAdapter) setQuiet(on bool) { l.quiet.Store(on) }

// Debug drops the line.
func (l *logAdapter) Debug(string, ...tag.Tag) {}

// Info drops the line.
func (l *logAdapter) Info(string, ...tag.Tag) {}

// Warn passes the line on, as debug while the server starts or stops.
func (l *logAdapter) Warn(message string, tags ...tag.Tag) {
	if l.quiet.Load() {
		l.fields(tags).Debug(message)
		return
	}
	l.fields(tags).Warn(message)
}

// Error passes the line on, as debug while the server starts or stops.
func (l *logAdapter) Error(message string, tags ...tag.Tag) {
	if l.quiet.Load() {
		l.fields(tags).Debug(message)
		return
	}
	l.fields(tags).Error(message)
}

// DPanic logs an error: what is a panic in the server's own tests must not take this process down.
func (l *logAdapter) DPanic(message string, tags ...tag.Tag) { l.fields(tags).Error(message) }

// Panic logs and panics, as the server counts on.
func (l *logAdapter) Panic(message string, tags ...tag.Tag) { l.fields(tags).Panic(message) }

// Fatal logs and ends the process, as the server counts on: it carries on in an undefined state otherwise.
func (l *logAdapter) Fatal(message string, tags ...tag.Tag) { l.fields(tags).Fatal(message) }

// With returns a logger that adds tags to each line.
func (l *logAdapter) With(tags ...tag.Tag) log.Logger {
	return &logAdapter{log: l.fields(tags), quiet: l.quiet}
}

func (l *logAdapter) fields(tags []tag.Tag) logrus.FieldLogger {
	if len(tags) == 0 {
		return l.log
	}
	fields := make(logrus.Fields, len(tags))
	for _, t := range tags {
		fields[t.Key()] = t.Value()
	}
	return l.log.WithFields(fields)
}
