-- Files that accounts upload: what is known of them. Their bytes lie in the file store (a folder, or an object store).

CREATE TABLE files (
  id         text PRIMARY KEY,
  account_id text NOT NULL REFERENCES accounts (id),
  -- '' = of no project: compared like any other.
  project_id text NOT NULL,
  key_id     text NOT NULL,
  purpose    text NOT NULL,
  filename   text NOT NULL,
  bytes      bigint NOT NULL,
  sha256     text NOT NULL,
  created_at timestamptz(3) NOT NULL
);
CREATE INDEX files_of_owner ON files (account_id, project_id, created_at DESC, id DESC);
