-- One set of statements for SQLite and Postgres. Conventions:
--   times are microseconds since 1970 UTC, 0 means none;
--   flags are 0 or 1; BYTEA columns hold sealed (encrypted) JSON, NULL means none;
--   every table carries tenant_id, ids are text.

-- +goose Up
CREATE TABLE ledger_meta (
  tenant_id TEXT NOT NULL, -- '' : of the whole ledger
  name TEXT NOT NULL,
  value BYTEA,
  PRIMARY KEY (tenant_id, name)
);

CREATE TABLE connections (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  state_reason TEXT NOT NULL,
  version BIGINT NOT NULL,
  integration TEXT NOT NULL,
  variables BYTEA,
  secrets BYTEA,
  nudged_until BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, connection_id)
);
CREATE UNIQUE INDEX connections_id ON connections (connection_id);
CREATE INDEX connections_state ON connections (state, nudged_until);

CREATE TABLE connection_versions (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  version BIGINT NOT NULL,
  integration TEXT NOT NULL,
  variables BYTEA,
  secrets BYTEA,
  stored_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, connection_id, version)
);

-- A deleted connection whose rows are still being removed in batches.
CREATE TABLE removals (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  since BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, connection_id)
);

CREATE TABLE inbox (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  side TEXT NOT NULL,
  object TEXT NOT NULL,
  record_id TEXT NOT NULL,
  stream TEXT NOT NULL,
  bucket INTEGER NOT NULL, -- fnv32a(ref) modulo 64: shard i of n takes bucket % n = i
  generation BIGINT NOT NULL,
  lane INTEGER NOT NULL,
  due_at BIGINT NOT NULL,
  run_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  trace TEXT NOT NULL,
  tries BIGINT NOT NULL,
  claims BIGINT NOT NULL,
  first_at BIGINT NOT NULL,
  claim_token TEXT NOT NULL,
  claimed_until BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, connection_id, side, object, record_id, stream)
);
CREATE INDEX inbox_due ON inbox (tenant_id, connection_id, lane, due_at, bucket, claimed_until, tries);
CREATE INDEX inbox_run ON inbox (tenant_id, connection_id, run_id, lane, due_at, bucket, claimed_until, tries, first_at) WHERE run_id <> '';
CREATE INDEX inbox_claim ON inbox (tenant_id, connection_id, claim_token) WHERE claim_token <> '';
CREATE INDEX inbox_age ON inbox (tenant_id, connection_id, first_at);

CREATE TABLE leases (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  lease_key TEXT NOT NULL,
  side TEXT NOT NULL, -- side, object and record_id are set when the key is a ref's
  object TEXT NOT NULL,
  record_id TEXT NOT NULL,
  token TEXT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, connection_id, lease_key)
);
CREATE INDEX leases_token ON leases (tenant_id, connection_id, token);
CREATE INDEX leases_expiry ON leases (expires_at);

CREATE TABLE links (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  id TEXT NOT NULL,
  stream TEXT NOT NULL,
  left_object TEXT NOT NULL,
  left_id TEXT NOT NULL,
  right_object TEXT NOT NULL,
  right_id TEXT NOT NULL,
  state TEXT NOT NULL,
  base BYTEA,
  left_version TEXT NOT NULL,
  right_version TEXT NOT NULL,
  gone_side TEXT NOT NULL,
  gone_at BIGINT NOT NULL,
  flagged INTEGER NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, connection_id, id)
);
CREATE UNIQUE INDEX links_left ON links (tenant_id, connection_id, left_id, stream) WHERE state <> 'tombstone';
CREATE UNIQUE INDEX links_right ON links (tenant_id, connection_id, right_id, stream) WHERE state <> 'tombstone';
CREATE INDEX links_left_gone ON links (tenant_id, connection_id, left_id, stream) WHERE state = 'tombstone';
CREATE INDEX links_right_gone ON links (tenant_id, connection_id, right_id, stream) WHERE state = 'tombstone';
CREATE INDEX links_stream ON links (tenant_id, connection_id, stream, state, id);
CREATE INDEX links_tombstone_age ON links (updated_at) WHERE state = 'tombstone';

CREATE TABLE intents (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  id TEXT NOT NULL,
  stream TEXT NOT NULL,
  link_id TEXT NOT NULL,
  source_side TEXT NOT NULL,
  source_id TEXT NOT NULL,
  target_side TEXT NOT NULL,
  target_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  opened_at BIGINT NOT NULL,
  body BYTEA,
  PRIMARY KEY (tenant_id, connection_id, id)
);
CREATE INDEX intents_link ON intents (tenant_id, connection_id, link_id);
CREATE INDEX intents_source ON intents (tenant_id, connection_id, source_id);
CREATE INDEX intents_target ON intents (tenant_id, connection_id, target_id);

CREATE TABLE history (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  id TEXT NOT NULL,
  at BIGINT NOT NULL,
  stream TEXT NOT NULL,
  link_id TEXT NOT NULL,
  side TEXT NOT NULL,
  object TEXT NOT NULL,
  record_id TEXT NOT NULL,
  field TEXT NOT NULL,
  op TEXT NOT NULL,
  cause_kind TEXT NOT NULL,
  cause_side TEXT NOT NULL,
  cause_event TEXT NOT NULL,
  run_id TEXT NOT NULL,
  workflow_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  intent_id TEXT NOT NULL,
  vals BYTEA,
  PRIMARY KEY (tenant_id, connection_id, id)
);
CREATE INDEX history_list ON history (tenant_id, connection_id, at, id);
CREATE INDEX history_record ON history (tenant_id, connection_id, record_id, at, id);
CREATE INDEX history_run ON history (tenant_id, connection_id, run_id, at, id) WHERE run_id <> '';
CREATE INDEX history_age ON history (at);

CREATE TABLE conflicts (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  id TEXT NOT NULL,
  stream TEXT NOT NULL,
  link_id TEXT NOT NULL,
  left_object TEXT NOT NULL,
  left_id TEXT NOT NULL,
  right_object TEXT NOT NULL,
  right_id TEXT NOT NULL,
  field TEXT NOT NULL,
  first_link INTEGER NOT NULL,
  opened_at BIGINT NOT NULL,
  deadline BIGINT NOT NULL,
  state TEXT NOT NULL,
  closed_by TEXT NOT NULL,
  closed_at BIGINT NOT NULL,
  workflow_id TEXT NOT NULL,
  started INTEGER NOT NULL,
  vals BYTEA,
  PRIMARY KEY (tenant_id, connection_id, id)
);
CREATE UNIQUE INDEX conflicts_id ON conflicts (id);
CREATE UNIQUE INDEX conflicts_field ON conflicts (tenant_id, connection_id, link_id, field) WHERE state IN ('open', 'decided');
CREATE INDEX conflicts_list ON conflicts (tenant_id, connection_id, opened_at, id);
CREATE INDEX conflicts_state ON conflicts (tenant_id, connection_id, state, opened_at, id);
CREATE INDEX conflicts_unstarted ON conflicts (tenant_id, connection_id, opened_at) WHERE state = 'open' AND started = 0;
CREATE INDEX conflicts_deadline ON conflicts (deadline) WHERE state = 'open' AND deadline > 0;
CREATE INDEX conflicts_age ON conflicts (closed_at) WHERE state = 'closed';

CREATE TABLE dead_letters (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  id TEXT NOT NULL,
  stream TEXT NOT NULL,
  side TEXT NOT NULL,
  object TEXT NOT NULL,
  record_id TEXT NOT NULL,
  link_id TEXT NOT NULL,
  code TEXT NOT NULL,
  field TEXT NOT NULL,
  status INTEGER NOT NULL,
  request_id TEXT NOT NULL,
  tries BIGINT NOT NULL,
  first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  state TEXT NOT NULL,
  source_print TEXT NOT NULL,
  target_print TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  vals BYTEA, -- message, overrides and the reason of a discard
  PRIMARY KEY (tenant_id, connection_id, id)
);
CREATE UNIQUE INDEX dead_letters_id ON dead_letters (id);
CREATE UNIQUE INDEX dead_letters_ref ON dead_letters (tenant_id, connection_id, record_id, side, object, stream) WHERE state = 'open';
CREATE INDEX dead_letters_state ON dead_letters (tenant_id, connection_id, state, first_at, id);
CREATE INDEX dead_letters_age ON dead_letters (updated_at) WHERE state <> 'open';

CREATE TABLE held (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  id TEXT NOT NULL,
  stream TEXT NOT NULL,
  link_id TEXT NOT NULL,
  side TEXT NOT NULL,
  object TEXT NOT NULL,
  record_id TEXT NOT NULL,
  op TEXT NOT NULL,
  since BIGINT NOT NULL,
  state TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, connection_id, id)
);
CREATE INDEX held_state ON held (tenant_id, connection_id, state, since, id);
CREATE INDEX held_link ON held (tenant_id, connection_id, link_id);
CREATE INDEX held_age ON held (updated_at) WHERE state IN ('done', 'rejected');

CREATE TABLE guard_takes (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  id TEXT NOT NULL,
  stream TEXT NOT NULL,
  op TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, connection_id, id)
);
CREATE INDEX guard_takes_window ON guard_takes (tenant_id, connection_id, stream, at);

CREATE TABLE runs (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  stream TEXT NOT NULL,
  state TEXT NOT NULL,
  error TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL,
  done BIGINT NOT NULL,
  total BIGINT NOT NULL,
  rows_read BIGINT NOT NULL,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  deleted BIGINT NOT NULL,
  linked BIGINT NOT NULL,
  unchanged BIGINT NOT NULL,
  conflicts BIGINT NOT NULL,
  parked BIGINT NOT NULL,
  held BIGINT NOT NULL,
  workflow_id TEXT NOT NULL,
  again INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, connection_id, id)
);
CREATE UNIQUE INDEX runs_id ON runs (id);
CREATE UNIQUE INDEX runs_running ON runs (tenant_id, connection_id, kind, stream) WHERE state = 'running';
CREATE INDEX runs_list ON runs (tenant_id, connection_id, started_at, id);
CREATE INDEX runs_age ON runs (ended_at) WHERE ended_at > 0;

CREATE TABLE cursors (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  stream TEXT NOT NULL,
  side TEXT NOT NULL,
  scope TEXT NOT NULL,
  body TEXT NOT NULL, -- JSON
  PRIMARY KEY (tenant_id, connection_id, stream, side, scope)
);

CREATE TABLE seen (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  stream TEXT NOT NULL,
  side TEXT NOT NULL,
  record_id TEXT NOT NULL,
  object TEXT NOT NULL,
  print TEXT NOT NULL,
  match_hash TEXT NOT NULL,
  in_scope INTEGER NOT NULL,
  updated_at BIGINT NOT NULL,
  scan_id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, connection_id, stream, side, record_id)
);
CREATE INDEX seen_match ON seen (tenant_id, connection_id, stream, side, match_hash) WHERE match_hash <> '';

CREATE TABLE stream_states (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  stream TEXT NOT NULL,
  next_poll_at BIGINT NOT NULL,
  next_compare_at BIGINT NOT NULL,
  last_poll_at BIGINT NOT NULL,
  last_compare_at BIGINT NOT NULL,
  idle_polls BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, connection_id, stream)
);
CREATE INDEX stream_states_due ON stream_states (next_poll_at);

CREATE TABLE sides (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  side TEXT NOT NULL,
  body TEXT NOT NULL, -- JSON of the side's state
  window_at BIGINT NOT NULL,
  window_used BIGINT NOT NULL,
  window_before BIGINT NOT NULL,
  token BYTEA,
  PRIMARY KEY (tenant_id, connection_id, side)
);

CREATE TABLE requests (
  tenant_id TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  status INTEGER NOT NULL,
  body BYTEA,
  begun_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, idempotency_key)
);
CREATE INDEX requests_age ON requests (begun_at);

-- +goose Down
DROP TABLE requests;
DROP TABLE sides;
DROP TABLE stream_states;
DROP TABLE seen;
DROP TABLE cursors;
DROP TABLE runs;
DROP TABLE guard_takes;
DROP TABLE held;
DROP TABLE dead_letters;
DROP TABLE conflicts;
DROP TABLE history;
DROP TABLE intents;
DROP TABLE links;
DROP TABLE leases;
DROP TABLE inbox;
DROP TABLE removals;
DROP TABLE connection_versions;
DROP TABLE connections;
DROP TABLE ledger_meta;
