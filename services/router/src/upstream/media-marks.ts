/**
 * Marks with which models that see are told where a picture stands. No text has a picture behind them, and engines
 * crashed over that (CVE-2026-44222, facts/engines.md 5): they lose their bars, so that they are text to the tokenizer too.
 */
import type { RequestText } from './body.ts';

const MARKS = /<\|((?:vision_(?:start|end|pad)|image_pad|video_pad|audio_(?:start|end|pad)|image|video|audio))\|>/g;

export function withoutMediaMarks(text: RequestText): RequestText {
  const { messages, tools } = text;
  if (!messages.includes('<|') && !tools?.includes('<|')) return text;
  return { messages: disarmed(messages), tools: tools === null ? null : disarmed(tools) };
}

const disarmed = (json: string): string => json.replace(MARKS, '<$1>');
