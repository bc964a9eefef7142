/** Where other gateways are installed: the only file here that reads the environment. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Outside the tree, kept between runs. */
export const peersFolder =
  process.env.TOLLGATE_PEERS_DIR || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tollgate', 'peers');
