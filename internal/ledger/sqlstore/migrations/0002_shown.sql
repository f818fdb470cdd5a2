-- +goose Up

-- A change may carry the record as the listing or the event showed it. It is
-- compared and, in a first load, created from; nothing is overwritten with it.
ALTER TABLE inbox ADD COLUMN shown BYTEA; -- sealed JSON
ALTER TABLE inbox ADD COLUMN shown_print TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE inbox DROP COLUMN shown_print;
ALTER TABLE inbox DROP COLUMN shown;
