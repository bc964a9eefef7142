/**
 * Going on with an answer whose worker died: what the client has been given, as the next worker must be told it, and how
 * that worker's stream is made the rest of the first one. Text streams with one choice only: a grammar starts from zero
 * on every request, a tool call and log probabilities cannot be cut anywhere (facts/engines.md 0.2).
 */
import type { ChatRequest } from '../contract/request.ts';
import type { FailureReason } from '../upstream/failure.ts';
import { openAiUsage, type TokenCounts } from './token-counts.ts';
import { findUsage } from './usage-scan.ts';

/** Text beyond this is not kept, and its stream not resumed: what is kept for streams must stay small. */
const MAX_KEPT_CHARS = 262_144;

/** What has reached the client of one answer, over all its workers. Text is JSON-escaped latin1, as it came. */
export class Transcript {
  /** False once the answer cannot be continued from its text. */
  usable = true;
  /** Tokens that the engine counted up to the last chunk that was passed on; null = it does not count while it streams. */
  completionTokens: number | null = null;
  reasoningTokens = 0;
  /** Chunks with text: about a token each. */
  textChunks = 0;
  /** `created` of the first chunk. */
  created = '';
  private reasoning = '';
  private content = '';
  /** The answer may be tool calls. */
  private readonly hasCalls: boolean;

  constructor(hasCalls: boolean) {
    this.hasCalls = hasCalls;
  }

  /** A chunk is being passed on, `completionTokens` (null: not told) after it. */
  add(event: string, completionTokens: number | null, reasoningTokens: number): void {
    if (!this.usable) return;
    if (this.created === '') this.created = CREATED.exec(event)?.[1] ?? '';
    // Thoughts come before text, never after it.
    const reasoning = this.content === '' ? reasoningOf(event) : '';
    const content = stringAfter(event, '"content":"');
    if (content !== '' || reasoning !== '') this.textChunks++;
    this.content += content;
    this.reasoning += reasoning;
    this.completionTokens = completionTokens;
    this.reasoningTokens = reasoningTokens;
    if (this.hasCalls && event.includes('"tool_calls":[')) this.usable = false;
    if (this.content.length + this.reasoning.length > MAX_KEPT_CHARS) this.giveUp();
  }

  /** As `add`, for a later chunk that holds this much text (as JSON has it) and neither thoughts nor calls. */
  addText(text: string, completionTokens: number | null, reasoningTokens: number): void {
    if (!this.usable) return;
    if (text !== '') this.textChunks++;
    this.content += text;
    this.completionTokens = completionTokens;
    this.reasoningTokens = reasoningTokens;
    if (this.content.length + this.reasoning.length > MAX_KEPT_CHARS) this.giveUp();
  }

  get isEmpty(): boolean {
    return this.content === '' && this.reasoning === '';
  }

  /** Tokens of the text that the client has; `isGuess` when the engine never told. */
  get tokens(): { count: number; isGuess: boolean } {
    return this.completionTokens === null
      ? { count: this.textChunks, isGuess: true }
      : { count: this.completionTokens, isGuess: false };
  }

  /**
   * The assistant's message to be continued, in the form in which Qwen3's template prints it back letter for letter: an
   * engine refuses to continue a message that its template rewrites (facts/engines.md 4). An open thought stays open.
   * null: what the worker sent is no text (chunks are searched, not parsed, so that it shows only here).
   */
  message(): string | null {
    const content = unescaped(this.content);
    const reasoning = unescaped(this.reasoning);
    if (content === null || reasoning === null) return null;
    if (reasoning === '') return content;
    const thought = reasoning.replace(/^\n+/, '');
    if (content === '') return `<think>\n${thought}`;
    return `<think>\n${thought.replace(/\n+$/, '')}\n</think>\n\n${content.replace(/^\n+/, '')}`;
  }

  private giveUp(): void {
    this.usable = false;
    this.content = '';
    this.reasoning = '';
  }
}

function reasoningOf(event: string): string {
  return stringAfter(event, '"reasoning":"') || stringAfter(event, '"reasoning_content":"');
}

const CREATED = /"created":(\d+)/;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The JSON string that begins behind `key`, still escaped; '' when there is none. */
function stringAfter(event: string, key: string): string {
  const at = event.indexOf(key);
  if (at === -1) return '';
  const start = at + key.length;
  for (let i = start; i < event.length; i++) {
    const char = event.charCodeAt(i);
    if (char === QUOTE) return event.slice(start, i);
    if (char === BACKSLASH) i++;
  }
  return '';
}

function unescaped(latin1: string): string | null {
  try {
    return JSON.parse(`"${Buffer.from(latin1, 'latin1').toString('utf8')}"`) as string;
  } catch {
    return null;
  }
}

/** What took the worker away from the answer, not the answer from the worker. */
const RESUMABLE: ReadonlySet<FailureReason> = new Set([
  'connect',
  'cut',
  'bad_status',
  'engine_error',
  'aborted_by_worker',
  'garbage',
  'idle_timeout',
  'first_token_timeout',
]);

/** Workers that one answer may lose. */
const MAX_RESUMES = 5;

/** Where an answer goes on. */
export interface Continuation {
  /** The assistant's message so far; '': nothing was said yet, the answer begins again. */
  message: string;
  /** Tokens that the client has been given, at most. */
  givenTokens: number;
  /** Of these, the ones that are billed: text that was held back by stop strings was counted and comes again. */
  billedTokens: number;
  reasoningTokens: number;
  promptTokens: number | null;
  isGuess: boolean;
  created: string;
}

/** One stream over all its workers. */
export class Resumption {
  readonly transcript: Transcript;
  /** What the next attempt goes on from; null: it is the first. */
  from: Continuation | null = null;
  /** Tokens that were generated twice or not shown, and are billed to nobody. */
  unbilledTokens = 0;
  private readonly heldBack: number;
  /** Text can be said on from where it was cut; a document, a call cannot. */
  private readonly isText: boolean;
  private resumes = 0;

  private constructor(isText: boolean, heldBack: number, hasCalls: boolean) {
    this.transcript = new Transcript(hasCalls);
    this.isText = isText;
    this.heldBack = heldBack;
  }

  /** null: an answer of several choices; nobody can say how far each was. */
  static of(request: ChatRequest, hasForm: boolean): Resumption | null {
    const { choices, tools, toolChoice, structured, sampling } = request;
    if (choices !== 1) return null;
    const calls = tools !== null && toolChoice !== 'none';
    const isText = !calls && !hasForm && structured === null && sampling.logprobs !== true;
    return new Resumption(isText, mostHeldBack(sampling.stop), calls);
  }

  /** Prepares `from` after a failure in the middle; false: the answer ends here. `counts`: of all workers so far. */
  after(reason: FailureReason, counts: TokenCounts, outputLimit: number): boolean {
    const { transcript } = this;
    if (!RESUMABLE.has(reason) || !transcript.usable || this.resumes >= MAX_RESUMES) return false;
    const { count, isGuess } = transcript.tokens;
    const nothingSaid = transcript.isEmpty;
    const givenTokens = nothingSaid ? 0 : count;
    if ((!nothingSaid && !this.isText) || givenTokens >= outputLimit) return false;
    const message = transcript.message();
    if (message === null) return false;
    this.resumes++;
    const billedTokens = Math.max(0, givenTokens - this.heldBack);
    this.unbilledTokens += Math.max(0, counts.completionTokens - billedTokens);
    this.from = {
      message,
      givenTokens,
      billedTokens,
      reasoningTokens: nothingSaid ? 0 : transcript.reasoningTokens,
      promptTokens: counts.promptTokens,
      isGuess: isGuess || this.from?.isGuess === true,
      created: transcript.created,
    };
    return true;
  }
}

/** Engines hold back text that may begin a stop string: so many tokens were counted and not shown, at most. */
function mostHeldBack(stop: unknown): number {
  const strings = typeof stop === 'string' ? [stop] : Array.isArray(stop) ? stop : [];
  let most = 0;
  for (const text of strings) if (typeof text === 'string') most = Math.max(most, text.length - 1);
  return most;
}

/** Counts of the whole answer, of which `now` tells the last part: the prompt once, the output of both (MONEY.md 6). */
export function joinCounts(before: Continuation, now: TokenCounts): TokenCounts {
  const seen = now.promptTokens === null ? null : Math.max(0, now.promptTokens - before.givenTokens);
  const promptTokens = before.promptTokens ?? seen;
  const cached = now.cachedTokens;
  return {
    promptTokens,
    cachedTokens: cached === null ? null : Math.min(cached, promptTokens ?? cached),
    completionTokens: before.billedTokens + now.completionTokens,
    reasoningTokens: before.reasoningTokens + now.reasoningTokens,
    final: now.final,
    ...(before.isGuess ? { isGuess: true } : {}),
  };
}

/**
 * A chunk of the second worker as the first one would have written it; null: the client has had it (the role).
 * `counts`: of the whole answer so far.
 */
export function rewriteResumed(event: string, from: Continuation, counts: TokenCounts): string | null {
  if (event.includes('"role":"assistant"') && stringAfter(event, '"content":"') === '') return null;
  const text = sameCreated(event.replace('"role":"assistant",', ''), from);
  const span = findUsage(text);
  if (span === null) return text;
  const { prompt_tokens_details: _unknown, ...usage } = openAiUsage(counts);
  return `${text.slice(0, span.start)}"usage":${JSON.stringify(usage)}${text.slice(span.end)}`;
}

/** The time stamp of the chunks that the client has had. */
export function sameCreated(event: string, { created }: Continuation): string {
  return created === '' ? event : event.replace(CREATED, `"created":${created}`);
}
