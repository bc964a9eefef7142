/** The bill of materials of each image lists what is installed there, and no more. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { billOf, type Lock } from '../../infra/sbom/sbom.ts';
import { root } from '../e2e/compose-file.ts';

const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;
const manifest = (path: string) => JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'));
const namesOf = (service: string) => billOf(lock, service).components.map(({ name }) => name);

describe.each(['router', 'console', 'metering', 'retrieval', 'devworker', 'cli'])('%s', (service) => {
  const bill = billOf(lock, service);

  test('names every dependency of its manifest at the version that is installed, with hash and licence', () => {
    const wanted = Object.keys(manifest(`services/${service}`).dependencies).sort();
    const listed = new Map(bill.components.map((each) => [each.name, each]));
    expect(wanted.filter((name) => !listed.has(name))).toEqual([]);
    for (const name of wanted) {
      if (name.startsWith('@tollgate/')) continue;
      const place = [join('services', service, 'node_modules', name), join('node_modules', name)].find((path) =>
        existsSync(join(root, path, 'package.json')),
      )!;
      expect([name, listed.get(name)!.version]).toEqual([name, manifest(place).version]);
      expect(listed.get(name)?.hashes?.[0]?.content).toMatch(/^[0-9a-f]{128}$/);
      expect([name, listed.get(name)?.licenses?.length]).toEqual([name, 1]);
    }
  });

  test('every edge leads to something that is listed', () => {
    const refs = new Set([bill.metadata.component['bom-ref'], ...bill.components.map((each) => each['bom-ref'])]);
    for (const { ref, dependsOn } of bill.dependencies)
      for (const each of [ref, ...dependsOn]) expect(refs).toContain(each);
  });

  test('what only builds and tests use is not in it', () => {
    for (const name of ['typescript', 'jest', '@swc/core', '@biomejs/biome', 'playwright-core']) {
      expect(namesOf(service)).not.toContain(name);
    }
  });
});

test('a nested version is found where Node finds it', () => {
  const packages = {
    'services/a': { dependencies: { x: '1', y: '1' } },
    'node_modules/x': { version: '1.0.0', dependencies: { y: '2' } },
    'node_modules/x/node_modules/y': { version: '2.0.0', license: 'MIT' },
    'node_modules/y': { version: '1.0.0', optionalDependencies: { z: '1' }, dependencies: { z: '1' } },
    'node_modules/z': { version: '1.0.0' },
  };
  const { components } = billOf({ version: '0.0.1', packages }, 'a');
  expect(components.map(({ purl }) => purl)).toEqual(['pkg:npm/x@1.0.0', 'pkg:npm/y@1.0.0', 'pkg:npm/y@2.0.0']);
});

test('an unknown service is refused', () => expect(() => billOf(lock, 'nothing')).toThrow('no service nothing'));
