-- The request log for people: also what was refused, and indexes for every filter of the screen.

-- True: never admitted, or ended without anything to bill; such rows are no usage.
ALTER TABLE request_log ADD COLUMN refused boolean NOT NULL DEFAULT false;
-- Error code that the client got.
ALTER TABLE request_log ADD COLUMN code text;

CREATE INDEX request_log_id ON request_log (request_id text_pattern_ops);
CREATE INDEX request_log_key ON request_log (account_id, key_id, admitted_at DESC, request_id DESC);
CREATE INDEX request_log_model ON request_log (account_id, model, admitted_at DESC, request_id DESC);
CREATE INDEX request_log_unserved ON request_log (account_id, admitted_at DESC, request_id DESC) WHERE outcome <> 'served';
CREATE INDEX request_log_first_token ON request_log (account_id, first_token_ms DESC) WHERE first_token_ms >= 500;
CREATE INDEX request_log_duration ON request_log (account_id, duration_ms DESC) WHERE duration_ms >= 2000;

-- Finer roll-ups than usage_hourly: how requests ended, refused ones included.
CREATE TABLE outcome_hourly (
  account_id        text NOT NULL,
  hour              timestamptz(3) NOT NULL,
  key_id            text NOT NULL,
  model             text NOT NULL,
  outcome           text NOT NULL,
  requests          bigint NOT NULL,
  prompt_tokens     bigint NOT NULL,
  cached_tokens     bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  amount_nusd       bigint NOT NULL,
  -- Time between first and last token of served streams, and their tokens.
  decode_ms         bigint NOT NULL,
  decode_tokens     bigint NOT NULL,
  PRIMARY KEY (account_id, hour, key_id, model, outcome)
);
CREATE INDEX outcome_hourly_model ON outcome_hourly (model, hour);
CREATE INDEX outcome_hourly_hour ON outcome_hourly (hour);

CREATE TABLE outcome_daily (
  account_id        text NOT NULL,
  day               date NOT NULL,
  key_id            text NOT NULL,
  model             text NOT NULL,
  outcome           text NOT NULL,
  requests          bigint NOT NULL,
  prompt_tokens     bigint NOT NULL,
  cached_tokens     bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  amount_nusd       bigint NOT NULL,
  decode_ms         bigint NOT NULL,
  decode_tokens     bigint NOT NULL,
  PRIMARY KEY (account_id, day, key_id, model, outcome)
);
CREATE INDEX outcome_daily_model ON outcome_daily (model, day);

-- Time to first token as counts per logarithmic bucket (8 per doubling), so that hours and accounts can be added up.
CREATE TABLE first_token_hourly (
  account_id text NOT NULL,
  model      text NOT NULL,
  hour       timestamptz(3) NOT NULL,
  bucket     smallint NOT NULL,
  requests   bigint NOT NULL,
  PRIMARY KEY (account_id, hour, model, bucket)
);
CREATE INDEX first_token_hourly_model ON first_token_hourly (model, hour);
CREATE INDEX first_token_hourly_hour ON first_token_hourly (hour);

-- Drops the request log's partitions whose whole month lies before `before`; returns their names.
CREATE FUNCTION drop_request_log_partitions(before timestamptz) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE part text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('tollgate request_log'));
  FOR part IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'request_log'::regclass AND c.relname ~ '^request_log_\d{4}_\d{2}$'
      AND (to_date(substr(c.relname, 13), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC' <= before
    ORDER BY 1
  LOOP
    EXECUTE format('DROP TABLE %I', part);
    RETURN NEXT part;
  END LOOP;
  -- What never got a partition of its own is old all the same.
  DELETE FROM request_log_default WHERE admitted_at < before;
END $$;
