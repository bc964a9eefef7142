/** What a dialect asks of the model: one prompt, sampling rules, constraint. No wire names in here. */
import type { Constraint } from '../grammar/constraint.ts';
import type { ToolSpec } from './tools.ts';

/** Ends an answer whose last tokens repeat (vLLM's `repetition_detection`). */
export interface RepetitionRule {
  maxPatternSize: number;
  minPatternSize: number;
  minCount: number;
}

/** A text decided before the engine runs: decoded under a grammar, or a tool call. */
export interface FixedText {
  text: string;
  /** False: the grammar never came to an end; the answer then runs on in white space, as real engines do. */
  complete: boolean;
  /** What it runs on in, when it is not complete. Default: spaces. */
  filler?: string;
  /** Special tokens written out in the text are meant as such. */
  special?: boolean;
}

/** What has been said of an answer that is to be gone on with. */
export interface Continued {
  /** The whole answer began with a thought. */
  thinking: boolean;
  reasoning: string;
  content: string;
}

export interface Job {
  /** Token ids of the rendered prompt. */
  promptIds: readonly number[];
  /** Text from which the answer takes its seed and topics. */
  promptText: string;
  cacheSalt: string | undefined;
  /** Lower runs sooner. */
  priority: number;
  n: number;
  /** Tokens to generate at most, at least 1. */
  maxTokens: number;
  minTokens: number;
  ignoreEos: boolean;
  stop: readonly string[];
  includeStop: boolean;
  stopTokenIds: readonly number[];
  temperature: number;
  seed: number | undefined;
  logitBias: ReadonlyMap<number, number>;
  allowedTokenIds: readonly number[] | undefined;
  badWords: readonly string[];
  repetition: RepetitionRule | undefined;
  /** The answer begins inside a thought. */
  thinking: boolean;
  /** The thought never ends. */
  endlessThought: boolean;
  /** The answer goes on from here; undefined: it begins. */
  continued: Continued | undefined;
  constraint: Constraint | undefined;
  tools: readonly ToolSpec[];
  /** none: tools are not looked at. forced: the answer is tool calls and nothing else. */
  toolMode: 'none' | 'auto' | 'forced';
  /** The one tool to call, when the client named it. */
  namedTool: string | undefined;
  parallelToolCalls: boolean;
  /** Text of the last user message, for deciding whether to call a tool. */
  lastUserText: string;
  /** The conversation ends with a tool's result: time to answer in words. */
  answeringTool: boolean;
}

/** A job without sampling rules, to be spread and overridden. */
export const PLAIN_JOB: Omit<Job, 'promptIds' | 'promptText' | 'maxTokens'> = {
  cacheSalt: undefined,
  priority: 0,
  n: 1,
  minTokens: 0,
  ignoreEos: false,
  stop: [],
  includeStop: false,
  stopTokenIds: [],
  temperature: 0.7,
  seed: undefined,
  logitBias: new Map(),
  allowedTokenIds: undefined,
  badWords: [],
  repetition: undefined,
  thinking: false,
  endlessThought: false,
  continued: undefined,
  constraint: undefined,
  tools: [],
  toolMode: 'none',
  namedTool: undefined,
  parallelToolCalls: true,
  lastUserText: '',
  answeringTool: false,
};
