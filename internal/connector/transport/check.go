package transport

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// CheckSpec is what Check tries.
type CheckSpec struct {
	Tokens *TokenSource
	// First reads the first rows of a collection.
	First   func(ctx context.Context, object string) (connector.Page, error)
	Objects []string
	Title   string
	Now     func() time.Time
}

// Check tries the token and then each collection, and words what it found for
// people. Its error is only the end of ctx: everything else is in the report.
func Check(ctx context.Context, spec CheckSpec) (connector.Report, error) {
	report := connector.Report{Objects: map[string]string{}, Sample: map[string]record.Record{}}
	if _, err := spec.Tokens.Token(ctx); err != nil {
		report.Token = words(err)
		for _, name := range spec.Objects {
			report.Objects[name] = "not tried: there is no access token"
		}
		return report, ctx.Err()
	}
	for _, name := range spec.Objects {
		page, err := spec.First(ctx, name)
		if err != nil {
			report.Objects[name] = words(err)
			continue
		}
		report.Objects[name] = ""
		if len(page.Records) > 0 {
			report.Sample[name] = page.Records[0]
		}
		if !page.ServerTime.IsZero() {
			report.Skew = page.ServerTime.Sub(spec.Now())
		}
	}
	if err := ctx.Err(); err != nil {
		return report, fault.Wrap(fault.Transient, err, "the check of %s took too long; try it again", spec.Title)
	}
	return report, nil
}

func words(err error) string {
	if coded := fault.As(err); coded != nil {
		return coded.Error()
	}
	return "an unexpected error"
}
