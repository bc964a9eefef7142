-- Money. Append-only double entry: every change of a balance is a transaction whose entries sum to zero.
-- Sign: an entry in available, leased, quarantined, posted adds to that balance; an entry in credited, receivable,
-- uncollected of -x means that the balance grew by x. So sum = 0 says the identity of `balances`.

CREATE TABLE balances (
  account_id  text PRIMARY KEY REFERENCES accounts (id),
  -- Grows by one with every transaction: the version of a verdict.
  version     bigint NOT NULL DEFAULT 0,
  available   bigint NOT NULL DEFAULT 0 CHECK (available >= 0),
  leased      bigint NOT NULL DEFAULT 0 CHECK (leased >= 0),
  quarantined bigint NOT NULL DEFAULT 0 CHECK (quarantined >= 0),
  posted      bigint NOT NULL DEFAULT 0 CHECK (posted >= 0),
  credited    bigint NOT NULL DEFAULT 0 CHECK (credited >= 0),
  receivable  bigint NOT NULL DEFAULT 0 CHECK (receivable >= 0),
  uncollected bigint NOT NULL DEFAULT 0 CHECK (uncollected >= 0),
  CONSTRAINT balances_identity
    CHECK (available + leased + quarantined + posted = credited + receivable + uncollected),
  -- Debts are repaid before anything is spendable (MONEY.md 3.4); this makes balances independent of the order of records.
  CONSTRAINT balances_debt_first CHECK (available = 0 OR (receivable = 0 AND uncollected = 0))
);

CREATE TABLE transactions (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind       text NOT NULL CHECK (kind IN ('credit_grant', 'credit_adjust', 'refund', 'lease_grant', 'lease_return',
                                           'lease_quarantine', 'lease_release', 'settlement', 'settlement_final')),
  -- Request id, leaseId + sequence, payment event id, admin operation id, refund id (MONEY.md 3.1).
  idem_key   text NOT NULL,
  account_id text NOT NULL REFERENCES balances (account_id),
  reason     text,
  actor      text,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  UNIQUE (kind, idem_key)
);
CREATE INDEX transactions_of_account ON transactions (account_id, id DESC);

CREATE TABLE entries (
  transaction_id bigint NOT NULL REFERENCES transactions (id),
  bucket_kind    text NOT NULL CHECK (bucket_kind IN ('available', 'leased', 'quarantined', 'posted',
                                                      'credited', 'receivable', 'uncollected')),
  account_id     text NOT NULL,
  amount_nusd    bigint NOT NULL CHECK (amount_nusd <> 0),
  PRIMARY KEY (transaction_id, bucket_kind)
);

CREATE FUNCTION check_entries_sum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE total numeric;
BEGIN
  SELECT sum(amount_nusd) INTO total FROM entries WHERE transaction_id = NEW.transaction_id;
  IF total <> 0 THEN
    RAISE EXCEPTION 'entries of transaction % sum to %', NEW.transaction_id, total USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER entries_sum_zero AFTER INSERT ON entries
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_entries_sum();
CREATE TRIGGER entries_immutable BEFORE UPDATE OR DELETE ON entries
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transactions_immutable BEFORE UPDATE OR DELETE ON transactions
  FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- A slice of an account's credit that one Redis history may spend.
-- rest = granted - returned - released - settled: in balances.leased while open, in balances.quarantined while
-- quarantined, 0 when closed.
CREATE TABLE leases (
  id             text PRIMARY KEY,
  seq            bigint NOT NULL,
  account_id     text NOT NULL REFERENCES balances (account_id),
  bucket         integer NOT NULL,
  history        text NOT NULL,
  era            text NOT NULL,
  -- Cumulative, as are the Redis hash's own totals.
  granted        bigint NOT NULL CHECK (granted > 0 AND granted <= 100000000000000),
  returned       bigint NOT NULL DEFAULT 0 CHECK (returned >= 0),
  -- Given back by the release of a quarantined or closed lease, not by Redis.
  released       bigint NOT NULL DEFAULT 0 CHECK (released >= 0),
  settled        bigint NOT NULL DEFAULT 0 CHECK (settled >= 0),
  -- Settlements of this lease that it could not fund: taken from available, then uncollected.
  overdrawn      bigint NOT NULL DEFAULT 0 CHECK (overdrawn >= 0),
  -- Redis clock. Never below what Redis holds: extended here first.
  exp_ms         bigint NOT NULL,
  state          text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'quarantined', 'closed')),
  quarantine_why text CHECK (quarantine_why IN ('history', 'era', 'missing', 'replaced', 'restart', 'closed')),
  quarantined_at timestamptz(3),
  created_at     timestamptz(3) NOT NULL DEFAULT now(),
  closed_at      timestamptz(3),
  UNIQUE (account_id, seq),
  CONSTRAINT leases_never_overspent CHECK (returned + released + settled <= granted),
  CONSTRAINT leases_closed_empty CHECK (state <> 'closed' OR returned + released + settled = granted)
);
CREATE UNIQUE INDEX leases_one_open ON leases (account_id) WHERE state = 'open';
CREATE INDEX leases_alive ON leases (bucket, id) WHERE state <> 'closed';
CREATE INDEX leases_quarantined ON leases (account_id) WHERE state = 'quarantined';

-- One row per finished request: what keeps postings exactly once.
CREATE TABLE settlements (
  request_id        text PRIMARY KEY,
  account_id        text NOT NULL REFERENCES balances (account_id),
  lease_id          text NOT NULL,
  state             text NOT NULL CHECK (state IN ('estimated', 'final')),
  -- How often an amount was posted: 0 for the first.
  revision          integer NOT NULL DEFAULT 0,
  amount_nusd       bigint NOT NULL CHECK (amount_nusd >= 0),
  key_id            text NOT NULL,
  model             text NOT NULL,
  price_id          text NOT NULL,
  prompt_tokens     integer NOT NULL,
  cached_tokens     integer NOT NULL,
  completion_tokens integer NOT NULL,
  outcome           text NOT NULL,
  admitted_at       timestamptz(3) NOT NULL,
  finished_at       timestamptz(3) NOT NULL,
  -- Where it came from: the outbox entry (NULL for ingest) and its Redis history.
  stream_id         text,
  history           text NOT NULL,
  posted_at         timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX settlements_of_account ON settlements (account_id, finished_at DESC);

-- Spend per key and UTC day of admission: the seed of the cap counters in a new lease.
CREATE TABLE key_spend (
  key_id      text NOT NULL,
  day         date NOT NULL,
  amount_nusd bigint NOT NULL,
  PRIMARY KEY (key_id, day)
);

-- Texts that are no usage record, kept for a human.
CREATE TABLE dead_letters (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source     text NOT NULL UNIQUE,
  text       text NOT NULL,
  error      text NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now()
);
