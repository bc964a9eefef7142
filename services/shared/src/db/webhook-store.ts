/** Webhooks, events and deliveries. An event and its deliveries are written with what they tell of, in one transaction. */
import { sql } from 'kysely';
import type { AccountId } from '../domain/ids.ts';
import type { Executor } from './client.ts';
import { decodeCursor, olderThan, type Page, type PageRequest, pageLimit, toPage } from './page.ts';

export interface Webhook {
  id: string;
  /** Null = the platform's own. */
  accountId: AccountId | null;
  url: string;
  events: string[];
  description: string | null;
  enabled: boolean;
  /** Sealed. */
  secret: string;
  previousSecret: string | null;
  previousUntilMs: number | null;
  createdAtMs: number;
  lastDelivery: { atMs: number; ok: boolean; status: number | null } | null;
}

export interface Delivery {
  id: string;
  webhookId: string;
  eventId: string;
  eventType: string;
  state: 'pending' | 'delivered' | 'failed';
  attempts: number;
  status: number | null;
  error: string | null;
  createdAtMs: number;
  lastAttemptAtMs: number | null;
  nextAttemptAtMs: number | null;
  durationMs: number | null;
}

export interface NewEvent {
  id: string;
  type: string;
  accountId: string | null;
  /** The body that is sent. Holds no secret. */
  body: string;
  dedupeKey: string;
  atMs: number;
  /** Ids for the deliveries: `dlv_` + this + a number. */
  deliveryIdBase: string;
}

/** What one attempt needs. */
export interface DueDelivery {
  id: string;
  attempts: number;
  eventId: string;
  body: string;
  webhook: Pick<Webhook, 'id' | 'url' | 'secret' | 'previousSecret' | 'previousUntilMs' | 'enabled'> & {
    removed: boolean;
  };
}

interface WebhookRow {
  id: string;
  account_id: AccountId | null;
  url: string;
  events: string[];
  description: string | null;
  enabled: boolean;
  secret: string;
  previous_secret: string | null;
  previous_until: Date | null;
  created_at: Date;
  last_at: Date | null;
  last_state: string | null;
  last_status: number | null;
}
interface DeliveryRow {
  id: string;
  webhook_id: string;
  event_id: string;
  event_type: string;
  state: Delivery['state'];
  attempts: number;
  status: number | null;
  error: string | null;
  created_at: Date;
  last_attempt_at: Date | null;
  next_attempt_at: Date | null;
  duration_ms: number | null;
}

const webhookOf = (row: WebhookRow): Webhook => ({
  id: row.id,
  accountId: row.account_id,
  url: row.url,
  events: row.events,
  description: row.description,
  enabled: row.enabled,
  secret: row.secret,
  previousSecret: row.previous_secret,
  previousUntilMs: row.previous_until?.getTime() ?? null,
  createdAtMs: row.created_at.getTime(),
  lastDelivery: row.last_at && {
    atMs: row.last_at.getTime(),
    ok: row.last_state === 'delivered',
    status: row.last_status,
  },
});
const deliveryOf = (row: DeliveryRow): Delivery => ({
  id: row.id,
  webhookId: row.webhook_id,
  eventId: row.event_id,
  eventType: row.event_type,
  state: row.state,
  attempts: row.attempts,
  status: row.status,
  error: row.error,
  createdAtMs: row.created_at.getTime(),
  lastAttemptAtMs: row.last_attempt_at?.getTime() ?? null,
  nextAttemptAtMs: row.next_attempt_at?.getTime() ?? null,
  durationMs: row.duration_ms,
});
const newestFirst = (row: { id: string; created_at: Date }) => ({ atMs: row.created_at.getTime(), id: row.id });
const WITH_LAST = sql`w.*, l.last_attempt_at AS last_at, l.state AS last_state, l.status AS last_status
  FROM webhooks w LEFT JOIN LATERAL (
    SELECT last_attempt_at, state, status FROM deliveries d WHERE d.webhook_id = w.id AND d.last_attempt_at IS NOT NULL
    ORDER BY d.created_at DESC, d.id DESC LIMIT 1) l ON true`;
const same = (accountId: string | null) =>
  sql`w.account_id IS NOT DISTINCT FROM ${accountId}::text AND w.removed_at IS NULL`;

export class WebhookStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async create(webhook: {
    id: string;
    accountId: string | null;
    url: string;
    events: readonly string[];
    description: string | null;
    secret: string;
    atMs: number;
  }): Promise<void> {
    await sql`INSERT INTO webhooks (id, account_id, url, events, description, secret, created_at)
      VALUES (${webhook.id}, ${webhook.accountId}, ${webhook.url}, ${[...webhook.events]}::text[], ${webhook.description},
              ${webhook.secret}, ${new Date(webhook.atMs)})`.execute(this.#db);
  }

  async get(accountId: string | null, id: string): Promise<Webhook | null> {
    const { rows } = await sql<WebhookRow>`SELECT ${WITH_LAST} WHERE w.id = ${id} AND ${same(accountId)}`.execute(
      this.#db,
    );
    return rows[0] ? webhookOf(rows[0]) : null;
  }

  async page(accountId: string | null, page: PageRequest): Promise<Page<Webhook>> {
    const limit = pageLimit(page);
    const after = decodeCursor(page.cursor);
    const { rows } = await sql<WebhookRow>`
      SELECT ${WITH_LAST} WHERE ${same(accountId)}
        AND (${after === null} OR (w.created_at, w.id) < (${new Date(after?.atMs ?? 0)}, ${after?.id ?? ''}))
      ORDER BY w.created_at DESC, w.id DESC LIMIT ${limit + 1}`.execute(this.#db);
    return toPage(rows, limit, newestFirst, webhookOf);
  }

  async count(accountId: string | null): Promise<number> {
    const { rows } = await sql<{ count: bigint }>`
      SELECT count(*) AS count FROM webhooks w WHERE ${same(accountId)}`.execute(this.#db);
    return Number(rows[0]!.count);
  }

  async update(
    id: string,
    change: {
      url?: string | undefined;
      events?: readonly string[] | undefined;
      description?: string | null | undefined;
      enabled?: boolean | undefined;
    },
  ): Promise<void> {
    await sql`UPDATE webhooks SET url = coalesce(${change.url ?? null}, url),
        events = coalesce(${change.events ? [...change.events] : null}::text[], events),
        description = CASE WHEN ${change.description !== undefined} THEN ${change.description ?? null} ELSE description END,
        enabled = coalesce(${change.enabled ?? null}::boolean, enabled) WHERE id = ${id}`.execute(this.#db);
  }

  async rotate(id: string, secret: string, previousUntilMs: number): Promise<void> {
    await sql`UPDATE webhooks SET previous_secret = secret, secret = ${secret},
      previous_until = ${new Date(previousUntilMs)} WHERE id = ${id}`.execute(this.#db);
  }

  /** What was not delivered yet never will be. */
  async remove(id: string, atMs: number): Promise<void> {
    await sql`UPDATE webhooks SET removed_at = ${new Date(atMs)}, enabled = false WHERE id = ${id}`.execute(this.#db);
    await sql`UPDATE deliveries SET state = 'failed', error = 'removed', next_attempt_at = NULL
      WHERE webhook_id = ${id} AND state = 'pending'`.execute(this.#db);
  }

  /**
   * Writes the event once per dedupe key, with one delivery for each endpoint that wants it: the account's own and the
   * platform's. Returns the deliveries' ids; none when the event is known already.
   */
  async emit(event: NewEvent, onlyWebhookId: string | null = null): Promise<string[]> {
    const { rows } = await sql<{ id: string }>`
      WITH made AS (
        INSERT INTO events (id, type, account_id, body, dedupe_key, created_at)
        VALUES (${event.id}, ${event.type}, ${event.accountId}, ${event.body}, ${event.dedupeKey}, ${new Date(event.atMs)})
        ON CONFLICT (dedupe_key) DO NOTHING RETURNING id)
      INSERT INTO deliveries (id, webhook_id, event_id, event_type, created_at, next_attempt_at)
      SELECT ${`dlv_${event.deliveryIdBase}`} || row_number() OVER (ORDER BY w.id), w.id, made.id, ${event.type},
             ${new Date(event.atMs)}, ${new Date(event.atMs)}
      FROM made, webhooks w
      WHERE w.removed_at IS NULL AND w.enabled
        AND (w.id = ${onlyWebhookId} OR (${onlyWebhookId}::text IS NULL AND ${event.type} = ANY(w.events)
             AND (w.account_id IS NULL OR w.account_id = ${event.accountId})))
      RETURNING id`.execute(this.#db);
    return rows.map(({ id }) => id);
  }

  /** Deliveries whose time has come, oldest first. */
  async due(nowMs: number, limit: number): Promise<string[]> {
    const { rows } = await sql<{ id: string }>`
      SELECT id FROM deliveries WHERE state = 'pending' AND next_attempt_at <= ${new Date(nowMs)}
      ORDER BY next_attempt_at LIMIT ${limit}`.execute(this.#db);
    return rows.map(({ id }) => id);
  }

  /**
   * Takes a due delivery for `leaseMs`: whoever dies meanwhile leaves it due again. Null when it is not due (any more).
   */
  async take(id: string, nowMs: number, leaseMs: number): Promise<DueDelivery | null> {
    const { rows } = await sql<{
      id: string;
      attempts: number;
      event_id: string;
      body: string;
      webhook_id: string;
      url: string;
      secret: string;
      previous_secret: string | null;
      previous_until: Date | null;
      enabled: boolean;
      removed_at: Date | null;
    }>`
      WITH taken AS (
        UPDATE deliveries SET attempts = attempts + 1, next_attempt_at = ${new Date(nowMs + leaseMs)}
        WHERE id = ${id} AND state = 'pending' AND next_attempt_at <= ${new Date(nowMs)} RETURNING *)
      SELECT t.id, t.attempts, t.event_id, e.body, w.id AS webhook_id, w.url, w.secret, w.previous_secret,
             w.previous_until, w.enabled, w.removed_at
      FROM taken t JOIN events e ON e.id = t.event_id JOIN webhooks w ON w.id = t.webhook_id`.execute(this.#db);
    const row = rows[0];
    if (!row) return null;
    return {
      id: row.id,
      attempts: row.attempts,
      eventId: row.event_id,
      body: row.body,
      webhook: {
        id: row.webhook_id,
        url: row.url,
        secret: row.secret,
        previousSecret: row.previous_secret,
        previousUntilMs: row.previous_until?.getTime() ?? null,
        enabled: row.enabled,
        removed: row.removed_at !== null,
      },
    };
  }

  async finish(
    id: string,
    result: {
      state: Delivery['state'];
      status: number | null;
      error: string | null;
      atMs: number;
      nextAttemptAtMs: number | null;
      durationMs: number;
    },
  ): Promise<void> {
    await sql`UPDATE deliveries SET state = ${result.state}, status = ${result.status}, error = ${result.error},
        last_attempt_at = ${new Date(result.atMs)}, duration_ms = ${result.durationMs},
        next_attempt_at = ${result.nextAttemptAtMs === null ? null : new Date(result.nextAttemptAtMs)}
      WHERE id = ${id}`.execute(this.#db);
  }

  async deliveries(webhookId: string, page: PageRequest): Promise<Page<Delivery>> {
    const limit = pageLimit(page);
    const after = decodeCursor(page.cursor);
    const { rows } = await sql<DeliveryRow>`
      SELECT * FROM deliveries WHERE webhook_id = ${webhookId}
        AND ${olderThan(after)}
      ORDER BY created_at DESC, id DESC LIMIT ${limit + 1}`.execute(this.#db);
    return toPage(rows, limit, newestFirst, deliveryOf);
  }

  async delivery(webhookId: string, id: string): Promise<Delivery | null> {
    const { rows } = await sql<DeliveryRow>`
      SELECT * FROM deliveries WHERE id = ${id} AND webhook_id = ${webhookId}`.execute(this.#db);
    return rows[0] ? deliveryOf(rows[0]) : null;
  }

  /** Due again at once, whatever became of it. */
  async redeliver(webhookId: string, id: string, atMs: number): Promise<boolean> {
    const { numAffectedRows } = await sql`UPDATE deliveries SET state = 'pending', attempts = 0, error = NULL,
      next_attempt_at = ${new Date(atMs)} WHERE id = ${id} AND webhook_id = ${webhookId}`.execute(this.#db);
    return numAffectedRows === 1n;
  }
}

export interface BalanceLow {
  accountId: string;
  availableNusd: bigint;
  thresholdNusd: bigint;
  creditedNusd: bigint;
}
export interface KeyExpiring {
  keyId: string;
  accountId: string;
  name: string;
  prefix: string;
  expiresAtMs: number;
}
export interface CapReached {
  keyId: string;
  accountId: string;
  name: string;
  period: 'day' | 'month';
  capNusd: bigint;
  spentNusd: bigint;
}

/** What the alert rounds look for. */
export class AlertStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async balanceLow(): Promise<BalanceLow[]> {
    const { rows } = await sql<BalanceLow>`
      SELECT a.id AS "accountId", b.available + b.leased AS "availableNusd", a.balance_low_nusd AS "thresholdNusd",
             b.credited AS "creditedNusd"
      FROM accounts a JOIN balances b ON b.account_id = a.id
      WHERE a.balance_low_nusd IS NOT NULL AND b.available + b.leased < a.balance_low_nusd
        AND NOT EXISTS (SELECT 1 FROM events e WHERE e.dedupe_key = 'balance.low:' || a.id || ':' || b.credited)
      ORDER BY a.id LIMIT 1000`.execute(this.#db);
    return rows;
  }

  async keysExpiring(nowMs: number): Promise<KeyExpiring[]> {
    const { rows } = await sql<Omit<KeyExpiring, 'expiresAtMs'> & { expires_at: Date }>`
      SELECT k.id AS "keyId", k.account_id AS "accountId", k.name, k.prefix, k.expires_at
      FROM api_keys k JOIN accounts a ON a.id = k.account_id
      WHERE k.revoked_at IS NULL AND k.expires_at > ${new Date(nowMs)} AND a.key_expiring_days IS NOT NULL
        AND k.expires_at <= ${new Date(nowMs)}::timestamptz + a.key_expiring_days * interval '1 day'
        AND NOT EXISTS (SELECT 1 FROM api_keys n WHERE n.rotated_from = k.id)
        AND NOT EXISTS (SELECT 1 FROM events e
                        WHERE e.dedupe_key = 'key.expiring:' || k.id || ':' || extract(epoch FROM k.expires_at)::bigint)
      ORDER BY k.id LIMIT 1000`.execute(this.#db);
    return rows.map(({ expires_at, ...row }) => ({ ...row, expiresAtMs: expires_at.getTime() }));
  }

  /** Keys whose settled spend of the present UTC day or month has reached their cap, or that were refused for it. */
  async capsReached(nowMs: number): Promise<CapReached[]> {
    const now = new Date(nowMs);
    const day = now.toISOString().slice(0, 10);
    const month = `${day.slice(0, 7)}-01`;
    const { rows } = await sql<CapReached>`
      WITH refused AS (
        SELECT DISTINCT key_id FROM request_log WHERE admitted_at >= ${new Date(nowMs - 15 * 60_000)}
          AND code = 'key_limit_reached'),
      spent AS (
        SELECT k.id, k.account_id, k.name, k.cap_day_nusd, k.cap_month_nusd, k.id IN (SELECT key_id FROM refused) AS refused,
               coalesce((SELECT amount_nusd FROM key_spend s WHERE s.key_id = k.id AND s.day = ${day}::date), 0) AS on_day,
               coalesce((SELECT sum(amount_nusd)::bigint FROM key_spend s
                         WHERE s.key_id = k.id AND s.day >= ${month}::date), 0) AS in_month
        FROM api_keys k WHERE k.revoked_at IS NULL AND (k.cap_day_nusd IS NOT NULL OR k.cap_month_nusd IS NOT NULL))
      SELECT id AS "keyId", account_id AS "accountId", name, 'day' AS period, cap_day_nusd AS "capNusd", on_day AS "spentNusd"
      FROM spent WHERE cap_day_nusd IS NOT NULL AND (on_day >= cap_day_nusd OR (refused AND on_day * 2 >= cap_day_nusd))
      UNION ALL
      SELECT id, account_id, name, 'month', cap_month_nusd, in_month
      FROM spent WHERE cap_month_nusd IS NOT NULL
        AND (in_month >= cap_month_nusd OR (refused AND in_month * 2 >= cap_month_nusd))
      LIMIT 1000`.execute(this.#db);
    return rows;
  }
}
