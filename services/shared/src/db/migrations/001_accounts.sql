-- Who may call: accounts, their limits, their API keys.

CREATE TABLE meta (
  key   text PRIMARY KEY,
  value text NOT NULL
);

CREATE TABLE accounts (
  id          text PRIMARY KEY,
  name        text NOT NULL,
  email       text,
  status      text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'frozen')),
  plan        text NOT NULL DEFAULT 'standard',
  -- Share of the fair queue.
  weight      integer NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000),
  rpm         integer CHECK (rpm > 0),
  tpm         integer CHECK (tpm > 0),
  concurrency integer CHECK (concurrency > 0),
  created_at  timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX accounts_page ON accounts (created_at DESC, id DESC);

CREATE TABLE account_model_limits (
  account_id  text NOT NULL REFERENCES accounts (id),
  model       text NOT NULL,
  rpm         integer CHECK (rpm > 0),
  tpm         integer CHECK (tpm > 0),
  concurrency integer CHECK (concurrency > 0),
  PRIMARY KEY (account_id, model)
);

CREATE TABLE api_keys (
  id             text PRIMARY KEY,
  account_id     text NOT NULL REFERENCES accounts (id),
  project_id     text,
  user_id        text,
  kind           text NOT NULL DEFAULT 'api' CHECK (kind IN ('api', 'pat', 'service')),
  name           text NOT NULL,
  -- HMAC-SHA-256 of the key's text, hex. The text itself is stored nowhere.
  digest         text NOT NULL UNIQUE,
  prefix         text NOT NULL,
  last4          text NOT NULL,
  -- NULL = every model.
  models         text[],
  -- Empty = every endpoint.
  scopes         text[] NOT NULL DEFAULT '{}',
  allow_grammars boolean NOT NULL DEFAULT false,
  rpm            integer CHECK (rpm > 0),
  tpm            integer CHECK (tpm > 0),
  concurrency    integer CHECK (concurrency > 0),
  cap_day_nusd   bigint CHECK (cap_day_nusd >= 0),
  cap_month_nusd bigint CHECK (cap_month_nusd >= 0),
  expires_at     timestamptz(3),
  revoked_at     timestamptz(3),
  rotated_from   text REFERENCES api_keys (id),
  created_at     timestamptz(3) NOT NULL DEFAULT now(),
  last_used_at   timestamptz(3)
);
CREATE INDEX api_keys_page ON api_keys (created_at DESC, id DESC);
CREATE INDEX api_keys_account ON api_keys (account_id, created_at DESC, id DESC);
