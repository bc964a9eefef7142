/**
 * A kind of generation. The pipeline is the same for all of them (authenticate ... settle); what differs between chat,
 * text completions, embeddings, responses and messages is here, behind one interface. Adding one: a file beside this,
 * an entry in `index.ts`, its name in the contract profiles that serve it.
 */
import type { Engine } from '@tollgate/shared/domain/worker';
import type { RequestSize } from '../admission/hold-bound.ts';
import type { AnswerChecks } from '../answer-form.ts';
import type { ContractProfile } from '../contract/profile.ts';
import type { GenerationRequest } from '../contract/request.ts';
import type { AnswerReader } from '../relay/answer-reader.ts';
import type { ChunkShape } from '../relay/chunk-shape.ts';
import type { PlainAnswer } from '../relay/plain-answer.ts';
import type { Continuation, Transcript } from '../relay/resume.ts';
import type { EngineConstraint } from '../schema-gate/constraint.ts';
import type { EngineDialect } from '../schema-gate/dialect.ts';
import type { RequestText, WorkerFields } from '../upstream/body.ts';

export const ENDPOINT_NAMES = ['/chat/completions', '/completions', '/embeddings', '/responses', '/messages'] as const;
/** Path below a contract's base, and the endpoint's name in logs, records and metrics. */
export type EndpointName = (typeof ENDPOINT_NAMES)[number];

/** Bounds of the hold, and bytes of the prompt for estimates and rates. */
export interface EndpointSize extends RequestSize {
  promptBytes: number;
}

/** What the relay tells a reader of one attempt. */
export interface AnswerOptions {
  /** Output limit per choice that the worker was told. */
  maxTokens: number;
  /** What the answer must fulfil; null = nothing. */
  checks: AnswerChecks | null;
  shape: ChunkShape;
  /** Keeps what the client is given, so that another worker could go on; null = nobody could. */
  transcript?: Transcript | null;
  /** The attempt is the rest of an answer that another worker began. */
  from?: Continuation | null;
}

/** What of a request does not depend on the worker, ready for its body. */
export interface BodyParts {
  text: RequestText;
  /** Explicit in every body (MONEY.md 2.3). */
  maxTokens: number;
  constraint: EngineConstraint;
  fields: WorkerFields;
  dialect: EngineDialect;
}

export interface Endpoint<R extends GenerationRequest = GenerationRequest> {
  readonly name: EndpointName;
  /** What a key with scopes must have. */
  readonly scope: string;
  readonly workerPath: string;
  /** Engines that may be asked for it. */
  readonly engines: readonly Engine[];
  /** How an error looks: as the contract has it, or in the words of this API. */
  readonly errors: 'contract' | 'responses' | 'anthropic';
  /** JSON value of the body -> request model. `model` may be '': the default model is meant. Throws AppError. */
  parse(body: unknown, profile: ContractProfile): R;
  /** The parts of the worker's body that are also the prompt: what is bounded, hashed and counted. */
  text(request: R): RequestText;
  size(request: R, text: RequestText): EndpointSize;
  body(request: R, parts: BodyParts): string;
  /** JSON for the worker's `/tokenize`; null when it cannot count such a prompt. */
  tokenizeBody(request: R, text: RequestText): string | null;
  streamReader(request: R, options: AnswerOptions): AnswerReader;
  plainReader(request: R, options: AnswerOptions): (body: Buffer) => PlainAnswer | null;
}

/** Bytes of both texts. */
export function textBytes({ messages, tools }: RequestText): { messageBytes: number; toolBytes: number } {
  return { messageBytes: Buffer.byteLength(messages), toolBytes: tools === null ? 0 : Buffer.byteLength(tools) };
}
