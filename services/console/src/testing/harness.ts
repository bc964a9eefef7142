/** A whole console over a real Redis and a real database, for the tests of this service. */
import { jest } from '@jest/globals';
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { migrate } from '@tollgate/shared/db/migrate';
import { MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { createLifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { havePostgres, startPglite, startPostgres, type TestDatabase } from '@tollgate/shared/testkit/postgres';
import { startRedis, type TestRedis } from '@tollgate/shared/testkit/redis';
import { startConsole } from '../app.ts';
import type { FileSettings } from '../files/start.ts';
import type { PeopleSettings } from '../services.ts';

// Real processes on a busy machine: a test's own limit is no statement about time.
jest.setTimeout(300_000);

export const TOKEN = 'admin-token-of-the-tests-only';
export const PEPPER = 'pepper-of-the-tests-only-0123456789abcdef';
export const BUCKETS = 16;

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The body as JSON; tests know its shape. */
  // biome-ignore lint/suspicious/noExplicitAny: answers of every route pass through here
  body: any;
}

export interface Harness {
  url: string;
  db: Db;
  databaseUrl: string;
  redis: TestRedis;
  money: MoneyScripts;
  /** Every log line so far. */
  logs(): string;
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  get(path: string): Promise<Answer>;
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  patch(path: string, body: unknown): Promise<Answer>;
  /** Moves the console's wall clock. */
  shift(ms: number): void;
  /** A browser without a session; signs up when told so. */
  browser(): Browser;
  stop(): Promise<void>;
}

/** What a browser does: keeps cookies, sends the Origin and the CSRF token of its session. */
export interface Browser {
  /** The session cookie's text; null = none. */
  cookie: string | null;
  csrf: string | null;
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  get(path: string): Promise<Answer>;
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** A new user with an organisation; returns its account id and the user's. */
  signUp(email: string, password?: string): Promise<{ accountId: string; userId: string }>;
}

export const PASSWORD = 'correct horse battery staple';

export interface HarnessOptions {
  /** `postgres` is used where it is installed, for what PGlite's one session cannot show. */
  database?: 'pglite' | 'postgres';
  allowedHosts?: string[];
  /** Signing up is open unless this says else. */
  people?: PeopleSettings;
  /** For what other services and routers ask. */
  serviceToken?: string;
  files?: FileSettings;
  /** The dashboard's build; nothing is served without it. */
  dashboardFolder?: string;
}

export async function startHarness({
  database = 'pglite',
  allowedHosts = [],
  people = {},
  serviceToken,
  files,
  dashboardFolder,
}: HarnessOptions = {}): Promise<Harness> {
  const usePostgres = database === 'postgres' && havePostgres();
  const [store, redis]: [TestDatabase, TestRedis] = await Promise.all([
    usePostgres ? startPostgres() : startPglite(),
    // What it had survives a SIGKILL, as in production.
    startRedis({ args: ['--appendonly', 'yes'] }),
  ]);
  const url =
    'createDatabase' in store ? await (store as Awaited<ReturnType<typeof startPostgres>>).createDatabase() : store.url;
  const db = openDatabase({ url, poolMax: usePostgres ? 8 : 1, applicationName: 'test' });
  await migrate(db);
  const lines: string[] = [];
  const logger = createLogger({
    service: 'console',
    level: 'debug',
    destination: { write: (line: string) => void lines.push(line) },
  });
  const lifecycle = createLifecycle({ logger, graceMs: 5_000 });
  let shiftMs = 0;
  const started = await startConsole({
    clock: { ...systemClock, nowMs: () => Date.now() + shiftMs },
    listen: { host: '127.0.0.1', port: 0 },
    databaseUrl: url,
    redisUrl: redis.url,
    keyPepper: PEPPER,
    adminToken: TOKEN,
    bucketCount: BUCKETS,
    poolMax: usePostgres ? 8 : 1,
    allowedHosts,
    people: { signUp: 'open', ...people },
    serviceToken,
    files,
    dashboardFolder,
    rechargeEveryMs: 300,
    lifecycle,
    logger,
    checkResponses: true,
  });

  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await fetch(started.url + path, {
      method,
      headers: {
        authorization: `Bearer ${TOKEN}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') && text !== '';
    return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
  }

  function browser(): Browser {
    const self: Browser = {
      cookie: null,
      csrf: null,
      async call(method, path, body, headers = {}) {
        const response = await fetch(started.url + path, {
          method,
          redirect: 'manual',
          headers: {
            ...(method === 'GET' ? {} : { origin: started.url }),
            ...(self.cookie === null ? {} : { cookie: `tollgate_session=${self.cookie}` }),
            ...(self.csrf === null || method === 'GET' ? {} : { 'x-csrf-token': self.csrf }),
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            ...headers,
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        for (const line of response.headers.getSetCookie()) {
          const match = /^tollgate_session=([^;]*)/.exec(line);
          if (match) self.cookie = match[1] || null;
        }
        const text = await response.text();
        const isJson = response.headers.get('content-type')?.startsWith('application/json') && text !== '';
        const parsed = isJson ? JSON.parse(text) : undefined;
        const csrf = parsed?.me?.session?.csrfToken ?? parsed?.session?.csrfToken;
        if (csrf) self.csrf = csrf;
        return { status: response.status, headers: response.headers, text, body: parsed };
      },
      get: (path) => self.call('GET', path),
      post: (path, body, headers) => self.call('POST', path, body ?? {}, headers),
      async signUp(email, password = PASSWORD) {
        const person = { email, password, name: email.split('@')[0], organisation: `${email} Inc` };
        const { status, text, body } = await self.post('/api/auth/register', person);
        if (status !== 200) throw new Error(`signing up: ${status} ${text}`);
        return { accountId: body.me.organisations[0].accountId, userId: body.me.user.userId };
      },
    };
    return self;
  }

  return {
    url: started.url,
    shift: (ms) => {
      shiftMs += ms;
    },
    browser,
    db,
    databaseUrl: url,
    redis,
    money: new MoneyScripts(redis.client as never, BUCKETS),
    logs: () => lines.join(''),
    call,
    get: (path) => call('GET', path),
    post: (path, body, headers) => call('POST', path, body, headers),
    patch: (path, body) => call('PATCH', path, body),
    async stop() {
      await lifecycle.stop('test over');
      await db.destroy();
      await redis.stop();
      await store.stop();
    },
  };
}
