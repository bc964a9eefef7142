/**
 * Trains the devworker's byte-pair encoding on text that the language model and a JSON writer make themselves,
 * and writes `data/merges.txt`. Repeatable: same code, same file.
 * usage: node --conditions=tollgate-source services/devworker/scripts/train-bpe.ts
 */
import { writeFileSync } from 'node:fs';
import { BYTE_ALPHABET, PIECE_PATTERN } from '../src/model/bpe.ts';
import { sentence } from '../src/model/language.ts';
import * as lexicon from '../src/model/lexicon.ts';
import { drawFrom, pick } from '../src/model/seeded.ts';

const MERGES = 2048 - 263;
const draw = drawFrom(20_261_121);

const PROSE = `Tollgate is a router in front of workers. You are a helpful assistant. Answer the question with care and
keep it short. What is the capital of this country? Please write a summary of the following text and explain why it
is important. The weather in the city is nice today, isn't it? I don't know, but we'll see what they've got. Thank you
very much for your help! Could you tell me how to install the package, run the tests and read the documentation? This
function returns a list of strings and throws an error when the value is not a number. Let us think about the problem
step by step: first we read the input, then we check every condition, finally we print the output. There are many
people who would like to have more time with their family. It was one of those things that nobody could have known
before. Some of these words are here only because other texts use them often: about, after, all, also, and, any,
because, been, before, being, between, both, but, by, can, come, could, day, did, different, do, does, down, each,
even, every, first, for, from, get, give, go, good, great, had, has, have, he, her, here, him, his, if, in, into, is,
its, just, know, like, look, made, make, many, may, me, might, most, much, must, my, need, never, no, not, now, of, on,
only, or, other, our, out, over, own, part, people, place, right, said, same, see, she, should, since, some, still,
such, take, than, that, their, them, then, there, these, they, thing, think, those, through, time, to, too, two, under,
until, up, upon, us, use, used, using, very, want, was, way, well, were, where, which, while, will, without, would, year`;

const FIELDS = [
  'name',
  'city',
  'value',
  'count',
  'items',
  'type',
  'title',
  'description',
  'status',
  'price',
  'email',
  'date',
  'unit',
  'arguments',
  'temperature',
  'answer',
  'score',
  'tags',
  'active',
  'id',
];

function jsonSample(): string {
  const object: Record<string, unknown> = {};
  for (let i = 0; i < 4; i++) {
    const roll = draw();
    const value =
      roll < 0.4
        ? pick(draw, lexicon.NOUNS)
        : roll < 0.6
          ? Math.floor(draw() * 1000)
          : roll < 0.8
            ? draw() < 0.5
            : [pick(draw, lexicon.CITIES)];
    object[pick(draw, FIELDS)] = value;
  }
  return JSON.stringify(object).replaceAll('":', '": ').replaceAll(',"', ', "');
}

const parts: string[] = [];
for (let i = 0; i < 40; i++) parts.push(PROSE);
for (let i = 0; i < 4000; i++) parts.push(`${sentence(draw, [])} ${sentence(draw, [])}`);
for (let i = 0; i < 2500; i++) parts.push(jsonSample());
for (let i = 0; i < 60; i++) {
  parts.push(
    '<|im_start|>system\n<|im_start|>user\n<|im_start|>assistant\n{"type": "object", "properties": {"required": true}, "additionalProperties": false}\n',
  );
  parts.push(Object.values(lexicon).flat().join(' '));
}

const { charOf } = BYTE_ALPHABET;
const counts = new Map<string, number>();
for (const part of parts)
  for (const match of part.matchAll(PIECE_PATTERN)) counts.set(match[0], (counts.get(match[0]) ?? 0) + 1);
const words = [...counts].map(([piece, count]) => ({
  symbols: Array.from(Buffer.from(piece), (byte) => charOf[byte]!),
  count,
}));

const merges: string[] = [];
while (merges.length < MERGES) {
  const pairs = new Map<string, number>();
  for (const { symbols, count } of words) {
    for (let i = 0; i + 1 < symbols.length; i++) {
      const pair = `${symbols[i]} ${symbols[i + 1]}`;
      pairs.set(pair, (pairs.get(pair) ?? 0) + count);
    }
  }
  let best = '';
  let bestCount = 1;
  for (const [pair, count] of pairs)
    if (count > bestCount || (count === bestCount && pair < best)) [best, bestCount] = [pair, count];
  if (best === '') break;
  merges.push(best);
  const [left, right] = best.split(' ') as [string, string];
  for (const word of words) {
    const { symbols } = word;
    for (let i = 0; i + 1 < symbols.length; i++)
      if (symbols[i] === left && symbols[i + 1] === right) symbols.splice(i, 2, left + right);
  }
}
writeFileSync(new URL('../data/merges.txt', import.meta.url), `${merges.join('\n')}\n`);
process.stdout.write(`${merges.length} merges\n`);
