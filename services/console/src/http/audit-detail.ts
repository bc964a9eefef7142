/** What the audit log says about a change: names of fields, and values that are no secret. */
import { nusdToUsd } from '@tollgate/shared/domain/money';

const SECRET = /password|token|secret|code|challenge|^current$|^next$|^key$|cookie|authorization/i;
const MAX_TEXT = 200;
const MAX_ITEMS = 20;

/** A parsed body as it may stand in the log for ever. */
export function auditDetail(body: unknown): Record<string, unknown> {
  const value = clean(body, 0, '');
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function clean(value: unknown, depth: number, name: string): unknown {
  // Amounts were typed in dollars (`*Usd`) and parsed to nano-USD: the log says what was typed.
  if (typeof value === 'bigint') return /usd$/i.test(name) ? nusdToUsd(value) : String(value);
  if (typeof value === 'string') return clip(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= 4) return '…';
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => clean(item, depth + 1, name));
  const out: Record<string, unknown> = {};
  for (const [field, item] of Object.entries(value).slice(0, 50)) {
    out[clip(field)] = SECRET.test(field) ? '[hidden]' : clean(item, depth + 1, field);
  }
  return out;
}

/** Addresses lose their query: it is where tokens are put. */
function clip(text: string): string {
  const plain = /^https?:\/\//i.test(text) ? text.replace(/[?#].*$/s, '?…') : text;
  return plain.length > MAX_TEXT ? `${plain.slice(0, MAX_TEXT)}…` : plain;
}
