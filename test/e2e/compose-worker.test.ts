/** The compose file of a GPU machine: the same vLLM as everywhere else, and a sidecar whose settings the command takes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { Ajv } from 'ajv';
import { parseDocument } from 'yaml';
import { sidecarSettings } from '../../services/cli/src/config.ts';
import { loadCompose, MissingVariable, root, sampleEnv } from './compose-file.ts';

const FILE = 'infra/docker/worker-compose.yml';
const env = { WORKER_ADDRESS: '10.0.0.7', REDIS_URL: 'rediss://worker:secret@redis.example.com:6379' };
const worker = loadCompose(env, FILE);
const whole = loadCompose(sampleEnv);

test('it keeps the compose specification, without duplicate keys', () => {
  const schema = JSON.parse(readFileSync(join(root, 'node_modules/dclint/schemas/compose.schema.json'), 'utf8'));
  delete schema.$schema;
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const validate = ajv.compile(schema);
  expect([validate(worker), validate.errors]).toEqual([true, null]);
  const document = parseDocument(readFileSync(join(root, FILE), 'utf8'), { merge: true });
  expect([...document.errors, ...document.warnings]).toEqual([]);
});

test('without an address of the machine or of Redis nothing starts, and the message names what is missing', () => {
  for (const name of Object.keys(env)) {
    expect(() => loadCompose({ ...env, [name]: undefined }, FILE)).toThrow(MissingVariable);
    expect(() => loadCompose({ ...env, [name]: '' }, FILE)).toThrow(`set ${name}`);
  }
});

test('vLLM is started as the other compose file does, but for the events that only one installation on one machine hears', () => {
  const { vllm } = worker.services;
  expect(vllm!.image).toBe(whole.services.vllm!.image);
  expect(vllm!.command).toEqual(whole.services.vllm!.command!.filter((arg) => !arg.startsWith('--kv-events-config')));
  expect(vllm!.environment).toEqual(whole.services.vllm!.environment);
  expect(vllm!.healthcheck).toEqual(whole.services.vllm!.healthcheck);
  // Its one port, on the one address; nobody reaches ZMQ or NCCL.
  expect(vllm!.ports).toEqual(['10.0.0.7:8000:8000']);
});

test('the sidecar announces that address, drains before vLLM is stopped, and gets the time for it', () => {
  const { image, command, environment, depends_on, stop_grace_period } = worker.services.sidecar!;
  const [verb, ...words] = command!;
  expect([image, verb, depends_on]).toEqual([whole.services.cli!.image, 'worker-sidecar', ['vllm']]);
  const option = (name: string) => words[words.indexOf(name) + 1]!;
  const settings = sidecarSettings(environment!, {
    engineUrl: option('--engine-url'),
    advertise: option('--advertise'),
    drain: option('--drain'),
  });
  expect(settings).toMatchObject({
    redisUrl: env.REDIS_URL,
    engineUrl: 'http://vllm:8000',
    advertise: 'http://10.0.0.7:8000',
  });
  expect(Number.parseInt(stop_grace_period!, 10) * 1_000).toBeGreaterThanOrEqual(settings.drainMs + 10_000);
});

test('it runs without rights', () => {
  expect(worker.services.sidecar).toMatchObject({
    read_only: true,
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges:true'],
  });
});
