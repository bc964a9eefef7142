/** Metering on real Redis and PostgreSQL, a worker, a funded key: what a router needs to be tested with real money. */

import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import { type RunningRouter, startRouter } from '@tollgate/router/app';
import { routerShape } from '@tollgate/router/config';
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import { type KeyRecord, mintKey } from '@tollgate/shared/domain/key';
import { ConsoleDirectory } from '@tollgate/shared/redis/console-directory';
import { keyDigest } from '@tollgate/shared/redis/digest';
import { globalKeys } from '@tollgate/shared/redis/keys';
import { parseConfig } from '@tollgate/shared/runtime/config';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { systemRandom } from '@tollgate/shared/runtime/random';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { keyRecord } from '@tollgate/shared/testkit/key-record';
import { PEPPER } from '../e2e/router-kit.ts';
import { BUCKETS, MODEL, PRICE, startWorld, type TestAccount, type World } from './metering-harness.ts';

export { BUCKETS, MODEL, PEPPER };

const CATALOG_MODEL: CatalogModel = {
  id: MODEL,
  createdAt: 1,
  ownedBy: 'test',
  maxModelLen: 32_768,
  defaultMaxTokens: 64,
  templateTokens: 32,
  templateTokensPerMessage: 16,
  priceId: PRICE.id,
  prices: PRICE.prices,
  enabled: true,
};

export interface RouterWorld extends World {
  worker: Devworker;
  /** A key of that account: its text. Published now and by every `republish`. */
  key(who: TestAccount): Promise<string>;
  /** What the console does when it finds Redis empty. */
  republish(): Promise<void>;
  /** Variables that a router on this world needs. */
  env(more?: Record<string, string>): Record<string, string>;
  /** Starts a router in this process and waits until it is ready. */
  startRouter(spoolDir: string, more?: Record<string, string>): Promise<RunningRouter>;
}

export async function startRouterWorld(speed: number): Promise<RouterWorld> {
  const [world, worker] = await Promise.all([startWorld(), startDevworker({ model: MODEL, speed })]);
  const directory = new ConsoleDirectory(world.redis.client);
  const published: { digest: string; record: KeyRecord }[] = [];
  const routers: RunningRouter[] = [];

  const republish = async (): Promise<void> => {
    await directory.publishCatalog({ version: 1, models: [CATALOG_MODEL] });
    await directory.publishKeys(published);
    await world.redis.client.set(globalKeys.keysReady, '1');
  };
  await republish();

  const env = (more: Record<string, string> = {}): Record<string, string> => ({
    REDIS_URL: world.redis.url,
    TOLLGATE_KEY_PEPPER: PEPPER,
    TOLLGATE_BUCKETS: String(BUCKETS),
    TOLLGATE_WORKERS: worker.url,
    TOLLGATE_PROBE_MS: '100',
    TOLLGATE_CONFIRM_MS: '50',
    TOLLGATE_HEARTBEAT_MS: '300',
    // A shared test machine stalls for longer than a production Redis does.
    TOLLGATE_REDIS_DEADLINE_MS: '2000',
    ...more,
  });

  return {
    ...world,
    worker,
    republish,
    env,
    async key({ account, key }) {
      const { text } = mintKey((count) => systemRandom.bytes(count));
      const record: KeyRecord = keyRecord(key, account);
      published.push({ digest: keyDigest(text, PEPPER), record });
      await republish();
      return text;
    },
    async startRouter(spoolDir, more = {}) {
      const config = parseConfig(routerShape, {
        ...env({ TOLLGATE_ROUTER_LISTEN: '127.0.0.1:0', TOLLGATE_SPOOL_DIR: spoolDir, TOLLGATE_STOP_GRACE_MS: '3000' }),
        ...more,
      });
      const router = await startRouter({ config, logger: createLogger({ service: 'router', level: 'silent' }) });
      routers.push(router);
      await eventually('the router is ready', () => router.readiness().ready);
      return router;
    },
    async stop() {
      for (const router of routers) await router.stop();
      await world.stop();
      await worker.close();
    },
  };
}

/** One request to its end, as its client saw it. */
export interface Asked {
  status: number;
  /** Error code, of an answer or of an event inside a stream. */
  code: string | null;
  id: string;
  /** The answer came whole, with its usage. */
  completionTokens: number | null;
}

export async function ask(url: string, key: string, maxTokens: number, stream: boolean): Promise<Asked> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({
      model: MODEL,
      messages: [{ role: 'user', content: 'hi there friend' }],
      max_tokens: maxTokens,
      ignore_eos: true,
      ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
    }),
  });
  const asked: Asked = {
    status: response.status,
    code: null,
    id: response.headers.get('x-request-id') ?? '',
    completionTokens: null,
  };
  const text = await response.text();
  if (response.status !== 200 || !stream) {
    const body = JSON.parse(text);
    return { ...asked, code: body.error?.code ?? null, completionTokens: body.usage?.completion_tokens ?? null };
  }
  const events = text.split('\n\n').filter((event) => event.startsWith('data: '));
  const last = events.at(-1)!.slice(6);
  if (last !== '[DONE]') return { ...asked, code: JSON.parse(last).error?.code ?? 'cut' };
  return { ...asked, completionTokens: JSON.parse(events.at(-2)!.slice(6)).usage.completion_tokens };
}

/** Waits until each of these requests has its one final settlement with the tokens that its client saw. */
export async function eventuallyPosted(world: World, who: TestAccount, finished: readonly Asked[]): Promise<void> {
  await eventually(
    'every finished request is posted, as its client saw it',
    async () => {
      const rows = await world.db
        .selectFrom('settlements')
        .select(['request_id', 'state', 'completion_tokens', 'outcome'])
        .where('account_id', '=', who.account)
        .execute();
      const byId = new Map(rows.map((row) => [row.request_id, row]));
      return finished.every(({ id, completionTokens }) => {
        const row = byId.get(id);
        return row?.state === 'final' && row.outcome === 'served' && row.completion_tokens === completionTokens;
      });
    },
    { deadlineMs: 60_000, everyMs: 100 },
  );
  const postings = await world.db
    .selectFrom('transactions')
    .select('idem_key')
    .where('account_id', '=', who.account)
    .where('kind', '=', 'settlement')
    .execute();
  const ids = new Set(postings.map((row) => row.idem_key));
  if (ids.size !== postings.length) throw new Error('a request was posted twice');
}
