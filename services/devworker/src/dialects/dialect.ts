/**
 * What differs between the engines on the wire, behind one interface. A dialect reads requests into jobs and writes
 * answers; the engine, the model and the HTTP plumbing are shared. Adding one: a folder here, an entry in `index.ts`.
 */
import type { ChoiceState } from '../generation/choice.ts';
import type { Job } from '../generation/job.ts';
import type { Tokenizer } from '../model/bpe.ts';
import type { ChatStyle } from './vllm/chat-request.ts';
import type {
  CompletionBodyOptions,
  CompletionStream,
  CompletionStreamOptions,
  PreparedCompletion,
} from './vllm/completions.ts';
import type { ApiError } from './vllm/errors.ts';
import type { Counts } from './vllm/usage.ts';

export interface ModelContext {
  tokenizer: Tokenizer;
  model: string;
  maxModelLen: number;
  /** Thinking when the request does not say. */
  thinkingByDefault: boolean;
}

export interface Prepared<S> {
  job: Job;
  style: S;
}

export interface ChatAnswerOptions {
  id: string;
  /** Seconds since the epoch, asked whenever a chunk needs it. */
  createdS(): number;
  fingerprint: string;
  style: ChatStyle;
  tokenizer: Tokenizer;
  promptIds: readonly number[];
  /** A new id for a tool call. */
  toolCallId(): string;
}

export interface ChatStreamOptions extends ChatAnswerOptions {
  n: number;
  /** Sends one event. */
  send(event: string): void;
}

export interface ChatStream {
  onToken(choice: ChoiceState): void;
  /** All choices are over. */
  onEnd(counts: Counts): void;
}

export interface ChatPlainOptions extends ChatAnswerOptions {
  choices: readonly ChoiceState[];
  counts: Counts;
}

export interface Dialect {
  readonly name: 'vllm' | 'sglang';
  /** Validates a chat request as the engine does. Throws ApiError. */
  prepareChat(body: unknown, context: ModelContext): Prepared<ChatStyle>;
  createChatStream(options: ChatStreamOptions): ChatStream;
  chatBody(options: ChatPlainOptions): string;
  prepareCompletion(body: unknown, context: ModelContext): PreparedCompletion;
  createCompletionStream(options: CompletionStreamOptions): CompletionStream;
  completionBody(options: CompletionBodyOptions): string;
  errorBody(error: ApiError): string;
  /** The event of a stream that fails. */
  errorEvent(error: ApiError): string;
  /** Id of a request: what the client asked for, else `fresh` (16 hex digits) in the engine's form. */
  requestId(prefix: 'chatcmpl' | 'cmpl', asked: string | undefined, header: string | undefined, fresh: string): string;
  /** Id of a tool call from 16 hex digits. */
  toolCallId(fresh: string): string;
  /** How long after its client has left a stream is aborted. */
  readonly abortDelayMs: number;
}
