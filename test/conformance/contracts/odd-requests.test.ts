/** Requests of odd kinds get the answers that `odd-requests.ts` says, under every contract. */
import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { CONTRACTS_FOLDER, loadProfiles } from '@tollgate/router/contract/load-profiles';
import { AppError, type ErrorCode } from '@tollgate/shared/domain/errors';
import { MODEL } from '../../e2e/router-kit.ts';
import { ask, BASES, type Contract, lastOf, startWorld, type World } from './kit.ts';
import type { ODD_REQUESTS } from './odd-requests.ts';

const CONTRACTS = Object.keys(BASES) as Contract[];
const profiles = loadProfiles({ docsBase: '', folder: CONTRACTS_FOLDER });
/** The status that a contract has for a code of the catalogue. */
const statusOf = (contract: Contract, code: ErrorCode): number =>
  profiles.find(({ name }) => name === contract)!.renderError(new AppError(code)).status;

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());

interface Raw {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** Sends what fetch would not: repeated headers, raw bytes, any path. */
function send(method: string, path: string, headers: Record<string, string | string[]>, body?: Buffer): Promise<Raw> {
  const { port } = new URL(world.router.url);
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, text: Buffer.concat(parts).toString() }),
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const bearer = () => ({ authorization: `Bearer ${world.key.text}` });
const typed = () => ({ ...bearer(), 'content-type': 'application/json' });
const chatPath = (contract: Contract) => `${BASES[contract]}/chat/completions`;
const post = (contract: Contract, body: Buffer | string, headers: Record<string, string | string[]> = typed()) =>
  send('POST', chatPath(contract), headers, Buffer.from(body));
const codeOf = ({ text }: Raw) => JSON.parse(text).error;

const tests: Record<keyof typeof ODD_REQUESTS, () => Promise<void>> = {
  async 'HEAD of an address that has GET'() {
    for (const path of [...CONTRACTS.map((name) => `${BASES[name]}/models`), `/v1/models/${MODEL}`, '/v1/key']) {
      const [head, get] = [await send('HEAD', path, bearer()), await send('GET', path, bearer())];
      expect([path, head.status, head.text]).toEqual([path, 200, '']);
      expect(head.headers['content-length']).toBe(get.headers['content-length']);
      expect(Object.keys(head.headers).toSorted()).toEqual(Object.keys(get.headers).toSorted());
    }
    expect((await send('HEAD', '/v1/models', {})).status).toBe(401);
    expect((await send('HEAD', '/healthz', {})).status).toBe(200);
  },
  async 'another method'() {
    for (const contract of CONTRACTS) {
      for (const [method, path, allow] of [
        ['GET', chatPath(contract), 'POST'],
        ['PUT', chatPath(contract), 'POST'],
        ['DELETE', `${BASES[contract]}/models`, 'GET, HEAD'],
      ] as const) {
        const answer = await send(method, path, bearer());
        expect([contract, method, answer.status]).toEqual([contract, method, statusOf(contract, 'method_not_allowed')]);
        expect(answer.headers.allow).toBe(allow);
      }
    }
  },
  async 'OPTIONS, a CORS preflight'() {
    const origin = 'https://elsewhere.example';
    for (const contract of CONTRACTS) {
      const asked = { origin, 'access-control-request-method': 'POST' };
      const preflight = await send('OPTIONS', chatPath(contract), asked);
      expect(preflight.status).toBe(statusOf(contract, 'method_not_allowed'));
      const answer = await post(contract, JSON.stringify(ask()), { ...typed(), origin });
      expect(answer.status).toBe(200);
      for (const { headers } of [preflight, answer])
        expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
  },
  async 'a body of another type or charset'() {
    for (const contract of CONTRACTS) {
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=utf-16']) {
        const answer = await post(contract, JSON.stringify(ask()), { ...bearer(), 'content-type': type });
        expect([contract, type, answer.status]).toEqual([contract, type, statusOf(contract, 'unsupported_media_type')]);
      }
    }
  },
  async 'a body without a type'() {
    for (const contract of CONTRACTS) {
      const { status } = await post(contract, JSON.stringify(ask()), bearer());
      expect([contract, status]).toEqual([contract, contract === 'dos-ai' ? 400 : 200]);
    }
  },
  async 'a compressed body'() {
    for (const contract of CONTRACTS) {
      for (const encoding of ['gzip', 'br', 'deflate']) {
        const headers = { ...typed(), 'content-encoding': encoding };
        const answer = await post(contract, gzipSync(JSON.stringify(ask())), headers);
        expect([contract, answer.status]).toEqual([contract, statusOf(contract, 'unsupported_media_type')]);
      }
      const plain = { ...typed(), 'content-encoding': 'identity' };
      expect((await post(contract, JSON.stringify(ask()), plain)).status).toBe(200);
    }
  },
  async 'a JSON key twice, also in escapes'() {
    const body = JSON.stringify(ask()).replace(/^\{/, '{"temperature":"x","max_tokens":7,');
    const again = body.replace(/\}$/, ',"temperatur\\u0065":1,"max_tokens":3}');
    for (const contract of CONTRACTS) {
      expect((await post(contract, body)).status).not.toBe(200);
      expect([contract, (await post(contract, again)).status]).toEqual([contract, 200]);
      expect(lastOf(world.sent)).toMatchObject({ temperature: 1, max_tokens: 3 });
    }
  },
  async 'half of a surrogate pair'() {
    const before = world.sent.length;
    for (const contract of CONTRACTS) {
      for (const [param, more] of [
        ['messages[0].content', { messages: [{ role: 'user', content: 'a\ud800b' }] }],
        ['stop[0]', { stop: ['\udc00'] }],
      ] as const) {
        const answer = await post(contract, JSON.stringify(ask(more)));
        expect([400, 422]).toContain(answer.status);
        expect(codeOf(answer).param).toBe(param);
      }
    }
    expect(world.sent.length).toBe(before);
  },
  async 'bytes that are no UTF-8, a byte order mark'() {
    const body = JSON.stringify(ask());
    const latin1 = Buffer.from(body.replace('friend', 'fri\u00e9nd'), 'latin1');
    for (const contract of CONTRACTS) {
      for (const bytes of [latin1, Buffer.from(`\ufeff${body}`)]) {
        const answer = await post(contract, bytes);
        expect([contract, answer.status]).toEqual([contract, statusOf(contract, 'invalid_json')]);
      }
    }
    expect(codeOf(await post('openai', latin1)).code).toBe('invalid_json');
  },
  async '`messages: null`'() {
    for (const contract of CONTRACTS) {
      const answer = await post(contract, JSON.stringify(ask({ messages: null })));
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect([contract, codeOf(answer).param]).toEqual([contract, 'messages']);
    }
  },
  async 'several Authorization headers'() {
    const one = `Bearer ${world.key.text}`;
    for (const contract of CONTRACTS) {
      const headers = { 'content-type': 'application/json', authorization: [one, one] };
      const answer = await post(contract, JSON.stringify(ask()), headers);
      expect([contract, answer.status]).toEqual([contract, 401]);
    }
  },
  async 'Authorization beside `x-api-key`'() {
    const asked = JSON.stringify(ask());
    expect((await post('openai', asked, { ...typed(), 'x-api-key': 'junk' })).status).toBe(200);
    const junk = { ...typed(), authorization: 'Bearer junk', 'x-api-key': world.key.text };
    expect((await post('openai', asked, junk)).status).toBe(401);
  },
  async 'a model id with a slash, raw or as %2F'() {
    for (const contract of CONTRACTS) {
      for (const id of [MODEL, encodeURIComponent(MODEL), MODEL.replace('/', '%2f')]) {
        const answer = await send('GET', `${BASES[contract]}/models/${id}`, bearer());
        expect([contract, id, answer.status, JSON.parse(answer.text).id]).toEqual([contract, id, 200, MODEL]);
      }
      const twice = encodeURIComponent(encodeURIComponent(MODEL));
      for (const id of [twice, `${MODEL}/`, 'no/such']) {
        const answer = await send('GET', `${BASES[contract]}/models/${id}`, bearer());
        expect([contract, id, answer.status]).toEqual([contract, id, statusOf(contract, 'model_not_found')]);
      }
      // No text at all: there is no such address.
      expect((await send('GET', `${BASES[contract]}/models/%ff`, bearer())).status).toBe(404);
    }
  },
  async 'another case of the path, a slash or a query at its end'() {
    for (const contract of CONTRACTS) {
      const path = chatPath(contract);
      for (const same of [`${path}/`, `${path}?api-version=1`, path.replace('chat', 'Chat')]) {
        const answer = await send('POST', same, typed(), Buffer.from(JSON.stringify(ask())));
        expect([same, answer.status]).toEqual([same, 200]);
      }
    }
  },
};

for (const [name, run] of Object.entries(tests)) test(name, run);
