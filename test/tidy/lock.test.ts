import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';

interface Lock {
  packages: Record<string, { optionalDependencies?: Record<string, string> }>;
}

/** Optional dependencies (platform binaries) that a package asks for and the lock does not hold: `npm ci` refuses these. */
function missingOptional(lock: Lock): string[] {
  const names = new Set(Object.keys(lock.packages).map((path) => path.slice(path.lastIndexOf('node_modules/') + 13)));
  return Object.values(lock.packages)
    .flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}))
    .filter((name) => !names.has(name));
}

const lock = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')) as Lock;

describe('package-lock.json', () => {
  test('holds the binaries of every platform, so that npm ci works on all of them', () => {
    expect(missingOptional(lock)).toEqual([]);
    const planted: Lock = {
      packages: {
        'node_modules/a': { optionalDependencies: { 'a-linux': '1', 'a-mac': '1' } },
        'node_modules/a-linux': {},
      },
    };
    expect(missingOptional(planted)).toEqual(['a-mac']);
  });
});
