-- Paying in. Ledger transactions are the truth; these rows say what a payment provider was asked and what it told.

CREATE TABLE payments (
  id                text PRIMARY KEY,
  account_id        text NOT NULL REFERENCES accounts (id),
  kind              text NOT NULL CHECK (kind IN ('checkout', 'auto_recharge')),
  state             text NOT NULL DEFAULT 'open'
                    CHECK (state IN ('open', 'paid', 'failed', 'expired', 'refunded', 'disputed')),
  amount_nusd       bigint NOT NULL CHECK (amount_nusd > 0),
  refunded_nusd     bigint NOT NULL DEFAULT 0 CHECK (refunded_nusd >= 0 AND refunded_nusd <= amount_nusd),
  provider_session  text UNIQUE,
  provider_intent   text UNIQUE,
  receipt_url       text,
  -- Of the grant.
  transaction_id    text,
  actor             text NOT NULL,
  -- Idempotency key of the caller, per account.
  idem_key          text,
  checkout_url      text,
  failure           text,
  created_at        timestamptz(3) NOT NULL,
  updated_at        timestamptz(3) NOT NULL,
  UNIQUE (account_id, idem_key)
);
CREATE INDEX payments_of_account ON payments (account_id, created_at DESC, id DESC);
-- One charge at a time.
CREATE UNIQUE INDEX payments_one_recharge ON payments (account_id) WHERE kind = 'auto_recharge' AND state = 'open';

CREATE TABLE payment_events (
  event_id    text PRIMARY KEY,
  type        text NOT NULL,
  payment_id  text,
  received_at timestamptz(3) NOT NULL
);

CREATE TABLE billing_profiles (
  account_id            text PRIMARY KEY REFERENCES accounts (id),
  customer_id           text,
  payment_method_id     text,
  card_brand            text,
  card_last4            text,
  recharge_enabled      boolean NOT NULL DEFAULT false,
  recharge_threshold    bigint CHECK (recharge_threshold >= 0),
  recharge_amount       bigint CHECK (recharge_amount > 0),
  recharge_failure      text
);

CREATE TABLE redemption_codes (
  id          text PRIMARY KEY,
  -- HMAC of the normalised code.
  digest      text NOT NULL UNIQUE,
  last4       text NOT NULL,
  amount_nusd bigint NOT NULL CHECK (amount_nusd > 0),
  uses        integer NOT NULL CHECK (uses > 0),
  used        integer NOT NULL DEFAULT 0 CHECK (used >= 0 AND used <= uses),
  note        text,
  created_by  text NOT NULL,
  created_at  timestamptz(3) NOT NULL,
  expires_at  timestamptz(3),
  disabled_at timestamptz(3)
);
CREATE TABLE redemptions (
  code_id        text NOT NULL REFERENCES redemption_codes (id),
  account_id     text NOT NULL REFERENCES accounts (id),
  transaction_id text NOT NULL,
  created_at     timestamptz(3) NOT NULL,
  PRIMARY KEY (code_id, account_id)
);
