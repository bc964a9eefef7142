/**
 * A client of the API inside the lab. It does what a load balancer does: sends each request to one of the router Service's
 * ready endpoints, as the EndpointSlices say at the time.
 */
import { eventually } from '@tollgate/shared/testkit/eventually';
import type { KubeApi } from './api.ts';
import type { KubeObject } from './rendered.ts';

const MODEL = 'Qwen/Qwen3-30B-A3B-FP8';
/** Served by an engine that sleeps. */
export const SLEEPY_MODEL = 'sleepy/model';

export interface Books {
  credited: bigint;
  posted: bigint;
  held: bigint;
  available: bigint;
  /** Requests in the usage log. */
  billed: number;
}

export class Client {
  /** Answers with status 200 so far. */
  successes = 0;
  private readonly api: KubeApi;
  private readonly namespace: string;
  private readonly adminToken: string;
  private endpoints: string[] = [];
  private next = 0;
  private key = '';
  private accountId = '';
  private stopped = false;
  private following: Promise<void> | null = null;

  constructor(api: KubeApi, namespace: string, adminToken: string) {
    this.api = api;
    this.namespace = namespace;
    this.adminToken = adminToken;
  }

  /** Offers a model, makes a key with credit, and waits for a first answer. */
  async open(): Promise<void> {
    this.following = this.follow();
    const price = { inputUsd: '0.10', cachedInputUsd: '0.02', outputUsd: '0.40' };
    for (const id of [MODEL, SLEEPY_MODEL])
      await this.console('POST', '/api/models', { id, maxModelLen: 32_768, price });
    const made = await this.console('POST', '/api/keys', { name: 'cluster', creditUsd: '50' });
    this.key = made.key;
    this.accountId = made.accountId;
    await eventually('a first answer', async () => (await this.ask()) === 200);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.following;
  }

  /** One request; its status, or why there was none. */
  async ask(): Promise<number | string> {
    const url = this.endpoints[this.next++ % Math.max(1, this.endpoints.length)];
    if (url === undefined) return 'no endpoint';
    try {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${this.key}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          model: MODEL,
          max_tokens: 8,
          messages: [{ role: 'user', content: `hello ${this.next}` }],
        }),
      });
      const text = await response.text();
      if (response.status === 200) this.successes++;
      return response.status === 200 ? 200 : `${response.status} ${text.slice(0, 200)}`;
    } catch (error) {
      return `${url}: ${String((error as Error).cause ?? error)}`;
    }
  }

  /** One stream that wants to hear of its place in the queue; everything that came. Patient: an engine may have to start. */
  async stream(model: string): Promise<string> {
    const response = await fetch(`${this.endpoints[0]}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${this.key}`,
        'content-type': 'application/json',
        'x-tollgate-queue-updates': '1',
      },
      body: JSON.stringify({ model, stream: true, max_tokens: 8, messages: [{ role: 'user', content: 'wake up' }] }),
    });
    const text = await response.text();
    if (response.status === 200 && text.includes('[DONE]')) this.successes++;
    return `${response.status} ${text}`;
  }

  /** Sends requests in `lanes` until its `end`, which answers everything that was not a 200. */
  load(lanes: number): { end(): Promise<string[]> } {
    const failures: string[] = [];
    let isEnding = false;
    const lane = async () => {
      while (!isEnding) {
        const status = await this.ask();
        if (status !== 200) failures.push(String(status));
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    };
    const running = Promise.all(Array.from({ length: lanes }, lane));
    return {
      async end() {
        isEnding = true;
        await running;
        return failures;
      },
    };
  }

  /** Waits for so many more good answers. */
  async answered(more: number): Promise<void> {
    const goal = this.successes + more;
    await eventually(`${more} more answers`, () => this.successes >= goal, { everyMs: 200 });
  }

  /** A model's workers that are ready, as routers tell the console. */
  async workers(model = MODEL): Promise<KubeObject[]> {
    const { data } = await this.console('GET', '/api/workers');
    return data.filter((worker: KubeObject) => worker.state === 'ready' && worker.model === model);
  }

  async books(): Promise<Books> {
    const credits = await this.console('GET', `/api/accounts/${this.accountId}/credits`);
    let billed = 0;
    let cursor = '';
    do {
      const page = await this.console('GET', `/api/accounts/${this.accountId}/usage?limit=100${cursor}`);
      billed += page.data.filter(({ outcome }: KubeObject) => outcome === 'served').length;
      cursor = page.next === null ? '' : `&cursor=${encodeURIComponent(page.next)}`;
    } while (cursor !== '');
    return {
      credited: BigInt(credits.creditedNusd),
      posted: BigInt(credits.postedNusd),
      held: BigInt(credits.heldNusd),
      available: BigInt(credits.availableNusd),
      billed,
    };
  }

  private async console(method: string, path: string, body?: object): Promise<KubeObject> {
    return eventually(
      `${method} ${path}`,
      async () => {
        const [url] = await this.ready('shop-tollgate-console');
        const response = await fetch(`${url}${path}`, {
          method,
          headers: { authorization: `Bearer ${this.adminToken}`, 'content-type': 'application/json' },
          ...(body && { body: JSON.stringify(body) }),
        });
        const answer = (await response.json()) as KubeObject;
        if (!response.ok && response.status !== 409) throw new Error(`${response.status} ${JSON.stringify(answer)}`);
        return answer;
      },
      { everyMs: 500 },
    );
  }

  private async ready(service: string): Promise<string[]> {
    const selector = encodeURIComponent(`kubernetes.io/service-name=${service}`);
    const path = `/apis/discovery.k8s.io/v1/namespaces/${this.namespace}/endpointslices?labelSelector=${selector}`;
    return (await this.api.list(path)).flatMap(({ endpoints, ports }) =>
      (endpoints ?? [])
        .filter(({ conditions }: KubeObject) => conditions.ready)
        .map(({ addresses }: KubeObject) => `http://${addresses[0]}:${ports[0].port}`),
    );
  }

  private async follow(): Promise<void> {
    while (!this.stopped) {
      this.endpoints = await this.ready('shop-tollgate-router').catch(() => this.endpoints);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
}
