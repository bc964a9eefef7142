-- Events for the outside world, and what became of telling it.

CREATE TABLE webhooks (
  id              text PRIMARY KEY,
  -- NULL = the platform's own, for operators.
  account_id      text REFERENCES accounts (id),
  url             text NOT NULL,
  events          text[] NOT NULL,
  description     text,
  enabled         boolean NOT NULL DEFAULT true,
  -- Sealed (AES-256-GCM).
  secret          text NOT NULL,
  previous_secret text,
  previous_until  timestamptz(3),
  created_at      timestamptz(3) NOT NULL,
  removed_at      timestamptz(3)
);
CREATE INDEX webhooks_of_account ON webhooks (account_id, created_at DESC) WHERE removed_at IS NULL;

CREATE TABLE events (
  id         text PRIMARY KEY,
  type       text NOT NULL,
  account_id text,
  -- The body that is sent, byte for byte.
  body       text NOT NULL,
  -- One event per thing that happened, whoever noticed it.
  dedupe_key text NOT NULL UNIQUE,
  created_at timestamptz(3) NOT NULL
);

CREATE TABLE deliveries (
  id              text PRIMARY KEY,
  webhook_id      text NOT NULL REFERENCES webhooks (id),
  event_id        text NOT NULL REFERENCES events (id),
  event_type      text NOT NULL,
  state           text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
  attempts        integer NOT NULL DEFAULT 0,
  status          integer,
  error           text,
  created_at      timestamptz(3) NOT NULL,
  last_attempt_at timestamptz(3),
  next_attempt_at timestamptz(3),
  duration_ms     integer
);
CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE state = 'pending';
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, created_at DESC, id DESC);
