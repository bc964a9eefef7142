/** What the screens show besides lists: home, set-up guide, charts, forecast. All from roll-ups, but for single rows. */
import type {
  ForecastView,
  GuideView,
  OverviewView,
  SeriesQuery,
  SeriesView,
  UsageExportQuery,
} from '@tollgate/shared/contracts/console/insights';
import type { Db } from '@tollgate/shared/db/client';
import { keyNames, listKeys } from '@tollgate/shared/db/console-lists';
import { ModelStore } from '@tollgate/shared/db/model-store';
import { decodeCursor, encodeCursor } from '@tollgate/shared/db/page';
import { RequestStore } from '@tollgate/shared/db/request-store';
import { quantileMs, type SeriesPoint, StatsStore } from '@tollgate/shared/db/stats-store';
import { AppError, ERRORS, type ErrorCode } from '@tollgate/shared/domain/errors';
import type { AccountId } from '@tollgate/shared/domain/ids';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Actor } from '../auth/actor.ts';
import type { CreditService } from '../credits/service.ts';
import { tableAnswer } from '../http/export.ts';
import type { Streamed } from '../http/route.ts';
import { isoTime, pageRequest } from '../http/values.ts';
import type { RequestService } from '../requests/service.ts';
import { topKeys } from './top-keys.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const HOURS_MOST = 31;
const DAYS_MOST = 800;
const GROUPS = 50;
const TOP_KEYS = 5;
/** Of so many, the largest first, the names are looked up: hourly keys of the console's own are among them. */
const NAMED_KEYS = 500;
const EXPORT_ROWS = 10_000;

export interface InsightParts {
  db: Db;
  clock: Clock;
  credits: CreditService;
  requests: RequestService;
  routerUrl: string;
}

export class InsightService {
  readonly #parts: InsightParts;

  constructor(parts: InsightParts) {
    this.#parts = parts;
  }

  async overview(actor: Actor, accountId: AccountId): Promise<OverviewView> {
    const { db, clock, credits } = this.#parts;
    const nowMs = clock.nowMs();
    const firstHourMs = Math.floor(nowMs / HOUR_MS) * HOUR_MS - 23 * HOUR_MS;
    const stats = new StatsStore(db);
    const balance = await credits.show(actor, accountId);
    const totals = await stats.totals(accountId, firstHourMs);
    const hours = new Map((await stats.hours(accountId, firstHourMs)).map((hour) => [hour.startMs, hour]));
    const tokens = await stats.firstTokens({ accountId }, firstHourMs);
    const perHour = Map.groupBy(tokens, ({ startMs }) => startMs);
    const incidents: OverviewView['incidents'] = [];
    if (balance.receivableNusd !== '0') {
      incidents.push({
        kind: 'receivable',
        text: 'A payment was taken back: the next top-up repays it first.',
        since: null,
      });
    }
    return {
      accountId,
      availableNusd: balance.availableNusd,
      heldNusd: balance.heldNusd,
      forecast: await this.forecast(actor, accountId, BigInt(balance.availableNusd)),
      last24h: {
        ...figures(totals),
        failed: Number(totals.failed),
        firstTokenP50Ms: quantileMs(tokens, 0.5),
        firstTokenP95Ms: quantileMs(tokens, 0.95),
      },
      sparkline: Array.from({ length: 24 }, (_, index) => {
        const startMs = firstHourMs + index * HOUR_MS;
        const hour = hours.get(startMs);
        return {
          start: isoTime(startMs),
          requests: Number(hour?.requests ?? 0n),
          failed: Number(hour?.failed ?? 0n),
          amountNusd: String(hour?.amountNusd ?? 0n),
          firstTokenP50Ms: quantileMs(perHour.get(startMs) ?? [], 0.5),
        };
      }),
      incidents,
    };
  }

  /** How long the credit lasts at the pace of the last seven days. */
  async forecast(actor: Actor, accountId: AccountId, known?: bigint): Promise<ForecastView> {
    const { db, clock, credits } = this.#parts;
    const nowMs = clock.nowMs();
    const available = known ?? BigInt((await credits.show(actor, accountId)).availableNusd);
    const stats = new StatsStore(db);
    const spend = await stats.spendByKey(accountId, nowMs - 7 * DAY_MS);
    const total = spend.reduce((sum, { amountNusd }) => sum + amountNusd, 0n);
    const firstDayMs = (await stats.firstDayMs(accountId)) ?? nowMs;
    const spanMs = Math.min(Math.max(nowMs - firstDayMs, HOUR_MS), 7 * DAY_MS);
    const perDay = (total * BigInt(DAY_MS)) / BigInt(Math.ceil(Math.max(spanMs, DAY_MS)));
    const daysLeft = perDay === 0n ? null : Number((available * 1000n) / perDay) / 1000;
    const names = await keyNames(
      db,
      spend.slice(0, NAMED_KEYS).map(({ keyId }) => keyId),
    );
    const emptyMs = daysLeft === null ? null : nowMs + daysLeft * DAY_MS;
    return {
      perDayNusd: String(perDay),
      daysLeft,
      emptyAt: emptyMs === null || emptyMs > 4_102_444_800_000 ? null : isoTime(emptyMs),
      topKeys: topKeys(spend, names, TOP_KEYS),
    };
  }

  /** The way to the first served request, and what stands in it. */
  async guide(actor: Actor, accountId: AccountId): Promise<GuideView> {
    const { db, clock, credits, routerUrl } = this.#parts;
    const requests = new RequestStore(db);
    const keys = await listKeys(db, { accountId, state: 'live', nowMs: clock.nowMs(), limit: 1 });
    const served = await requests.firstServed(accountId);
    const failed = await requests.lastFailure(accountId);
    const servedAtMs = failed ? await requests.lastServedAtMs(accountId) : null;
    const code = failed?.code as ErrorCode | undefined;
    const models = (await new ModelStore(db).list()).filter(({ enabled }) => enabled);
    return {
      steps: {
        key: keys.data.length > 0,
        credit: BigInt((await credits.show(actor, accountId)).availableNusd) > 0n,
        request: served !== null,
      },
      firstSuccess: served && {
        requestId: served.request_id,
        at: isoTime(served.admitted_at.getTime()),
        model: served.model,
      },
      lastFailure:
        failed && code && !(servedAtMs !== null && servedAtMs > failed.admitted_at.getTime())
          ? {
              requestId: failed.request_id,
              at: isoTime(failed.admitted_at.getTime()),
              status: failed.status,
              code,
              message: code in ERRORS ? ERRORS[code].message : code,
              docUrl: `/docs/errors/${code}`,
              keyId: failed.key_id,
            }
          : null,
      routerUrl,
      model: models[0]?.id ?? null,
    };
  }

  async series(accountId: string, query: SeriesQuery): Promise<SeriesView> {
    const { db, clock } = this.#parts;
    const range = rangeOf(query, clock.nowMs());
    const group = query.group ?? 'none';
    const points = await new StatsStore(db).series({
      accountId,
      ...range,
      group,
      models: query.model,
      keyIds: query.keyId,
      outcomes: query.outcome,
      groups: GROUPS - 1,
    });
    const labels =
      group === 'key'
        ? await keyNames(db, [...new Set(points.map((point) => point.group))])
        : new Map<string, string>();
    const bySpend = [...Map.groupBy(points, (point) => point.group)]
      .map(([id, own]) => ({ id, total: sum(own) }))
      .sort((a, b) => Number(b.total.amountNusd - a.total.amountNusd) || Number(b.total.requests - a.total.requests));
    return {
      by: range.by,
      from: isoTime(range.fromMs),
      to: isoTime(range.toMs),
      timeZone: 'UTC',
      groups: bySpend.map(({ id }) => ({ id, label: labels.get(id) ?? id })),
      points: points.map((point) => ({ start: isoTime(point.startMs), group: point.group, ...figures(point) })),
      totals: figures(sum(points)),
    };
  }

  async export(accountId: string, query: UsageExportQuery): Promise<Streamed> {
    const { db, clock } = this.#parts;
    const range = rangeOf(query, clock.nowMs(), DAYS_MOST);
    pageRequest({ cursor: query.cursor });
    const position = decodeCursor(query.cursor);
    const limit = query.limit ?? EXPORT_ROWS;
    const after = position ? { startMs: position.atMs, rest: position.id } : null;
    const found = await new StatsStore(db).rows(accountId, range.by, range.fromMs, range.toMs, after, limit + 1);
    const shown = found.slice(0, limit);
    const last = shown.at(-1);
    const names = await keyNames(
      db,
      shown.map(({ keyId }) => keyId),
    );
    return tableAnswer(
      {
        name: 'usage',
        columns: [
          'start',
          'keyId',
          'keyName',
          'model',
          'outcome',
          'requests',
          'promptTokens',
          'cachedTokens',
          'completionTokens',
          'amountNusd',
        ],
        rows: shown.map((row) => ({
          start: isoTime(row.startMs),
          keyId: row.keyId,
          keyName: names.get(row.keyId) ?? null,
          model: row.model,
          outcome: row.outcome,
          ...figures(row),
        })),
        next:
          found.length > limit && last
            ? encodeCursor({ atMs: last.startMs, id: `${last.keyId} ${last.model} ${last.outcome}` })
            : null,
      },
      query.format ?? 'ndjson',
    );
  }
}

interface Sums {
  requests: bigint;
  promptTokens: bigint;
  cachedTokens: bigint;
  completionTokens: bigint;
  amountNusd: bigint;
}

const figures = (sums: Sums) => ({
  requests: Number(sums.requests),
  promptTokens: Number(sums.promptTokens),
  cachedTokens: Number(sums.cachedTokens),
  completionTokens: Number(sums.completionTokens),
  amountNusd: String(sums.amountNusd),
});

function sum(points: readonly Pick<SeriesPoint, keyof Sums>[]): Sums {
  const total: Sums = { requests: 0n, promptTokens: 0n, cachedTokens: 0n, completionTokens: 0n, amountNusd: 0n };
  for (const point of points) for (const name of Object.keys(total) as (keyof Sums)[]) total[name] += point[name];
  return total;
}

function rangeOf(
  query: { from?: number | undefined; to?: number | undefined; by?: 'hour' | 'day' | undefined },
  nowMs: number,
  hoursMostDays = HOURS_MOST,
): { fromMs: number; toMs: number; by: 'hour' | 'day' } {
  const by = query.by ?? 'day';
  const toMs = query.to ?? nowMs;
  const fromMs = query.from ?? Math.max(toMs - 7 * DAY_MS, 0);
  const most = by === 'hour' ? hoursMostDays : DAYS_MOST;
  if (fromMs >= toMs) throw new AppError('invalid_request', { message: 'from: must be before to', param: 'from' });
  if (toMs - fromMs > most * DAY_MS) {
    throw new AppError('invalid_request', { message: `from: at most ${most} days by ${by}`, param: 'from' });
  }
  return { fromMs, toMs, by };
}
