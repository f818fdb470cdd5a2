-- Touch-points came under number 6 at first, after 7 was there: a ledger that has them
-- keeps them, one that went to 7 without gets them here.

-- +goose Up

-- One row per e-mail or call, as the record that logs it says now; what is counted
-- is the rows. They hold ids and no names.
CREATE TABLE IF NOT EXISTS touch_points (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  stream TEXT NOT NULL,
  side TEXT NOT NULL,
  record_id TEXT NOT NULL,
  object TEXT NOT NULL,
  kind TEXT NOT NULL,
  day TEXT NOT NULL, -- YYYY-MM-DD
  user_stream TEXT NOT NULL,
  user_id TEXT NOT NULL,
  customer_stream TEXT NOT NULL,
  customer_id TEXT NOT NULL,
  gone_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, connection_id, stream, side, record_id)
);
-- Whole rows of what is counted, so that a count reads the index alone.
CREATE INDEX IF NOT EXISTS touch_points_day ON touch_points (tenant_id, connection_id, day, kind, side, user_stream, user_id, customer_stream, customer_id);
CREATE INDEX IF NOT EXISTS touch_points_customer ON touch_points (tenant_id, connection_id, customer_id, customer_stream, side, kind, day);
CREATE INDEX IF NOT EXISTS touch_points_user ON touch_points (tenant_id, connection_id, user_id, day);
CREATE INDEX IF NOT EXISTS touch_points_kind ON touch_points (tenant_id, connection_id, kind);

-- Records that a vendor joined into others.
CREATE TABLE IF NOT EXISTS merges (
  tenant_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  stream TEXT NOT NULL,
  side TEXT NOT NULL,
  record_id TEXT NOT NULL,
  into_id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, connection_id, stream, side, record_id)
);
CREATE INDEX IF NOT EXISTS merges_into ON merges (tenant_id, connection_id, into_id, stream, side);

-- +goose Down
DROP TABLE merges;
DROP TABLE touch_points;
