-- +goose Up

-- Claims in a row that ended without a word, as those of a worker that died.
ALTER TABLE inbox ADD COLUMN crashes BIGINT NOT NULL DEFAULT 0;

-- How often the ledger was seen at work. Workers and Temporal remember the
-- highest count: a ledger that shows a smaller one, or an epoch that is none of
-- its own, was put back to an older state.
CREATE TABLE ledger_mark (
  one BIGINT NOT NULL PRIMARY KEY, -- always 1
  epoch TEXT NOT NULL,
  count BIGINT NOT NULL,
  marked_at BIGINT NOT NULL
);
CREATE TABLE ledger_epochs (
  epoch TEXT NOT NULL PRIMARY KEY,
  ended_at BIGINT NOT NULL
);
ALTER TABLE connections ADD COLUMN restored TEXT NOT NULL DEFAULT ''; -- JSON; '' : never

-- +goose Down
ALTER TABLE connections DROP COLUMN restored;
DROP TABLE ledger_epochs;
DROP TABLE ledger_mark;
ALTER TABLE inbox DROP COLUMN crashes;
