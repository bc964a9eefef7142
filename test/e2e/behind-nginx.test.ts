/**
 * A whole installation behind nginx: two routers, two metering workers, four workers, each a process with an address of
 * its own. Everything is restarted, one part after the other, while clients ask: none notices, and the books balance.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ReconcileStore } from '@tollgate/shared/db/reconcile-store';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { seededRandom } from '@tollgate/shared/testkit/seeded-random';
import OpenAI from 'openai';
import { findNginx } from '../../services/shared/src/runtime/binaries.mjs';
import { MODEL, type TestAccount } from '../chaos/metering-harness.ts';
import { type Heard, hear } from '../chaos/worker-kit.ts';
import { type Installation, startInstallation } from './installation.ts';

const CREDIT = 1_000_000_000_000n;
const STREAM_CLIENTS = 6;
const PLAIN_CLIENTS = 3;
const TOPICS = ['bread', 'salt', 'rivers', 'grüße 漢字', 'glass', 'winter'];
/** nginx's reload ends kept connections of clients that are idle, which SDKs repeat: here each request has its own. */
const OWN_CONNECTION = { connection: 'close' };
const PATIENCE_MS = counts(240_000, 1_800_000);
/** Loopback has more than one address on Linux only. */
const possible = process.platform === 'linux' && findNginx() !== null;
const suite = possible ? describe : describe.skip;

let at: Installation;
let who: TestAccount;
let key: string;

const about = (topic: number) => ({
  model: MODEL,
  messages: [{ role: 'user' as const, content: `Tell me about ${TOPICS[topic]}, at length` }],
  temperature: 0,
  max_tokens: 60,
});

suite('behind nginx', () => {
  beforeAll(async () => {
    at = await startInstallation();
    who = await at.world.account(CREDIT);
    key = await at.world.key(who);
  }, 180_000);

  afterAll(() => at?.stop(), 60_000);

  const client = () => new OpenAI({ apiKey: key, baseURL: `${at.nginx.url}/v1`, maxRetries: 0 });

  test('an answer streams token by token, and the headers of limits and ids come through', async () => {
    const { data: stream, response } = await client()
      .chat.completions.create({ ...about(0), max_tokens: 300, stream: true })
      .withResponse();
    expect(response.headers.get('x-request-id')).toMatch(/^req_/);
    let busyWhileReading = 0;
    let read = 0;
    for await (const chunk of stream) {
      if (!chunk.choices[0]?.delta.content || read++ % 50 !== 0) continue;
      const states = await Promise.all(at.workers.map((worker) => worker.state()));
      if (states.some(({ engine }) => engine.running > 0)) busyWhileReading++;
    }
    // Buffered, nothing would have come before the worker was done.
    expect(busyWhileReading).toBeGreaterThan(0);
  });

  test('a client that leaves takes its request from the worker, through nginx', async () => {
    const busy = async () => {
      const states = await Promise.all(at.workers.map((worker) => worker.state()));
      return states.reduce((sum, { engine }) => sum + engine.running, 0);
    };
    const leaving = new AbortController();
    const stream = await client().chat.completions.create(
      { ...about(1), max_tokens: 20_000, stream: true },
      { signal: leaving.signal },
    );
    for await (const _chunk of stream) break;
    leaving.abort();
    await eventually('no worker runs it', async () => (await busy()) === 0);
  });

  test('refusals come as they are: bad key, too large a body, an unknown model', async () => {
    const stranger = new OpenAI({ apiKey: 'tg_live_nobody', baseURL: `${at.nginx.url}/v1`, maxRetries: 0 });
    await expect(stranger.chat.completions.create(about(0))).rejects.toMatchObject({ status: 401 });
    await expect(
      client().chat.completions.create({ ...about(0), messages: [{ role: 'user', content: 'x'.repeat(4_500_000) }] }),
    ).rejects.toMatchObject({ status: 413, code: expect.any(String) });
    await expect(client().chat.completions.create({ ...about(0), model: 'none' })).rejects.toMatchObject({
      status: 404,
    });
  });

  test(
    'everything is restarted under load: no request fails, each is posted once, the ledger balances',
    async () => {
      const rounds = counts(1, 10);
      const random = seededRandom(testSeed());
      const wholes = await Promise.all(TOPICS.map((_, topic) => hear(at.nginx.url, key, about(topic), OWN_CONNECTION)));
      for (const whole of wholes) expect(whole).toMatchObject({ status: 200, error: null, done: true });
      const load = new Load(random.int, wholes);
      for (let round = 0; round < rounds; round++) {
        for (const index of [0, 1, 2, 3]) await load.meanwhile(() => at.rollWorker(index));
        for (const index of [0, 1]) await load.meanwhile(() => at.rollMetering(index));
        for (const index of [0, 1]) await load.meanwhile(() => at.rollRouter(index));
      }
      await load.end();
      expect(load.failures).toEqual([]);
      // nginx itself had nothing to complain about.
      expect(at.nginx.errors()).not.toMatch(/\[(error|crit|alert|emerg)\]/);
      await expectBooks(load.finished);
      recordProof({
        name: 'rolling restart of 2 routers, 2 metering workers and 4 workers behind nginx',
        count: rounds,
        seed: testSeed(),
        result: `${load.finished.length} requests, 0 failed, each posted once, held 0, ledger balanced`,
      });
    },
    PATIENCE_MS,
  );
});

interface Finished {
  id: string;
  completionTokens: number;
}

/** Clients that ask without pause and accept nothing but the whole answer. */
class Load {
  readonly failures: string[] = [];
  readonly finished: Finished[] = [];
  #ending = false;
  readonly #clients: Promise<void>[] = [];
  readonly #pick: () => number;
  readonly #wholes: readonly Heard[];

  constructor(int: (below: number) => number, wholes: readonly Heard[]) {
    this.#pick = () => int(TOPICS.length);
    this.#wholes = wholes;
    for (const whole of wholes) this.finished.push({ id: whole.id, completionTokens: whole.completionTokens! });
    for (let i = 0; i < STREAM_CLIENTS + PLAIN_CLIENTS; i++) this.#clients.push(this.#run(i < STREAM_CLIENTS));
  }

  /** Does `work`, and sees to it that clients were answered since it began. */
  async meanwhile(work: () => Promise<void>): Promise<void> {
    const before = this.finished.length;
    await work();
    await eventually('clients were answered', () => this.finished.length > before + STREAM_CLIENTS);
  }

  async end(): Promise<void> {
    this.#ending = true;
    await Promise.all(this.#clients);
  }

  async #run(streams: boolean): Promise<void> {
    while (!this.#ending) {
      const topic = this.#pick();
      try {
        this.finished.push(streams ? await this.#stream(topic) : await this.#plain(topic));
      } catch (error) {
        const { message, cause } = error as Error;
        this.failures.push(`${message} ${cause ?? ''}`);
      }
    }
  }

  async #stream(topic: number): Promise<Finished> {
    const heard = await hear(at.nginx.url, key, about(topic), OWN_CONNECTION);
    const whole = this.#wholes[topic]!;
    const { id, status, error, done, content, completionTokens } = heard;
    if (status !== 200 || error !== null || !done) throw new Error(`stream ${id}: ${status} ${error} done ${done}`);
    if (content !== whole.content || completionTokens !== whole.completionTokens)
      throw new Error(`stream ${id}: another text (${content.length} of ${whole.content.length} letters)`);
    return { id, completionTokens: completionTokens! };
  }

  async #plain(topic: number): Promise<Finished> {
    const response = await fetch(`${at.nginx.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...OWN_CONNECTION },
      body: JSON.stringify(about(topic)),
    });
    const id = response.headers.get('x-request-id') ?? '';
    const text = await response.text();
    if (response.status !== 200) throw new Error(`plain ${id}: ${response.status} ${text.slice(0, 200)}`);
    const body = JSON.parse(text);
    if (body.choices[0].message.content !== this.#wholes[topic]!.content) throw new Error(`plain ${id}: another text`);
    return { id, completionTokens: body.usage.completion_tokens };
  }
}

/** Every finished request has one final settlement with its tokens, nothing stays held, and the ledger sums to 0. */
async function expectBooks(finished: readonly Finished[]): Promise<void> {
  const { world } = at;
  const rows = await eventually(
    'every finished request is posted',
    async () => {
      const all = await world.db
        .selectFrom('settlements')
        .select(['request_id', 'state', 'completion_tokens', 'amount_nusd'])
        .where('account_id', '=', who.account)
        .execute();
      const byId = new Map(all.map((row) => [row.request_id as string, row]));
      return finished.every(({ id }) => byId.get(id)?.state === 'final') && byId;
    },
    { deadlineMs: 60_000, everyMs: 100 },
  );
  for (const { id, completionTokens } of finished) {
    expect({ id, tokens: rows.get(id)?.completion_tokens }).toEqual({ id, tokens: completionTokens });
  }
  const postings = await world.db
    .selectFrom('transactions')
    .select('idem_key')
    .where('account_id', '=', who.account)
    .where('kind', 'in', ['settlement', 'settlement_final'])
    .execute();
  expect(new Set(postings.map((row) => row.idem_key)).size).toBe(postings.length);
  await eventually('nothing is held', async () => {
    const { lease } = await world.router.scripts.readLease(who.account);
    return lease === null || lease.heldNusd === 0n;
  });
  expect((await new ReconcileStore(world.db).auditLedger(1_000)).findings).toEqual([]);
  // The sum of all bills is what was posted; what a lease still has lies in `leased`.
  const { posted, available, leased, quarantined, uncollected, receivable } = await world.balance(who);
  expect(available + leased + quarantined + posted).toBe(CREDIT);
  const billed = await world.db
    .selectFrom('settlements')
    .select((e) => e.fn.sum<bigint>('amount_nusd').as('nusd'))
    .where('account_id', '=', who.account)
    .executeTakeFirstOrThrow();
  expect(posted).toBe(BigInt(billed.nusd));
  expect({ uncollected, receivable }).toEqual({ uncollected: 0n, receivable: 0n });
}
