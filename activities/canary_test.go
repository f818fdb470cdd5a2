package activities

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/accord-sync/accord/internal/fault"
)

// safeTexts are the names of text fields that may stand in a history: ids,
// kinds, states and reasons, none of which can hold a value of a record.
func safeTexts() map[string]bool {
	return map[string]bool{
		"Tenant": true, "Connection": true, "RunID": true, "WorkflowID": true, "ConflictID": true, "DecisionID": true,
		"Kind": true, "Stream": true, "State": true, "Unless": true, "Reason": true, "Field": true, "LeftRef": true, "RightRef": true,
		"ClosedBy": true, "Side": true, "Code": true, "Opened": true, "Closed": true, "Epoch": true,
	}
}

// TestHistoriesCannotHoldValues walks the types of all Ins and Outs.
func TestHistoriesCannotHoldValues(t *testing.T) {
	steps := 0
	for _, group := range []any{&Inbox{}, &Runs{}, &Conflicts{}, &Poller{}, &Lifecycle{}} {
		kind := reflect.TypeOf(group)
		for i := range kind.NumMethod() {
			method := kind.Method(i)
			steps++
			for n := 1; n < method.Type.NumIn(); n++ {
				if in := method.Type.In(n); in.Kind() == reflect.Struct {
					requireSafe(t, method.Name, "In", in)
				}
			}
			requireSafe(t, method.Name, "Out", method.Type.Out(0))
		}
	}
	require.GreaterOrEqual(t, steps, 20, "all steps are looked at")
}

func requireSafe(t *testing.T, step, path string, kind reflect.Type) {
	t.Helper()
	name := path[strings.LastIndex(path, ".")+1:]
	switch kind.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
	case reflect.String:
		require.True(t, safeTexts()[name], "%s: %s is a text that nobody vouches for", step, path)
	case reflect.Slice:
		require.NotEqual(t, reflect.Uint8, kind.Elem().Kind(), "%s: %s holds bytes", step, path)
		requireSafe(t, step, path, kind.Elem())
	case reflect.Struct:
		if kind.PkgPath() == "time" {
			return
		}
		for i := range kind.NumField() {
			field := kind.Field(i)
			requireSafe(t, step, path+"."+field.Name, field.Type)
		}
	default:
		t.Errorf("%s: %s is a %s, which may hold anything", step, path, kind)
	}
}

func TestErrorsOfStepsTellCodesAlone(t *testing.T) {
	secret := "maria@example.com"
	cases := map[string]struct {
		err       error
		code      fault.Code
		retryable bool
		after     bool
	}{
		"throttled": {&fault.Error{Code: fault.Throttled, Message: "asked to wait", VendorMessage: secret, After: 7}, fault.Throttled, true, true},
		"wrapped":   {fault.Wrap(fault.Invalid, context.DeadlineExceeded, "refused"), fault.Invalid, false, false},
		"uncoded":   {&badError{secret}, fault.Internal, true, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var application *temporal.ApplicationError
			require.ErrorAs(t, failure(c.err, true), &application)
			require.Equal(t, string(c.code), application.Type())
			require.Equal(t, c.retryable, !application.NonRetryable())
			require.Equal(t, c.after, application.NextRetryDelay() > 0)
			require.NotContains(t, application.Error(), secret)
			require.NoError(t, application.Unwrap(), "a cause would be stored too")
			require.ErrorAs(t, failure(c.err, false), &application)
			require.Zero(t, application.NextRetryDelay(), "steps of many calls pace themselves")
		})
	}
}

type badError struct{ text string }

func (e *badError) Error() string { return e.text }
