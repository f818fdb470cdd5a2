package app

import (
	"context"
	"errors"
	"time"

	"github.com/sirupsen/logrus"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/interceptor"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/telemetry"
	"github.com/accord-sync/accord/workflows"
)

// TemporalOptions say how to reach Temporal.
type TemporalOptions struct {
	// Address and Namespace replace those of the environment where they are set.
	Address, Namespace string
	Log                logrus.FieldLogger
	// Metrics and Interceptors observe the client; both may be nil.
	Metrics      client.MetricsHandler
	Interceptors []interceptor.ClientInterceptor
}

// DialTemporal makes a client out of the SDK's own environment settings
// (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TLS, API key, profile file). It makes
// no call: the client connects when it is used, and again when it lost Temporal.
// Wrong settings are fault.Usage.
func DialTemporal(options TemporalOptions) (client.Client, string, error) {
	settings, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return nil, "", fault.Wrap(fault.Usage, err, "the settings of Temporal cannot be read; see TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_TLS and TEMPORAL_CONFIG_FILE")
	}
	if options.Address != "" {
		settings.HostPort = options.Address
	}
	if options.Namespace != "" {
		settings.Namespace = options.Namespace
	}
	if settings.HostPort == "" {
		settings.HostPort = client.DefaultHostPort
	}
	if settings.Namespace == "" {
		settings.Namespace = client.DefaultNamespace
	}
	settings.Logger = telemetry.TemporalLogger(options.Log)
	settings.MetricsHandler = options.Metrics
	settings.Interceptors = options.Interceptors
	dialed, err := client.NewLazyClient(settings)
	if err != nil {
		return nil, "", fault.Wrap(fault.Usage, err, "the settings of Temporal are wrong: address %s, namespace %s", settings.HostPort, settings.Namespace)
	}
	return dialed, settings.Namespace, nil
}

// AwaitTemporal waits until Temporal answers or ctx ends.
func AwaitTemporal(ctx context.Context, temporal client.Client, log logrus.FieldLogger) error {
	return persist(ctx, log, "Temporal does not answer; waiting for it (TEMPORAL_ADDRESS says where it is)", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if _, err := temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
			return fault.Wrap(fault.Unavailable, err, "Temporal does not answer")
		}
		return nil
	})
}

// SearchAttributes are ours, by name.
func SearchAttributes() map[string]enums.IndexedValueType {
	attributes := map[string]enums.IndexedValueType{}
	for _, name := range []string{workflows.TenantAttribute, workflows.ConnectionAttribute, workflows.StreamAttribute, workflows.RunKindAttribute} {
		attributes[name] = enums.INDEXED_VALUE_TYPE_KEYWORD
	}
	return attributes
}

// EnsureSearchAttributes adds our search attributes to the namespace where that
// is allowed and reports whether they are there. Everything works without them;
// the Temporal UI is then searched by workflow id. An error means that Temporal
// did not answer.
func EnsureSearchAttributes(ctx context.Context, temporal client.Client, namespace string, log logrus.FieldLogger) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	have, err := haveAttributes(ctx, temporal, namespace)
	if err != nil {
		return false, fault.Wrap(fault.Unavailable, err, "Temporal does not tell its search attributes")
	}
	if have {
		return true, nil
	}
	_, err = temporal.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: SearchAttributes(),
	})
	if err != nil {
		log.Info("the namespace does not take new search attributes; workflows go without (add them by hand as Keyword if you want to search by them)")
		return false, nil
	}
	// A new attribute is known everywhere a moment later.
	for {
		if have, err = haveAttributes(ctx, temporal, namespace); have || err != nil {
			break
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return false, fault.Wrap(fault.Unavailable, err, "Temporal does not tell its search attributes")
	}
	return have, nil
}

// haveAttributes asks for the attributes of the namespace; where that is not
// allowed, for those of the cluster.
func haveAttributes(ctx context.Context, temporal client.Client, namespace string) (bool, error) {
	listed, err := temporal.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	known := listed.GetCustomAttributes()
	if err != nil {
		all, err := temporal.GetSearchAttributes(ctx)
		if err != nil {
			return false, err
		}
		known = all.GetKeys()
	}
	for name, kind := range SearchAttributes() {
		if known[name] != kind {
			return false, nil
		}
	}
	return true, nil
}
