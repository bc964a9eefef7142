-- What is sold: models and their prices. A price row never changes (MONEY.md 3.2): a new price is a new row.

CREATE TABLE models (
  id                          text PRIMARY KEY,
  owned_by                    text NOT NULL,
  max_model_len               integer NOT NULL CHECK (max_model_len > 0),
  default_max_tokens          integer CHECK (default_max_tokens > 0),
  template_tokens             integer NOT NULL DEFAULT 0 CHECK (template_tokens >= 0),
  template_tokens_per_message integer NOT NULL DEFAULT 0 CHECK (template_tokens_per_message >= 0),
  enabled                     boolean NOT NULL DEFAULT true,
  created_at                  timestamptz(3) NOT NULL DEFAULT now()
);

CREATE TABLE prices (
  id                text PRIMARY KEY,
  model             text NOT NULL REFERENCES models (id),
  -- nano-USD per 1,000,000 tokens.
  input_nusd        bigint NOT NULL CHECK (input_nusd >= 0),
  cached_input_nusd bigint NOT NULL CHECK (cached_input_nusd >= 0),
  output_nusd       bigint NOT NULL CHECK (output_nusd >= 0),
  valid_from        timestamptz(3) NOT NULL,
  created_at        timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT prices_cached_not_above_input CHECK (cached_input_nusd <= input_nusd)
);
CREATE INDEX prices_of_model ON prices (model, valid_from DESC, id DESC);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% rows are immutable', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER prices_immutable BEFORE UPDATE OR DELETE ON prices
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
