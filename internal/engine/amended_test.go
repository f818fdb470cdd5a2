package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// amended edits the integration of the running connection, and compares all
// records as the activation that follows does.
func (b *bench) amended(pairs ...string) {
	yAmend(b, pairs...)
	b.run(ledger.RunBackfill)
	b.quiet()
}

const companyLine = "      company: {left: company, right: company_name}\n"

func TestANewFieldFollowsTheFirstLinkRules(t *testing.T) {
	b := start(t, replaced(companyLine, ""))
	onlyLeft, c1 := b.pair("a@x.com")
	onlyRight, c2 := b.pair("b@x.com")
	differ, c3 := b.pair("c@x.com")
	b.edit(record.Left, onlyLeft, map[string]any{"company": "L"})
	b.edit(record.Right, c2, map[string]any{"company_name": "R"})
	b.edit(record.Right, c3, map[string]any{"company_name": "older"})
	b.clock.advance(10e9)
	b.edit(record.Left, differ, map[string]any{"company": "newer"})
	b.quiet()
	require.Empty(t, text(b.get(record.Right, c1), "company_name"), "it is not mapped yet")
	b.amended("      position:", companyLine+"      position:")
	require.Equal(t, "L", text(b.get(record.Right, c1), "company_name"), "blanks are filled")
	require.Equal(t, "R", text(b.get(record.Left, onlyRight), "company"))
	require.Equal(t, "newer", text(b.get(record.Right, c3), "company_name"), "the rest goes to the policy")
	require.Equal(t, "newer", text(b.get(record.Left, differ), "company"))
	b.edit(record.Left, onlyLeft, map[string]any{"company": ""})
	b.quiet()
	require.Empty(t, text(b.get(record.Right, c1), "company_name"), "from now on clearing is an edit")
}

func TestARemovedFieldIsLeftAlone(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("a@x.com")
	b.edit(record.Left, lead, map[string]any{"company": "X"})
	b.quiet()
	b.amended(companyLine, "")
	b.edit(record.Left, lead, map[string]any{"company": "Y", "position": "CTO"})
	b.quiet()
	require.Equal(t, "X", text(b.get(record.Right, contact), "company_name"))
	require.Equal(t, "CTO", text(b.get(record.Right, contact), "job_title"))
	b.amended("      position:", companyLine+"      position:")
	require.Equal(t, "Y", text(b.get(record.Left, lead), "company"), "what both agreed on once is still their past")
	require.Equal(t, "Y", text(b.get(record.Right, contact), "company_name"))
}

func TestAChangedPolicyDecidesWhatIsOpen(t *testing.T) {
	b := start(t, setup{})
	lead, contact, _ := yPhoneConflict(b)
	b.amended("fields: {phone: manual}", "fields: {phone: right}")
	require.Empty(t, b.openConflicts())
	require.Equal(t, text(b.get(record.Right, contact), "phone"), text(b.get(record.Left, lead), "phone"))
}

// The base keeps what the servers hold, not its normal form.
func TestANewNormalFormChangesNoRecord(t *testing.T) {
	b := start(t, replaced("phone: {left: phone, right: phone, as: {phone: BR}}", "phone: {left: phone, right: phone}"))
	b.crowd(5, map[string]any{"phone": "11 91234-5678"})
	left, right := b.writes(record.Left), b.writes(record.Right)
	b.amended("phone: {left: phone, right: phone}", "phone: {left: phone, right: phone, as: {phone: BR}}")
	b.run(ledger.RunCompare)
	b.amended("phone: {left: phone, right: phone, as: {phone: BR}}", "phone: {left: phone, right: phone}")
	require.Equal(t, left, b.writes(record.Left))
	require.Equal(t, right, b.writes(record.Right))
}

// A field that is read from elsewhere now has no common past: what it reads is
// nobody's edit.
func TestAFieldReadFromElsewhereIsNobodysEdit(t *testing.T) {
	for name, change := range map[string][2]string{
		"path":       {"company: {left: company, right: company_name}", "company: {left: custom_fields.firm, right: company_name}"},
		"expression": {"company: {left: company, right: company_name}", `company: {left: {read: 'position ?? ""', write: {company: "value"}}, right: company_name}`},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, setup{})
			pairs := b.crowd(3, nil)
			require.Equal(t, 3, b.filled("company_name"))
			b.amended(change[0], change[1])
			require.Equal(t, 3, b.filled("company_name"), "nobody cleared a company")
			require.Empty(t, b.heldNow())
			for lead, contact := range pairs {
				if name == "path" {
					require.Equal(t, "Acme", text(b.get(record.Left, lead), "custom_fields.firm"), "a blank is filled")
					b.edit(record.Left, lead, map[string]any{"custom_fields": map[string]any{"firm": ""}})
					b.quiet()
					require.Empty(t, text(b.get(record.Right, contact), "company_name"), "from now on clearing is an edit")
				}
			}
			require.Empty(t, b.letters())
		})
	}
}
