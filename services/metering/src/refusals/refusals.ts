/**
 * Refused requests from `tg:refusals` into the request log. The mark moves in the transaction that writes the rows, so
 * each batch is written once, whichever metering does it and whenever one dies.
 */
import type { Db } from '@tollgate/shared/db/client';
import { MetaStore } from '@tollgate/shared/db/meta-store';
import { RequestStore } from '@tollgate/shared/db/request-store';
import { tryLock, tx } from '@tollgate/shared/db/tx';
import { isId } from '@tollgate/shared/domain/ids';
import { OUTCOMES } from '@tollgate/shared/domain/outcome';
import type { Refusal } from '@tollgate/shared/domain/refusal';
import type { RefusalLog } from '@tollgate/shared/redis/refusal-log';

const MARK = 'refusals_mark';
const BATCHES = 100;
const JOB_LOCK = 104;

export class Refusals {
  readonly #db: Db;
  readonly #log: RefusalLog;

  constructor(db: Db, log: RefusalLog) {
    this.#db = db;
    this.#log = log;
  }

  /** Returns the rows that were offered to the log. */
  async round(): Promise<number> {
    const mark = (await new MetaStore(this.#db).get(MARK)) ?? '0-0';
    const batches = await this.#log.read(mark, BATCHES);
    const last = batches.at(-1);
    if (!last) return 0;
    const rows = batches.flatMap(({ batch }) => batch.split('\n').flatMap(parse));
    const done = await tx(this.#db, async (trx) => {
      if (!(await tryLock(trx, 'jobs', JOB_LOCK))) return false;
      const meta = new MetaStore(trx);
      if (((await meta.get(MARK)) ?? '0-0') !== mark) return false;
      await RequestStore.addRefusals(trx, rows);
      await meta.set(MARK, last.id);
      return true;
    });
    if (!done) return 0;
    await this.#log.trim(last.id);
    return rows.length;
  }
}

/** A line that is none is left out: nothing is lost but a line of a log. */
function parse(line: string): Refusal[] {
  if (line === '') return [];
  let value: Partial<Refusal>;
  try {
    value = JSON.parse(line) as Partial<Refusal>;
  } catch {
    return [];
  }
  const { requestId, accountId, keyId, atMs, outcome, status } = value;
  const right =
    isId('req', requestId) &&
    isId('acct', accountId) &&
    isId('key', keyId) &&
    typeof atMs === 'number' &&
    atMs > 0 &&
    atMs < 4_102_444_800_000 &&
    (OUTCOMES as readonly unknown[]).includes(outcome) &&
    Number.isInteger(status);
  if (!right) return [];
  const text = (name: keyof Refusal, most: number) => {
    const part = value[name];
    return typeof part === 'string' ? part.slice(0, most) : null;
  };
  const whole = (name: keyof Refusal) => {
    const part = value[name];
    return typeof part === 'number' && part >= 0 && part < 2 ** 31 ? Math.round(part) : null;
  };
  return [
    {
      ...{ requestId, accountId, keyId, atMs, outcome: outcome!, status: status! },
      projectId: text('projectId', 64),
      userId: text('userId', 64),
      model: text('model', 200) ?? 'unknown',
      endpoint: text('endpoint', 200) ?? '',
      stream: value.stream === true,
      code: text('code', 60),
      queueMs: whole('queueMs'),
      durationMs: whole('durationMs') ?? 0,
      workerUrl: text('workerUrl', 500),
      routerId: text('routerId', 200) ?? '',
      clientRequestId: text('clientRequestId', 200),
      userAgent: text('userAgent', 256),
    },
  ];
}
