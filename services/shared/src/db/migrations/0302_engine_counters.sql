-- What the workers' own counters say they did, by hour: to be held against what was billed.

-- The last look at each worker's counters.
CREATE TABLE engine_samples (
  worker_url        text PRIMARY KEY,
  started_s         double precision,
  prompt_tokens     bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  requests          bigint NOT NULL,
  at                timestamptz(3) NOT NULL
);

CREATE TABLE engine_hours (
  worker_url        text NOT NULL,
  hour              timestamptz(3) NOT NULL,
  prompt_tokens     bigint NOT NULL DEFAULT 0,
  completion_tokens bigint NOT NULL DEFAULT 0,
  -- Requests that the engine ended, by itself or aborted.
  requests          bigint NOT NULL DEFAULT 0,
  -- Times its counters began again.
  restarts          integer NOT NULL DEFAULT 0,
  PRIMARY KEY (worker_url, hour)
);
