/** Why a schema is refused: where, by which keyword, and in words that name it. */
export class SchemaProblem extends Error {
  /** RFC 6901, into the schema that the caller sent; the empty string is its root. */
  readonly pointer: string;
  readonly keyword: string;

  constructor(pointer: string, keyword: string, reason: string) {
    super(reason);
    this.name = 'SchemaProblem';
    this.pointer = pointer;
    this.keyword = keyword;
  }
}

/** One step further down a JSON pointer. */
export const step = (pointer: string, key: string | number): string =>
  `${pointer}/${typeof key === 'number' ? key : key.replaceAll('~', '~0').replaceAll('/', '~1')}`;

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
