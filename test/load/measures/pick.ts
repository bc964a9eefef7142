/** Time of one pick: 64 workers, 32,768 prompt tokens, each worker's mirror full of other prompts. */
import { type Asked, Picker } from '../../../services/router/src/routing/picker.ts';
import type { Bench } from '../run.ts';
import { distribution } from '../stats.ts';

const WORKERS = 64;
const PROMPT_TOKENS = 32_768;
const BYTES_PER_TOKEN = 4;
const KV_TOKENS = 640_000;
const MODEL = 'model';

/** Microseconds of hashing a prompt's text, of picking given the hashes, and of both: the router's own path. */
export function pickTime(bench: Bench) {
  let nowMs = 0;
  let seed = 42;
  const random = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
  const picker = new Picker('cost', () => nowMs, random);
  const workers = Array.from({ length: WORKERS }, (_, i) => picker.addWorker(`http://w${i}`));
  for (const worker of workers) picker.noteKvTokens(worker, KV_TOKENS);
  const asked = (id: number, conversation: number): Asked => {
    const said = `conversation ${conversation} says the same again `;
    const frame = '[{"role":"user","content":""}]'.length;
    const content = said.repeat(PROMPT_TOKENS).slice(0, PROMPT_TOKENS * BYTES_PER_TOKEN - frame);
    const messages = JSON.stringify([{ role: 'user', content }]);
    return {
      id: `r${id}`,
      model: MODEL,
      accountId: 'acct',
      text: { tools: null, messages },
      promptBytes: Buffer.byteLength(messages),
      maxOutputTokens: 512,
      salt: 'salt',
    };
  };
  const counts = { promptTokens: PROMPT_TOKENS, cachedTokens: null, completionTokens: 200, final: true };
  // Fill every mirror: about 19 such prompts per worker, some on several workers; some requests go on running.
  for (let i = 0; i < WORKERS * 25; i++) {
    nowMs = i;
    const booking = picker.dispatch(picker.route(asked(i, i % 1200), true), workers[Math.floor(random() * WORKERS)]!);
    booking.firstToken();
    if (random() < 0.7) booking.end(counts);
  }
  const hashes: number[] = [];
  const picks: number[] = [];
  const both: number[] = [];
  const count = bench.quick ? 2_000 : 20_000;
  for (let i = 0; i < count; i++) {
    nowMs = 5_000 + i;
    const next = asked(1_000_000 + i, Math.floor(random() * 1400));
    const fromNs = process.hrtime.bigint();
    const routed = picker.route(next, true);
    const hashedNs = process.hrtime.bigint();
    const worker = picker.pick(routed, workers);
    const pickedNs = process.hrtime.bigint();
    hashes.push(Number(hashedNs - fromNs) / 1e3);
    picks.push(Number(pickedNs - hashedNs) / 1e3);
    both.push(Number(pickedNs - fromNs) / 1e3);
    const booking = picker.dispatch(routed, worker);
    booking.firstToken();
    booking.end(counts);
  }
  // The first picks run before the compiler has seen them; a router has, within its first second.
  const warm = count / 10;
  const result = {
    workers: WORKERS,
    promptTokens: PROMPT_TOKENS,
    pickUs: distribution(picks.slice(warm)),
    hashUs: distribution(hashes.slice(warm)),
    bothUs: distribution(both.slice(warm)),
  };
  const { pickUs, hashUs, bothUs } = result;
  bench.say(
    `pick with hashing p50 ${bothUs.p50.toFixed(1)} p99 ${bothUs.p99.toFixed(1)} us; pick alone p99 ${pickUs.p99.toFixed(1)} us, hashing p99 ${hashUs.p99.toFixed(1)} us`,
  );
  return result;
}
