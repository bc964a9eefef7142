/**
 * A small language model: a seeded sentence grammar. It has no idea what it says, but it says it in English,
 * takes up a word of the prompt now and then, and says the same again for the same seed.
 */
import {
  ADJECTIVES,
  ADVERBS,
  CITIES,
  CONNECTIVES,
  INTRANSITIVE,
  NAMES,
  NOUNS,
  PLACES,
  PLURALS,
  VERBS,
} from './lexicon.ts';
import { type Draw, drawFrom, pick } from './seeded.ts';

const MAX_TOPICS = 12;

/** Words of the prompt that an answer may take up: letters only, 4 to 12 of them, first come first kept. */
export function topicsOf(text: string): string[] {
  const topics = new Set<string>();
  for (const match of text.slice(-2000).matchAll(/\b[a-z]{4,12}\b/g)) {
    topics.add(match[0]);
    if (topics.size >= MAX_TOPICS) break;
  }
  return [...topics];
}

function nounPhrase(draw: Draw, topics: readonly string[]): string {
  const roll = draw();
  if (topics.length > 0 && roll < 0.12) return `the word "${pick(draw, topics)}"`;
  if (roll < 0.22) return pick(draw, NAMES);
  if (roll < 0.55) return `the ${pick(draw, ADJECTIVES)} ${pick(draw, NOUNS)}`;
  if (roll < 0.7) return `every ${pick(draw, NOUNS)}`;
  return `the ${pick(draw, NOUNS)}`;
}

function objectPhrase(draw: Draw): string {
  const roll = draw();
  if (roll < 0.25) return `${2 + Math.floor(draw() * 8)} ${pick(draw, PLURALS)}`;
  if (roll < 0.5) return `the ${pick(draw, ADJECTIVES)} ${pick(draw, PLURALS)}`;
  if (roll < 0.75) return `the ${pick(draw, NOUNS)}`;
  return `a ${pick(draw, ADJECTIVES)} ${pick(draw, NOUNS)}`.replace(/^a (?=[aeiou])/, 'an ');
}

/** One sentence with its full stop, no space around it. */
export function sentence(draw: Draw, topics: readonly string[]): string {
  const roll = draw();
  const opening = draw() < 0.15 ? pick(draw, CONNECTIVES) : '';
  const subject = nounPhrase(draw, topics);
  let body: string;
  if (roll < 0.35) body = `${subject} ${pick(draw, VERBS)} ${objectPhrase(draw)}`;
  else if (roll < 0.55) body = `${subject} ${pick(draw, VERBS)} ${objectPhrase(draw)} near the ${pick(draw, PLACES)}`;
  else if (roll < 0.7) body = `${subject} ${pick(draw, INTRANSITIVE)} ${pick(draw, ADVERBS)} in ${pick(draw, CITIES)}`;
  else if (roll < 0.85) {
    body = `${subject} ${pick(draw, VERBS)} ${objectPhrase(draw)}, and ${nounPhrase(draw, topics)} ${pick(draw, INTRANSITIVE)} ${pick(draw, ADVERBS)}`;
  } else
    body = `when ${subject} ${pick(draw, INTRANSITIVE)}, ${nounPhrase(draw, topics)} ${pick(draw, VERBS)} ${objectPhrase(draw)}`;
  const text = opening + body;
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

/** A stream of text pieces. `next` answers undefined where a natural answer ends; asked again, it goes on. */
export interface Writer {
  next(): string | undefined;
}

/** An answer of 2 to 9 sentences, then more for as long as someone asks. */
export function answerWriter(seed: number, topics: readonly string[]): Writer {
  const draw = drawFrom(seed);
  let left = 2 + Math.floor(draw() * draw() * 8);
  let first = true;
  return {
    next() {
      if (left === 0) {
        left = -1;
        return undefined;
      }
      left--;
      const text = sentence(draw, topics);
      if (first) {
        first = false;
        return text;
      }
      return draw() < 0.12 ? `\n\n${text}` : ` ${text}`;
    },
  };
}

/** A thought of 1 to 3 sentences; it always comes to an end. */
export function thoughtWriter(seed: number, topics: readonly string[]): Writer {
  const draw = drawFrom(seed ^ 0x5bd1e995);
  let left = 1 + Math.floor(draw() * 3);
  let first = true;
  return {
    next() {
      if (left === 0) return undefined;
      left--;
      const text = `${first ? 'Let me think. ' : ' '}${sentence(draw, topics)}`;
      first = false;
      return text;
    },
  };
}

/** 1 to 3 words for a short value, e.g. `golden harbour`. */
export function phrase(draw: Draw): string {
  const roll = draw();
  if (roll < 0.25) return pick(draw, NAMES);
  if (roll < 0.4) return pick(draw, CITIES);
  if (roll < 0.7) return pick(draw, NOUNS);
  return `${pick(draw, ADJECTIVES)} ${pick(draw, NOUNS)}`;
}
