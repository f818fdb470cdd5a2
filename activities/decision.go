package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// decisionPrint is the fingerprint of every kept decision: their keys are
// unique, so there is nothing to compare.
const decisionPrint = "decision"

// Proposal is an operator's decision on its way to the engine. It holds values
// of records, so it travels through the ledger and workflows see its key only.
type Proposal struct {
	Decision ledger.Decision `json:"decision"`
	// Seen holds the values the operator saw; nil binds the decision to what is
	// read when it is made.
	Seen *ProposalSeen `json:"seen,omitempty"`
}

// ProposalSeen holds both values of a conflict as they were shown.
type ProposalSeen struct {
	Left  any `json:"left"`
	Right any `json:"right"`
}

// KeepProposal stores a proposal under a new id, encrypted like all requests
// and purged with them.
func KeepProposal(ctx context.Context, store ledger.Requests, tenant, id string, proposal Proposal) error {
	body, err := json.Marshal(proposal)
	if err != nil {
		return fault.Wrap(fault.Usage, err, "the chosen value is not JSON")
	}
	status, _, err := store.BeginRequest(ctx, tenant, proposalKey(id), decisionPrint)
	if err != nil || status != 0 {
		return err
	}
	return store.EndRequest(ctx, tenant, proposalKey(id), http.StatusOK, body)
}

// loadProposal reads a kept proposal; NotFound when it was purged.
func loadProposal(ctx context.Context, store ledger.Requests, tenant, id string) (Proposal, error) {
	status, body, err := store.BeginRequest(ctx, tenant, proposalKey(id), decisionPrint)
	if err != nil {
		return Proposal{}, err
	}
	if status == 0 {
		// Reading an unknown key reserves it: give it back.
		if err := store.EndRequest(ctx, tenant, proposalKey(id), 0, nil); err != nil {
			return Proposal{}, err
		}
		return Proposal{}, fault.New(fault.NotFound, "decision %s is not in the ledger any more; decide again", id)
	}
	var proposal Proposal
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&proposal); err != nil {
		return Proposal{}, fault.Wrap(fault.Internal, err, "decision %s cannot be read; decide again", id)
	}
	return proposal, nil
}

func proposalKey(id string) string { return "decision/" + id }
