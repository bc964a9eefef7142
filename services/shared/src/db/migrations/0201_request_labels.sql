-- What a client called a request's conversation (`chat_id`) and its own user (`user`): request history asks by them.
ALTER TABLE request_log ADD COLUMN chat_id text;
ALTER TABLE request_log ADD COLUMN end_user text;
CREATE INDEX request_log_chat ON request_log (account_id, chat_id, admitted_at DESC, request_id DESC) WHERE chat_id IS NOT NULL;
CREATE INDEX request_log_end_user ON request_log (account_id, end_user, admitted_at DESC, request_id DESC)
  WHERE end_user IS NOT NULL;
