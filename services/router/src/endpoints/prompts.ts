/** The prompts of text completions and the inputs of embeddings: one or many, as text or as token ids. */
import { checkArray, checkString, invalid, missing, wrongType } from '../contract/checks.ts';
import { findLoneSurrogate } from '../contract/unicode.ts';
import type { EndpointSize } from './endpoint.ts';
import { readTokenIds } from './fields.ts';

export type Prompt = string | readonly number[];

export interface PromptLimits {
  /** Prompts in one request. */
  maxPrompts: number;
  /** Token ids in one request. */
  maxTokens: number;
}

/** A prompt, a list of them, or a list of token ids: always as a list. */
export function readPrompts(name: string, value: unknown, limits: PromptLimits): Prompt[] {
  if (value === undefined || value === null) throw missing(name);
  if (typeof value === 'string') return [readText(name, value)];
  if (!Array.isArray(value)) throw wrongType(name, 'a string or an array', value);
  if (value.length === 0) throw invalid(name, 'it is empty.');
  if (typeof value[0] === 'number') return [readIds(name, value, limits.maxTokens)];
  let ids = 0;
  return checkArray(name, value, 1, limits.maxPrompts).map((entry, i) => {
    const path = `${name}[${i}]`;
    if (typeof entry === 'string') return readText(path, entry);
    if (!Array.isArray(entry)) throw wrongType(path, 'a string or an array of token ids', entry);
    const read = readIds(path, entry, limits.maxTokens);
    ids += read.length;
    if (ids > limits.maxTokens) throw invalid(name, `at most ${limits.maxTokens} token ids are allowed.`);
    return read;
  });
}

function readText(path: string, value: string): string {
  if (checkString(path, value) === '') throw invalid(path, 'it is empty.');
  const lone = findLoneSurrogate(path, value);
  if (lone !== null) throw invalid(lone, 'it holds half of a UTF-16 surrogate pair, which is not a character.');
  return value;
}

function readIds(path: string, value: readonly unknown[], max: number): number[] {
  if (value.length === 0) throw invalid(path, 'it is empty.');
  if (value.length > max) throw invalid(path, `at most ${max} token ids are allowed.`);
  return readTokenIds(path, value);
}

/** As the worker takes it: a single prompt bare, since old engines answer a list of one differently. */
export function promptsJson(prompts: readonly Prompt[]): string {
  return JSON.stringify(prompts.length === 1 ? prompts[0] : prompts);
}

const BYTES_PER_ID = 4;
/** Marks that a tokenizer may put around each prompt. */
const MARKS = 4;

/** Text is bounded by its bytes, token ids by their number. */
export function promptsSize(prompts: readonly Prompt[], choices: number): EndpointSize {
  let bound = 0;
  let promptBytes = 0;
  for (const prompt of prompts) {
    const bytes = typeof prompt === 'string' ? Buffer.byteLength(prompt) : 0;
    bound += MARKS + (typeof prompt === 'string' ? bytes : prompt.length);
    promptBytes += typeof prompt === 'string' ? bytes : prompt.length * BYTES_PER_ID;
  }
  return {
    messageBytes: bound,
    toolBytes: 0,
    promptBytes,
    messages: prompts.length,
    choices,
    contexts: prompts.length,
  };
}
