/** Several contracts at once: by path, or at a host of their own without the prefix. */
import { request } from 'node:http';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startWorld, type World } from './kit.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld({ TOLLGATE_CONTRACT_HOSTS: 'api.arcee.test=arcee', TOLLGATE_CONTRACTS: 'openai,arcee' });
});
afterAll(() => world.stop());

/** GET with a Host header, which fetch does not let one set. */
function get(host: string, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { host, authorization: `Bearer ${world.key.text}` };
    request(world.router.url + path, { headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

test('a host of its own serves its contract without the prefix, and that one alone', async () => {
  expect(await get('api.arcee.test', '/api/v1/models')).toBe(200);
  expect(await get('API.arcee.test:8080', '/api/v1/models')).toBe(200);
  expect(await get('api.arcee.test', '/v1/models')).toBe(404);
  expect(await get('api.arcee.test', '/readyz')).toBe(200);
});

test('elsewhere the path decides', async () => {
  expect(await get('other.test', '/v1/models')).toBe(200);
  expect(await get('other.test', '/arcee/api/v1/models')).toBe(200);
  expect(await get('other.test', '/api/v1/models')).toBe(404);
});

test('a contract that is not among the named ones is not served', async () => {
  expect(await get('other.test', '/dmind/v1/models')).toBe(404);
});
