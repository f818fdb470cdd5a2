package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/connectors"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/connector/trial"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/manifest/scaffold"
)

// Reached is how a system with a manifest is reached: what an integration says
// of it beside the manifest.
type Reached struct {
	BaseURL string
	Auth    connector.Auth
}

func connectorCommand(hooks Hooks) *cobra.Command {
	command := &cobra.Command{
		Use: "connector", Short: "Write a connector manifest for a REST system, and try it",
		Args: exactArgs(), RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(connectorTestCommand(hooks), connectorNewCommand())
	return command
}

// trying are the flags of connector test.
type trying struct {
	reached         Reached
	kind            string
	objects, fields []string
	secrets         settings
	write, asJSON   bool
}

func connectorTestCommand(hooks Hooks) *cobra.Command {
	var given trying
	command := &cobra.Command{
		Use: "test MANIFEST", Short: "Try a manifest against the live system, operation by operation",
		Long: "Try a manifest (a file, - for standard input, or the name of a shipped one) against the live system: token, list, next page, changes,\n" +
			"one record, one that does not exist, search, deleted. With --write and --set a record is also created, edited and deleted again.\n" +
			"Each line that says WRONG tells what to mend in the manifest. Exit code 0 only if nothing is wrong.\n" +
			"Without --base-url the manifest is only read.",
		Args: exactArgs("MANIFEST"),
		RunE: func(command *cobra.Command, args []string) error {
			read, err := readManifest(command.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			if given.reached.BaseURL == "" {
				_, err = fmt.Fprintf(command.OutOrStdout(), "ok     the manifest of %s has no mistakes; objects: %s\n", read.Title, strings.Join(read.Names(), ", "))
				return err
			}
			return given.run(command, hooks, read)
		},
	}
	flags := command.Flags()
	flags.StringVar(&given.reached.BaseURL, "base-url", "", "root of the API")
	flags.StringVar(&given.kind, "auth", "", "kind of credentials; the first of the manifest's when not given")
	flags.StringVar(&given.reached.Auth.TokenURL, "token-url", "", "where tokens are minted (oauth2)")
	flags.StringVar(&given.reached.Auth.ClientID, "client-id", "", "client (oauth2) or user name (basic)")
	flags.StringVar(&given.reached.Auth.Audience, "audience", "", "audience (oauth2)")
	flags.StringArrayVar(&given.reached.Auth.Scopes, "scope", nil, "a scope to ask for (oauth2; repeat as needed)")
	flags.StringArrayVar(&given.secrets.secrets, "secret", nil, "token, client_secret, password or refresh_token: name=value or name=@FILE (repeat as needed)")
	flags.StringArrayVar(&given.objects, "object", nil, "an object to try (repeat as needed); all when not given")
	flags.BoolVar(&given.write, "write", false, "also create, edit and delete a record of each object that has --set")
	flags.StringArrayVar(&given.fields, "set", nil, "a field of the record that is created: object.path=value (repeat as needed)")
	jsonFlag(command, &given.asJSON)
	return command
}

// readManifest reads a manifest by file or by the name of a shipped one.
func readManifest(in io.Reader, name string) (*manifest.Manifest, error) {
	shipped, err := connectors.Read(name)
	text := string(shipped)
	if _, missing := os.Stat(name); err != nil || missing == nil {
		if text, err = readFile(in, name); err != nil {
			return nil, err
		}
	}
	read, err := manifest.Parse([]byte(text))
	if err != nil {
		return nil, named(err, name)
	}
	return read, nil
}

func (g *trying) run(command *cobra.Command, hooks Hooks, read *manifest.Manifest) error {
	secrets, err := pairs("--secret", g.secrets.secrets, true)
	if err != nil {
		return err
	}
	if err := g.credentials(secrets); err != nil {
		return err
	}
	fields, err := fieldsToSet(g.fields)
	if err != nil {
		return err
	}
	if len(fields) > 0 && !g.write {
		return fault.New(fault.Usage, "--set is of no use without --write")
	}
	open, err := hooks.Manifest(read, g.reached)
	if err != nil {
		return howGiven(err)
	}
	steps := trial.Run(command.Context(), trial.Options{Connector: open, Manifest: read, Objects: g.objects, Write: fields, Now: hooks.Now})
	if g.asJSON {
		err = printJSON(command.OutOrStdout(), row{"ok": trial.Failed(steps) == 0, "manifest": read.Name, "steps": steps})
	} else {
		printSteps(command.OutOrStdout(), steps)
	}
	if failed := trial.Failed(steps); err == nil && failed > 0 {
		err = fault.New(fault.Invalid, "mistakes found: %d; the lines above that say WRONG tell what to mend", failed)
	}
	return err
}

// howGiven tells with which flags credentials are given, where they are wrong or missing.
func howGiven(err error) error {
	coded := fault.As(err)
	if coded == nil || coded.Code != fault.Usage {
		return err
	}
	copied := *coded
	copied.Details = append(slices.Clone(coded.Details), fault.Detail{
		Message: "credentials are given with --auth, --client-id, --token-url and --secret token=@FILE (or client_secret, password, refresh_token)",
	})
	return &copied
}

// credentials puts the secrets where the kind has them.
func (g *trying) credentials(secrets map[string]string) error {
	auth := &g.reached.Auth
	auth.Kind = g.kind
	if g.kind == manifest.AuthBearer {
		auth.Kind = transport.KindStatic
	}
	for name, value := range secrets {
		switch name {
		case "token":
			auth.Token = value
		case "client_secret", "password":
			auth.ClientSecret = value
		case "refresh_token":
			auth.RefreshToken = value
		default:
			return fault.New(fault.Usage, "--secret knows token, client_secret, password and refresh_token")
		}
	}
	return nil
}

// fieldsToSet reads object.path=value; a value that is JSON is that, any other is text.
func fieldsToSet(given []string) (map[string]map[string]any, error) {
	all := map[string]map[string]any{}
	for _, one := range given {
		where, value, ok := strings.Cut(one, "=")
		object, path, dotted := strings.Cut(where, ".")
		if !ok || !dotted || object == "" || path == "" {
			return nil, fault.New(fault.Usage, "--set wants object.path=value")
		}
		if all[object] == nil {
			all[object] = map[string]any{}
		}
		all[object][path] = value
		decoder := json.NewDecoder(strings.NewReader(value))
		decoder.UseNumber()
		var read any
		if json.Valid([]byte(value)) && decoder.Decode(&read) == nil {
			all[object][path] = read
		}
	}
	return all, nil
}

func printSteps(out io.Writer, steps []trial.Step) {
	marks := map[string]string{trial.Right: "ok    ", trial.Wrong: "WRONG ", trial.Skipped: "-     "}
	for _, one := range steps {
		name := one.Operation
		if one.Object != "" {
			name = one.Object + ": " + name
		}
		fmt.Fprintf(out, "%s%s: %s\n", marks[one.Outcome], name, one.Text)
		if one.Mend != "" {
			fmt.Fprintf(out, "      mend: %s\n", one.Mend)
		}
	}
}

func connectorNewCommand() *cobra.Command {
	var openapi, name string
	command := &cobra.Command{
		Use: "new --openapi FILE", Short: "Begin a manifest from an OpenAPI 3 file",
		Long: "Begin a manifest from the OpenAPI 3 file of a system (YAML or JSON) and print it. What could not be found out is marked with CHECK;\n" +
			"`accord connector test` then tells what is wrong.",
		Args: exactArgs(),
		RunE: func(command *cobra.Command, _ []string) error {
			if openapi == "" {
				return fault.New(fault.Usage, "--openapi FILE is wanted")
			}
			text, err := readLarge(command.InOrStdin(), openapi)
			if err != nil {
				return err
			}
			made, err := scaffold.FromOpenAPI(text, name)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(command.OutOrStdout(), made)
			return err
		},
	}
	command.Flags().StringVar(&openapi, "openapi", "", "the OpenAPI 3 file; - for standard input")
	command.Flags().StringVar(&name, "name", "", "the manifest's name; made of the title when not given")
	return command
}

// readLarge reads an OpenAPI file, which may be larger than files of ours.
func readLarge(in io.Reader, name string) ([]byte, error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, fault.Wrap(fault.Usage, err, "cannot read %s: %s", name, pathReason(err))
		}
		defer func() { _ = file.Close() }() // it was only read
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, scaffold.MaxSize+1))
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "cannot read %s: %s", name, pathReason(err))
	}
	return text, nil
}
