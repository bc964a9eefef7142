/** What must hold whatever is in a document, whoever asks, and whatever dies: fence, isolation, silence, whole files. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { SPECIAL_TOKENS } from '@tollgate/devworker/model/bpe';
import { renderChat } from '@tollgate/devworker/model/template';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { counts, recordProof } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import type { TestKey } from '../e2e/router-kit.ts';
import { HOSTILE } from './hostile.ts';
import { chatBody, startRetrievalWorld, type World } from './world.ts';

jest.setTimeout(180_000);

let world: World;
let key: TestKey;
beforeAll(async () => {
  // One text per call for embeddings, so that a small file is read in many steps.
  world = await startRetrievalWorld({ retrieval: { TOLLGATE_EMBED_BATCH: '1', TOLLGATE_INGEST_CONCURRENCY: '4' } });
  key = await world.key();
});
afterAll(() => world.stop());

test('forty hostile passages cannot leave their fence', async () => {
  expect(HOSTILE).toHaveLength(40);
  // Each in a file of its own, named as badly as it is written.
  const files: Record<string, string> = {};
  for (const [i, text] of HOSTILE.entries()) {
    const name = `${text.replace(/[^\x20-\x7e]|["\\/%\r\n]/g, '').slice(0, 60)} ${i}.txt`;
    files[name] = `quokka number ${i}\n${text}`;
  }
  const { store } = await world.filled(key, files);
  const system = { role: 'system', content: 'Be brief.' };
  const before = { role: 'assistant', content: 'Earlier answer.' };
  const question = 'What is a quokka?';
  let seen = 0;
  for (const topK of [50, 7, 1]) {
    const reply = await world.call(key, 'POST', '/v1/chat/completions', {
      ...chatBody(store, question, { top_k: topK, max_context_tokens: 32_000, mode: 'text' }),
      messages: [system, { role: 'user', content: 'Hi' }, before, { role: 'user', content: question }],
    });
    expect(reply.status).toBe(200);
    const { sources } = reply.json.choices[0].message;
    seen = Math.max(seen, sources.length);
    const { messages } = world.sent.at(-1);
    // The conversation is what the client sent, but for the text before its last question.
    expect(messages.map(({ role }: { role: string }) => role)).toEqual(['system', 'user', 'assistant', 'user']);
    expect(messages.slice(0, 3)).toEqual([system, { role: 'user', content: 'Hi' }, before]);
    const content: string = messages[3].content;

    // One fence, opened and closed once by the same name; all passages inside, the question alone behind it.
    const fence = /^([\s\S]*?)⟦passages ([0-9a-f]{16})⟧\n([\s\S]*)\n⟦end of passages \2⟧\n\n([\s\S]*)$/.exec(content)!;
    expect(fence).not.toBeNull();
    const [, rules, , inside, behind] = fence as unknown as [string, string, string, string, string];
    expect(inside).not.toMatch(/[⟦⟧]/);
    expect(behind).toBe(question);
    expect(rules.match(/⟦/g)).toHaveLength(2);
    expect(inside.match(/^\[\d+\] /gm)!.length).toBeGreaterThanOrEqual(sources.length);

    // The exact prompt: its control tokens are those of the conversation, at the borders of its turns.
    const rendered = renderChat(
      messages.map((message: { role: string; content: string }) => ({ ...message, toolCalls: [] })),
      { tools: [], addGenerationPrompt: true, continueFinalMessage: false, enableThinking: true },
    );
    for (const form of ['NFC', 'NFKC'] as const) {
      const prompt = rendered.normalize(form);
      const count = (token: string) => prompt.split(token).length - 1;
      expect(count('<|im_start|>')).toBe(5);
      expect(count('<|im_end|>')).toBe(4);
      for (const token of SPECIAL_TOKENS.slice(3)) expect([token, count(token)]).toEqual([token, 0]);
      expect(prompt.normalize(form)).not.toMatch(/<\/?s>|\[\/?INST\]|<<SYS|<start_of_turn|<\|(?!im_start|im_end)/);
    }
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(inside).not.toMatch(/[\u0000-\u0008\u001b\u202a-\u202e\u200b\u2060]|[\u{e0000}-\u{e007f}]/u);
  }
  expect(seen).toBe(40);
  recordProof({ name: 'hostile passages stay inside their fence', count: 40, result: '0 left it' });
});

test('every endpoint of files and collections is closed to other accounts and other projects', async () => {
  const { store, ids } = await world.filled(key, { 'own.txt': 'The heron stands on one leg.' });
  const file = ids['own.txt']!;
  const { json: batch } = await world.call(key, 'POST', `/v1/vector_stores/${store}/file_batches`, {
    file_ids: [file],
  });
  // The file is in the collection already: the batch is there, and whole.
  expect(batch).toMatchObject({ status: 'completed', file_counts: { completed: 1, total: 1 } });
  const strangerAccount = await world.key();
  const strangerProject = await world.key({ accountId: key.record.accountId, projectId: 'other' });
  const service = await world.key({ accountId: key.record.accountId, kind: 'service' });
  const actsElsewhere = { 'x-user-id': 'u', 'x-project-id': 'elsewhere' };
  const strangers: [TestKey, string, Record<string, string>][] = [
    [strangerAccount, '/v1', {}],
    [strangerProject, '/v1', {}],
    [service, '/rag/v1', actsElsewhere],
  ];
  const own = JSON.stringify((await world.call(key, 'GET', `/v1/vector_stores/${store}`)).json);
  for (const [who, base, headers] of strangers) {
    const mine = (await world.upload(who, 'mine.txt', 'x', headers)).json?.id ?? 'file_x';
    const s = `${base}/vector_stores/${store}`;
    const calls: [string, string, unknown?][] = [
      ['GET', s],
      ['POST', s, { name: 'taken' }],
      ['DELETE', s],
      ['POST', `${s}/search`, { query: 'heron' }],
      ['POST', `${s}/search`, { query: 'heron', mode: 'text' }],
      ['GET', `${s}/files`],
      ['POST', `${s}/files`, { file_id: mine }],
      ['GET', `${s}/files/${file}`],
      ['GET', `${s}/files/${file}/content`],
      ['POST', `${s}/files/${file}`, { attributes: { a: 'b' } }],
      ['DELETE', `${s}/files/${file}`],
      ['POST', `${s}/file_batches`, { file_ids: [mine] }],
      ['GET', `${s}/file_batches/${batch.id}`],
      ['POST', `${s}/file_batches/${batch.id}/cancel`],
      ['GET', `${s}/file_batches/${batch.id}/files`],
      ['POST', `${base}/vector_stores`, { file_ids: [file] }],
      ['GET', `${base}/files/${file}`],
      ['GET', `${base}/files/${file}/content`],
      ['DELETE', `${base}/files/${file}`],
      ['POST', `${base}/chat/completions`, chatBody(store, 'heron')],
    ];
    for (const [method, path, body] of calls) {
      const reply = await world.call(who, method, path, body, headers);
      expect([method, path, reply.status]).toEqual([method, path, 404]);
      expect(reply.text).not.toContain('heron stands');
    }
    for (const path of [`${base}/files`, `${base}/vector_stores`]) {
      const reply = await world.call(who, 'GET', path, undefined, headers);
      expect([path, reply.status]).toEqual([path, 200]);
      expect(reply.text).not.toContain(file);
      expect(reply.text).not.toContain(store);
    }
  }
  // Nothing of what they tried has changed anything.
  expect(JSON.stringify((await world.call(key, 'GET', `/v1/vector_stores/${store}`)).json)).toBe(own);
  const found = await world.call(key, 'POST', `/v1/vector_stores/${store}/search`, { query: 'heron' });
  expect(found.json.data).toHaveLength(1);
});

test('services open to services alone answer nobody else, and an acting key makes embeddings only', async () => {
  for (const url of [
    `${world.retrievalUrl}/v1/vector_stores`,
    `${world.retrievalUrl}/internal/ground`,
    `${world.consoleUrl}/v1/files`,
  ]) {
    expect(
      (
        await fetch(url, {
          headers: { 'x-tollgate-account-id': key.record.accountId, 'x-tollgate-key-id': key.record.keyId },
        })
      ).status,
    ).toBe(401);
  }
  const { mintActingKey } = await import('@tollgate/shared/runtime/acting-key');
  const { SERVICE_TOKEN } = await import('./world.ts');
  const acting = mintActingKey(key.record, Date.now() + 60_000, SERVICE_TOKEN);
  const as = (text: string, method: string, path: string, body?: unknown) =>
    world.call({ ...key, text }, method, path, body);
  const chat = { model: 'x', messages: [{ role: 'user', content: 'x' }] };
  expect((await as(acting, 'POST', '/v1/chat/completions', chat)).status).toBe(403);
  expect((await as(acting, 'GET', '/v1/files')).status).toBe(403);
  expect((await as(acting, 'GET', '/v1/vector_stores')).status).toBe(403);
  const over = mintActingKey(key.record, Date.now() - 1, SERVICE_TOKEN);
  const forged = mintActingKey(key.record, Date.now() + 60_000, 'some other token of some other place');
  for (const text of [over, forged, `${acting}x`]) {
    expect((await as(text, 'POST', '/v1/embeddings', { model: 'x', input: 'x' })).status).toBe(401);
  }
});

test('the text of documents and questions is in no log line, no queue and no key of Redis', async () => {
  const canary = 'xylophonecanary7261';
  const { store } = await world.filled(key, {
    'a.md': `# ${canary}\nThe ${canary} sings.\n`,
    'b.json': `{"${canary}": `,
  });
  await world.call(key, 'POST', `/v1/vector_stores/${store}/search`, { query: `where is the ${canary}?` });
  const reply = await world.call(key, 'POST', '/v1/chat/completions', chatBody(store, `who is ${canary}?`));
  expect(JSON.stringify(reply.json.choices[0].message.sources)).toContain(canary);
  // Errors too: of a filter, of a model that is not there, of a body that is none.
  await world.call(key, 'POST', `/v1/vector_stores/${store}/search`, { query: canary, filters: { type: canary } });
  await world.call(key, 'POST', '/v1/vector_stores', `{"name": "${canary}`);
  await world.stopRetrieval();
  await world.call(key, 'POST', '/v1/chat/completions', chatBody(store, `who is ${canary}?`));
  await world.startRetrieval();
  expect(world.logs.length).toBeGreaterThan(0);
  expect(world.logs.filter((line) => line.includes(canary))).toEqual([]);
  expect(await everythingIn(world)).not.toContain(canary);
});

async function everythingIn({ around: { redis } }: World): Promise<string> {
  const parts: string[] = [];
  for (const name of await redis.client.keys('*')) {
    const type = await redis.client.type(name);
    parts.push(name);
    if (type === 'string') parts.push((await redis.client.get(name)) ?? '');
    else if (type === 'hash') parts.push(JSON.stringify(await redis.client.hgetall(name)));
    else if (type === 'list') parts.push(JSON.stringify(await redis.client.lrange(name, 0, -1)));
    else if (type === 'set') parts.push(JSON.stringify(await redis.client.smembers(name)));
    else if (type === 'zset') parts.push(JSON.stringify(await redis.client.zrange(name, '0', '-1')));
    else if (type === 'stream') parts.push(JSON.stringify(await redis.client.xrange(name, '-', '+')));
  }
  return parts.join('\n');
}

test('kill -9 while a file is read: never half of it is found, and it is finished without doing it twice', async () => {
  const kills = counts(2, 10);
  const sections = Array.from(
    { length: 40 },
    (_, i) => `# Part ${i}\n${`The walrus of part ${i} has tusk number ${i}. `.repeat(6)}`,
  );
  const file = (await world.upload(key, 'long.md', sections.join('\n\n'))).json.id;
  await world.stopRetrieval();
  let child = startChild(world);
  await child.ready;
  const store = (
    await world.call(key, 'POST', '/v1/vector_stores', {
      file_ids: [file],
      chunking_strategy: { type: 'static', static: { max_chunk_size_tokens: 100, chunk_overlap_tokens: 0 } },
    })
  ).json.id;
  const state = async () => (await world.call(key, 'GET', `/v1/vector_stores/${store}/files/${file}`)).json;
  let done = 0;
  for (let kill = 0; kill < kills; kill++) {
    const { progress } = await eventually('some chunks more', async () => {
      const now = await state();
      return now?.progress?.chunks > done || now?.status === 'completed' ? now : null;
    });
    const half = await world.call(key, 'POST', `/v1/vector_stores/${store}/search`, {
      query: 'walrus tusk',
      mode: 'text',
    });
    const now = await state();
    if (now.status === 'in_progress') expect(half.json.data).toEqual([]);
    done = progress.chunks;
    child.process.kill('SIGKILL');
    await once(child.process, 'exit');
    child = startChild(world);
    await child.ready;
  }
  const end = await eventually('the file is read', async () => {
    const now = await state();
    return now?.status === 'completed' ? now : null;
  });
  child.process.kill('SIGTERM');
  await once(child.process, 'exit');
  await world.startRetrieval();
  expect(end.progress.chunks).toBe(end.progress.total);
  const seqs = await world.call(key, 'POST', `/v1/vector_stores/${store}/search`, {
    query: 'walrus',
    mode: 'text',
    max_num_results: 50,
  });
  const numbers = seqs.json.data.map((hit: { chunk: number }) => hit.chunk).sort((a: number, b: number) => a - b);
  expect(numbers).toEqual(Array.from({ length: end.progress.total }, (_, i) => i));
  recordProof({
    name: 'kill -9 of retrieval while a file is read',
    count: kills,
    result: 'never half a file, each chunk once',
  });
});

function startChild({ retrievalEnvironment }: World): { process: ChildProcess; ready: Promise<unknown> } {
  const main = fileURLToPath(new URL('../../services/retrieval/src/main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=tollgate-source', main], {
    env: childEnvironment(retrievalEnvironment),
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  return { process: child, ready: once(child, 'message') };
}
