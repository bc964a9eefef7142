-- Receipts: one signed text per posted bill, chained per account. The chain is made from what the ledger holds, by metering,
-- a moment after the posting; nothing about money waits for it.

ALTER TABLE request_log ADD COLUMN worker_engine text;
ALTER TABLE request_log ADD COLUMN request_digest text;
ALTER TABLE request_log ADD COLUMN price_percent integer;

-- Bills without a receipt yet: written by the statement that posts them.
CREATE TABLE receipts_due (
  request_id text PRIMARY KEY,
  at         timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX receipts_due_at ON receipts_due (at, request_id);

CREATE FUNCTION owe_receipts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO receipts_due (request_id) SELECT request_id FROM posted ORDER BY request_id ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER settlements_owe_receipts AFTER INSERT ON settlements
  REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION owe_receipts();
CREATE TRIGGER settlements_owe_new_receipts AFTER UPDATE ON settlements
  REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION owe_receipts();

CREATE TABLE receipts (
  account_id text NOT NULL,
  -- 1, 2, 3, ... without a gap.
  seq        bigint NOT NULL,
  request_id text NOT NULL,
  -- Of the settlement: a bill that was an estimate and became final has two receipts, the later one counts.
  revision   integer NOT NULL,
  -- SHA-256 of the JWS, base64url: what the next one names as `prev`.
  hash       text NOT NULL,
  jws        text NOT NULL,
  created_at timestamptz(3) NOT NULL,
  PRIMARY KEY (account_id, seq),
  UNIQUE (request_id, revision)
);
CREATE FUNCTION receipts_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'receipts are append-only';
END $$;
CREATE TRIGGER receipts_append_only BEFORE UPDATE OR DELETE ON receipts
  FOR EACH ROW EXECUTE FUNCTION receipts_stay();

-- Keys that sign them. Public parts stay for ever; the private part is sealed under the service token.
CREATE TABLE signing_keys (
  kid            text PRIMARY KEY,
  public_jwk     jsonb NOT NULL,
  private_sealed text,
  created_at     timestamptz(3) NOT NULL
);
