/** What every parser makes of a file: a list of blocks in reading order, bounded in number and size. */

export interface Block {
  /** `heading` opens a section of its level; `row` stands on its own line of a chunk and repeats nothing. */
  kind: 'heading' | 'text' | 'code' | 'row';
  /** 1 to 6 of headings. */
  level?: number;
  text: string;
  /** Where it stands, such as `page 3` or `row 12`; '' when the format has no such thing. */
  place: string;
}

/** Why a file cannot be read. `code` is one of OpenAI's (`unsupported_file`, `invalid_file`) or ours; the text is for people. */
export class UnreadableFile extends Error {
  override readonly name = 'UnreadableFile';
  readonly code: UnreadableCode;

  constructor(code: UnreadableCode, message: string) {
    super(message);
    this.code = code;
  }
}

export type UnreadableCode = 'unsupported_file' | 'invalid_file' | 'file_too_large' | 'parse_timeout' | 'parse_memory';

export interface ParseLimits {
  /** Characters of text that a file may come to. */
  textChars: number;
  blocks: number;
  csvColumns: number;
  pdfPages: number;
}

export const PARSE_LIMITS: ParseLimits = { textChars: 16_000_000, blocks: 200_000, csvColumns: 1_000, pdfPages: 3_000 };

/** Collects blocks and refuses what passes the limits: a small file may unfold into a very large text. */
export class Blocks {
  readonly list: Block[] = [];
  readonly #limits: ParseLimits;
  #chars = 0;

  constructor(limits: ParseLimits) {
    this.#limits = limits;
  }

  add(kind: Block['kind'], raw: string, place = '', level?: number): void {
    const text = kind === 'code' ? tidy(raw).replace(/\s+$/, '') : tidy(raw).trim();
    if (text === '') return;
    this.#chars += text.length;
    if (this.#chars > this.#limits.textChars) {
      throw new UnreadableFile(
        'file_too_large',
        `the file holds more than ${this.#limits.textChars} characters of text`,
      );
    }
    if (this.list.length >= this.#limits.blocks) {
      throw new UnreadableFile('file_too_large', `the file holds more than ${this.#limits.blocks} paragraphs or rows`);
    }
    this.list.push({ kind, text, place, ...(level === undefined ? {} : { level }) });
  }
}

/** Postgres stores no NUL and no half of a surrogate pair; other control characters mean nothing in a text. */
function tidy(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n?/g, '\n')
    .replace(/\ufeff|[^\P{Cc}\n\t]/gu, '');
}
