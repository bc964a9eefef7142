-- Links that let somebody choose a new password: once, and not for long. The digest of the link's token.
CREATE TABLE password_resets (
  digest     text PRIMARY KEY,
  user_id    text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  -- User id of the operator, `admin-token`, or `mail`.
  issued_by  text NOT NULL,
  created_at timestamptz(3) NOT NULL,
  expires_at timestamptz(3) NOT NULL,
  used_at    timestamptz(3)
);
CREATE INDEX password_resets_user ON password_resets (user_id);
CREATE INDEX password_resets_expiry ON password_resets (expires_at);
