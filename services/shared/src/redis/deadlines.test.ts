import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { counts } from '../testkit/counts.ts';
import { fakeClock } from '../testkit/fake-clock.ts';
import { type Deadline, Deadlines } from './deadlines.ts';

test('each deadline passes once, when its time is over and it was not met before', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ waitMs: fc.nat(40), meets: fc.option(fc.nat(20)) }), { maxLength: 40 }),
      async (steps) => {
        const clock = fakeClock();
        const deadlines = new Deadlines(clock, 50);
        const begun: { deadline: Deadline; atMs: number; metMs: number | null; passedMs: number[] }[] = [];
        for (const { waitMs, meets } of steps) {
          await clock.advance(waitMs);
          const passedMs: number[] = [];
          const atMs = clock.monotonicMs() + 50;
          begun.push({
            deadline: deadlines.begin(() => passedMs.push(clock.monotonicMs())),
            atMs,
            metMs: null,
            passedMs,
          });
          const other = meets === null ? undefined : begun[meets];
          if (other === undefined) continue;
          deadlines.met(other.deadline);
          other.metMs ??= clock.monotonicMs();
        }
        await clock.advance(1_000);
        for (const { atMs, metMs, passedMs } of begun) {
          expect(passedMs).toEqual(metMs !== null && metMs < atMs ? [] : [atMs]);
        }
        expect(clock.pendingTimers).toBe(0);
      },
    ),
    { numRuns: counts(100, 5_000) },
  ));
