package devserver

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// readyPoll is the pause between two attempts to reach the server while it starts.
	readyPoll = 50 * time.Millisecond
	// cacheRefresh is how long a service may still work with the namespace as it was: the server's default for
	// system.namespaceCacheRefreshInterval, plus a margin.
	cacheRefresh = 2500 * time.Millisecond
)

// settle waits until the server answers, then brings the namespace to what opts ask for.
func (s *Server) settle(ctx context.Context, opts Options) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	c, err := client.NewLazyClient(client.Options{HostPort: s.address, Namespace: opts.Namespace, Logger: sdkSilence{}})
	if err != nil {
		return fmt.Errorf("connect to the embedded Temporal server on %s: %w", s.address, err)
	}
	defer c.Close()
	stored, err := waitForNamespace(ctx, c, opts.Namespace)
	if err != nil {
		return fmt.Errorf("the embedded Temporal server on %s did not become ready: %w", s.address, err)
	}
	if stored.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() != opts.Retention {
		if err := setRetention(ctx, c, opts); err != nil {
			return err
		}
	}
	return addSearchAttributes(ctx, c, opts)
}

func waitForNamespace(ctx context.Context, c client.Client, name string) (*workflowservice.DescribeNamespaceResponse, error) {
	for {
		response, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: name})
		if err == nil {
			return response, nil
		}
		if pauseErr := pause(ctx, readyPoll); pauseErr != nil {
			return nil, errors.Join(pauseErr, err)
		}
	}
}

func setRetention(ctx context.Context, c client.Client, opts Options) error {
	_, err := c.WorkflowService().UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: opts.Namespace,
		Config:    &namespace.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(opts.Retention)},
	})
	if err != nil {
		return fmt.Errorf("set the retention of Temporal namespace %q to %s: %w", opts.Namespace, opts.Retention, err)
	}
	return nil
}

// addSearchAttributes adds what an older data file lacks. A new file has them from its creation.
func addSearchAttributes(ctx context.Context, c client.Client, opts Options) error {
	present, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: opts.Namespace})
	if err != nil {
		return fmt.Errorf("list the search attributes of Temporal namespace %q: %w", opts.Namespace, err)
	}
	missing, err := missingAttributes(opts.SearchAttributes, present.GetCustomAttributes())
	if err != nil {
		return fmt.Errorf("search attributes of Temporal namespace %q: %w", opts.Namespace, err)
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: opts.Namespace, SearchAttributes: missing,
	})
	if err != nil {
		return fmt.Errorf("add search attributes %s to Temporal namespace %q: %w", names(missing), opts.Namespace, err)
	}
	// Each service of the server keeps its own copy of the namespace and offers no way to see how old it is.
	if err := pause(ctx, cacheRefresh); err != nil {
		return fmt.Errorf("wait for search attributes %s of Temporal namespace %q: %w", names(missing), opts.Namespace, err)
	}
	return nil
}

func missingAttributes(wanted, present map[string]enums.IndexedValueType) (map[string]enums.IndexedValueType, error) {
	missing := map[string]enums.IndexedValueType{}
	for name, kind := range wanted {
		existing, ok := present[name]
		switch {
		case !ok:
			missing[name] = kind
		case existing != kind:
			return nil, fmt.Errorf("%s exists as %s but %s is needed: remove it with `temporal operator search-attribute remove`, or use another data folder",
				name, existing, kind)
		}
	}
	return missing, nil
}

func names(attributes map[string]enums.IndexedValueType) string {
	list := make([]string, 0, len(attributes))
	for name := range attributes {
		list = append(list, name)
	}
	sort.Strings(list)
	return strings.Join(list, ", ")
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// sdkSilence drops the client's log lines: while the server starts they would only say that it is starting.
type sdkSilence struct{}

var _ sdklog.Logger = sdkSilence{}

// Debug drops the line.
func (sdkSilence) Debug(string, ...any) {}

// Info drops the line.
func (sdkSilence) Info(string, ...any) {}

// Warn drops the line.
func (sdkSilence) Warn(string, ...any) {}

// Error drops the line; the failed call returns its error.
func (sdkSilence) Error(string, ...any) {}
