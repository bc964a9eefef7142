-- Batches: files of requests that run in the fleet's idle capacity. Postgres knows what is to be done and what is done;
-- the queue only spreads the work. A line's answer stands here from its end until the batch's files are written.

CREATE TABLE batches (
  id                text PRIMARY KEY,
  account_id        text NOT NULL REFERENCES accounts (id),
  -- '' = of no project: compared like any other.
  project_id        text NOT NULL,
  key_id            text NOT NULL,
  user_id           text,
  endpoint          text NOT NULL,
  input_file_id     text NOT NULL,
  -- Minted with the batch: a crash between writing a file and saying so writes the same file again.
  output_file_id    text NOT NULL,
  error_file_id     text NOT NULL,
  has_output        boolean NOT NULL DEFAULT false,
  has_errors        boolean NOT NULL DEFAULT false,
  completion_window text NOT NULL,
  metadata          jsonb NOT NULL DEFAULT '{}',
  status            text NOT NULL CHECK (status IN ('validating', 'in_progress', 'finalizing', 'completed', 'failed',
                      'expired', 'cancelling', 'cancelled')),
  -- Why a failed batch failed: [{code, message, line}].
  errors            jsonb NOT NULL DEFAULT '[]',
  total             integer NOT NULL DEFAULT 0,
  created_at        timestamptz(3) NOT NULL,
  expires_at        timestamptz(3) NOT NULL,
  in_progress_at    timestamptz(3),
  finalizing_at     timestamptz(3),
  cancelling_at     timestamptz(3),
  ended_at          timestamptz(3)
);
CREATE INDEX batches_of_owner ON batches (account_id, project_id, created_at DESC, id DESC);
CREATE INDEX batches_open ON batches (created_at) WHERE status IN ('validating', 'in_progress', 'finalizing', 'cancelling');

CREATE TABLE batch_lines (
  batch_id  text NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
  line      integer NOT NULL,
  custom_id text,
  state     text NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
  -- The request to send; gone once the line has ended.
  body      text,
  -- Its row of the output or error file, as JSON; gone once the files are written.
  result    text,
  PRIMARY KEY (batch_id, line)
);
CREATE INDEX batch_lines_pending ON batch_lines (batch_id, line) WHERE state = 'pending';

-- What a batch line costs, in per cent of the price.
ALTER TABLE plans ADD COLUMN batch_percent integer NOT NULL DEFAULT 50 CHECK (batch_percent BETWEEN 1 AND 100);
