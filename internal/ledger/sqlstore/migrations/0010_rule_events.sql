-- The events of rules that fire once per event, until the rule has seen them.

-- +goose Up
CREATE TABLE rule_events (
	tenant_id TEXT NOT NULL,
	connection_id TEXT NOT NULL,
	stream TEXT NOT NULL,
	side TEXT NOT NULL,
	object TEXT NOT NULL,
	record_id TEXT NOT NULL,
	event_id TEXT NOT NULL,
	arrived_at BIGINT NOT NULL,
	PRIMARY KEY (tenant_id, connection_id, stream, side, object, record_id, event_id)
);
-- What is over is purged by its time alone.
CREATE INDEX firings_over ON firings (updated_at) WHERE state IN ('done', 'cancelled');

-- +goose Down
DROP INDEX firings_over;
DROP TABLE rule_events;
