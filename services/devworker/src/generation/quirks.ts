/**
 * Bad habits of real models under real engines, on demand (a fault header asks for them): what a gateway must heal or
 * refuse, and what this well-behaved language model would never do by itself.
 */
import { SPECIAL_TOKENS } from '../model/bpe.ts';
import type { FixedText } from './job.ts';

export const QUIRKS = ['whitespace', 'leak', 'huge-number', 'endless-thought'] as const;
export type Quirk = (typeof QUIRKS)[number];

/** JSON in a fixed text begins here: after a tool call's `"arguments": `, else at the first bracket. */
function jsonStart(text: string): number {
  const call = /"arguments":\s*/.exec(text);
  if (call) return call.index + call[0].length;
  return text.search(/[{[]/);
}

/**
 * whitespace: `count` line breaks after the first colon of the document, or without end when `count` is 0.
 * leak: a special token inside the first string value. huge-number: an exponent that JavaScript reads as Infinity.
 */
export function applyQuirk(fixed: FixedText, quirk: Quirk, count: number): FixedText {
  const { text } = fixed;
  const start = jsonStart(text);
  if (start < 0) return fixed;
  const head = text.slice(0, start);
  const body = text.slice(start);
  if (quirk === 'whitespace') {
    const colon = body.indexOf(':');
    if (colon < 0) return fixed;
    if (count === 0) return { text: `${head}${body.slice(0, colon + 1)}\n`, complete: false, filler: '\n' };
    return { ...fixed, text: `${head}${body.slice(0, colon + 1)}${'\r\n'.repeat(count)}${body.slice(colon + 1)}` };
  }
  if (quirk === 'leak')
    return { ...fixed, text: head + body.replace(/(: ?")/, `$1${SPECIAL_TOKENS[0]}`), special: true };
  if (quirk === 'huge-number') return { ...fixed, text: head + body.replace(/(: ?)-?\d+(?:\.\d+)?/, '$1784e243551') };
  return fixed;
}
