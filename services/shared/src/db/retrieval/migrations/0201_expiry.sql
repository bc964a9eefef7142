-- A collection may end by itself so many days after it was last used; what it held goes, the collection itself stays and says so.
ALTER TABLE retrieval.stores ADD COLUMN expires_days integer CHECK (expires_days BETWEEN 1 AND 365);
ALTER TABLE retrieval.stores ADD COLUMN expired_at timestamptz(3);
