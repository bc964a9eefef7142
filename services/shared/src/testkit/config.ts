/** The one place where tests read the environment. */
import type { Environment } from '../runtime/config.ts';

export interface TestConfig {
  /** `npm run test:full`: the counts that issues name, and `docs/proofs.md`. */
  full: boolean;
  /** File to which proofs are appended, one JSON line each; absent in a plain run. */
  proofsFile: string | undefined;
  /** Seed of every random choice of the run; printed by the runner so that a failure repeats. */
  seed: number;
}

/** Settings of this test run. */
export function testConfig(env: Environment = process.env): TestConfig {
  return {
    full: env.TOLLGATE_TEST_FULL === '1',
    proofsFile: env.TOLLGATE_PROOFS_FILE || undefined,
    seed: Number(env.TOLLGATE_TEST_SEED || 20261121) >>> 0,
  };
}

/** The environment for child processes of a test, with additions; `undefined` removes a variable. */
export function childEnvironment(additions: Environment = {}): Record<string, string> {
  const merged: Environment = { ...process.env, ...additions };
  return Object.fromEntries(
    Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
