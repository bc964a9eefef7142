-- A checkpoint is known to be of the present balance by its version.
ALTER TABLE balance_checkpoints ADD COLUMN version bigint NOT NULL DEFAULT -1;
CREATE INDEX leases_of_account ON leases (account_id) WHERE state <> 'closed';
