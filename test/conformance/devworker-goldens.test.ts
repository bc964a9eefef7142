/**
 * Replays what a real vLLM 0.29.0 was asked (services/devworker/goldens) on the devworker and compares status, reason,
 * headers, keys, their order, types, nulls and fixed words. What differs stands in `devworker-goldens.exceptions.ts`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import { EXCEPTIONS } from './devworker-goldens.exceptions.ts';
import { bodyShape, headerShape, maskTime } from './devworker-goldens.shape.ts';

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
function send(base: string, golden: Golden): Promise<Answer> {
  const asked = golden.request;
  let body = asked.rawBody ?? (asked.body === undefined ? undefined : JSON.stringify(asked.body));
  for (const [word, [text, times]] of Object.entries(asked.expand ?? {}))
    body = body?.replace(word, text.repeat(times));
  const headers: Record<string, string> = { accept: '*/*', 'user-agent': 'record' };
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
  return EXCEPTIONS.find(({ names }) => (names instanceof RegExp ? names.test(name) : names.includes(name)));
}

let worker: Devworker;

beforeAll(async () => {
  // As the recording's server was started (serve.sh): context of 2,048 tokens, blocks of 128, thinking by default.
  worker = await startDevworker({ maxModelLen: 2048, blockSize: 128, thinkingByDefault: true, speed: 50 });
});

afterAll(async () => {
  await worker.close();
});

describe('the devworker answers as vLLM 0.29.0 was recorded to answer', () => {
  for (const golden of GOLDENS) {
    const exception = exceptionOf(golden.name);
    if (exception?.notServed) continue;
    test(golden.name, async () => {
      const answer = await send(worker.url, golden);
      const type = (headers: [string, string][]) => headers.find(([name]) => name === 'content-type')?.[1] ?? '';
      const mask = exception?.mask ?? ((body: string) => body);
      const seen = (status: number, reason: string, headers: [string, string][], body: string) => ({
        status,
        reason,
        headers: headerShape(headers),
        body: exception && !exception.mask ? '<exception>' : bodyShape(mask(maskTime(body)), type(headers)),
      });
      expect(seen(answer.status, answer.reason, answer.headers, answer.body)).toEqual(
        seen(golden.status, golden.reason, golden.headers, golden.bodyText),
      );
    });
  }

  test('every exception is about a recorded case', () => {
    for (const { names } of EXCEPTIONS) {
      const known = GOLDENS.filter(({ name }) => (names instanceof RegExp ? names.test(name) : names.includes(name)));
      expect(known.length).toBeGreaterThan(0);
      if (Array.isArray(names)) expect(known.map(({ name }) => name).sort()).toEqual([...names].sort());
    }
  });
});
