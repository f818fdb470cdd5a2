package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/letters"
	"github.com/accord-sync/accord/internal/record"
)

// letterFlags choose dead letters, and say what is done to them.
type letterFlags struct {
	state, stream, side, code, field string
	all, table, replay               bool
	set                              []string
	discard, from                    string
}

func (f letterFlags) filter() ledger.DeadLetterFilter {
	return ledger.DeadLetterFilter{Stream: f.stream, Side: record.Side(f.side), Code: f.code, Field: f.field}
}

// check finds flags that do not go together, and those that would do nothing. given says
// which flags stand on the line; acts is whether anything but a list is asked for.
func (f letterFlags) check(given func(name string) bool) (acts bool, err error) {
	switch ledger.DeadLetterState(f.state) {
	case ledger.DeadLetterOpen, ledger.DeadLetterReplayed, ledger.DeadLetterResolved, ledger.DeadLetterDiscarded:
	default:
		return false, fault.New(fault.Usage, "--state is one of open (the default), replayed, resolved and discarded, not %q: list them state by state", f.state)
	}
	if err := checkSide(f.side); err != nil {
		return false, err
	}
	asked := 0
	for _, one := range []bool{f.table, f.replay, len(f.set) > 0, given("discard"), given("import")} {
		if one {
			asked++
		}
	}
	switch acts = asked == 1; {
	case asked > 1:
		return false, fault.New(fault.Usage, "one of --csv, --import, --set, --replay and --discard at a time")
	case acts && !f.table && f.state != string(ledger.DeadLetterOpen):
		return false, fault.New(fault.Usage, "only open dead letters are corrected, replayed or discarded")
	case acts && given("limit"):
		return false, fault.New(fault.Usage, "--limit is for the list: the filters choose what is done to how many")
	case given("discard") && f.discard == "", given("import") && f.from == "":
		return false, fault.New(fault.Usage, "--discard needs a reason, and --import a file")
	case f.all && (!acts || f.table || given("import")):
		return false, fault.New(fault.Usage, "--all goes with --replay, --discard or --set; the list has all with --limit 0")
	case given("import") && f.filter() != ledger.DeadLetterFilter{}:
		return false, fault.New(fault.Usage, "--import takes every row of the table; the filters are for --csv, which makes it")
	case f.table && given("json"):
		return false, fault.New(fault.Usage, "either --csv or --json")
	}
	return acts, nil
}

func deadLettersCommand(options Options) *cobra.Command {
	var flags letterFlags
	command := lister[ledger.DeadLetter]{
		page: func(command *cobra.Command, session *Session, key ledger.Key, paging ledger.ListOptions) ([]ledger.DeadLetter, string, error) {
			filter := flags.filter()
			filter.State = ledger.DeadLetterState(flags.state)
			return session.Store.ListDeadLetters(command.Context(), key, filter, paging)
		},
		row: deadLetterRow, head: []string{"ID", "STREAM", "RECORD", "REASON", "FIELD", "MESSAGE", "TRIES", "LAST", "STATE"},
		cells: func(letter ledger.DeadLetter) []string {
			return []string{letter.ID, letter.Stream, letter.Ref.String(), letter.Reason.Code, orElse(letter.Reason.Field, "-"), letter.Reason.Message,
				fmt.Sprint(letter.Tries), clock(letter.LastAt), string(letter.State)}
		},
	}.command(options, "dead-letters", "List parked records and why they are parked; correct, replay or discard many")
	command.Long = "List parked records and why they are parked. With --replay, --discard or --set, that is done to all that the filters\n" +
		"choose (--all: to all), and told by outcome; one that fails stops none of the others. --csv prints a table to correct in a\n" +
		"spreadsheet, with the fields of the records, and --import takes the corrections in."
	list := command.RunE
	command.RunE = func(command *cobra.Command, args []string) error {
		acts, err := flags.check(command.Flags().Changed)
		if err != nil || !acts {
			if err == nil {
				err = list(command, args)
			}
			return err
		}
		return options.onConnection(command.Context(), args[0], func(session *Session, connection ledger.Connection) error {
			return flags.act(command, session, connection.Key)
		})
	}
	flags.register(command)
	return command
}

func (f *letterFlags) register(command *cobra.Command) {
	set := command.Flags()
	set.StringVar(&f.state, "state", string(ledger.DeadLetterOpen), "open, replayed, resolved or discarded")
	set.StringVar(&f.stream, "stream", "", "those of one stream")
	set.StringVar(&f.side, "side", "", "those of records of one side: left or right")
	set.StringVar(&f.code, "code", "", "those of one reason, such as invalid")
	set.StringVar(&f.field, "field", "", "those about one field")
	set.BoolVar(&f.all, "all", false, "all open ones, for --replay, --discard and --set")
	set.BoolVar(&f.table, "csv", false, "print a table with the fields of the records (values of your customers)")
	set.StringVar(&f.from, "import", "", "take the corrections of such a table; FILE, or - for standard input")
	set.BoolVar(&f.replay, "replay", false, "try them again")
	set.StringVar(&f.discard, "discard", "", "give them up, for this reason")
	set.StringArrayVar(&f.set, "set", nil, "FIELD=VALUE for their next replay, as of accord correct; may be repeated")
}

// act does what the flags ask for.
func (f *letterFlags) act(command *cobra.Command, session *Session, key ledger.Key) error {
	ctx := command.Context()
	if f.table {
		return f.print(command, session, key)
	}
	desk := letters.Desk{Store: session.Store, Key: key, Replay: func(ctx context.Context, ids []string) (int, error) {
		return session.Control.ReplayDeadLetters(ctx, key, ids)
	}}
	chosen := letters.Chosen{Filter: f.filter(), All: f.all}
	var outcome letters.Outcome
	var err error
	switch {
	case f.from != "":
		outcome, err = f.importFrom(command, desk)
	case f.replay:
		outcome, err = desk.Again(ctx, chosen)
	case f.discard != "":
		outcome, err = desk.Discard(ctx, chosen, f.discard)
	default:
		var fields ledger.Values
		if fields, err = correctionsOf(f.set); err == nil {
			outcome, err = desk.Correct(ctx, chosen, fields)
		}
	}
	if err != nil {
		return err
	}
	return tellOutcome(command, outcome)
}

func (f *letterFlags) print(command *cobra.Command, session *Session, key ledger.Key) error {
	filter := f.filter()
	filter.State = ledger.DeadLetterState(f.state)
	var found []ledger.DeadLetter
	err := letters.Every(command.Context(), session.Store, key, filter, func(letter ledger.DeadLetter) error {
		found = append(found, letter)
		return nil
	})
	if err != nil {
		return err
	}
	return letters.Write(command.OutOrStdout(), found)
}

func (f *letterFlags) importFrom(command *cobra.Command, desk letters.Desk) (letters.Outcome, error) {
	if f.from == "-" {
		return desk.Import(command.Context(), command.InOrStdin())
	}
	file, err := os.Open(f.from)
	if err != nil {
		return letters.Outcome{}, fault.New(fault.Usage, "%s cannot be read", f.from)
	}
	defer func() { _ = file.Close() }() // it was only read
	return desk.Import(command.Context(), file)
}

// tellOutcome prints the counts, and those that are not done.
func tellOutcome(command *cobra.Command, outcome letters.Outcome) error {
	asJSON, err := command.Flags().GetBool("json")
	if err != nil {
		return err
	}
	out := command.OutOrStdout()
	failed := make([]row, 0, len(outcome.Failed))
	for _, failure := range outcome.Failed {
		failed = append(failed, row{"id": failure.ID, "outcome": failure.Outcome, "message": failure.Message, "line": failure.Line})
	}
	if asJSON {
		if err := printJSON(out, row{"counts": outcome.Counts, "failed": failed}); err != nil {
			return err
		}
		return notAllDone(outcome)
	}
	for _, name := range slices.Sorted(maps.Keys(outcome.Counts)) {
		if _, err := fmt.Fprintf(out, "%s: %d\n", name, outcome.Counts[name]); err != nil {
			return err
		}
	}
	for _, failure := range outcome.Failed {
		at := ""
		if failure.Line > 0 {
			at = fmt.Sprintf("line %d: ", failure.Line)
		}
		if _, err := fmt.Fprintf(out, "%s%s %s: %s\n", at, failure.ID, failure.Outcome, failure.Message); err != nil {
			return err
		}
	}
	return notAllDone(outcome)
}

// notAllDone is an error where any is not done: a script must not take it for done.
func notAllDone(outcome letters.Outcome) error {
	if len(outcome.Failed) == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "%d dead letters are not done", len(outcome.Failed))
}
