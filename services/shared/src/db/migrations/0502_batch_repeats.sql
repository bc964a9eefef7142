-- Under which Idempotency-Key a batch was asked for (a digest of user and key), and with what body: a repeat finds it.
ALTER TABLE batches ADD COLUMN repeat_key text;
ALTER TABLE batches ADD COLUMN repeat_body text;
CREATE UNIQUE INDEX batches_repeat ON batches (account_id, project_id, repeat_key) WHERE repeat_key IS NOT NULL;
