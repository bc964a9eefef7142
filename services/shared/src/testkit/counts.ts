/** Two tiers, same code: small counts for `npm test`, the counts that issues name for `npm run test:full`. */
import { appendFileSync } from 'node:fs';
import { testConfig } from './config.ts';

/** `small` in a plain run, `full` in a full one. */
export function counts<T>(small: T, full: T): T {
  return testConfig().full ? full : small;
}

/** Seed of this run's random choices. Pass it to `seededRandom` and to fast-check. */
export function testSeed(): number {
  return testConfig().seed;
}

export interface Proof {
  /** The guarantee, in words. */
  name: string;
  /** How many cases were tried. */
  count: number;
  seed?: number;
  /** What was seen, short: `0 overspends`, `p99 41 ms`. */
  result: string;
}

/** Notes what a test has shown. A full run collects the notes into `docs/proofs.md`; a plain run drops them. */
export function recordProof(proof: Proof): void {
  const { proofsFile } = testConfig();
  // One short append is atomic on a local disk, so parallel jest workers may share the file.
  if (proofsFile !== undefined) appendFileSync(proofsFile, `${JSON.stringify(proof)}\n`);
}
