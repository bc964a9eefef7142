import type { Policy } from '../policy.ts';
import { costPolicy } from './cost.ts';
import { dynamoLinear } from './dynamo-linear.ts';
import { gie322 } from './gie-322.ts';
import { leastRequests } from './least-requests.ts';
import { llmDSticky } from './llm-d-sticky.ts';
import { lmetric } from './lmetric.ts';
import { lpwl } from './lpwl.ts';
import { p2c } from './p2c.ts';
import { peakEwma } from './peak-ewma.ts';
import { roundRobin } from './round-robin.ts';
import { sessionHash } from './session-hash.ts';
import { sglangCacheAware } from './sglang-cache-aware.ts';

/** Every policy by the name it is configured with; `cost` is the default, the others are there to compare. */
export const POLICIES = {
  cost: () => costPolicy(),
  'round-robin': roundRobin,
  'least-requests': leastRequests,
  p2c,
  'peak-ewma': peakEwma,
  'session-hash': sessionHash,
  'sglang-cache-aware': sglangCacheAware,
  'gie-322': gie322,
  'llm-d-sticky': llmDSticky,
  'dynamo-linear': dynamoLinear,
  lmetric,
  lpwl,
} as const satisfies Record<string, () => Policy>;

export type PolicyName = keyof typeof POLICIES;
