-- POSTs of the API's host that services answer (files, collections, batches): what was made under which Idempotency-Key. The
-- row is written in the transaction that makes it. Digests only: neither the key's text nor anything of a body is kept here.
CREATE TABLE post_repeats (
  account_id text NOT NULL REFERENCES accounts (id),
  -- '' = of no project.
  project_id text NOT NULL,
  -- Of user and key text.
  key        text NOT NULL,
  -- Of what was asked: the same key with something else is refused.
  body       text NOT NULL,
  -- Id of what was made or changed.
  made       text NOT NULL,
  created_at timestamptz(3) NOT NULL,
  PRIMARY KEY (account_id, project_id, key)
);
CREATE INDEX post_repeats_age ON post_repeats (account_id, created_at);
