-- Bodies of requests and answers, kept only where an account switched it on: sealed, for so many days.

CREATE TABLE body_retention (
  account_id   text PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
  enabled      boolean NOT NULL,
  days         integer NOT NULL CHECK (days BETWEEN 1 AND 90),
  -- Sealed bytes in kept_bodies now.
  stored_bytes bigint NOT NULL DEFAULT 0 CHECK (stored_bytes >= 0),
  changed_at   timestamptz(3) NOT NULL,
  changed_by   text NOT NULL
);

CREATE TABLE kept_bodies (
  request_id        text PRIMARY KEY,
  account_id        text NOT NULL REFERENCES body_retention (account_id) ON DELETE CASCADE,
  key_id            text NOT NULL,
  admitted_at       timestamptz(3) NOT NULL,
  expires_at        timestamptz(3) NOT NULL,
  -- AES-256-GCM of the compressed pair, sealed by the router under the pepper: nothing here can read it.
  sealed            bytea NOT NULL,
  -- As they were, before any cut.
  request_bytes     bigint NOT NULL,
  answer_bytes      bigint NOT NULL,
  request_truncated boolean NOT NULL,
  answer_truncated  boolean NOT NULL
);
CREATE INDEX kept_bodies_expiry ON kept_bodies (expires_at);
CREATE INDEX kept_bodies_account ON kept_bodies (account_id, admitted_at);
-- Sealed bytes do not compress.
ALTER TABLE kept_bodies ALTER COLUMN sealed SET STORAGE EXTERNAL;
