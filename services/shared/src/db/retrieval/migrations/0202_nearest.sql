-- The nearest chunks of a collection that has an index, best first: one call, in which alone the planner's settings hold.
-- Without statistics (an embedded Postgres never gathers them) it would sort all vectors instead of walking the index; and
-- what is switched off looks so dear that a server would compile the statement each time, for longer than it runs.
CREATE FUNCTION retrieval.nearest(store text, dimensions integer, question text, wanted integer)
RETURNS TABLE (id bigint, file_id text, score double precision)
LANGUAGE plpgsql SET enable_sort = off SET jit = off AS $$
BEGIN
  PERFORM set_config('hnsw.ef_search', greatest(wanted, 80)::text, true);
  RETURN QUERY EXECUTE format(
    'SELECT c.id, c.file_id, 1 - (c.embedding::vector(%1$s) <=> %2$L::vector(%1$s)) FROM retrieval.chunks c
     WHERE c.store_id = %3$L ORDER BY c.embedding::vector(%1$s) <=> %2$L::vector(%1$s) LIMIT %4$s',
    dimensions, question, store, wanted);
END $$;
