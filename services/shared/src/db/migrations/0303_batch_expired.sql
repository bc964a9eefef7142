-- Whether lines of a batch were given up at the end of its window: its end says so without reading the rows again.
ALTER TABLE batches ADD COLUMN expired boolean NOT NULL DEFAULT false;

UPDATE batches SET expired = true WHERE status = 'expired';
-- A batch that was being ended while the column came: its rows are still there.
UPDATE batches b SET expired = true
WHERE b.status IN ('in_progress', 'finalizing') AND b.expires_at < now() AND EXISTS (
  SELECT 1 FROM batch_lines l
  WHERE l.batch_id = b.id AND l.state = 'failed' AND l.result LIKE '%"code":"batch_expired"%');
