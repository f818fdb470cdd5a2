package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/internal/config"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/manifest"
)

// Hooks are what the commands of accord alone run. Each returns when ctx ends
// or when it cannot go on.
type Hooks struct {
	// Dev runs Temporal, worker and API in one process.
	Dev func(ctx context.Context, options DevOptions) error
	// Worker and API run one part each, set up by the environment.
	Worker, API func(ctx context.Context) error
	// Temporal runs the embedded Temporal alone.
	Temporal func(ctx context.Context, options TemporalOptions) error
	// Sandbox runs the sandboxes.
	Sandbox func(ctx context.Context, options SandboxOptions) error
	// Migrate brings the schema of the ledger up to date.
	Migrate func(ctx context.Context) error
	// Plan reads an integration in full for check.
	Plan func(text string, variables, secrets map[string]string) (Plan, error)
	// Known fails, with positions, if an integration names a connector that there is not.
	Known func(parsed *integration.Integration) error
	// Manifest opens a connector of a manifest for connector test.
	Manifest func(read *manifest.Manifest, at Reached) (connector.Connector, error)
	// Now is the clock.
	Now Clock
}

// DevOptions are the flags of dev.
type DevOptions struct {
	// Data is the folder that holds everything.
	Data string
	// API and UI are host:port; an empty UI switches the Temporal UI off.
	API, UI string
	// Temporal is the address of a Temporal that runs already; empty: an embedded one.
	Temporal string
	// PublicURL is where vendors reach us; empty: ACCORD_PUBLIC_URL, or not at all.
	PublicURL string
}

// TemporalOptions are the flags of temporal.
type TemporalOptions struct{ Data, Listen, UI string }

// SandboxOptions are the flags of sandbox.
type SandboxOptions struct{ SalesOS, Acme, HubSpot string }

// AddAccord adds the commands that only the shipped binary has. More may be
// added to root with AddCommand (demo is).
func AddAccord(root *cobra.Command, options Options, hooks Hooks) {
	root.AddCommand(
		devCommand(hooks), temporalCommand(hooks), sandboxCommand(hooks), checkCommand(options, hooks), connectorCommand(hooks),
		plainCommand("worker", "Run a worker, set up by the environment (ACCORD_DB, ACCORD_KEY, TEMPORAL_ADDRESS …)", hooks.Worker),
		plainCommand("api", "Serve the API, set up by the environment (ACCORD_DB, ACCORD_KEY, ACCORD_TOKEN, ACCORD_LISTEN …)", hooks.API),
		migrateCommand(hooks), versionCommand(options),
	)
}

func plainCommand(name, short string, run func(context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: exactArgs(),
		RunE: func(command *cobra.Command, _ []string) error { return run(command.Context()) },
	}
}

func devCommand(hooks Hooks) *cobra.Command {
	var given DevOptions
	command := &cobra.Command{
		Use: "dev --data DIR", Short: "Run Temporal with its UI, a worker and the API in one process, on a data folder",
		Args: exactArgs(),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := checkAddresses(map[string]string{"--api": given.API, "--ui": given.UI, "--temporal": given.Temporal}); err != nil {
				return err
			}
			if _, err := config.ParsePublicURL(given.PublicURL); err != nil {
				return fault.Wrap(fault.Usage, err, "--public-url: %s", err)
			}
			return hooks.Dev(command.Context(), given)
		},
	}
	flags := command.Flags()
	flags.StringVar(&given.Data, "data", "", "the folder that holds the ledger, Temporal's data, the key and the token (required)")
	flags.StringVar(&given.API, "api", config.DefaultListen, "where the API listens")
	flags.StringVar(&given.UI, "ui", "127.0.0.1:8233", "where the Temporal UI listens; empty: nowhere")
	flags.StringVar(&given.Temporal, "temporal", "", "the address of a Temporal that runs already (default: an embedded one)")
	flags.StringVar(&given.PublicURL, "public-url", "", "where the two systems reach this API with webhooks (default: ACCORD_PUBLIC_URL; without: polls only)")
	_ = command.MarkFlagRequired("data") // the flag stands above
	return command
}

func temporalCommand(hooks Hooks) *cobra.Command {
	var given TemporalOptions
	command := &cobra.Command{
		Use: "temporal --data DIR", Short: "Run the embedded Temporal alone", Args: exactArgs(),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := checkAddresses(map[string]string{"--listen": given.Listen, "--ui": given.UI}); err != nil {
				return err
			}
			return hooks.Temporal(command.Context(), given)
		},
	}
	flags := command.Flags()
	flags.StringVar(&given.Data, "data", "", "the folder that holds Temporal's data (required)")
	flags.StringVar(&given.Listen, "listen", "127.0.0.1:7233", "where its gRPC frontend listens")
	flags.StringVar(&given.UI, "ui", "", "where its web UI listens; empty: nowhere")
	_ = command.MarkFlagRequired("data") // the flag stands above
	return command
}

func sandboxCommand(hooks Hooks) *cobra.Command {
	var given SandboxOptions
	command := &cobra.Command{
		Use: "sandbox", Short: "Run a SalesOS, an Acme and a HubSpot server to try integrations against", Args: exactArgs(),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := checkAddresses(map[string]string{"--salesos": given.SalesOS, "--acme": given.Acme, "--hubspot": given.HubSpot}); err != nil {
				return err
			}
			return hooks.Sandbox(command.Context(), given)
		},
	}
	command.Flags().StringVar(&given.SalesOS, "salesos", "127.0.0.1:8091", "where SalesOS listens")
	command.Flags().StringVar(&given.Acme, "acme", "127.0.0.1:8092", "where Acme listens")
	command.Flags().StringVar(&given.HubSpot, "hubspot", "127.0.0.1:8093", "where HubSpot listens")
	return command
}

func migrateCommand(hooks Hooks) *cobra.Command {
	return &cobra.Command{
		Use: "migrate", Short: "Bring the schema of the ledger (ACCORD_DB) up to date", Args: exactArgs(),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := hooks.Migrate(command.Context()); err != nil {
				return err
			}
			_, err := fmt.Fprintln(command.OutOrStdout(), "the ledger is up to date")
			return err
		},
	}
}

func versionCommand(options Options) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use: "version", Short: "Print the version", Args: exactArgs(),
		RunE: func(command *cobra.Command, _ []string) error {
			if asJSON {
				return printJSON(command.OutOrStdout(), row{"version": options.Version})
			}
			_, err := fmt.Fprintln(command.OutOrStdout(), options.Name, options.Version)
			return err
		},
	}
	jsonFlag(command, &asJSON)
	return command
}

// checkAddresses refuses flags that are given and not host:port.
func checkAddresses(flags map[string]string) error {
	for flag, address := range flags {
		if address == "" {
			continue
		}
		if err := config.CheckAddress(address); err != nil {
			return fault.Wrap(fault.Usage, err, "%s: %s", flag, err)
		}
	}
	return nil
}
