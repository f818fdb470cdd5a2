package console

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/ledger"
)

// shownFirings is how many firings are listed, the latest first.
const shownFirings = 50

// firingPage is what the page of firings shows. There are no values of records in it.
type firingPage struct {
	Connection ledger.Connection
	Rules      []ruleLine
	Latest     []firingLine
}

// ruleLine is one rule, with how many of its firings are still to be carried out,
// carried out, refused, and given up.
type ruleLine struct {
	Rule                         string
	Due, Done, Parked, Cancelled int
}

// firingLine is one firing.
type firingLine struct {
	Rule, Record, Occurrence, State string
	At                              string
	Effects                         string
}

// firings shows what the rules of a connection fired.
func (c *Console) firings(w http.ResponseWriter, r *http.Request) error {
	key := ledger.Key{Tenant: c.options.Tenant, Connection: r.PathValue("connection")}
	connection, err := c.options.Store.Connection(r.Context(), key)
	if err != nil {
		return err
	}
	totals, err := c.options.Store.FiringTotals(r.Context(), key)
	if err != nil {
		return err
	}
	latest, _, err := c.options.Store.ListFirings(r.Context(), key, ledger.FiringFilter{}, ledger.ListOptions{Limit: shownFirings})
	if err != nil {
		return err
	}
	shown := firingPage{Connection: connection, Rules: ruleLines(totals)}
	for _, firing := range latest {
		shown.Latest = append(shown.Latest, firingLine{
			Rule: firing.Rule, Record: firing.Ref.String(), Occurrence: firing.Occurrence, State: firingState(firing.State),
			At: firing.DecidedAt.UTC().Format(time.DateTime), Effects: effectsOf(firing.Effects),
		})
	}
	return c.show(w, "firings.html", shown)
}

// ruleLines makes one line of the totals of each rule; they come in the order of rules.
func ruleLines(totals []ledger.FiringTotal) []ruleLine {
	var lines []ruleLine
	for _, total := range totals {
		if len(lines) == 0 || lines[len(lines)-1].Rule != total.Rule {
			lines = append(lines, ruleLine{Rule: total.Rule})
		}
		line := &lines[len(lines)-1]
		switch total.State {
		case ledger.FiringOpen:
			line.Due = total.Count
		case ledger.FiringDone:
			line.Done = total.Count
		case ledger.FiringParked:
			line.Parked = total.Count
		case ledger.FiringCancelled:
			line.Cancelled = total.Count
		}
	}
	return lines
}

// firingState is a state as the page calls it.
func firingState(state ledger.FiringState) string {
	if state == ledger.FiringOpen {
		return "due"
	}
	return string(state)
}

// effectsOf is "upsert done, call due (transient 503, tries: 4)".
func effectsOf(effects []ledger.FiringEffect) string {
	texts := make([]string, 0, len(effects))
	for _, effect := range effects {
		text := effect.Kind + " "
		if effect.Name != "" {
			text += effect.Name + " "
		}
		text += firingState(effect.State)
		if effect.Code != "" {
			why := effect.Code
			if effect.Status != 0 {
				why += fmt.Sprintf(" %d", effect.Status)
			}
			text += fmt.Sprintf(" (%s, tries: %d)", why, effect.Tries)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}
