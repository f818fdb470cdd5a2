package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// Clock tells the time.
type Clock func() time.Time

// Plan is an integration that was read in full.
type Plan struct {
	Integration *integration.Integration
	Streams     []*mapping.Stream
	// Title is a system's name for people.
	Title func(side record.Side) string
	// Open makes the connector of a side; it makes no call.
	Open func(side record.Side) (connector.Connector, error)
	// Broker tries the broker of a side; nothing is received.
	Broker func(ctx context.Context, side record.Side) error
	// Objects are the collections that the streams use on a side.
	Objects func(side record.Side) []string
}

// liveTimeout bounds the whole test against the two systems.
const liveTimeout = 2 * time.Minute

func checkCommand(options Options, hooks Hooks) *cobra.Command {
	var given settings
	var live, offline, asJSON bool
	var connection string
	command := &cobra.Command{
		Use: "check FILE", Short: "Say in sentences what an integration does, and test it against the two systems",
		Long: "Read an integration file in full, say what it does in sentences, and test it against the live systems: token, scope, a sample record\n" +
			"through the mapping and back, the change filter and the webhooks. Nothing is written to either system. --offline leaves the test out.",
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
			check := checking{hooks: hooks, options: options, connection: connection, offline: offline}
			found, err := check.run(command.Context(), text, variables, secrets)
			if err != nil {
				return named(err, args[0])
			}
			if asJSON {
				err = printJSON(command.OutOrStdout(), found)
			} else {
				err = found.print(command.OutOrStdout())
			}
			if err == nil && !found.OK {
				err = fault.New(fault.Invalid, "mistakes found: %d; the lines above that say WRONG tell them", found.failures())
			}
			return err
		},
	}
	given.flags(command)
	command.Flags().BoolVar(&live, "live", true, "test against the two systems")
	command.Flags().BoolVar(&offline, "offline", false, "say the sentences only; variables and secrets may be missing")
	command.MarkFlagsMutuallyExclusive("live", "offline")
	command.Flags().StringVar(&connection, "connection", "", "an installed connection, whose registered webhooks are asked for too")
	jsonFlag(command, &asJSON)
	command.PreRun = func(*cobra.Command, []string) { offline = offline || !live }
	return command
}

// Found is what check found. It holds no values of records.
type Found struct {
	OK          bool                   `json:"ok"`
	Integration string                 `json:"integration"`
	Sentences   []integration.Sentence `json:"sentences"`
	// Needs are the variables without default and the secrets of the file.
	Needs Needs `json:"needs"`
	// Tests are empty with --offline.
	Tests []Test `json:"tests"`
}

// Needs are the names of what must be given.
type Needs struct {
	Variables []string `json:"variables"`
	Secrets   []string `json:"secrets"`
}

// Test is one thing that was tried.
type Test struct {
	// Side is left, right or empty; About is token, scope, clock, filter, mapping, webhook or broker.
	Side  record.Side `json:"side,omitempty"`
	About string      `json:"about"`
	// Name is the collection, or stream and field.
	Name string `json:"name,omitempty"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

type checking struct {
	hooks      Hooks
	options    Options
	connection string
	offline    bool
}

func (c checking) run(ctx context.Context, text string, variables, secrets map[string]string) (Found, error) {
	parsed, err := integration.Parse([]byte(text))
	if err != nil {
		return Found{}, err
	}
	if err := checkNames(parsed, variables); err != nil {
		return Found{}, err
	}
	if err := c.hooks.Known(parsed); err != nil {
		return Found{}, err
	}
	found := Found{OK: true, Integration: parsed.Name, Tests: []Test{}, Needs: Needs{Variables: []string{}, Secrets: []string{}}}
	for _, variable := range parsed.Variables() {
		if !variable.HasDefault {
			found.Needs.Variables = append(found.Needs.Variables, variable.Name)
		}
	}
	found.Needs.Secrets = append(found.Needs.Secrets, parsed.SecretNames()...)
	if c.offline && !c.complete(found.Needs, variables, secrets) {
		found.Sentences = integration.Sentences(parsed)
		return found, nil
	}
	plan, err := c.hooks.Plan(text, variables, secrets)
	if err != nil {
		return Found{}, err
	}
	found.Sentences = integration.Sentences(plan.Integration)
	if c.offline {
		return found, nil
	}
	ctx, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	err = c.live(ctx, plan, &found)
	found.OK = found.failures() == 0
	return found, err
}

// complete reports whether everything that the file needs was given.
func (c checking) complete(needs Needs, variables, secrets map[string]string) bool {
	for _, name := range needs.Variables {
		if _, ok := variables[name]; !ok {
			return false
		}
	}
	for _, name := range needs.Secrets {
		if _, ok := secrets[name]; !ok {
			return false
		}
	}
	return true
}

func (f *Found) failures() int {
	failed := 0
	for _, test := range f.Tests {
		if !test.OK {
			failed++
		}
	}
	return failed
}

func (f *Found) add(test Test) { f.Tests = append(f.Tests, test) }

// headOf is the heading of the sentences of a stream, a rule, or the whole file.
func headOf(stream string) string {
	if rule, ok := strings.CutPrefix(stream, "rules."); ok {
		return "rule " + rule
	}
	if stream == "" {
		return "in all"
	}
	return "stream " + stream
}

func (f *Found) print(out io.Writer) error {
	fmt.Fprintf(out, "%s\n", f.Integration)
	stream := ""
	for _, sentence := range f.Sentences {
		if sentence.Stream != stream {
			stream = sentence.Stream
			fmt.Fprintf(out, "\n%s\n", headOf(stream))
		}
		fmt.Fprintf(out, "  %s\n", sentence.Text)
	}
	if len(f.Tests) == 0 {
		for _, name := range f.Needs.Variables {
			fmt.Fprintf(out, "\nneeds the variable %s", name)
		}
		for _, name := range f.Needs.Secrets {
			fmt.Fprintf(out, "\nneeds the secret %s", name)
		}
		_, err := fmt.Fprintln(out)
		return err
	}
	fmt.Fprintln(out)
	for _, test := range f.Tests {
		mark := "ok    "
		if !test.OK {
			mark = "WRONG "
		}
		name := test.About
		if test.Name != "" {
			name += " " + test.Name
		}
		if test.Side != "" {
			name = string(test.Side) + ": " + name
		}
		fmt.Fprintf(out, "%s%s: %s\n", mark, name, test.Text)
	}
	return nil
}
