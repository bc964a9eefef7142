-- One outcome, and one key's requests that were not served: 3 rows of 100, so small indexes; without them a filter that
-- nearly nothing fits read all rows of the key (1.5 s of ten million).
CREATE INDEX request_log_outcome ON request_log (account_id, outcome, admitted_at DESC, request_id DESC) WHERE outcome <> 'served';
CREATE INDEX request_log_key_unserved ON request_log (account_id, key_id, admitted_at DESC, request_id DESC) WHERE outcome <> 'served';
