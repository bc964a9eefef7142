import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { AccountStore } from '@tollgate/shared/db/account-store';
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { emit } from '@tollgate/shared/db/emit';
import { KeyStore } from '@tollgate/shared/db/key-store';
import { LedgerStore } from '@tollgate/shared/db/ledger-store';
import { migrate } from '@tollgate/shared/db/migrate';
import { OrganisationStore } from '@tollgate/shared/db/organisation-store';
import { WebhookStore } from '@tollgate/shared/db/webhook-store';
import { createLogger } from '@tollgate/shared/runtime/logger';
import type { OutboundRequest } from '@tollgate/shared/runtime/outbound';
import { systemRandom } from '@tollgate/shared/runtime/random';
import { createSealer } from '@tollgate/shared/runtime/seal';
import { type FakeClock, fakeClock } from '@tollgate/shared/testkit/fake-clock';
import { startPglite, type TestDatabase } from '@tollgate/shared/testkit/postgres';
import { Alerts } from './alerts.ts';
import { Deliverer } from './deliver.ts';

jest.setTimeout(60_000);

const START_MS = Date.UTC(2026, 10, 21, 12);
const ACCOUNT = 'acct_1';
const SECRET = `whsec_${Buffer.from('a secret of twenty-four b').toString('base64')}`;
const logger = createLogger({ service: 'test', level: 'silent' });
const sealer = createSealer('a seal key of the tests, long enough', systemRandom);

let store: TestDatabase;
let db: Db;
let clock: FakeClock;
let sent: OutboundRequest[];
let answers: (number | Error)[];

beforeAll(async () => {
  store = await startPglite();
  db = openDatabase({ url: store.url, poolMax: 1, applicationName: 'test' });
  await migrate(db);
  await new AccountStore(db).create({ id: ACCOUNT, name: 'a', createdAtMs: START_MS });
});
afterAll(async () => {
  await db?.destroy();
  await store?.stop();
});
beforeEach(() => {
  clock = fakeClock(START_MS);
  sent = [];
  answers = [];
});

const deliverer = () =>
  new Deliverer({
    db,
    clock,
    logger,
    sealer,
    allowInside: false,
    post: async (request) => {
      sent.push(request);
      const answer = answers.shift() ?? 204;
      if (answer instanceof Error) throw answer;
      return { status: answer };
    },
  });

async function webhook(id: string, accountId: string | null, events: string[]): Promise<WebhookStore> {
  const hooks = new WebhookStore(db);
  const secret = sealer.close(SECRET, `webhook ${id}`);
  await hooks.create({
    id,
    accountId,
    url: 'https://example.com/h',
    events,
    description: null,
    secret,
    atMs: START_MS,
  });
  return hooks;
}

const happen = (dedupeKey: string, accountId: string | null = ACCOUNT) =>
  emit(db, { type: 'balance.low', accountId, dedupeKey, data: { n: 1 } }, systemRandom, clock.nowMs());

const signatureOf = ({ headers, body }: OutboundRequest, secret: string) =>
  `v1,${createHmac('sha256', Buffer.from(secret.slice(6), 'base64'))
    .update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`)
    .digest('base64')}`;

describe('a delivery', () => {
  test('is signed as the Standard Webhooks specification says, sent once, and logged', async () => {
    const hooks = await webhook('hook_1', ACCOUNT, ['balance.low']);
    const [id] = await happen('one');
    await deliverer().attempt(id!);
    await deliverer().attempt(id!);
    expect(sent).toHaveLength(1);
    expect(sent[0]!.headers['webhook-signature']).toBe(signatureOf(sent[0]!, SECRET));
    expect(JSON.parse(sent[0]!.body)).toMatchObject({ type: 'balance.low', accountId: ACCOUNT, data: { n: 1 } });
    expect(await hooks.delivery('hook_1', id!)).toMatchObject({
      state: 'delivered',
      attempts: 1,
      status: 204,
      error: null,
    });
    await hooks.remove('hook_1', clock.nowMs());
  });

  test('the same thing noticed twice is one event', async () => {
    const hooks = await webhook('hook_2', ACCOUNT, ['balance.low']);
    expect(await happen('two')).toHaveLength(1);
    expect(await happen('two')).toEqual([]);
    await hooks.remove('hook_2', clock.nowMs());
  });

  test('only endpoints that want it get it: the organisation’s own and the platform’s', async () => {
    const hooks = await webhook('hook_own', ACCOUNT, ['balance.low']);
    await webhook('hook_other', ACCOUNT, ['key.expiring']);
    await webhook('hook_platform', null, ['balance.low']);
    expect(await happen('three')).toHaveLength(2);
    expect(await happen('three, of another', 'acct_2')).toHaveLength(1);
    for (const id of ['hook_own', 'hook_other', 'hook_platform']) await hooks.remove(id, clock.nowMs());
  });

  test('is tried again with growing waits, then given up; by hand it is sent again', async () => {
    const hooks = await webhook('hook_3', ACCOUNT, ['balance.low']);
    const [id] = await happen('four');
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      answers = [i % 2 === 0 ? 500 : Object.assign(new Error('x'), { code: 'ECONNREFUSED' })];
      await deliverer().attempt(id!);
      const { state, nextAttemptAtMs, error } = (await hooks.delivery('hook_3', id!))!;
      expect(error).toBe(i % 2 === 0 ? 'answered 500' : 'ECONNREFUSED');
      if (state === 'failed') break;
      waits.push((nextAttemptAtMs! - clock.nowMs()) / 1000);
      // A moment too early nothing is sent.
      await clock.advance(nextAttemptAtMs! - clock.nowMs() - 1);
      const before = sent.length;
      await deliverer().attempt(id!);
      expect(sent).toHaveLength(before);
      await clock.advance(1);
    }
    expect(waits).toEqual([5, 30, 120, 600, 3_600, 21_600, 86_400]);
    expect((await hooks.delivery('hook_3', id!))!.state).toBe('failed');
    await hooks.redeliver('hook_3', id!, clock.nowMs());
    await deliverer().attempt(id!);
    expect((await hooks.delivery('hook_3', id!))!.state).toBe('delivered');
    await hooks.remove('hook_3', clock.nowMs());
  });

  test('whoever dies in the middle leaves it due again', async () => {
    const hooks = await webhook('hook_4', ACCOUNT, ['balance.low']);
    const [id] = await happen('five');
    expect(await hooks.take(id!, clock.nowMs(), 60_000)).not.toBeNull();
    expect(await hooks.due(clock.nowMs() + 59_999, 10)).not.toContain(id);
    expect(await hooks.due(clock.nowMs() + 60_000, 10)).toContain(id);
    await hooks.remove('hook_4', clock.nowMs());
  });

  test('after a rotation both secrets sign until the overlap ends', async () => {
    const hooks = await webhook('hook_5', ACCOUNT, ['balance.low']);
    const fresh = `whsec_${Buffer.from('another secret of 24 byte').toString('base64')}`;
    await hooks.rotate('hook_5', sealer.close(fresh, 'webhook hook_5'), START_MS + 1_000);
    const [one] = await happen('six');
    await deliverer().attempt(one!);
    expect(sent[0]!.headers['webhook-signature']).toBe(
      `${signatureOf(sent[0]!, fresh)} ${signatureOf(sent[0]!, SECRET)}`,
    );
    await clock.advance(1_001);
    const [two] = await happen('seven');
    await deliverer().attempt(two!);
    expect(sent[1]!.headers['webhook-signature']).toBe(signatureOf(sent[1]!, fresh));
    await hooks.remove('hook_5', clock.nowMs());
  });
});

describe('alerts', () => {
  test('each thing is told once: low balance, a key that ends soon, a cap, a worker that is gone', async () => {
    const hooks = await webhook('hook_6', null, ['balance.low', 'key.expiring', 'spend_cap.reached', 'worker.down']);
    await new OrganisationStore(db).setAlerts(ACCOUNT, { balanceLowNusd: 5_000n, keyExpiringDays: 3 });
    const key = { accountId: ACCOUNT, prefix: 'p', last4: '1', createdAtMs: START_MS } as const;
    await new KeyStore(db).create({
      ...key,
      id: 'key_1',
      name: 'ends',
      digest: 'd1',
      expiresAtMs: START_MS + 86_400_000,
    });
    await new KeyStore(db).create({ ...key, id: 'key_2', name: 'capped', digest: 'd2', capDayNusd: 0n });
    const worker = { url: 'http://w:1', engine: 'vllm', models: ['m'], state: 'ready', breakerOpen: false };
    let workers: object[] = [worker];
    const alerts = new Alerts({
      db,
      clock,
      random: systemRandom,
      logger,
      directory: {
        fleet: async () => ({ views: new Map([['r', { atMs: clock.nowMs(), workers } as never]]), unreadable: 0 }),
      },
    });
    const types = async () =>
      (await hooks.deliveries('hook_6', { limit: 50 })).data.map(({ eventType }) => eventType).sort();
    await alerts.round();
    await alerts.round();
    expect(await types()).toEqual(['balance.low', 'key.expiring', 'spend_cap.reached']);
    // One missing reading is no outage, two are; and one that is drained is not down.
    workers = [];
    await alerts.round();
    expect(await types()).toHaveLength(3);
    await alerts.round();
    expect(await types()).toContain('worker.down');
    // A top-up makes the next shortage another one.
    await new LedgerStore(db).credit({ accountId: ACCOUNT, amountNusd: 1_000n, idemKey: 'x', reason: 'r' });
    await alerts.round();
    expect((await types()).filter((type) => type === 'balance.low')).toHaveLength(2);
    await new LedgerStore(db).credit({ accountId: ACCOUNT, amountNusd: 10_000n, idemKey: 'y', reason: 'r' });
    await alerts.round();
    expect((await types()).filter((type) => type === 'balance.low')).toHaveLength(2);
  });
});
