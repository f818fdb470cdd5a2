package telemetry

import (
	"fmt"
	"strings"

	"github.com/sirupsen/logrus"
	temporallog "go.temporal.io/sdk/log"
)

// temporalLogger writes the Temporal SDK's lines as ours.
type temporalLogger struct{ log logrus.FieldLogger }

var (
	_ temporallog.Logger     = temporalLogger{}
	_ temporallog.WithLogger = temporalLogger{}
)

// TemporalLogger adapts a logger for the Temporal SDK.
func TemporalLogger(log logrus.FieldLogger) temporallog.Logger { return temporalLogger{log} }

// Debug logs for developers.
func (l temporalLogger) Debug(text string, pairs ...any) { l.fields(pairs).Debug(text) }

// Info logs at debug level: the SDK's information is for developers of workers.
func (l temporalLogger) Info(text string, pairs ...any) { l.fields(pairs).Debug(text) }

// Warn logs a warning.
func (l temporalLogger) Warn(text string, pairs ...any) { l.fields(pairs).Warn(text) }

// Error logs an error. An activity that failed is a warning: its error is the
// answer to its workflow, which decides, and often an ordinary refusal.
func (l temporalLogger) Error(text string, pairs ...any) {
	if strings.HasPrefix(text, "Activity error") {
		l.fields(pairs).Warn(text)
		return
	}
	l.fields(pairs).Error(text)
}

// With returns a logger that adds the pairs to each line.
func (l temporalLogger) With(pairs ...any) temporallog.Logger { return temporalLogger{l.fields(pairs)} }

func (l temporalLogger) fields(pairs []any) logrus.FieldLogger {
	fields := logrus.Fields{}
	for i := 0; i+1 < len(pairs); i += 2 {
		fields[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	if len(pairs)%2 == 1 {
		fields["extra"] = pairs[len(pairs)-1]
	}
	return l.log.WithFields(fields)
}
