/** Option values: text in, a checked value out; problems become usage errors (exit 2). */
import { InvalidArgumentError } from 'commander';

const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `24h`, `30m`, `90s`, `7d`, `500ms` or `0` -> milliseconds. */
export function parseDurationMs(text: string): number {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  if (text === '0') return 0;
  if (!match) throw new InvalidArgumentError('Write a duration such as 24h, 30m or 0.');
  return Number(match[1]) * UNIT_MS[match[2]!]!;
}

/** A whole number of at least 1. */
export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new InvalidArgumentError('Write a whole number of at least 1.');
  return Number(text);
}

/** An amount in USD with at most 9 decimals, kept as text so that nothing is rounded. */
export function parseUsd(text: string): string {
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(text)) throw new InvalidArgumentError('Write an amount in USD such as 12.50.');
  return text;
}

/** The same, negative allowed. */
export function parseSignedUsd(text: string): string {
  if (!/^-?\d{1,9}(\.\d{1,9})?$/.test(text))
    throw new InvalidArgumentError('Write an amount in USD such as 12.50 or -3.');
  return text;
}

/** An ISO 8601 time -> the same moment in UTC. A date alone means its first moment in UTC. */
export function parseTime(text: string): string {
  const ms = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:?\d{2}))?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new InvalidArgumentError('Write an ISO 8601 time such as 2027-01-31T00:00:00Z.');
  return new Date(ms).toISOString();
}

/** `a,b` -> `['a', 'b']`. */
export function parseList(text: string): string[] {
  const parts = text.split(',').map((part) => part.trim());
  if (parts.some((part) => part === '')) throw new InvalidArgumentError('Write names with commas between.');
  return parts;
}

export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new InvalidArgumentError('Write a port from 1 to 65535.');
  return port;
}
