-- What rules know of records, what they did, and what they count.

-- +goose Up
CREATE TABLE rule_matches (
	tenant_id TEXT NOT NULL,
	connection_id TEXT NOT NULL,
	rule TEXT NOT NULL,
	side TEXT NOT NULL, -- empty: since when the rule is looked at
	object TEXT NOT NULL,
	record_id TEXT NOT NULL,
	matching BIGINT NOT NULL,
	turn BIGINT NOT NULL,
	print TEXT NOT NULL,
	found BYTEA, -- sealed JSON
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (tenant_id, connection_id, rule, side, record_id)
);

CREATE TABLE firings (
	tenant_id TEXT NOT NULL,
	connection_id TEXT NOT NULL,
	id TEXT NOT NULL,
	rule TEXT NOT NULL,
	side TEXT NOT NULL,
	object TEXT NOT NULL,
	record_id TEXT NOT NULL,
	occurrence TEXT NOT NULL,
	state TEXT NOT NULL,
	decided_at BIGINT NOT NULL,
	ended_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	effects BYTEA, -- sealed JSON
	PRIMARY KEY (tenant_id, connection_id, id)
);
CREATE UNIQUE INDEX firings_occurrence ON firings (tenant_id, connection_id, rule, side, record_id, occurrence);
CREATE INDEX firings_decided ON firings (tenant_id, connection_id, decided_at, id);

CREATE TABLE rule_counts (
	tenant_id TEXT NOT NULL,
	connection_id TEXT NOT NULL,
	rule TEXT NOT NULL,
	metric TEXT NOT NULL,
	labels TEXT NOT NULL,
	amount BIGINT NOT NULL,
	PRIMARY KEY (tenant_id, connection_id, rule, metric, labels)
);

-- +goose Down
DROP TABLE rule_counts;
DROP TABLE firings;
DROP TABLE rule_matches;
