/**
 * A contract profile: how one API speaks. The pipeline knows only this. Profiles are data (`services/router/contracts`),
 * compiled once at start; a further API is a further file.
 */
import type { OpenAiModel } from '@tollgate/shared/contracts/openai/models';
import type { AppError } from '@tollgate/shared/domain/errors';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import type { AnswerPolicy } from '../answer-form.ts';
import type { EndpointName } from '../endpoints/endpoint.ts';
import type { Reader } from './parameters.ts';
import type { HostPath } from './profile-file.ts';
import type { ChatRequest, UsageInStream } from './request.ts';

/** Something is wrong with the profile files. `message` lists every problem, one per line. */
export class ContractError extends Error {
  override readonly name = 'ContractError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** An error as a client of the contract sees it. */
export interface RenderedError {
  status: number;
  body: unknown;
}

/** Names of the headers that tell where a limit stands; null = the contract has none. */
export interface LimitHeaderNames {
  limit: string | null;
  remaining: string | null;
  reset: string | null;
}

/** How a client that waits is kept from giving up. Milliseconds. */
export interface KeepAlive {
  /** Silence before the first sign; it commits status 200. */
  afterMs: number;
  everyMs: number;
  /** The connection is closed after this. */
  totalMs: number;
}

/** Value of a request header; undefined when it was not sent. */
export type HeaderOf = (name: string) => string | undefined;

export interface ContractProfile {
  name: string;
  /** Path before `/chat/completions` and `/models`, prefix included. */
  basePath: string;
  /** The part of `basePath` that a host of its own needs not: `/dottxt` of `/dottxt/v1`. */
  prefix: string;
  /** JSON value of the body -> request model. `model` may be '': the default model is meant. Throws AppError with `param` set. */
  parseChat(body: unknown): ChatRequest;
  /** Readers of the parameters that are read by themselves, by name: other endpoints know the same ones. */
  readers: ReadonlyMap<string, Reader>;
  refusesUnknown: boolean;
  /** What a stream shows of usage, by its `stream_options`. */
  readUsage(options: unknown, stream: boolean): UsageInStream;
  /** Generations that the contract has. */
  endpoints: readonly EndpointName[];
  /** Other paths that it has. */
  paths: ReadonlySet<HostPath>;
  renderError(error: AppError): RenderedError;
  /** The key as this contract reads the headers beside it: whose request this is. Throws AppError. */
  identify(key: KeyRecord, header: HeaderOf): KeyRecord;
  requestLimitHeaders: LimitHeaderNames | null;
  tokenLimitHeaders: LimitHeaderNames | null;
  /** Output tokens that must stay free: the limit must be below context - margin. */
  contextMargin: number;
  contentTypeRequired: boolean;
  /** Entry of the models list. */
  modelFields: readonly (keyof OpenAiModel)[];
  /** Whether `{base}/catalog` shows models with their prices. */
  hasCatalog: boolean;
  answers: AnswerPolicy;
  keepAlive: KeepAlive | null;
  /** Path below the base -> what to do instead. */
  advice: ReadonlyMap<string, string>;
}
