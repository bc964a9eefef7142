/**
 * Replays what a real vLLM 0.29.0 was asked (services/devworker/goldens) on the devworker and compares status, reason,
 * headers, keys, their order, types, nulls and fixed words. What differs stands in `devworker-goldens.exceptions.ts`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import { EXCEPTIONS } from './devworker-goldens.exceptions.ts';
import { bodyShape, headerShape, maskTime } from './devworker-goldens.shape.ts';

// A machine with other work may be slow; nothing here measures time.
jest.setTimeout(60_000);

interface Golden {
  name: string;
  set: 'auto' | 'xgrammar';
  request: {
    method: string;
    path: string;
    headers?: Record<string, string | null>;
    body?: unknown;
    rawBody?: string;
    expand?: Record<string, [string, number]>;
  };
  status: number;
  reason: string;
  headers: [string, string][];
  bodyText: string;
}

interface Answer {
  status: number;
  reason: string;
  headers: [string, string][];
  body: string;
}

const FOLDER = new URL('../../services/devworker/goldens/', import.meta.url);
const GOLDENS: Golden[] = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.jsonl'))
  .sort()
  .flatMap((file) => readFileSync(new URL(file, FOLDER), 'utf8').trimEnd().split('\n'))
  .map((line) => JSON.parse(line, keepBigNumbers) as Golden);

/** Integers beyond 2^53 are sent as they were recorded. */
function keepBigNumbers(_key: string, value: unknown, context?: { source?: string }): unknown {
  const exact = typeof value !== 'number' || Number.isSafeInteger(value) || !/^\d+$/.test(context?.source ?? '');
  return exact ? value : (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(context!.source!);
}

/** Sends a request as the recorder did. */
function send(base: string, golden: Golden, habit?: string): Promise<Answer> {
  const asked = golden.request;
  let body = asked.rawBody ?? (asked.body === undefined ? undefined : JSON.stringify(asked.body));
  for (const [word, [text, times]] of Object.entries(asked.expand ?? {}))
    body = body?.replace(word, text.repeat(times));
  const headers: Record<string, string> = { accept: '*/*', 'user-agent': 'record' };
  if (habit !== undefined) headers['x-devworker-fault'] = habit;
  if (body !== undefined) headers['content-type'] = 'application/json';
  for (const [name, value] of Object.entries(asked.headers ?? {})) {
    if (value === null) delete headers[name.toLowerCase()];
    else headers[name.toLowerCase()] = value;
  }
  if (body !== undefined) headers['content-length'] = String(Buffer.byteLength(body));
  return new Promise((resolve, reject) => {
    const sent = request(`${base}${asked.path}`, { method: asked.method, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const raw: [string, string][] = [];
        for (let i = 0; i < response.rawHeaders.length; i += 2)
          raw.push([response.rawHeaders[i]!, response.rawHeaders[i + 1]!]);
        resolve({
          status: response.statusCode!,
          reason: response.statusMessage!,
          headers: raw,
          body: Buffer.concat(parts).toString('utf8'),
        });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

function exceptionOf(name: string) {
  return EXCEPTIONS.find(({ names }) => names.includes(name));
}

/** What is compared of an answer. */
function seen(answer: Answer, mask: (body: string) => string = (body) => body) {
  const type = answer.headers.find(([name]) => name === 'content-type')?.[1] ?? '';
  const body = bodyShape(mask(maskTime(answer.body)), type);
  return { status: answer.status, reason: answer.reason, headers: headerShape(answer.headers), body };
}

let worker: Devworker;

beforeAll(async () => {
  // As the recording's server was started (serve.sh): context of 2,048 tokens, blocks of 128, thinking by default.
  worker = await startDevworker({
    maxModelLen: 2048,
    modelRoot: './tiny',
    blockSize: 128,
    thinkingByDefault: true,
    speed: 50,
  });
});

afterAll(async () => {
  await worker.close();
});

describe('the devworker answers as vLLM 0.29.0 was recorded to answer', () => {
  for (const golden of GOLDENS) {
    const exception = exceptionOf(golden.name);
    if (exception?.skipped) continue;
    test(golden.name, async () => {
      const answer = await send(worker.url, golden, exception?.habit);
      const recorded = { status: golden.status, reason: golden.reason, headers: golden.headers, body: golden.bodyText };
      expect(seen(answer, exception?.mask)).toEqual(seen(recorded, exception?.mask));
    });
  }

  test('every exception is about a recorded case, and still needed', async () => {
    for (const { names } of EXCEPTIONS) {
      for (const name of names) {
        const golden = GOLDENS.find((candidate) => candidate.name === name)!;
        expect(golden?.name).toBe(name);
        const answer = await send(worker.url, golden);
        const recorded = {
          status: golden.status,
          reason: golden.reason,
          headers: golden.headers,
          body: golden.bodyText,
        };
        expect({ name, differs: JSON.stringify(seen(answer)) !== JSON.stringify(seen(recorded)) }).toEqual({
          name,
          differs: true,
        });
      }
    }
  });
});
