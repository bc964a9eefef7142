/** A run of the playground, event by event. Pure. */
import { ApiError } from '../../api/error.ts';
import type { Explanation } from '../../lib/explanation.ts';

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number; grounding_tokens?: number } | null;
}

/** A passage that the answer was given. */
export interface Source {
  index: number;
  filename: string;
  heading: string;
  place: string;
  score: number;
  text: string;
}

export interface Run {
  state: 'idle' | 'waiting' | 'streaming' | 'done' | 'stopped' | 'failed';
  text: string;
  reasoning: string;
  /** Pieces that came: about one token each until the count is there. */
  pieces: number;
  startMs: number;
  firstTokenMs: number | null;
  /** From sending to the last piece so far. */
  elapsedMs: number;
  usage: Usage | null;
  finishReason: string | null;
  requestId: string | null;
  /** Null: the request named no collection. */
  sources: Source[] | null;
  explanation: Explanation | null;
  error: unknown;
}

export const IDLE: Run = {
  state: 'idle',
  text: '',
  reasoning: '',
  pieces: 0,
  startMs: 0,
  firstTokenMs: null,
  elapsedMs: 0,
  usage: null,
  finishReason: null,
  requestId: null,
  sources: null,
  explanation: null,
  error: null,
};

interface ChunkSource {
  index: number;
  filename: string;
  heading: string;
  place: string;
  score: number;
  content: { text: string }[];
}

interface Chunk {
  choices?: {
    delta?: {
      content?: string | null;
      reasoning_content?: string | null;
      reasoning?: string | null;
      sources?: ChunkSource[];
    };
    finish_reason?: string | null;
  }[];
  usage?: Usage | null;
  error?: { message?: string; code?: string; type?: string };
}

/** A run after one event of the stream. Pure. */
export function onChunk(run: Run, data: string, nowMs: number): Run {
  if (data === '[DONE]') return { ...run, state: 'done' };
  const chunk = JSON.parse(data) as Chunk;
  if (chunk.error) {
    const error = new ApiError(
      0,
      { message: chunk.error.message ?? 'The stream broke.', code: chunk.error.code ?? 'unknown' },
      run.requestId,
    );
    return { ...run, state: 'failed', error };
  }
  const choice = chunk.choices?.[0];
  const text = choice?.delta?.content ?? '';
  const reasoning = choice?.delta?.reasoning_content ?? choice?.delta?.reasoning ?? '';
  const came = text !== '' || reasoning !== '';
  const elapsedMs = nowMs - run.startMs;
  return {
    ...run,
    state: 'streaming',
    text: run.text + text,
    reasoning: run.reasoning + reasoning,
    pieces: run.pieces + (came ? 1 : 0),
    firstTokenMs: run.firstTokenMs ?? (came ? elapsedMs : null),
    elapsedMs: came ? elapsedMs : run.elapsedMs,
    usage: chunk.usage ?? run.usage,
    sources: choice?.delta?.sources?.map(sourceOf) ?? run.sources,
    finishReason: choice?.finish_reason ?? run.finishReason,
  };
}

const sourceOf = ({ content, ...source }: ChunkSource): Source => ({
  ...source,
  text: content.map(({ text }) => text).join('\n'),
});
