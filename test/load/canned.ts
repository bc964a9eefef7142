/** What the bench's upstream answers: a vLLM's bytes, always the same, so that a gateway's answers can be compared with them. */
import { MODEL } from './traffic.ts';
import { chunkText } from './wire.ts';

/** Text of a plain answer. */
export const PLAIN_CONTENT = 'The quick brown fox jumps over the lazy dog. '.repeat(12);
/** Text of the last chunk of a stream, and what comes with the n-th chunk before it. */
export const LAST_CONTENT = ' end';
export const chunkContent = (n: number) => ` w${n % 10}`;

/** Text of a whole stream of `chunks` content chunks. */
export function streamContent(chunks: number): string {
  return Array.from({ length: chunks - 1 }, (_, n) => chunkContent(n)).join('') + LAST_CONTENT;
}

export const USAGE = { prompt_tokens: 300, total_tokens: 400, completion_tokens: 100 };
export const PLAIN_BODY = JSON.stringify({
  id: 'chatcmpl-benchbenchbench0',
  object: 'chat.completion',
  created: 1_795_235_419,
  model: MODEL,
  choices: [
    {
      index: 0,
      message: {
        role: 'assistant',
        content: PLAIN_CONTENT,
        refusal: null,
        annotations: null,
        audio: null,
        function_call: null,
        reasoning: null,
      },
      logprobs: null,
      finish_reason: 'stop',
      stop_reason: null,
      token_ids: null,
    },
  ],
  service_tier: null,
  system_fingerprint: 'vllm-0.29.0-f5c88027',
  usage: { ...USAGE, prompt_tokens_details: { cached_tokens: 0 } },
  prompt_logprobs: null,
});

const STREAM_HEAD =
  'HTTP/1.1 200 OK\r\nserver: uvicorn\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n';

function event(choices: unknown[], completionTokens: number, extra: object = {}): string {
  const usage = { prompt_tokens: 300, total_tokens: 300 + completionTokens, completion_tokens: completionTokens };
  const head = {
    id: 'chatcmpl-benchbenchbench0',
    object: 'chat.completion.chunk',
    created: 1_795_235_425,
    model: MODEL,
  };
  return `data: ${JSON.stringify({ ...head, choices, usage, ...extra })}\n\n`;
}

const choice = (delta: object, finish: string | null = null) => ({
  index: 0,
  delta,
  logprobs: null,
  finish_reason: finish,
  token_ids: null,
});
export const FIRST = Buffer.from(STREAM_HEAD + chunkText(event([choice({ role: 'assistant', content: '' })], 0)));
export const LAST = (chunks: number) =>
  Buffer.from(
    chunkText(event([choice({ content: LAST_CONTENT }, 'stop')], chunks)) +
      chunkText(event([], chunks, { system_fingerprint: 'vllm-0.29.0-f5c88027' })) +
      chunkText('data: [DONE]\n\n') +
      chunkText(''),
  );

/** The n-th content chunk. */
export const middleChunk = (n: number) => Buffer.from(chunkText(event([choice({ content: chunkContent(n) })], n + 1)));
