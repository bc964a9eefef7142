/** The systemd units set what the services know, and nothing else; the vLLM unit starts what compose starts. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseConfig } from '@tollgate/shared/runtime/config';
import { consoleShape } from '../../services/console/src/config.ts';
import { meteringShape } from '../../services/metering/src/config.ts';
import { routerShape } from '../../services/router/src/config.ts';
import { loadCompose, root, sampleEnv } from '../e2e/compose-file.ts';

const folder = join(root, 'infra/systemd');
const shapes = { router: routerShape, console: consoleShape, metering: meteringShape };

/** `NAME=value` lines of a unit, with lines that end in a backslash joined. */
function settings(unit: string): [string, string][] {
  const text = readFileSync(join(folder, unit), 'utf8').replaceAll('\\\n', ' ');
  return [...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]);
}
const valuesOf = (unit: string, name: string) =>
  settings(unit).flatMap(([each, value]) => (each === name ? [value] : []));

describe.each(Object.entries(shapes))('tollgate-%s.service', (name, shape) => {
  const unit = `tollgate-${name}.service`;
  const env = Object.fromEntries(valuesOf(unit, 'Environment').map((text) => text.split(/=(.*)/s) as [string, string]));

  test('sets only variables that the service knows', () => {
    const names = Object.keys(env).map((each) => each.replace(/_FILE$/, ''));
    expect(names.filter((each) => !(each in shape))).toEqual([]);
  });

  test('with its credentials the configuration is whole', () => {
    const samples: Record<string, string> = {
      REDIS_URL: 'redis://127.0.0.1',
      DATABASE_URL: 'postgres://127.0.0.1/tollgate',
    };
    const given = Object.entries(env).map(([each, value]) => {
      const plain = each.replace(/_FILE$/, '');
      return [plain, each === plain ? value : (samples[plain] ?? 'x'.repeat(64))] as const;
    });
    expect(() => parseConfig(shape, Object.fromEntries(given))).not.toThrow();
  });

  test('every credential that it reads is loaded, from a file of the same name', () => {
    const loaded = valuesOf(unit, 'LoadCredential').map((text) => text.split(':')[0]!);
    const read = Object.entries(env).flatMap(([each, value]) =>
      each.endsWith('_FILE') ? [value.replace('%d/', '')] : [],
    );
    expect(read.sort()).toEqual(loaded.sort());
    for (const value of valuesOf(unit, 'LoadCredential')) expect(value).toMatch(/^([a-z-]+):\/etc\/tollgate\/\1$/);
  });

  test('it has no rights, and is not started again with a wrong configuration', () => {
    expect(valuesOf(unit, 'DynamicUser')).toEqual(['yes']);
    expect(valuesOf(unit, 'CapabilityBoundingSet')).toEqual(['']);
    expect(valuesOf(unit, 'RestartPreventExitStatus')).toEqual(['78']);
  });
});

test("a router's heap is as in its image", () => {
  const [start] = valuesOf('tollgate-router.service', 'ExecStart');
  const image = readFileSync(join(root, 'infra/docker/router.Dockerfile'), 'utf8');
  const command = JSON.parse(/^CMD (\[.*\])$/m.exec(image)![1]!) as string[];
  const heap = (words: readonly string[]) => words.filter((word) => word.includes('-space-size='));
  expect(heap(command)).toHaveLength(2);
  expect(heap(start!.split(' '))).toEqual(heap(command));
});

test('a router gets the time that it takes: delay, grace, closing', () => {
  const unit = 'tollgate-router.service';
  const env = Object.fromEntries(valuesOf(unit, 'Environment').map((text) => text.split('=') as [string, string]));
  const { TOLLGATE_DRAIN_DELAY_MS, TOLLGATE_STOP_GRACE_MS, TOLLGATE_TOTAL_TIMEOUT_MS } = env;
  const neededMs = Number(TOLLGATE_DRAIN_DELAY_MS) + Number(TOLLGATE_STOP_GRACE_MS) + 5_000;
  expect(Number(valuesOf(unit, 'TimeoutStopSec')[0]) * 1_000).toBeGreaterThanOrEqual(neededMs + 10_000);
  expect(Number(TOLLGATE_STOP_GRACE_MS) * 0.6).toBeGreaterThanOrEqual(Number(TOLLGATE_TOTAL_TIMEOUT_MS));
});

test('vllm.service starts vLLM as compose does, but for what belongs to the place', () => {
  const words = valuesOf('vllm.service', 'ExecStart')[0]!;
  const args = [...words.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
  const fixed = (list: string[]) =>
    list
      .filter((arg) => /^--[\w.-]+(=|$)/.test(arg))
      .filter((arg) => !/^--(port|served-model-name|max-model-len|shutdown-timeout|kv-events-config)/.test(arg))
      .sort();
  const composed = loadCompose(sampleEnv).services.vllm!.command!;
  expect(fixed(args)).toEqual(fixed(composed));
  expect(fixed(args).length).toBeGreaterThan(10);
});

test('the units that the page names are there, and the other way round', () => {
  const page = readFileSync(join(folder, 'README.md'), 'utf8');
  for (const unit of readdirSync(folder).filter((name) => name.endsWith('.service'))) {
    expect([unit, page.includes(unit.replace('.service', ''))]).toEqual([unit, true]);
  }
});
