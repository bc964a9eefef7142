-- Codes and statuses that came rarely or never are found without reading all that was not served.
CREATE INDEX request_log_code ON request_log (account_id, code, admitted_at DESC, request_id DESC) WHERE code IS NOT NULL;
CREATE INDEX request_log_status ON request_log (account_id, status, admitted_at DESC, request_id DESC) WHERE status <> 200;
