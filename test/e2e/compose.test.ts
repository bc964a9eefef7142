import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { startRedis } from '@tollgate/shared/testkit/redis';
import { Ajv } from 'ajv';
import { parseDocument } from 'yaml';
import {
  type ComposeService,
  interpolate,
  loadCompose,
  MissingVariable,
  rawCompose,
  root,
  sampleEnv,
  variables,
} from './compose-file.ts';

const compose = loadCompose(sampleEnv);
const services = Object.entries(compose.services);
const built = services.filter(([, service]) => service.build);

/** Go's durations as Compose takes them: `1h30m`, `5s`, `200ms`. */
const DURATION = /^(\d+(\.\d+)?(us|ms|s|m|h|d))+$/;
/** `8080`, `127.0.0.1:8080:80/tcp`, ranges. */
const PORT = /^((\[[0-9a-f:]+\]|[0-9.]+):)?(\d+(-\d+)?:)?\d+(-\d+)?(\/(tcp|udp))?$/;

describe('docker-compose.yml', () => {
  test('it keeps the compose specification: its own JSON schema finds nothing', () => {
    const schema = JSON.parse(readFileSync(join(root, 'node_modules/dclint/schemas/compose.schema.json'), 'utf8'));
    // Named with https there, which ajv does not know; the dialect is draft-07, ajv's default.
    delete schema.$schema;
    const ajv = new Ajv({ strict: false, allErrors: true });
    ajv
      .addFormat('duration', DURATION)
      .addFormat('ports', PORT)
      .addFormat('expose', /^\d+(-\d+)?(\/(tcp|udp))?$/);
    ajv.addFormat('path', true);
    const validate = ajv.compile(schema);
    expect([validate(compose), validate.errors]).toEqual([true, null]);
    // The check can fail: a misspelt property and a wrong duration are seen.
    const broken = structuredClone(compose) as unknown as { services: { router: Record<string, unknown> } };
    broken.services.router.stop_grace_periode = '1s';
    broken.services.router.stop_grace_period = 'soon';
    expect(validate(broken)).toBe(false);
  });

  test('the YAML has no duplicate keys and no warnings', () => {
    const document = parseDocument(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true });
    expect([...document.errors, ...document.warnings]).toEqual([]);
  });

  test('a missing secret stops the start with a message that names it and says what to do; none has a default', () => {
    const required = [...variables()].filter(([, { required }]) => required);
    expect(required.map(([name]) => name).sort()).toEqual(Object.keys(sampleEnv).sort());
    for (const [name, { message }] of required) {
      expect(message).toContain(`set ${name}`);
      expect(message).toContain('make-env.sh');
      for (const value of [undefined, '']) {
        expect(() => loadCompose({ ...sampleEnv, [name]: value })).toThrow(MissingVariable);
      }
    }
    for (const [name, { required }] of variables()) {
      if (/PASSWORD|PEPPER|TOKEN|SECRET/.test(name) && name !== 'HF_TOKEN')
        expect([name, required]).toEqual([name, true]);
    }
    // Nor does one stand in the file itself.
    for (const [, service] of Object.entries(rawCompose().services)) {
      for (const [name, value] of Object.entries(service.environment ?? {})) {
        if (/PASSWORD|PEPPER|TOKEN/.test(name)) expect(String(value)).toMatch(/^\$\{/);
      }
    }
  });

  test('every name that it uses exists: networks, volumes, dependencies, files', () => {
    for (const [name, service] of services) {
      for (const network of service.networks ?? []) expect(compose.networks).toHaveProperty([network]);
      const wanted = Array.isArray(service.depends_on) ? service.depends_on : Object.keys(service.depends_on ?? {});
      for (const other of wanted) expect(compose.services).toHaveProperty([other]);
      for (const volume of service.volumes ?? []) {
        const [source = ''] = volume.split(':');
        if (source.startsWith('.'))
          expect([name, source, existsSync(join(root, source))]).toEqual([name, source, true]);
        else expect(compose.volumes).toHaveProperty([source]);
      }
      if (service.build) expect(existsSync(join(root, service.build.dockerfile))).toBe(true);
    }
    const used = new Set(
      services.flatMap(([, service]) => (service.volumes ?? []).map((volume) => volume.split(':')[0])),
    );
    expect(Object.keys(compose.volumes).filter((volume) => !used.has(volume))).toEqual([]);
  });

  test('a service that waits for another one to be healthy waits for one that has a health check', () => {
    for (const [name, service] of services) {
      if (Array.isArray(service.depends_on)) continue;
      for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
        const can = condition !== 'service_healthy' || compose.services[other]!.healthcheck !== undefined;
        expect([name, other, can]).toEqual([name, other, true]);
      }
    }
  });

  test('every address in a variable is a service on a network that both share', () => {
    let seen = 0;
    for (const [name, service] of services) {
      for (const value of Object.values(service.environment ?? {})) {
        for (const text of String(value).split(',')) {
          if (!/^(https?|redis|postgres):\/\//.test(text)) continue;
          const host = new URL(text).hostname;
          const other = compose.services[host];
          const shared = (service.networks ?? []).filter((network) => other?.networks?.includes(network));
          expect([name, host, shared.length > 0]).toEqual([name, host, true]);
          seen++;
        }
      }
    }
    expect(seen).toBeGreaterThan(8);
  });

  test('engines and stores publish no port, and what is published listens on loopback unless asked', () => {
    const published = services.filter(([, service]) => service.ports).map(([name]) => name);
    expect(published.sort()).toEqual(['console', 'grafana', 'prometheus', 'router']);
    for (const [, service] of services) for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
    const open = loadCompose({ ...sampleEnv, TOLLGATE_BIND: '0.0.0.0' });
    expect(open.services.router!.ports).toEqual(['0.0.0.0:8080:8080']);
    expect(compose.networks.data).toEqual({ internal: true });
    const onData = services.filter(([, service]) => service.networks?.includes('data')).map(([name]) => name);
    expect(onData).not.toContain('vllm');
  });

  test('our own processes run without privileges on a read-only root', () => {
    expect(built.map(([name]) => name).sort()).toEqual([
      'console',
      'devworker-1',
      'devworker-2',
      'metering',
      'migrate',
      'retrieval',
      'router',
    ]);
    for (const [name, service] of [...built, ['cli', compose.services.cli!] as [string, ComposeService]]) {
      expect([name, service.read_only, service.cap_drop, service.security_opt]).toEqual([
        name,
        true,
        ['ALL'],
        ['no-new-privileges:true'],
      ]);
    }
  });

  test('images are pinned by version, at or above the security floors', () => {
    for (const [, { image }] of services) expect(image).toMatch(/:v?\d+\.\d+(\.\d+)?(-[a-z0-9]+)?$/);
    const version = (name: string) => compose.services[name]!.image.split(':')[1]!.replace(/^v/, '').replace(/-.*/, '');
    expect(atLeast(version('vllm'), '0.32.0')).toBe(true);
    expect(atLeast(version('redis'), '8.2.2')).toBe(true);
    expect(atLeast('0.9.0', '0.32.0')).toBe(false);
  });

  test('the gpu profile starts the engine with the grammar backend, the limits and the reports that routing needs', () => {
    const { command = [], profiles, networks } = compose.services.vllm!;
    expect(profiles).toEqual(['gpu']);
    expect(networks).toContain('workers');
    const options = new Map(command.slice(1).map((word) => word.split(/=(.*)/s) as [string, string]));
    const json = (name: string) => JSON.parse(options.get(name)!);
    expect(json('--structured-outputs-config')).toEqual({ backend: 'xgrammar', disable_any_whitespace: true });
    expect(json('--default-chat-template-kwargs')).toEqual({ enable_thinking: false });
    expect(json('--kv-events-config')).toMatchObject({ enable_kv_cache_events: true, publisher: 'zmq' });
    for (const flag of ['--enable-prefix-caching', '--enable-prompt-tokens-details', '--enable-request-id-headers']) {
      expect(options.has(flag)).toBe(true);
    }
    expect(command[0]).toBe(options.get('--served-model-name'));
  });
});

describe('interpolation as the tests do it', () => {
  test.each([
    ['{A:-x}', {}, 'x'],
    ['{A:-x}', { A: '' }, 'x'],
    ['{A-x}', { A: '' }, ''],
    ['$b', {}, '$b'],
    ['{A}', {}, ''],
  ])('$%s with %j is %j', (text, env, expected) => {
    expect(interpolate(`$${text}`, env)).toBe(expected);
  });
});

test('make-env.sh writes exactly the secrets that compose demands, readable by the owner only, and never overwrites', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-env-'));
  try {
    mkdirSync(join(folder, 'infra/docker'), { recursive: true });
    const script = join(folder, 'infra/docker/make-env.sh');
    copyFileSync(join(root, 'infra/docker/make-env.sh'), script);
    const run = () => execFileSync('sh', [script], { env: childEnvironment(), stdio: 'pipe' });
    run();
    const text = readFileSync(join(folder, '.env'), 'utf8');
    const env = Object.fromEntries([...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name, value]));
    expect(Object.keys(env).sort()).toEqual(['COMPOSE_PROFILES', ...Object.keys(sampleEnv)].sort());
    for (const name of Object.keys(sampleEnv)) expect(env[name]).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set(Object.values(env)).size).toBe(Object.keys(env).length);
    expect(statSync(join(folder, '.env')).mode & 0o777).toBe(0o600);
    expect(() => loadCompose(env)).not.toThrow();
    expect(run).toThrow();
    expect(readFileSync(join(folder, '.env'), 'utf8')).toBe(text);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a real Redis takes the configuration file and then evicts nothing, appends, and keeps its history when alone', async () => {
  // The file is the first argument; what the test kit adds after it (port, folder) wins.
  const lines = readFileSync(join(root, 'infra/redis/redis.conf'), 'utf8').split('\n');
  const args = lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .flatMap((line) => {
      const [name = '', ...values] = line.split(' ');
      return [`--${name}`, values.join(' ').replaceAll('"', '')];
    });
  const redis = await startRedis({ args });
  try {
    const config = async (name: string) => ((await redis.client.config('GET', name)) as string[])[1];
    expect(await config('maxmemory-policy')).toBe('noeviction');
    expect(await config('appendonly')).toBe('yes');
    expect(await config('appendfsync')).toBe('everysec');
    expect(await config('repl-backlog-ttl')).toBe('0');
    expect(Number(await config('maxmemory'))).toBeGreaterThan(0);
  } finally {
    await redis.stop();
  }
});

/** Whether dotted version `a` is `floor` or newer. */
function atLeast(a: string, floor: string): boolean {
  const left = a.split('.').map(Number);
  const right = floor.split('.').map(Number);
  for (let i = 0; i < right.length; i++) {
    const difference = (left[i] ?? 0) - right[i]!;
    if (difference !== 0) return difference > 0;
  }
  return true;
}
