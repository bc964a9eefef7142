/** Writes a chat answer as vLLM 0.29 streams it: role chunks when the first token exists, deltas, finish, usage. */
import type { ChoiceState } from '../../generation/choice.ts';
import { createHermesReader, type HermesReader } from '../../generation/hermes.ts';
import type { ChatStream, ChatStreamOptions } from '../dialect.ts';
import { contentLogprob } from './logprobs.ts';
import { chunkUsage, finalStreamUsage } from './usage.ts';

interface Track {
  reader: HermesReader | undefined;
  /** Fragments of `delta` waiting for the stream interval. */
  reasoning: string;
  content: string;
  logprobs: string[];
  tokenIds: number[];
  sinceChunk: number;
  chunks: number;
}

export function createChatStream(options: ChatStreamOptions): ChatStream {
  const { style, tokenizer, send } = options;
  const head = `data: {"id":${JSON.stringify(options.id)},"object":"chat.completion.chunk","created":${options.createdS()},"model":${JSON.stringify(style.model)},"choices":[`;
  const heads = Array.from({ length: options.n }, (_, index) => `${head}{"index":${index},"delta":`);
  const promptTokens = options.promptIds.length;
  const fingerprint = `,"system_fingerprint":${JSON.stringify(options.fingerprint)}`;
  const readsCalls = style.toolChoice !== 'none';
  const tracks: Track[] = Array.from({ length: options.n }, () => ({
    reader: readsCalls ? createHermesReader() : undefined,
    reasoning: '',
    content: '',
    logprobs: [],
    tokenIds: [],
    sinceChunk: 0,
    chunks: 0,
  }));
  let rolesSent = false;
  let open = options.n;

  function usagePart(completion: number, reasoning: number): string {
    return style.continuousUsage ? `,"usage":${chunkUsage(promptTokens, completion, reasoning)}` : '';
  }

  function sendRoles(): void {
    rolesSent = true;
    const ids = style.returnTokenIds ? JSON.stringify(options.promptIds) : 'null';
    const prompt = style.promptText === undefined ? 'null' : JSON.stringify(style.promptText);
    for (const start of heads) {
      send(
        `${start}{"role":"${style.role}","content":""},"logprobs":null,"finish_reason":null}]${usagePart(0, 0)},"prompt_token_ids":${ids},"prompt_text":${prompt}}\n\n`,
      );
    }
    if (style.echo !== '') {
      for (const start of heads) {
        send(
          `${start}{"content":${JSON.stringify(style.echo)}},"logprobs":null,"finish_reason":null,"token_ids":null}]}\n\n`,
        );
      }
    }
  }

  function chunk(choice: ChoiceState, track: Track, delta: string, last: boolean): void {
    const logprobs = track.logprobs.length > 0 ? `{"content":[${track.logprobs.join(',')}]}` : 'null';
    const tokenIds = style.returnTokenIds ? JSON.stringify(track.tokenIds) : 'null';
    track.logprobs = [];
    track.tokenIds = [];
    track.sinceChunk = 0;
    track.chunks++;
    const finish = last
      ? `"finish_reason":"${finishReason(choice, track)}","stop_reason":${JSON.stringify(choice.stopReason)},`
      : '"finish_reason":null,';
    const tail = last && open === 0 && !style.includeUsage ? fingerprint : '';
    send(
      `${heads[choice.index]!}${delta},"logprobs":${logprobs},${finish}"token_ids":${tokenIds}}]${usagePart(choice.count, choice.reasoningTokens)}${tail}}\n\n`,
    );
  }

  function finishReason(choice: ChoiceState, track: Track): string {
    const started = track.reader?.started ?? 0;
    if (started > 0 && style.toolChoice === 'required') return 'tool_calls';
    if (started > 0 && style.toolChoice === 'auto') return 'tool_calls';
    return choice.finish!;
  }

  /** Deltas of one token that go through the tool-call reader: any number of chunks. */
  function callDeltas(track: Track, text: string): string[] {
    const deltas: string[] = [];
    for (const event of track.reader!.feed(text)) {
      if (event.kind === 'content') {
        // An answer that must be a call has no content beside it.
        if (style.toolChoice === 'auto') deltas.push(`{"content":${JSON.stringify(event.text)}}`);
      } else if (event.index > 0 && !style.parallelToolCalls) {
        // The other calls are generated and billed, and dropped here.
      } else if (event.kind === 'start') {
        deltas.push(
          `{"content":null,"tool_calls":[{"id":"${options.toolCallId()}","type":"function","index":${event.index},"function":{"name":${JSON.stringify(event.name)}}}]}`,
        );
      } else {
        deltas.push(
          `{"content":null,"tool_calls":[{"index":${event.index},"function":{"arguments":${JSON.stringify(event.text)}}}]}`,
        );
      }
    }
    return deltas;
  }

  return {
    onToken(choice) {
      if (!rolesSent) sendRoles();
      const track = tracks[choice.index]!;
      const last = choice.finish !== undefined;
      if (last) open--;
      if (style.topLogprobs !== undefined && !(last && choice.finish === 'stop' && choice.deltaContent === '')) {
        track.logprobs.push(JSON.stringify(contentLogprob(tokenizer, choice.lastId, choice.count, style.topLogprobs)));
      }
      if (style.returnTokenIds) track.tokenIds.push(choice.lastId);
      if (track.reader && choice.deltaContent !== '') {
        const deltas = callDeltas(track, choice.deltaContent);
        for (const [i, delta] of deltas.entries()) {
          if (last && i === deltas.length - 1) {
            chunk(choice, track, delta, true);
            return;
          }
          chunk(choice, track, delta, false);
        }
        if (last) chunk(choice, track, '{}', true);
        return;
      }
      track.content += choice.deltaContent;
      if (style.includeReasoning) track.reasoning += choice.deltaReasoning;
      track.sinceChunk++;
      if (!last && track.chunks > 0 && track.sinceChunk < style.interval) return;
      const { content, reasoning } = track;
      if (!last && content === '' && reasoning === '') return;
      track.content = '';
      track.reasoning = '';
      const parts =
        (reasoning === '' ? '' : `"reasoning":${JSON.stringify(reasoning)}`) +
        (reasoning !== '' && content !== '' ? ',' : '') +
        (content === '' ? '' : `"content":${JSON.stringify(content)}`);
      chunk(choice, track, `{${parts}}`, last);
    },
    onEnd(counts) {
      if (style.includeUsage) send(`${head}],"usage":${finalStreamUsage(counts)}${fingerprint}}\n\n`);
      send('data: [DONE]\n\n');
    },
  };
}
