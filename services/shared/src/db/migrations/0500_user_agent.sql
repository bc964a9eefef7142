-- The program that sent a request, as it calls itself: request history shows it beside time and status.
ALTER TABLE request_log ADD COLUMN user_agent text;
