/**
 * How well and how fast collections are searched.
 *
 *   npm run study:retrieval -- [--write] [--url URL --model ID --dimensions N [--key KEY]]
 *                              [--bench N [--postgres | --database URL]]
 *
 * Without options: the fixed corpus with the look-alike's embeddings, which compare words and parts of words. With `--url` an
 * OpenAI-compatible server makes them (a real model). `--bench N` measures searches in a collection of N chunks: in a PGlite that
 * keeps its data in a folder, as a local start does; with `--postgres` in a PostgreSQL with pgvector, which is installed into the
 * user's cache where the machine has none; or in the database given (its schema `retrieval` is used). `--write` puts the figures
 * into docs/retrieval.md. Ends with 1 when hybrid search finds less than a part of it, or 100,000 chunks are searched too slowly.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { embedText } from '@tollgate/devworker/http/embeddings';
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { migrateRetrieval } from '@tollgate/shared/db/retrieval/migrate';
import { openPgliteServer } from '@tollgate/shared/runtime/pglite';
import { sql } from 'kysely';
import { type BenchResult, bench } from './bench.ts';
import { askAll, type Score, type Vectors } from './corpus.ts';
import { startPgvector } from './pgvector.ts';

const DOCUMENT = new URL('../../docs/retrieval.md', import.meta.url);
const say = (text: string) => process.stdout.write(`${text}\n`);

/** The bars: milliseconds that 95 of 100 searches in so many chunks take at most. */
const BAR_CHUNKS = 100_000;
const BARS_MS: Record<Engine, number> = { PGlite: 50, PostgreSQL: 25 };
type Engine = 'PGlite' | 'PostgreSQL';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      write: { type: 'boolean', default: false },
      url: { type: 'string' },
      model: { type: 'string' },
      dimensions: { type: 'string' },
      key: { type: 'string', default: '' },
      bench: { type: 'string' },
      database: { type: 'string' },
      postgres: { type: 'boolean', default: false },
    },
  });
  const engine: Engine = values.postgres || values.database !== undefined ? 'PostgreSQL' : 'PGlite';
  const server = values.database === undefined ? await startServer(engine) : { url: values.database, async stop() {} };
  const db = openDatabase({ url: server.url, poolMax: 1, applicationName: 'study' });
  try {
    await migrateRetrieval(db);
    const isOwn = values.database === undefined;
    if (values.bench !== undefined) await runBench(db, Number(values.bench), engine, isOwn, values.write);
    else await runCorpus(db, values);
  } finally {
    await db.destroy();
    await server.stop();
  }
}

async function startServer(engine: Engine): Promise<{ url: string; stop(): Promise<void> }> {
  if (engine === 'PostgreSQL') return startPgvector(say);
  const dataDir = mkdtempSync(join(tmpdir(), 'tollgate-study-'));
  const server = await openPgliteServer({ dataDir, listen: { host: '127.0.0.1', port: 0 } });
  return {
    url: server.url,
    async stop() {
      await server.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function runCorpus(
  db: Db,
  values: { url?: string; model?: string; dimensions?: string; key: string; write: boolean },
) {
  const model = { id: values.model ?? 'look-alike', dimensions: Number(values.dimensions ?? 1_024) };
  const vectors: Vectors =
    values.url === undefined
      ? async (texts) => texts.map((text) => embedText(text, model.dimensions))
      : remote(values.url, model.id, values.key);
  const { chunks, scores, missed } = await askAll(db, vectors, model);
  const rows = (Object.entries(scores) as [string, Score][]).map(
    ([mode, { recall1, recall5, mrr }]) =>
      `| ${mode} | ${percent(recall5)} | ${percent(recall1)} | ${mrr.toFixed(3)} |`,
  );
  const table = [
    `Embeddings: ${values.url === undefined ? 'the look-alike worker (words and parts of words, no meaning)' : model.id}; 60 questions, ${chunks} chunks.`,
    '',
    '| search | recall@5 | recall@1 | MRR |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n');
  say(table);
  for (const [mode, list] of Object.entries(missed)) for (const question of list) say(`missed by ${mode}: ${question}`);
  if (values.write) put(values.url === undefined ? 'recall' : 'recall-real', table);
  const { hybrid, vector, text } = scores;
  if (hybrid.recall5 < Math.max(vector.recall5, text.recall5)) process.exitCode = 1;
}

async function runBench(db: Db, chunks: number, engine: Engine, isOwn: boolean, write: boolean): Promise<void> {
  const result: BenchResult = await bench(db, chunks, { isOwn, pids: isOwn ? pidsOf(engine) : async () => null }, say);
  const row = (name: string, { p50, p95, cpu }: BenchResult['vector']) =>
    `| ${name} | ${p50.toFixed(1)} | ${p95.toFixed(1)} | ${cpu?.toFixed(1) ?? ''} |`;
  const table = [
    `${engine}, ${chunks.toLocaleString('en')} chunks of ${result.dimensions} dimensions, ${result.searches} searches each, ${cpus().length} shared cores; filled in ${result.fillSeconds.toFixed(0)} s, index in ${result.indexSeconds.toFixed(0)} s. Milliseconds, the question's embedding not counted. The index finds ${percent(result.indexRecall)} of the 8 nearest chunks.`,
    '',
    `Load of the machine while it ran: ${loadavg()[0]!.toFixed(1)}.`,
    '',
    '| search | p50 | p95 | CPU, client and database |',
    '|---|---|---|---|',
    row('vector', result.vector),
    row('text', result.text),
    row('hybrid', result.hybrid),
  ].join('\n');
  say(table);
  if (write) put(engine.toLowerCase(), table);
  const slowest = Math.max(result.vector.p95, result.text.p95, result.hybrid.p95);
  if (chunks < BAR_CHUNKS || slowest <= BARS_MS[engine]) return;
  say(`over the bar: a p95 of ${slowest.toFixed(1)} ms, where ${BARS_MS[engine]} ms are allowed`);
  process.exitCode = 1;
}

/** PGlite runs in this process; a server's connection is a process of its own, and there is one connection. */
const pidsOf = (engine: Engine) => async (db: Db) => {
  if (engine === 'PGlite') return [process.pid];
  const { rows } = await sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`.execute(db);
  return [process.pid, rows[0]!.pid];
};

/** Between `<!-- name -->` and `<!-- /name -->`. */
function put(name: string, text: string): void {
  const document = readFileSync(DOCUMENT, 'utf8');
  const marks = new RegExp(`(<!-- ${name} -->\\n)[\\s\\S]*?(<!-- /${name} -->)`);
  if (!marks.test(document)) throw new Error(`docs/retrieval.md has no place for ${name}`);
  writeFileSync(DOCUMENT, document.replace(marks, `$1${text}\n$2`));
}

const percent = (share: number) => `${(share * 100).toFixed(1)} %`;

function remote(url: string, model: string, key: string): Vectors {
  return async (texts) => {
    const answer = await fetch(`${url.replace(/\/+$/, '')}/embeddings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({ model, input: texts, encoding_format: 'float' }),
    });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const { data } = (await answer.json()) as { data: { embedding: number[] }[] };
    return data.map(({ embedding }) => {
      const length = Math.hypot(...embedding) || 1;
      return Float32Array.from(embedding, (value) => value / length);
    });
  };
}

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
