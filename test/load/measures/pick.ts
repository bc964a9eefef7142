/** Time of one pick: 64 workers, 32,768 prompt tokens, each worker's mirror full of other prompts. */
import { FleetBook, type RoutingRequest } from '../../../services/router/src/routing/fleet-book.ts';
import { costPolicy } from '../../../services/router/src/routing/policies/cost.ts';
import { BLOCK_BYTES, prefixChain } from '../../../services/router/src/routing/prefix-hash.ts';
import type { Bench } from '../run.ts';
import { distribution } from '../stats.ts';

const WORKERS = 64;
const PROMPT_TOKENS = 32_768;
/** One block of the chain stands for about 256 tokens of English. */
const BLOCK_TOKENS = 256;
const KV_TOKENS = 640_000;

/** Microseconds of hashing, and of picking given the hashes; both run in the request's path. */
export function pickTime(bench: Bench) {
  const book = new FleetBook({ blockTokens: BLOCK_TOKENS });
  for (let i = 0; i < WORKERS; i++) book.addWorker({ url: `http://w${i}`, kvTokens: KV_TOKENS });
  const policy = costPolicy();
  const bytes = (PROMPT_TOKENS / BLOCK_TOKENS) * BLOCK_BYTES;
  const prompt = (conversation: number): Buffer => {
    const text = Buffer.alloc(bytes, `conversation ${conversation} says the same again `);
    return text;
  };
  let id = 0;
  const request = (conversation: number): { request: RoutingRequest; hashUs: number } => {
    const body = prompt(conversation);
    const from = process.hrtime.bigint();
    const blocks = prefixChain('acct:model', body);
    const hashUs = Number(process.hrtime.bigint() - from) / 1e3;
    return {
      hashUs,
      request: {
        id: `r${id++}`,
        tenant: 'acct',
        promptTokens: PROMPT_TOKENS,
        blocks,
        blockTokens: BLOCK_TOKENS,
        maxOutputTokens: 512,
        session: null,
      },
    };
  };
  // Fill every mirror: about 19 such prompts per worker, some on several workers.
  let seed = 42;
  const random = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
  for (let i = 0; i < WORKERS * 25; i++) {
    const { request: warm } = request(i % 1200);
    book.dispatch(warm, Math.floor(random() * WORKERS), i);
    book.firstToken(warm.id, i + 1);
    if (random() < 0.7) book.end(warm.id, { cachedTokens: null, outputTokens: 200 });
  }
  const hashes: number[] = [];
  const picks: number[] = [];
  const count = bench.quick ? 2_000 : 20_000;
  for (let i = 0; i < count; i++) {
    const { request: next, hashUs } = request(Math.floor(random() * 1400));
    const from = process.hrtime.bigint();
    const worker = policy.pick(next, book, book.workers, { nowMs: 5_000 + i, random });
    picks.push(Number(process.hrtime.bigint() - from) / 1e3);
    hashes.push(hashUs);
    book.dispatch(next, worker.index, 5_000 + i);
    book.firstToken(next.id, 5_000 + i);
    book.end(next.id, { cachedTokens: null, outputTokens: 200 });
  }
  // The first picks run before the compiler has seen them; a router has, within its first second.
  const result = {
    workers: WORKERS,
    promptTokens: PROMPT_TOKENS,
    pickUs: distribution(picks.slice(count / 10)),
    hashUs: distribution(hashes.slice(count / 10)),
  };
  bench.say(
    `pick p50 ${result.pickUs.p50.toFixed(1)} p99 ${result.pickUs.p99.toFixed(1)} us; hashing the prompt p50 ${result.hashUs.p50.toFixed(1)} p99 ${result.hashUs.p99.toFixed(1)} us`,
  );
  return result;
}
