-- A run tells why it does not get on.

-- +goose Up
ALTER TABLE runs ADD COLUMN problem_code TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN problem TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN problem_since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN problem_tries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN next_try_at BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE runs DROP COLUMN next_try_at;
ALTER TABLE runs DROP COLUMN problem_tries;
ALTER TABLE runs DROP COLUMN problem_since;
ALTER TABLE runs DROP COLUMN problem;
ALTER TABLE runs DROP COLUMN problem_code;
