/**
 * Filters live in the address, so that a view can be sent to somebody and the back button works. Addresses are typed by
 * people: what is not understood is dropped, never an error page.
 */

export type Search = Record<string, unknown>;

/** A text of 1 to `max` characters. */
export const textIn = (search: Search, name: string, max = 200): string | undefined => {
  const value = search[name];
  const text = typeof value === 'string' ? value.trim() : typeof value === 'number' ? String(value) : '';
  return text !== '' && text.length <= max ? text : undefined;
};

/** One of the choices. */
export const choiceIn = <const T extends string>(search: Search, name: string, choices: readonly T[]): T | undefined =>
  choices.find((choice) => choice === String(search[name]));

/** A list of texts (`?model=a&model=b` or `?model=["a","b"]`), without repeats, at most 50; undefined when empty. */
export function listIn(search: Search, name: string): string[] | undefined {
  const value = search[name];
  const list = (Array.isArray(value) ? value : value === undefined ? [] : [value])
    .map((item) => String(item).trim())
    .filter((item) => item !== '' && item.length <= 200);
  return list.length === 0 ? undefined : [...new Set(list)].slice(0, 50);
}

/** A whole number within bounds. */
export function numberIn(search: Search, name: string, min: number, max: number): number | undefined {
  const value = Number(search[name]);
  return search[name] !== undefined && search[name] !== '' && Number.isInteger(value) && value >= min && value <= max
    ? value
    : undefined;
}

/** A time in ISO form, as it was written. */
export function timeIn(search: Search, name: string): string | undefined {
  const value = textIn(search, name, 40);
  if (value === undefined) return undefined;
  const ms = Date.parse(value);
  return Number.isFinite(ms) && ms > 0 && ms < 4_102_444_800_000 ? new Date(ms).toISOString() : undefined;
}

/** The same object without what is undefined, so that addresses stay short. */
export function compactSearch<T extends object>(search: T): T {
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined)) as T;
}

/** Query text of an API call: lists repeat their name, what is undefined is left out. */
export function queryText(query: Readonly<Record<string, unknown>>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== undefined && item !== null && item !== '') params.append(name, String(item));
    }
  }
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}
