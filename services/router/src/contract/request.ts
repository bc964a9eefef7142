/** The request as the router understands it, whatever contract it came by. A contract profile makes one of these. */

import type { RagParams } from '../grounding/rag-params.ts';
import type { Grounding } from '../grounding/sources.ts';
import type { StructuredRequest } from '../schema-gate/request.ts';

export interface TextPart {
  type: 'text';
  text: string;
}

export interface ToolCall {
  id: string;
  type: 'function';
  function: { name: string; arguments: string };
}

export type Role = 'developer' | 'system' | 'user' | 'assistant' | 'tool';

/** A message rebuilt from the fields that a worker may see; what else the client sent is gone. */
export interface Message {
  role: Role;
  content: string | TextPart[] | null;
  name?: string;
  tool_calls?: ToolCall[];
  tool_call_id?: string;
}

export interface Tool {
  type: 'function';
  function: { name: string; description?: string; parameters?: Record<string, unknown>; strict?: boolean };
}

export type ToolChoice = 'none' | 'auto' | 'required' | { type: 'function'; function: { name: string } };

/** What a client sees of usage inside a stream: nothing, the finish chunk's, one last chunk, or vLLM's count in every chunk. */
export type UsageInStream = 'hidden' | 'finish_chunk' | 'final' | 'every';

/** What a client said of a request that no worker hears. `user` and `chatId` go to the log. */
export interface RequestLabels {
  user?: string;
  chatId?: string;
  /** Its name of the conversation; see `session-name.ts`. */
  session?: string;
}

/** What every kind of generation has, whichever endpoint it came by. */
export interface GenerationRequest {
  model: string;
  stream: boolean;
  /** The stream is the document itself, as operations (`stream: "patch"`). */
  patch?: boolean;
  usageInStream: UsageInStream;
  /** How many answers the worker writes in all (`n`, times the prompts). */
  choices: number;
  /** Output tokens per choice that the client allows; null = it did not say. */
  maxTokens: number | null;
  /** The client said nothing and `maxTokens` is the contract's default: it may be lowered to what the model has. */
  maxTokensIsDefault?: boolean;
  minTokens: number;
  tools: readonly Tool[] | null;
  toolChoice: ToolChoice | null;
  /** What asks for a form of the answer, as it came; null = nothing does. The schema gate reads it (schema-gate/request.ts). */
  structured: StructuredRequest | null;
  /** A shorter output would be worthless (schema or forced tool): never clamped, MONEY.md 5.2. */
  needsWholeOutput: boolean;
  labels?: RequestLabels | null;
}

export interface ChatRequest extends GenerationRequest {
  messages: readonly Message[];
  /** Checked fields that reach the worker under the same name. */
  sampling: Readonly<Record<string, unknown>>;
  parallelToolCalls: boolean | null;
  /** Whether the model may think first; null = as its template does by default. */
  thinking: boolean | null;
  /** What to look up before the model is asked; null = nothing. */
  rag?: RagParams | null;
  /** What was found: the messages hold it from here on. */
  grounding?: Grounding | null;
}
