package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
)

// maxFile is the largest integration file that is read, in bytes.
const maxFile = 2 << 20

func installCommand(options Options) *cobra.Command {
	var given settings
	var activate, asJSON bool
	command := &cobra.Command{
		Use: "install FILE", Short: "Install an integration file as a connection",
		Long: "Install an integration file (- for standard input) as a connection. It is checked in full; nothing is called outside until it is activated.\n" +
			"A secret may be taken from a file (--secret name=@FILE), so that it stays out of the shell's history.",
		Args: exactArgs("FILE"),
		RunE: func(command *cobra.Command, args []string) error {
			text, err := readFile(command.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			variables, secrets, err := given.read()
			if err != nil {
				return err
			}
			parsed, err := integration.Parse([]byte(text))
			if err == nil {
				err = checkNames(parsed, variables)
			}
			if err != nil {
				return named(err, args[0])
			}
			return options.with(command.Context(), func(session *Session) error {
				connection := ledger.Connection{
					Key: ledger.Key{Tenant: options.Tenant, Connection: "cn_" + session.NewID()}, State: ledger.Draft, Version: 1,
					Integration: text, Variables: variables, Secrets: secrets,
				}
				if err := install(command.Context(), session, &connection, activate); err != nil {
					return named(err, args[0])
				}
				return tellInstalled(command.OutOrStdout(), session, connection, asJSON)
			})
		},
	}
	given.flags(command)
	command.Flags().BoolVar(&activate, "activate", false, "begin to sync at once")
	jsonFlag(command, &asJSON)
	return command
}

// install stores connection and activates it; it is left with its state.
func install(ctx context.Context, session *Session, connection *ledger.Connection, activate bool) error {
	name, _, err := session.Describe(ctx, *connection)
	if err != nil {
		return err
	}
	connection.Name = name
	now, err := session.Store.Now(ctx)
	if err != nil {
		return err
	}
	connection.CreatedAt, connection.UpdatedAt = now, now
	if err := session.Store.CreateConnection(ctx, *connection); err != nil {
		return err
	}
	if !activate {
		return nil
	}
	if err := session.Control.Activate(ctx, connection.Key); err != nil {
		return err
	}
	return activated(ctx, session, connection, "")
}

// How long install waits to see the activation through, and how often it looks.
const (
	activationWait = 10 * time.Second
	activationLook = 200 * time.Millisecond
)

// activated waits a short while for the activation to leave its mark; a worker
// that is not there yet activates later. before is the connection's reason as it
// was before: the same reason tells nothing yet.
func activated(ctx context.Context, session *Session, connection *ledger.Connection, before string) error {
	ctx, cancel := context.WithTimeout(ctx, activationWait)
	defer cancel()
	for {
		found, err := session.Store.Connection(ctx, connection.Key)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err == nil {
			*connection = found
		}
		if connection.State == ledger.Active || connection.StateReason != "" && connection.StateReason != before {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(activationLook):
		}
	}
}

func tellInstalled(out io.Writer, session *Session, connection ledger.Connection, asJSON bool) error {
	if asJSON {
		return printJSON(out, connectionRow(connection, session.WebhookBase))
	}
	fmt.Fprintf(out, "installed %s as connection %s; it is %s\n", connection.Name, connection.Connection, connection.State)
	if connection.State == ledger.Draft {
		fmt.Fprintln(out, draftLine(connection))
	}
	if session.WebhookBase == "" {
		fmt.Fprintln(out, "this shell knows no public URL (ACCORD_PUBLIC_URL): unless the worker does, changes are found by polling only")
	}
	return nil
}

// draftLine tells what a connection waits for that was installed and does nothing yet.
func draftLine(connection ledger.Connection) string {
	if connection.StateReason != "" {
		return "its activation waits: " + connection.StateReason
	}
	return "the command activate begins to sync; status tells how far it is"
}

// giveValues is what a person does about a variable or a secret without a value.
const giveValues = "give each with --var NAME=VALUE, or --secret NAME=@FILE"

// named puts the file's name before an error that has positions, and tells how
// missing values are given.
func named(err error, file string) error {
	coded := fault.As(err)
	if coded == nil || len(coded.Details) == 0 || coded.Subject != "" {
		return err
	}
	copied := *coded
	copied.Subject = file
	if slices.ContainsFunc(coded.Details, func(one fault.Detail) bool { return strings.HasSuffix(one.Message, " has no value") }) {
		copied.Details = append(slices.Clone(coded.Details), fault.Detail{Message: giveValues})
	}
	return &copied
}

// readFile reads an integration file; "-" is standard input.
func readFile(in io.Reader, name string) (string, error) {
	source := in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return "", fault.Wrap(fault.Usage, err, "cannot read %s: %s", name, pathReason(err))
		}
		defer func() { _ = file.Close() }() // it was only read
		source = file
	}
	text, err := io.ReadAll(io.LimitReader(source, maxFile+1))
	if err != nil {
		return "", fault.Wrap(fault.Usage, err, "cannot read %s: %s", name, pathReason(err))
	}
	if len(text) > maxFile {
		return "", fault.New(fault.TooLarge, "%s is larger than %d bytes", name, maxFile)
	}
	return string(text), nil
}

// pathReason is the operating system's word for what is wrong with a file.
func pathReason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// settings are the --var and --secret flags.
type settings struct {
	variables, secrets []string
}

func (s *settings) flags(command *cobra.Command) {
	command.Flags().StringArrayVar(&s.variables, "var", nil, "a variable of the file: name=value (repeat as needed)")
	command.Flags().StringArrayVar(&s.secrets, "secret", nil, "a secret of the file: name=value or name=@FILE (repeat as needed)")
}

func (s *settings) read() (variables, secrets map[string]string, err error) {
	if variables, err = pairs("--var", s.variables, false); err != nil {
		return nil, nil, err
	}
	secrets, err = pairs("--secret", s.secrets, true)
	return variables, secrets, err
}

func pairs(flag string, given []string, files bool) (map[string]string, error) {
	out := map[string]string{}
	for _, text := range given {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			// The text is not quoted: it may be a secret.
			return nil, fault.New(fault.Usage, "%s wants name=value", flag)
		}
		if file, isFile := strings.CutPrefix(value, "@"); isFile && files {
			content, err := readFile(strings.NewReader(""), file)
			if err != nil {
				return nil, err
			}
			value = strings.TrimRight(content, "\r\n")
		}
		out[name] = value
	}
	return out, nil
}
