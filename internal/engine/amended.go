package engine

import (
	"maps"

	"github.com/accord-sync/accord/internal/ledger"
)

// forgetAmended takes those fields out of the base of a state's link that an
// edit of the integration reads from elsewhere now: the value of the old place is
// no past of the new one, and what is found there is nobody's edit. They follow the
// first-link rules, like a new field.
func (s Stream) forgetAmended(state *ledger.State) {
	if state.Link == nil || state.Link.Base.Version == 0 {
		return
	}
	var amended []string
	for name, since := range s.Since {
		if state.Link.Base.Version < since {
			amended = append(amended, name)
		}
	}
	if len(amended) == 0 {
		return
	}
	link := *state.Link
	link.Base = copyBase(link.Base)
	for _, name := range amended {
		for _, values := range []ledger.Values{link.Base.Left, link.Base.Right} {
			maps.DeleteFunc(values, func(field string, _ any) bool { return field == name })
		}
	}
	state.Link = &link
}
