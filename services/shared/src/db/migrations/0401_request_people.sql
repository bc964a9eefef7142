-- Requests are asked for by project and by our own users too (0201 did it for the client's names).
CREATE INDEX request_log_project ON request_log (account_id, project_id, admitted_at DESC, request_id DESC)
  WHERE project_id IS NOT NULL;
CREATE INDEX request_log_user ON request_log (account_id, user_id, admitted_at DESC, request_id DESC)
  WHERE user_id IS NOT NULL;
