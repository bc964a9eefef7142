-- People: users, their sessions, organisations' members, invitations, projects; what was changed by whom.

CREATE TABLE users (
  id                text PRIMARY KEY,
  -- Lower case.
  email             text NOT NULL UNIQUE,
  email_verified_at timestamptz(3),
  name              text NOT NULL,
  -- argon2id with its parameters: $argon2id$v=19$m=..,t=..,p=..$salt$hash. NULL = signs in by OIDC only.
  password_hash     text,
  operator          boolean NOT NULL DEFAULT false,
  -- Sealed (AES-256-GCM); counts from totp_confirmed_at on.
  totp_secret       text,
  totp_confirmed_at timestamptz(3),
  -- The last time step whose code was taken: no code works twice.
  totp_last_step    bigint NOT NULL DEFAULT 0,
  created_at        timestamptz(3) NOT NULL
);

CREATE TABLE user_identities (
  provider   text NOT NULL,
  subject    text NOT NULL,
  user_id    text NOT NULL REFERENCES users (id),
  created_at timestamptz(3) NOT NULL,
  PRIMARY KEY (provider, subject)
);

CREATE TABLE recovery_codes (
  user_id text NOT NULL REFERENCES users (id),
  digest  text NOT NULL,
  used_at timestamptz(3),
  PRIMARY KEY (user_id, digest)
);

CREATE TABLE sessions (
  id           text PRIMARY KEY,
  -- SHA-256 of the cookie's text; the text is stored nowhere.
  digest       text NOT NULL UNIQUE,
  user_id      text NOT NULL REFERENCES users (id),
  method       text NOT NULL CHECK (method IN ('password', 'oidc', 'claim', 'invitation')),
  created_at   timestamptz(3) NOT NULL,
  last_seen_at timestamptz(3) NOT NULL,
  expires_at   timestamptz(3) NOT NULL,
  -- When the user last proved who they are.
  fresh_at     timestamptz(3) NOT NULL,
  ip           text,
  user_agent   text,
  revoked_at   timestamptz(3)
);
CREATE INDEX sessions_of_user ON sessions (user_id, created_at DESC);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE memberships (
  account_id text NOT NULL REFERENCES accounts (id),
  user_id    text NOT NULL REFERENCES users (id),
  role       text NOT NULL CHECK (role IN ('owner', 'admin', 'developer', 'billing', 'viewer')),
  created_at timestamptz(3) NOT NULL,
  PRIMARY KEY (account_id, user_id)
);
CREATE INDEX memberships_of_user ON memberships (user_id);

CREATE TABLE invitations (
  id          text PRIMARY KEY,
  account_id  text NOT NULL REFERENCES accounts (id),
  email       text NOT NULL,
  role        text NOT NULL CHECK (role IN ('owner', 'admin', 'developer', 'billing', 'viewer')),
  -- SHA-256 of the token in the link.
  digest      text NOT NULL UNIQUE,
  invited_by  text NOT NULL,
  created_at  timestamptz(3) NOT NULL,
  expires_at  timestamptz(3) NOT NULL,
  accepted_at timestamptz(3),
  revoked_at  timestamptz(3)
);
CREATE INDEX invitations_of_account ON invitations (account_id, created_at DESC, id DESC);

CREATE TABLE projects (
  id          text PRIMARY KEY,
  account_id  text NOT NULL REFERENCES accounts (id),
  name        text NOT NULL,
  created_at  timestamptz(3) NOT NULL,
  archived_at timestamptz(3)
);
CREATE INDEX projects_of_account ON projects (account_id, created_at DESC, id DESC);

CREATE TABLE plans (
  id          text PRIMARY KEY,
  name        text NOT NULL,
  weight      integer NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000),
  rpm         integer CHECK (rpm > 0),
  tpm         integer CHECK (tpm > 0),
  concurrency integer CHECK (concurrency > 0)
);
INSERT INTO plans (id, name) VALUES ('standard', 'Standard');

ALTER TABLE accounts ADD COLUMN balance_low_nusd bigint CHECK (balance_low_nusd >= 0);
ALTER TABLE accounts ADD COLUMN key_expiring_days integer CHECK (key_expiring_days BETWEEN 1 AND 90);
ALTER TABLE api_keys ADD COLUMN tags text[] NOT NULL DEFAULT '{}';
-- Addresses or CIDR ranges; NULL = any.
ALTER TABLE api_keys ADD COLUMN allowed_ips text[];
ALTER TABLE api_keys ADD COLUMN created_by text;
CREATE INDEX api_keys_expiry ON api_keys (expires_at) WHERE revoked_at IS NULL;
CREATE INDEX api_keys_rotated_from ON api_keys (rotated_from) WHERE rotated_from IS NOT NULL;
CREATE INDEX api_keys_prefix ON api_keys (prefix text_pattern_ops);

-- Append-only; each line's hash covers the line and the hash before it, so that a change anywhere shows.
CREATE TABLE audit_log (
  seq           bigint PRIMARY KEY,
  at            timestamptz(3) NOT NULL,
  actor         text NOT NULL,
  account_id    text,
  action        text NOT NULL,
  target        text,
  -- JSON text, as it was hashed.
  detail        text NOT NULL,
  ip            text,
  request_id    text,
  previous_hash text NOT NULL,
  hash          text NOT NULL
);
CREATE INDEX audit_log_account ON audit_log (account_id, seq DESC);
CREATE TRIGGER audit_log_immutable BEFORE UPDATE OR DELETE ON audit_log
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
