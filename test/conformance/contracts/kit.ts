/** A router that serves every contract, a worker behind a recorder, and a call by contract and path. */
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import {
  type Answer,
  CATALOG_MODEL,
  MODEL,
  type Surroundings,
  startSurroundings,
  type TestKey,
} from '../../e2e/router-kit.ts';
import { realVllmUrl } from '../../vllm/config.ts';

export const BASES = {
  openai: '/v1',
  dottxt: '/dottxt/v1',
  'dos-ai': '/dos-ai/v1',
  rag: '/rag/v1',
  dmind: '/dmind/v1',
  arcee: '/arcee/api/v1',
} as const;
export type Contract = keyof typeof BASES;

/** What stands behind the router: the look-alike in either dialect, or (`npm run test:vllm`) a real vLLM alone. */
export type EngineName = 'vLLM look-alike' | 'SGLang look-alike' | 'real vLLM';
export const ENGINES: readonly EngineName[] =
  realVllmUrl === undefined ? ['vLLM look-alike', 'SGLang look-alike'] : ['real vLLM'];

/** Context of the real engine's made model. */
const REAL_MODEL_LEN = 4_096;

export interface World {
  engine: EngineName;
  around: Surroundings;
  /** A look-alike: what the recorder passes on to, but with a real engine; there it is for faults on demand alone. */
  worker: Devworker;
  router: RunningRouter;
  key: TestKey;
  /** The bodies that reached the worker's chat endpoint. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was sent
  sent: any[];
  call(contract: Contract, body: unknown, options?: CallOptions): Promise<Answer>;
  get(path: string, key?: string | null): Promise<Answer>;
  /** Tells the look-alike to misbehave (devworker's `http/faults.ts`). */
  fault(text: string): Promise<void>;
  /** A key with credit. */
  paidKey(change?: Partial<KeyRecord>): Promise<TestKey>;
  stop(): Promise<void>;
}

export interface CallOptions {
  key?: string | null;
  headers?: Record<string, string>;
}

export const OTHER_MODEL = 'tests/other';

export async function startWorld(env: Record<string, string> = {}, engine: EngineName = ENGINES[0]!): Promise<World> {
  const real = engine === 'real vLLM';
  const model = { ...CATALOG_MODEL, ...(real ? { maxModelLen: REAL_MODEL_LEN } : {}) };
  const around = await startSurroundings([model, { ...model, id: OTHER_MODEL }]);
  const worker = await startDevworker({ speed: 50, dialect: engine === 'SGLang look-alike' ? 'sglang' : 'vllm' });
  const sent: unknown[] = [];
  const recorder = await startRecorder(real ? realVllmUrl! : worker.url, sent);
  const router = await around.router([`http://127.0.0.1:${(recorder.address() as AddressInfo).port}`], env);
  const paidKey = async (change?: Partial<KeyRecord>): Promise<TestKey> => {
    const made = await around.key(change);
    await around.credit(made.record.accountId, 100_000_000_000n);
    return made;
  };
  const key = await paidKey();
  const read = async (response: Response): Promise<Answer> => {
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: parse(text) };
  };
  return {
    engine,
    around,
    worker,
    router,
    key,
    sent,
    paidKey,
    async call(contract, body, options = {}) {
      const { key: text = key.text, headers = {} } = options;
      return read(
        await fetch(`${router.url}${BASES[contract]}/chat/completions`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            ...(text === null ? {} : { authorization: `Bearer ${text}` }),
            ...headers,
          },
          body: typeof body === 'string' ? body : JSON.stringify(body),
        }),
      );
    },
    async get(path, text = key.text) {
      const headers = text === null ? {} : { authorization: `Bearer ${text}` };
      return read(await fetch(router.url + path, { headers }));
    },
    async fault(text) {
      const { status } = await fetch(`${worker.url}/devworker/faults`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ fault: text }),
      });
      if (status !== 200) throw new Error(`the worker does not know this fault: ${text}`);
    },
    async stop() {
      await around.stop();
      recorder.close();
      recorder.closeAllConnections();
      await worker.close();
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Passes everything on to the worker and keeps the bodies of chat requests. */
async function startRecorder(url: string, sent: unknown[]): Promise<Server> {
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const body = Buffer.concat(chunks);
      if (req.url === '/v1/chat/completions' && body.length > 0) sent.push(JSON.parse(body.toString()));
      const onward = httpRequest(url + req.url, { method: req.method ?? 'GET', headers: req.headers }, (answer) => {
        res.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(res);
        answer.on('error', () => res.destroy());
      });
      onward.on('error', () => res.destroy());
      res.on('close', () => onward.destroy());
      onward.end(body);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
}

const messages = [{ role: 'user', content: 'hi there friend' }];

/** A small chat body; fields given as undefined are left out. */
export const ask = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  model: MODEL,
  messages,
  max_tokens: 12,
  ...more,
});

// biome-ignore lint/suspicious/noExplicitAny: chunks of every contract
export function chunksOf(text: string): any[] {
  return text
    .split('\n\n')
    .filter((event) => event.startsWith('data: {'))
    .map((event) => JSON.parse(event.slice(6)));
}

/** The last body that a worker got. */
export const lastOf = <T>(list: readonly T[]): T => list[list.length - 1]!;

export const TOOL = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Weather of a city',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string', maxLength: 12 } },
      required: ['city'],
      additionalProperties: false,
    },
  },
};

/** The schema of seed 000. */
export const TICKET = {
  type: 'object',
  properties: {
    category: { type: 'string', enum: ['billing', 'bug', 'feature', 'other'] },
    summary: { type: 'string', minLength: 10, maxLength: 120 },
    tags: { type: 'array', items: { type: 'string', maxLength: 12 }, minItems: 1, maxItems: 4 },
  },
  required: ['category', 'summary', 'tags'],
  additionalProperties: false,
};

/** The first answer that is no accident: random weights run into the output limit, or write a call that nobody can read. */
export async function wholeAnswer(asked: (seed: number) => Promise<Answer>): Promise<Answer> {
  for (let seed = 0; seed < 20; seed++) {
    const answer = await asked(seed);
    if (answer.status < 500 && answer.json?.choices?.[0]?.finish_reason !== 'length') return answer;
  }
  throw new Error('no answer came whole');
}
