/**
 * Clients, an operator and trouble, all at once, against the router's own admission, metering's own keeper, a real Redis and a
 * real PostgreSQL. Writes down what was asked, answered, held, settled and credited, and when.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { encodeUsageRecord } from '@tollgate/shared/contracts/money';
import { LedgerStore } from '@tollgate/shared/db/ledger-store';
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import { clampFloor } from '@tollgate/shared/domain/credit';
import { AppError, toAppError } from '@tollgate/shared/domain/errors';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import type { Intent } from '@tollgate/shared/domain/usage';
import { createRedis, RedisGuard, waitUntilReady } from '@tollgate/shared/redis/client';
import { channels } from '@tollgate/shared/redis/keys';
import { type AdmitResult, type MoneyClient, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import { Subscriber } from '@tollgate/shared/redis/subscriber';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { createLogger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { keyRecord } from '@tollgate/shared/testkit/key-record';
import { admit } from '../../../services/router/src/admission/admit.ts';
import { Answers } from '../../../services/router/src/admission/answers.ts';
import { holdAmount } from '../../../services/router/src/admission/hold-bound.ts';
import { RequestContext } from '../../../services/router/src/context.ts';
import { Voids } from '../../../services/router/src/settlement/voids.ts';
import { BUCKETS, bucketNumber, newRequest, recordOf, type TestAccount, type World } from '../metering-harness.ts';
import type { Asked, Held, Log } from './oracle.ts';

/** Longer than any pause that the tests make: a 503 then means that credit was out of reach, not that a machine is slow. */
const PATIENCE_MS = 20_000;

/** Longer than the transaction that closes a lease. */
const TRANSACTION_MS = 200;

export interface Plan {
  model: CatalogModel;
  /** Output limits that clients ask for, at most. */
  mostTokens: number;
  creditNusd: bigint;
  topUpsNusd: bigint[];
  clients: number;
  requestsEach: number;
  faults: ('pause' | 'flush' | 'restart' | 'lost_answers')[];
  /** A bug to be found: what the router makes of an answer. */
  tamper?: (result: AdmitResult) => AdmitResult;
  /** A credit does not clear the keeper's last verdict. */
  keepsVerdicts?: boolean;
}

export interface Outcome {
  log: Log;
  who: TestAccount;
}

export async function play(world: World, plan: Plan, random: Random): Promise<Outcome> {
  const who = await world.account(0n);
  const play = new Play(world, plan, random, who);
  try {
    await play.run();
  } finally {
    await play.close();
  }
  return { log: play.log, who };
}

class Play {
  readonly log: Log = { credits: [], holds: new Map(), asked: [], faults: [], replaced: [] };
  readonly #world: World;
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #who: TestAccount;
  readonly #client;
  readonly #scripts: MoneyScripts;
  readonly #answers = new Answers(systemClock);
  readonly #voids: Voids;
  readonly #subscriber: Subscriber;
  readonly #running = new Map<string, Intent>();
  /** Settled and perhaps not in Postgres: what a router has in its spool. */
  readonly #unconfirmed = new Map<string, ReturnType<typeof recordOf>>();
  #losesAnswers = false;
  #done = false;
  #trouble: boolean;
  #beating: Promise<void>;

  constructor(world: World, plan: Plan, random: Random, who: TestAccount) {
    this.#world = world;
    this.#plan = plan;
    this.#trouble = plan.faults.length > 0;
    this.#random = random;
    this.#who = who;
    this.#client = createRedis({ url: world.redis.url, name: 'oracle' });
    const guard = new RedisGuard({ clock: systemClock, deadlineMs: 5_000 }).guard;
    this.#scripts = new MoneyScripts(this.#client as unknown as MoneyClient, BUCKETS, { guard });
    this.#voids = new Voids(this.#scripts, systemClock, createLogger({ service: 'oracle', level: 'silent' }));
    this.#voids.start();
    this.#subscriber = new Subscriber({
      url: world.redis.url,
      name: 'oracle-sub',
      clock: systemClock,
      handlers: { [channels.answer]: (account) => this.#answers.arrived(account) },
      pingMs: 5_000,
    });
    this.#beating = this.#beat();
  }

  async run(): Promise<void> {
    await waitUntilReady(this.#client);
    await this.#credit(this.#plan.creditNusd);
    const clients = Array.from({ length: this.#plan.clients }, () => this.#clientLoop());
    const others = [this.#topUps(), this.#makeTrouble()];
    await Promise.all([...clients, ...others]);
    // What lost its answer is given back before the books are looked at.
    await eventually('no void is left', () => this.#voids.size === 0, { deadlineMs: 30_000 });
    await this.#resendUntilPosted();
    await this.#noteReplaced();
  }

  async close(): Promise<void> {
    this.#done = true;
    await this.#beating;
    await this.#voids.close();
    this.#subscriber.close();
    this.#client.disconnect();
  }

  async #clientLoop(): Promise<void> {
    // Until the trouble is over: what comes after it must be answered well again.
    for (let i = 0; i < this.#plan.requestsEach || this.#trouble; i++) {
      await sleep(this.#random.int(this.#trouble ? 100 : 20));
      await this.#request();
    }
  }

  async #request(): Promise<void> {
    const random = this.#random;
    const { model, mostTokens } = this.#plan;
    const ctx = new RequestContext(newRequest(), '/v1/chat/completions', {} as never, systemClock.monotonicMs(), null);
    const maxTokens = 1 + random.int(random.int(3) === 0 ? mostTokens / 40 : mostTokens);
    const minTokens = random.int(4) === 0 ? random.int(maxTokens) : 0;
    const wholeAnswerOnly = random.int(5) === 0;
    const size = { messageBytes: random.int(300), messages: 1, toolBytes: 0, choices: 1 + random.int(3) };
    ctx.key = keyOf(this.#who);
    ctx.model = model;
    ctx.promptBytes = size.messageBytes;
    const limits = { choices: size.choices, maxTokens, minTokens, needsWholeOutput: wholeAnswerOnly };
    ctx.request = { model: model.id, messages: [], stream: true, ...limits } as never;

    const leastTokens = clampFloor({ maxTokens, minTokens, wholeAnswerOnly });
    const fullNusd = holdAmount(size, model, maxTokens);
    const asked: Asked = {
      requestId: ctx.requestId,
      maxTokens,
      fullNusd,
      leastTokens,
      leastNusd: holdAmount(size, model, leastTokens),
      startMs: systemClock.monotonicMs(),
      endMs: Number.POSITIVE_INFINITY,
      spoilt: false,
      answer: { kind: 'refused', code: 'none', requiredNusd: null, detail: '' },
    };
    this.log.asked.push(asked);
    const held: Held = {
      requestId: ctx.requestId,
      amountNusd: fullNusd,
      open: { startMs: asked.startMs, endMs: Number.POSITIVE_INFINITY },
      settled: null,
    };
    this.log.holds.set(ctx.requestId, held);
    let intent: Intent;
    try {
      const admission = await admit(ctx, size, {
        money: { admit: (input) => this.#admit(input, asked) },
        answers: this.#answers,
        voids: this.#voids,
        clock: systemClock,
        routerId: 'oracle-router',
        outboxBound: 1_000_000,
        waitMs: PATIENCE_MS,
        pollMs: 50,
      });
      asked.endMs = systemClock.monotonicMs();
      intent = admission.intent;
      held.amountNusd = intent.heldNusd;
      const { outputLimit, clamped } = admission;
      asked.answer = { kind: 'admitted', amountNusd: intent.heldNusd, outputLimit, clamped };
    } catch (error) {
      asked.endMs = systemClock.monotonicMs();
      const known = toAppError(error);
      const required = known.metadata?.required;
      const requiredNusd = typeof required === 'string' ? BigInt(required) : null;
      asked.answer = { kind: 'refused', code: known.code, requiredNusd, detail: known.internal ?? '' };
      // A call without an answer may have taken a hold, until its void is through.
      if (asked.spoilt || known.cause !== undefined) void this.#whenVoided(held);
      else this.log.holds.delete(ctx.requestId);
      return;
    }
    await this.#answerAndSettle(intent, held);
  }

  async #admit(input: Parameters<MoneyScripts['admit']>[0], asked: Asked): Promise<AdmitResult> {
    const result = await this.#scripts.admit(input);
    if (this.#losesAnswers && this.#random.int(4) === 0) {
      asked.spoilt = true;
      throw new AppError('store_unavailable', { internal: 'lost by the test' });
    }
    return this.#plan.tamper?.(result) ?? result;
  }

  async #whenVoided(held: Held): Promise<void> {
    await eventually('void', () => this.#voids.size === 0, { deadlineMs: 60_000 });
    held.open.endMs = systemClock.monotonicMs();
  }

  async #answerAndSettle(intent: Intent, held: Held): Promise<void> {
    this.#running.set(intent.requestId, intent);
    await sleep(this.#random.int(10) === 0 ? 200 : this.#random.int(40));
    const perToken = this.#plan.model.prices.outputNusd / 1_000_000n;
    const most = Number(intent.heldNusd / perToken);
    const given = this.#random.int(8) === 0 ? null : this.#random.int(most + 1);
    if (given === null) {
      this.#running.delete(intent.requestId);
      this.#voids.give({ ...place(intent), requestId: intent.requestId, tokens: 0 });
      await this.#whenVoided(held);
      return;
    }
    const record = recordOf(intent, given);
    const settled = {
      startMs: systemClock.monotonicMs(),
      endMs: Number.POSITIVE_INFINITY,
      costNusd: record.amountNusd,
    };
    held.settled = settled;
    this.#unconfirmed.set(record.requestId, record);
    await this.#settle(record);
    this.#running.delete(intent.requestId);
    settled.endMs = systemClock.monotonicMs();
    held.open.endMs = settled.endMs;
  }

  async #settle(record: ReturnType<typeof recordOf>): Promise<void> {
    await eventually(
      'settled',
      () =>
        this.#scripts
          .settle({
            ...place(record),
            requestId: record.requestId,
            routerId: record.routerId,
            leaseId: record.leaseId,
            amountNusd: record.amountNusd,
            tokens: 0,
            record: encodeUsageRecord(record),
          })
          .then(() => true),
      { deadlineMs: 60_000 },
    );
  }

  async #credit(amountNusd: bigint): Promise<void> {
    const credit = { amountNusd, startMs: systemClock.monotonicMs(), endMs: Number.POSITIVE_INFINITY };
    this.log.credits.push(credit);
    const idemKey = `${this.#who.account}:${this.log.credits.length}`;
    const { balance } = await new LedgerStore(this.#world.db).credit({
      accountId: this.#who.account,
      amountNusd,
      idemKey,
      reason: 'oracle',
    });
    if (!this.#plan.keepsVerdicts) {
      await eventually('verdict cleared', () =>
        this.#scripts.clearVerdict(this.#who.account, balance.version).then(() => true),
      );
    }
    credit.endMs = systemClock.monotonicMs();
  }

  async #topUps(): Promise<void> {
    for (const amount of this.#plan.topUpsNusd) {
      await sleep(50 + this.#random.int(200));
      await this.#credit(amount);
    }
  }

  async #makeTrouble(): Promise<void> {
    for (const fault of this.#plan.faults) {
      await eventually('some are admitted', () => this.#running.size > 0, { deadlineMs: 60_000, everyMs: 5 });
      await sleep(this.#random.int(100));
      const interval = { startMs: systemClock.monotonicMs(), endMs: Number.POSITIVE_INFINITY };
      this.log.faults.push(interval);
      if (fault === 'pause') await this.#pausePostgres(100 + this.#random.int(300));
      if (fault === 'lost_answers') {
        this.#losesAnswers = true;
        await sleep(150);
        this.#losesAnswers = false;
      }
      if (fault === 'flush' || fault === 'restart') {
        if (fault === 'flush') await this.#world.redis.client.flushall();
        else {
          await this.#world.redis.restart();
          await waitUntilReady(this.#client);
        }
        // A router sends again what is not confirmed as soon as it sees another history.
        await this.#resend();
        await this.#untilNothingIsQuarantined();
      }
      interval.endMs = systemClock.monotonicMs();
    }
    this.#trouble = false;
  }

  /** The ledger does not answer for a while: whoever wants a balance waits for this lock. */
  async #pausePostgres(ms: number): Promise<void> {
    await this.#world.db.transaction().execute(async (trx) => {
      await new LedgerStore(trx).lockBalance(trx, this.#who.account);
      await sleep(ms);
    });
  }

  async #untilNothingIsQuarantined(): Promise<void> {
    // A lease that is dead is seen as such by the next sweep or need: the need of an admission makes sure.
    await eventually(
      'the dead leases are released',
      async () => {
        await this.#resend();
        const rows = await this.#world.db
          .selectFrom('leases')
          .select(['id', 'state'])
          .where('account_id', '=', this.#who.account)
          .where('state', '<>', 'closed')
          .execute();
        const { lease } = await this.#scripts.readLease(this.#who.account);
        return rows.every((row) => row.state === 'open' && row.id === lease?.leaseId);
      },
      { deadlineMs: 60_000, everyMs: 100 },
    );
  }

  /** Postgres and this process share a clock; a row's times are those of its transaction's start. */
  async #noteReplaced(): Promise<void> {
    const rows = await this.#world.db
      .selectFrom('leases')
      .select(['quarantined_at', 'closed_at'])
      .where('account_id', '=', this.#who.account)
      .where('quarantine_why', '=', 'replaced')
      .execute();
    const toMonotonicMs = systemClock.monotonicMs() - Date.now();
    for (const row of rows) {
      this.log.replaced.push({
        startMs: row.quarantined_at!.getTime() + toMonotonicMs,
        endMs: row.closed_at ? row.closed_at.getTime() + toMonotonicMs + TRANSACTION_MS : Number.POSITIVE_INFINITY,
      });
    }
  }

  async #resend(): Promise<void> {
    for (const record of this.#unconfirmed.values()) await this.#settle(record);
  }

  async #resendUntilPosted(): Promise<void> {
    await eventually(
      'every record is in Postgres',
      async () => {
        for (const [id, record] of this.#unconfirmed) {
          if (await this.#world.settled(id)) this.#unconfirmed.delete(id);
          else await this.#settle(record);
        }
        return this.#unconfirmed.size === 0;
      },
      { deadlineMs: 60_000, everyMs: 100 },
    );
  }

  async #beat(): Promise<void> {
    const bucket = bucketNumber(this.#who.account);
    while (!this.#done) {
      const beats = [...this.#running.values()].map((intent) => ({
        ...intent,
        amountNusd: intent.heldNusd,
        intent: '{}',
        progress: '{}',
      }));
      if (beats.length > 0) await this.#scripts.heartbeat(bucket, beats).catch(() => undefined);
      await sleep(50);
    }
  }
}

function place(ref: Pick<Intent, 'accountId' | 'keyId' | 'model'>) {
  return { accountId: ref.accountId, keyId: ref.keyId, model: ref.model };
}

function keyOf({ account, key }: TestAccount): KeyRecord {
  return keyRecord(key, account);
}
