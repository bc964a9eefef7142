-- What a collection is for, in its owner's words; '' = nothing was said.
ALTER TABLE retrieval.stores ADD COLUMN description text NOT NULL DEFAULT '';
