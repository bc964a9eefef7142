-- Retrieval's own schema: collections (vector stores), their files, their chunks. Applied by the retrieval service alone, so
-- that an installation without pgvector works in everything else. The extension `vector` is there when this runs.

CREATE TABLE retrieval.stores (
  id             text PRIMARY KEY,
  account_id     text NOT NULL,
  -- '' = of no project: compared like any other, so that an account's projects never see each other's.
  project_id     text NOT NULL,
  name           text NOT NULL,
  -- Fixed for the life of a collection: vectors of two models cannot be compared.
  model          text NOT NULL,
  dimensions     integer NOT NULL CHECK (dimensions BETWEEN 1 AND 2000),
  metadata       jsonb NOT NULL,
  created_at     timestamptz(3) NOT NULL DEFAULT now(),
  last_active_at timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX stores_of_account ON retrieval.stores (account_id, project_id, created_at DESC, id DESC);

CREATE TABLE retrieval.store_files (
  store_id      text NOT NULL REFERENCES retrieval.stores (id) ON DELETE CASCADE,
  file_id       text NOT NULL,
  -- Fences a worker that still reads a file which was taken away and added again.
  ingest_id     text NOT NULL,
  -- Whose key pays for the embeddings.
  key_id        text NOT NULL,
  filename      text NOT NULL,
  attributes    jsonb NOT NULL,
  chunk_tokens  integer NOT NULL,
  overlap_tokens integer NOT NULL,
  status        text NOT NULL CHECK (status IN ('in_progress', 'completed', 'failed', 'cancelled')),
  error_code    text,
  error_message text,
  chunks_total  integer,
  chunks        integer NOT NULL DEFAULT 0,
  usage_bytes   bigint NOT NULL DEFAULT 0,
  batch_id      text,
  created_at    timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (store_id, file_id)
);
CREATE INDEX store_files_of_file ON retrieval.store_files (file_id);
CREATE INDEX store_files_waiting ON retrieval.store_files (created_at) WHERE status = 'in_progress';
CREATE INDEX store_files_of_batch ON retrieval.store_files (batch_id) WHERE batch_id IS NOT NULL;

-- Written batch by batch while a file is read; a search sees only those of completed files.
CREATE TABLE retrieval.chunks (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  store_id  text NOT NULL,
  file_id   text NOT NULL,
  seq       integer NOT NULL,
  -- Headings above it, and where in the file it stands (`page 3`, `rows 10-19`).
  heading   text NOT NULL,
  place     text NOT NULL,
  text      text NOT NULL,
  tokens    integer NOT NULL,
  embedding vector NOT NULL,
  -- The collection is a word of each of its chunks: one index scan then finds a word within one collection.
  words     tsvector NOT NULL GENERATED ALWAYS AS (
              to_tsvector('english'::regconfig, heading || ' ' || text)
              || to_tsvector('simple'::regconfig, heading || ' ' || text)
              || array_to_tsvector(ARRAY['store:' || store_id])) STORED,
  UNIQUE (store_id, file_id, seq),
  FOREIGN KEY (store_id, file_id) REFERENCES retrieval.store_files (store_id, file_id) ON DELETE CASCADE
);
CREATE INDEX chunks_words ON retrieval.chunks USING gin (words);

-- In how many chunks of completed files a word stands: rare words say more, and are looked for first.
CREATE TABLE retrieval.terms (
  store_id text NOT NULL REFERENCES retrieval.stores (id) ON DELETE CASCADE,
  term     text NOT NULL,
  chunks   integer NOT NULL,
  PRIMARY KEY (store_id, term)
);
