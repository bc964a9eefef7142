/** Where the real vLLM is: the only file of these tests that reads the environment. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Folder of the installed engine: outside the tree, kept between runs. */
export const vllmFolder =
  process.env.TOLLGATE_VLLM_DIR ||
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tollgate', 'vllm-0.29.0');

/** Address of a running real vLLM: set by `npm run test:vllm`; then the conformance suite runs against it. */
export const realVllmUrl: string | undefined = process.env.TOLLGATE_TEST_VLLM_URL || undefined;
