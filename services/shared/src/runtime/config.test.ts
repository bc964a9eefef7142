import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import {
  ConfigError,
  commaList,
  type Environment,
  flag,
  integer,
  listenAddress,
  parseConfig,
  redactedConfig,
  redisUrl,
  secret,
} from './config.ts';

const folder = mkdtempSync(join(tmpdir(), 'tollgate-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const shape = {
  REDIS_URL: redisUrl(),
  PEPPER: secret(z.string().regex(/^[0-9a-f]{32,}$/, 'must be at least 32 hex digits')),
  LISTEN: listenAddress().default({ host: '127.0.0.1', port: 8080 }),
  WORKERS: commaList().default([]),
  GRACE_MS: integer(0, 600_000).default(30_000),
  DEV: flag().default(false),
  TOKEN: secret(z.string()).optional(),
};
const good: Environment = { REDIS_URL: 'redis://u:hunter2@localhost:1', PEPPER: 'ab'.repeat(16) };

function problemsOf(env: Environment): Record<string, string> {
  try {
    parseConfig(shape, env);
  } catch (error) {
    if (error instanceof ConfigError) {
      expect(error.exitCode).toBe(78);
      return Object.fromEntries(error.problems.map(({ name, message }) => [name, message]));
    }
    throw error;
  }
  return {};
}

test('values are read, converted and defaulted; an empty variable counts as absent', () => {
  const env = {
    ...good,
    LISTEN: '[::1]:0',
    WORKERS: ' http://a:1, ,http://b:2 ',
    GRACE_MS: '5',
    DEV: 'yes',
    TOKEN: '',
  };
  expect(parseConfig(shape, env)).toEqual({
    ...good,
    LISTEN: { host: '::1', port: 0 },
    WORKERS: ['http://a:1', 'http://b:2'],
    GRACE_MS: 5,
    DEV: true,
  });
  expect(parseConfig(shape, good)).toMatchObject({
    LISTEN: { host: '127.0.0.1', port: 8080 },
    WORKERS: [],
    DEV: false,
  });
});

test('all problems are listed together, and none shows a value', () => {
  const problems = problemsOf({ PEPPER: 'not-hex', LISTEN: 'here', GRACE_MS: '-1', DEV: 'perhaps' });
  expect(Object.keys(problems).sort()).toEqual(['DEV', 'GRACE_MS', 'LISTEN', 'PEPPER', 'REDIS_URL']);
  expect(problems.REDIS_URL).toBe('is required');
  expect(JSON.stringify(problems)).not.toContain('not-hex');
  expect(problemsOf({ ...good, REDIS_URL: 'http://localhost' }).REDIS_URL).toContain('redis://');
  expect(problemsOf({ ...good, LISTEN: '1.2.3.4:70000' }).LISTEN).toContain('host:port');
});

describe('NAME_FILE', () => {
  test('gives the value without the line end', () => {
    const path = join(folder, 'pepper');
    writeFileSync(path, `${'cd'.repeat(16)}\n`);
    const { PEPPER, ...rest } = good;
    expect(parseConfig(shape, { ...rest, PEPPER_FILE: path }).PEPPER).toBe('cd'.repeat(16));
    expect(PEPPER).toBeDefined();
  });
  test('that cannot be read, or stands beside the value, is a problem', () => {
    expect(problemsOf({ REDIS_URL: good.REDIS_URL, PEPPER_FILE: join(folder, 'none') }).PEPPER).toContain('ENOENT');
    expect(problemsOf({ ...good, PEPPER_FILE: join(folder, 'pepper') }).PEPPER).toContain('twice');
  });
});

test('printed configuration hides secrets and passwords in URLs', () => {
  const text = JSON.stringify(redactedConfig(shape, { ...good, TOKEN: 'opensesame' }));
  for (const hidden of ['hunter2', 'abab', 'opensesame']) expect(text).not.toContain(hidden);
  expect(text).toContain('localhost:1');
});
