package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

func firingsCommand(options Options) *cobra.Command {
	var rule, state string
	command := lister[ledger.Firing]{
		page: func(command *cobra.Command, session *Session, key ledger.Key, paging ledger.ListOptions) ([]ledger.Firing, string, error) {
			switch ledger.FiringState(state) {
			case "", ledger.FiringOpen, ledger.FiringDone, ledger.FiringParked, ledger.FiringCancelled:
			default:
				return nil, "", fault.New(fault.Usage, "--state is open, done, parked or cancelled, not %q", state)
			}
			return session.Store.ListFirings(command.Context(), key, ledger.FiringFilter{Rule: rule, State: ledger.FiringState(state)}, paging)
		},
		row: firingRow, head: []string{"ID", "RULE", "RECORD", "OCCURRENCE", "EFFECTS", "DECIDED", "STATE"},
		cells: func(firing ledger.Firing) []string {
			return []string{firing.ID, firing.Rule, firing.Ref.String(), firing.Occurrence, effectsOf(firing), clock(firing.DecidedAt), string(firing.State)}
		},
	}.command(options, "firings", "List what rules fired, newest first")
	command.Flags().StringVar(&rule, "rule", "", "of this rule only")
	command.Flags().StringVar(&state, "state", "", "open, done, parked or cancelled; empty: all")
	return command
}

// effectsOf is "upsert done, call parked (invalid 422, tries: 1)".
func effectsOf(firing ledger.Firing) string {
	texts := make([]string, 0, len(firing.Effects))
	for _, effect := range firing.Effects {
		text := effect.Kind + " "
		if effect.Name != "" {
			text += effect.Name + " "
		}
		text += string(effect.State)
		if effect.Code != "" {
			text += fmt.Sprintf(" (%s %d, tries: %d)", effect.Code, effect.Status, effect.Tries)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}
