-- What the console must remember besides its subjects.

-- Changes that were asked for with an idempotency key: a repeat finds what the first one made.
CREATE TABLE console_operations (
  -- Operation and subject, such as `keys.rotate key_7RfU...`.
  scope        text NOT NULL,
  idem_key     text NOT NULL,
  -- SHA-256 of the request: the same key with another request is refused.
  request_hash text NOT NULL,
  -- With it and the pepper the text of a key made by this operation can be derived again: a repeated call must give the
  -- same answer and the text itself is stored nowhere. The row goes after a day, and with it that possibility.
  nonce        text NOT NULL,
  key_id       text NOT NULL,
  created_at   timestamptz(3) NOT NULL,
  PRIMARY KEY (scope, idem_key)
);
CREATE INDEX console_operations_age ON console_operations (created_at);

-- Workers that an operator is draining; Redis has a copy that a flush may lose.
CREATE TABLE worker_drains (
  url        text PRIMARY KEY,
  actor      text NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now()
);
