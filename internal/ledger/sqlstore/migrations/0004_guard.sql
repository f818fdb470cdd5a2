-- The guard counts clears and rewrites by side and field, and names the fields it holds.

-- +goose Up
ALTER TABLE held ADD COLUMN fields TEXT NOT NULL DEFAULT '';
ALTER TABLE held ADD COLUMN left_print TEXT NOT NULL DEFAULT '';
ALTER TABLE held ADD COLUMN right_print TEXT NOT NULL DEFAULT '';
ALTER TABLE guard_takes ADD COLUMN side TEXT NOT NULL DEFAULT '';
ALTER TABLE guard_takes ADD COLUMN field TEXT NOT NULL DEFAULT '';
DROP INDEX guard_takes_window;
CREATE INDEX guard_takes_window ON guard_takes (tenant_id, connection_id, stream, op, side, field, at);

-- +goose Down
DROP INDEX guard_takes_window;
CREATE INDEX guard_takes_window ON guard_takes (tenant_id, connection_id, stream, at);
ALTER TABLE guard_takes DROP COLUMN field;
ALTER TABLE guard_takes DROP COLUMN side;
ALTER TABLE held DROP COLUMN right_print;
ALTER TABLE held DROP COLUMN left_print;
ALTER TABLE held DROP COLUMN fields;
