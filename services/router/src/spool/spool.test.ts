import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { SettleInput, SettleResult } from '@tollgate/shared/redis/money-scripts';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { type FakeClock, fakeClock } from '@tollgate/shared/testkit/fake-clock';
import { lockFolder } from './dir-lock.ts';
import { SegmentLog } from './segment-log.ts';
import { type DecodeRecord, type SettlePort, Spool } from './spool.ts';

const logger = createLogger({ service: 'test', level: 'silent' });
const noMetrics = { unconfirmed() {}, resent() {}, fsyncFailed() {} };

/** Redis and metering as the spool sees them: an outbox that can be lost, and a ledger that cannot. */
class Stores implements SettlePort {
  bucketCount = 1;
  history = 'run:1:outbox';
  up = true;
  outbox: { id: string; record: string }[] = [];
  ledger = new Set<string>();
  calls = 0;
  private clock = 0;
  private confirmed: { history: string; streamId: string } | null = null;

  async settle(input: Pick<SettleInput, 'record'>): Promise<SettleResult> {
    this.calls++;
    if (!this.up) throw new Error('down');
    const streamId = `${++this.clock}-0`;
    this.outbox.push({ id: streamId, record: input.record });
    return { how: 'settled', streamId, history: this.history, confirmed: this.ledger.has(input.record) };
  }

  async readConfirmations() {
    if (!this.up) throw new Error('down');
    return new Map(this.confirmed === null ? [] : [[0, this.confirmed]]);
  }

  /** Metering: commits what waits, then confirms. */
  drain(count = Number.POSITIVE_INFINITY): void {
    for (const { id, record } of this.outbox.splice(0, count)) {
      this.ledger.add(record);
      this.confirmed = { history: this.history, streamId: id };
    }
  }

  /** Redis loses everything and starts anew. */
  lose(history: string): void {
    this.outbox = [];
    this.confirmed = null;
    this.history = history;
  }
}

const decode: DecodeRecord = (line) => (line.startsWith('{') ? inputOf(JSON.parse(line).id) : null);
const inputOf = (id: string) => ({
  accountId: 'acct_a' as const,
  keyId: 'key_a' as const,
  model: 'm',
  requestId: `req_${id}` as const,
  leaseId: 'lease_a' as const,
  amountNusd: 5n,
  tokens: 1,
  record: JSON.stringify({ id }),
});

let dir: string;
let clock: FakeClock;
let stores: Stores;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tollgate-spool-'));
  clock = fakeClock();
  stores = new Stores();
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const open = (more: object = {}) => {
  const options = {
    dir,
    routerId: 'r',
    segmentBytes: 100,
    maxBytes: 10_000,
    fsyncEveryMs: 100,
    confirmEveryMs: 1_000,
    resendAfterMs: 10_000,
  };
  return new Spool({ ...options, ...more }, decode, stores, clock, logger, noMetrics);
};
const files = () => readdirSync(dir).filter((name) => name.endsWith('.spool'));

describe('a finished request', () => {
  test('is on disk before settle returns, and gone once the ledger has it', async () => {
    const spool = open();
    await spool.settle(inputOf('1'));
    expect(readFileSync(join(dir, files()[0]!), 'utf8')).toBe('{"id":"1"}\n');
    await spool.tick();
    expect(spool.unconfirmed).toBe(1);
    stores.drain();
    await spool.tick();
    expect(spool.unconfirmed).toBe(0);
    expect(readFileSync(join(dir, files()[0]!), 'utf8')).toBe('');
    spool.close();
    expect(files()).toEqual([]);
  });

  test('survives kill -9: the next start sends it', async () => {
    stores.up = false;
    await open().settle(inputOf('1'));
    // No close: the process is gone.
    stores.up = true;
    const next = open();
    await next.tick();
    stores.drain();
    await next.tick();
    expect([...stores.ledger]).toEqual(['{"id":"1"}']);
    expect(next.unconfirmed).toBe(0);
  });

  test('that Redis took and then lost is sent again, found by a later settle or by time alone', async () => {
    const spool = open();
    await spool.settle(inputOf('1'));
    await spool.tick();
    stores.lose('run:2:outbox');
    await spool.settle(inputOf('2'));
    await spool.tick();
    await spool.tick();
    stores.drain();
    await spool.tick();
    expect([...stores.ledger].sort()).toEqual(['{"id":"1"}', '{"id":"2"}']);

    await spool.settle(inputOf('3'));
    await spool.tick();
    stores.lose('run:2:another');
    await clock.advance(10_000);
    await spool.tick();
    stores.drain();
    await spool.tick();
    expect(stores.ledger.has('{"id":"3"}')).toBe(true);
    expect(spool.unconfirmed).toBe(0);
  });

  test('that the ledger has already is known by its repeat, where the confirmation itself was lost', async () => {
    const spool = open();
    await spool.settle(inputOf('1'));
    await spool.tick();
    stores.drain();
    stores.lose('run:2:outbox');
    await clock.advance(10_000);
    await spool.tick();
    expect(spool.unconfirmed).toBe(0);
  });

  test('is not taken for confirmed by a newer id of another outbox', async () => {
    const spool = open();
    await spool.settle(inputOf('1'));
    await spool.tick();
    stores.lose('run:2:outbox');
    // Somebody else's record passes through the new outbox and is confirmed with a higher id.
    await stores.settle(inputOf('x'));
    stores.drain();
    await spool.tick();
    expect(spool.unconfirmed).toBe(1);
  });

  test('goes straight to Redis where the disk takes nothing, and fails loudly where neither does', async () => {
    const spool = open({ maxBytes: 1 });
    expect(spool.isWritable).toBe(true);
    await spool.settle(inputOf('1'));
    expect(spool.isWritable).toBe(false);
    await spool.settle(inputOf('2'));
    expect(stores.outbox.map((entry) => entry.record)).toContain('{"id":"2"}');
    stores.up = false;
    await expect(spool.settle(inputOf('3'))).rejects.toThrow('down');
  });

  test('left at shutdown is handed to the last resort, or stays on disk', async () => {
    const spool = open();
    await spool.settle(inputOf('1'));
    const taken: string[] = [];
    expect(await spool.drain(0, async (records) => void taken.push(...records))).toBe(0);
    expect(taken).toEqual(['{"id":"1"}']);
    await spool.settle(inputOf('2'));
    expect(await spool.drain(0, () => Promise.reject(new Error('away')))).toBe(1);
    expect(
      files()
        .map((name) => readFileSync(join(dir, name), 'utf8'))
        .join(''),
    ).toContain('{"id":"2"}');
  });
});

describe('the files', () => {
  test('roll over and go one by one, as their records are confirmed', async () => {
    const spool = open({ segmentBytes: 30 });
    for (let i = 0; i < 9; i++) await spool.settle(inputOf(String(i)));
    expect(files()).toHaveLength(3);
    await spool.tick();
    stores.drain(4);
    await spool.tick();
    expect(files()).toHaveLength(2);
    stores.drain();
    await spool.tick();
    expect(files()).toHaveLength(1);
  });

  test('with a torn last line lose that line only', async () => {
    const spool = open();
    stores.up = false;
    await spool.settle(inputOf('1'));
    appendFileSync(join(dir, files()[0]!), 'torn');
    stores.up = true;
    const next = open();
    expect(next.unconfirmed).toBe(1);
    await next.tick();
    stores.drain();
    await next.tick();
    expect([...stores.ledger]).toEqual(['{"id":"1"}']);
  });

  test('that cannot be written say so, and are tried again', () => {
    const { log } = SegmentLog.open({ dir, segmentBytes: 100, maxBytes: 1_000 });
    log.append(['a']);
    log.close();
    // The file is closed under it: the next write fails as on a dead disk.
    expect(() => log.append(['b'])).toThrow();
    expect(log.isWritable).toBe(false);
    log.recheck();
    expect(log.isWritable).toBe(false);
  });

  test('belong to one router at a time', () => {
    const unlock = lockFolder(dir);
    // Process 1 always lives and is never us.
    rmSync(join(dir, 'lock'));
    appendFileSync(join(dir, 'lock'), '1');
    expect(() => lockFolder(dir)).toThrow(/in use by process 1/);
    rmSync(join(dir, 'lock'));
    // A dead owner, or one that had our own number in an earlier life, is no owner.
    appendFileSync(join(dir, 'lock'), String(process.pid));
    lockFolder(dir)();
    unlock();
  });
});
