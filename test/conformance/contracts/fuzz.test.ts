/** Mutated bodies, per contract: an answer of the contract, never a 500, and nothing unread reaches a worker. */
import { describe, expect, test } from '@jest/globals';
import { loadProfiles } from '@tollgate/router/contract/load-profiles';
import { requestText } from '@tollgate/router/upstream/body';
import { AppError, ERRORS, type ErrorCode } from '@tollgate/shared/domain/errors';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import fc from 'fast-check';
import { BLOCKED, mutatedBody } from '../fuzz-bodies.ts';

const profiles = loadProfiles({ docsBase: '/docs/errors' });

describe.each(profiles.map((profile) => [profile.name, profile] as const))('%s', (name, profile) => {
  test('a mutated body is read or refused by name, never a fault of ours', () => {
    const runs = counts(400, 10_000);
    const seed = testSeed();
    let read = 0;
    fc.assert(
      fc.property(mutatedBody, (made) => {
        try {
          const request = profile.parseChat(made);
          read++;
          for (const blocked of BLOCKED) expect(request.sampling).not.toHaveProperty(blocked);
          expect(Object.values(request.sampling)).not.toContain(undefined);
          requestText(request);
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
          const { status, body: told } = profile.renderError(error as AppError);
          expect([400, 422]).toContain(status);
          expect((told as { error: { param: unknown } }).error.param).toEqual(expect.any(String));
        }
      }),
      { numRuns: runs, seed },
    );
    expect(read).toBeGreaterThan(runs / 100);
    recordProof({ name: `contract ${name}: mutated bodies`, count: runs, seed, result: `0 faults, ${read} accepted` });
  });

  test('every code of the catalogue has a status, a type, a code and a page', () => {
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      const { status, body: told } = profile.renderError(new AppError(code));
      expect(status).toBeGreaterThanOrEqual(400);
      expect(told).toMatchObject({
        error: { message: expect.any(String), type: expect.any(String), metadata: { doc_url: `/docs/errors/${code}` } },
      });
    }
  });
});
