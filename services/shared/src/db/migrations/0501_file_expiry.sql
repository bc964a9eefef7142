-- When a file goes by itself: as its upload asked, or 30 days after it was made for what batches read and write.
ALTER TABLE files ADD COLUMN expires_at timestamptz(3);
CREATE INDEX files_expiring ON files (expires_at) WHERE expires_at IS NOT NULL;

-- How long after they were made a batch's output and error file go.
ALTER TABLE batches ADD COLUMN output_expires_seconds integer;
