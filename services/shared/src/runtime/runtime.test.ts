import { describe, expect, test } from '@jest/globals';
import { createLifecycle } from './lifecycle.ts';
import { createLogger, infoLine, maskSecrets } from './logger.ts';
import { Counter, createRegistry, startMetricsServer } from './metrics.ts';

function captured() {
  const lines: string[] = [];
  const logger = createLogger({
    service: 'test',
    level: 'debug',
    destination: { write: (line) => void lines.push(line) },
  });
  return { lines, logger };
}

describe('logger', () => {
  test('keys, Bearer values, passwords and bodies never reach a line', () => {
    const { lines, logger } = captured();
    logger.info({
      authorization: 'Bearer abc',
      req: { body: 'a prompt', authorization: 'x' },
      url: 'redis://u:pw12@h',
    });
    logger.error({ err: new Error('refused tg_live_k7f_s3cr3tcrc for Bearer tg_live_k7f_s3cr3tcrc') }, 'call failed');
    const text = lines.join('');
    for (const hidden of ['abc', 'a prompt', 'pw12', 's3cr3t']) expect(text).not.toContain(hidden);
    expect(JSON.parse(lines[1]!)).toMatchObject({ level: 'error', service: 'test', err: { type: 'Error' } });
  });
  test('a line of the cheap way is the same line, level and masking included', () => {
    const { lines, logger } = captured();
    const child = logger.child({ part: 'x' });
    const fields = { id: 'a"b', count: 2, none: undefined, url: 'http://u:pw12@h', end: 'Bearer secret' };
    for (const each of [logger, child]) {
      each.info(fields, 'request');
      infoLine(each, fields, 'request');
      infoLine(each, {}, 'bare');
    }
    const plain = lines.map((line) => line.replace(/"time":"[^"]*"/, '"time":""'));
    expect(plain[1]).toBe(plain[0]);
    expect(plain[4]).toBe(plain[3]);
    expect(JSON.parse(lines[2]!)).toMatchObject({ level: 'info', service: 'test', msg: 'bare' });
    expect(lines.join('')).not.toMatch(/pw12|Bearer secret/);
    logger.level = 'warn';
    infoLine(logger, fields, 'request');
    expect(lines).toHaveLength(6);
  });
  test('a masked key keeps its loggable id', () => {
    expect(maskSecrets('tg_live_k7f_s3cr3t x')).toBe('tg_live_k7f_[redacted] x');
  });
});

describe('lifecycle', () => {
  test('steps run once, last first, also when one fails', async () => {
    const { logger, lines } = captured();
    const lifecycle = createLifecycle({ logger, graceMs: 5_000 });
    const seen: string[] = [];
    lifecycle.defer('redis', () => void seen.push('redis'));
    lifecycle.defer('pool', () => Promise.reject(new Error('already closed')));
    lifecycle.defer('server', async () => {
      await Promise.resolve();
      seen.push('server');
    });
    const exitCode = process.exitCode;
    await Promise.all([lifecycle.stop('a'), lifecycle.stop('b')]);
    process.exitCode = exitCode;
    expect(seen).toEqual(['server', 'redis']);
    expect([lifecycle.stopping, lifecycle.signal.aborted]).toEqual([true, true]);
    expect(lines.join('')).toContain('already closed');
  });

  test('a step that hangs does not outlive the grace period', async () => {
    const { logger, lines } = captured();
    const lifecycle = createLifecycle({ logger, graceMs: 20 });
    lifecycle.defer('never reached', () => {});
    lifecycle.defer('hangs', () => new Promise(() => {}));
    const exitCode = process.exitCode;
    await lifecycle.stop();
    process.exitCode = exitCode;
    expect(lines.join('')).toContain('"left":["never reached"]');
  });
});

test('metrics, health and readiness are served on a port of their own', async () => {
  const registry = createRegistry('test', '1.2.3');
  new Counter({ name: 'tollgate_things_total', help: 'Things.', registers: [registry] }).inc(3);
  let ready = false;
  const server = await startMetricsServer({ host: '127.0.0.1', port: 0 }, registry, { ready: () => ready });
  try {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    expect(text).toContain('tollgate_things_total 3');
    expect(text).toMatch(/tollgate_build_info\{service="test",version="1.2.3",node="[\d.]+"\} 1/);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503);
    ready = true;
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${server.url}/other`)).status).toBe(404);
    await expect(startMetricsServer({ host: '127.0.0.1', port: server.port }, registry)).rejects.toThrow('EADDRINUSE');
  } finally {
    await server.close();
  }
});
