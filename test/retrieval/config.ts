/** Where a PostgreSQL with pgvector is kept: the only file here that reads the environment. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Outside the tree, kept between runs. */
export const pgvectorFolder =
  process.env.TOLLGATE_PGVECTOR_DIR ||
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tollgate', 'pgvector-16.2');
