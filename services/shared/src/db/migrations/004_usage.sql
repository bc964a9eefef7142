-- What people look at: the request log (by month of admission) and its roll-ups. Nothing here decides about money.

CREATE TABLE request_log (
  request_id        text NOT NULL,
  admitted_at       timestamptz(3) NOT NULL,
  account_id        text NOT NULL,
  key_id            text NOT NULL,
  project_id        text,
  user_id           text,
  model             text NOT NULL,
  endpoint          text NOT NULL,
  stream            boolean NOT NULL,
  final             boolean NOT NULL,
  outcome           text NOT NULL,
  status            integer NOT NULL,
  finish_reason     text,
  prompt_tokens     integer NOT NULL,
  cached_tokens     integer NOT NULL,
  completion_tokens integer NOT NULL,
  reasoning_tokens  integer NOT NULL,
  count_source      text NOT NULL,
  amount_nusd       bigint NOT NULL,
  held_nusd         bigint NOT NULL,
  price_id          text NOT NULL,
  clipped           boolean NOT NULL,
  absorbed          jsonb,
  worker_url        text,
  router_id         text NOT NULL,
  finished_at       timestamptz(3) NOT NULL,
  queue_ms          integer,
  first_token_ms    integer,
  duration_ms       integer NOT NULL,
  client_request_id text,
  -- When this row was last written: roll-ups look for what changed since they last ran.
  logged_at         timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (admitted_at, request_id)
) PARTITION BY RANGE (admitted_at);
CREATE TABLE request_log_default PARTITION OF request_log DEFAULT;
CREATE INDEX request_log_account ON request_log (account_id, admitted_at DESC, request_id DESC);
CREATE INDEX request_log_logged ON request_log (logged_at);

-- Creates the partition of the UTC month that holds `moment`, moving rows that already fell into the default partition.
CREATE FUNCTION ensure_request_log_partition(moment timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  from_at timestamptz := date_trunc('month', moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
  to_at   timestamptz := (date_trunc('month', moment AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
  part    text := 'request_log_' || to_char(moment AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('tollgate request_log'));
  IF to_regclass(part) IS NOT NULL THEN RETURN NULL; END IF;
  EXECUTE format('CREATE TABLE %I (LIKE request_log INCLUDING DEFAULTS)', part);
  EXECUTE format('WITH moved AS (DELETE FROM request_log_default WHERE admitted_at >= %L AND admitted_at < %L RETURNING *)
                  INSERT INTO %I SELECT * FROM moved', from_at, to_at, part);
  EXECUTE format('ALTER TABLE request_log ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part, from_at, to_at);
  RETURN part;
END $$;

CREATE TABLE usage_hourly (
  account_id        text NOT NULL,
  key_id            text NOT NULL,
  model             text NOT NULL,
  hour              timestamptz(3) NOT NULL,
  requests          bigint NOT NULL,
  prompt_tokens     bigint NOT NULL,
  cached_tokens     bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  amount_nusd       bigint NOT NULL,
  PRIMARY KEY (account_id, hour, key_id, model)
);

CREATE TABLE usage_daily (
  account_id        text NOT NULL,
  key_id            text NOT NULL,
  model             text NOT NULL,
  day               date NOT NULL,
  requests          bigint NOT NULL,
  prompt_tokens     bigint NOT NULL,
  cached_tokens     bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  amount_nusd       bigint NOT NULL,
  PRIMARY KEY (account_id, day, key_id, model)
);

-- Balances proven up to a transaction, so that a reconciliation reads only what came after.
CREATE TABLE balance_checkpoints (
  account_id     text PRIMARY KEY REFERENCES balances (account_id),
  transaction_id bigint NOT NULL,
  available      bigint NOT NULL,
  leased         bigint NOT NULL,
  quarantined    bigint NOT NULL,
  posted         bigint NOT NULL,
  credited       bigint NOT NULL,
  receivable     bigint NOT NULL,
  uncollected    bigint NOT NULL
);

CREATE TABLE reconciliations (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  drift_nusd bigint NOT NULL,
  findings   jsonb NOT NULL
);
