/** SGLang's chat answers: chunks and whole bodies. Shapes from source (serialised with its classes), not recorded. */
import type { ChoiceState } from '../../generation/choice.ts';
import { createHermesReader, type HermesReader, parseFinishedCalls } from '../../generation/hermes.ts';
import type { ChatPlainOptions, ChatStream, ChatStreamOptions } from '../dialect.ts';
import { pythonJson } from '../vllm/errors.ts';
import { contentLogprob } from '../vllm/logprobs.ts';
import { matchedStop, usage } from './answer-parts.ts';

const stopOf = ({ finish, stopReason }: ChoiceState) => matchedStop(finish, stopReason);

export function createChatStream(options: ChatStreamOptions): ChatStream {
  const { style, send, tokenizer } = options;
  const readers: (HermesReader | undefined)[] = Array.from({ length: options.n }, () =>
    style.toolChoice === 'none' ? undefined : createHermesReader(),
  );
  const finished: ChoiceState[] = [];
  const roles = new Set<number>();
  const id = JSON.stringify(options.id);
  const model = JSON.stringify(style.model);

  function head(): string {
    return `data: {"id":${id},"object":"chat.completion.chunk","created":${options.createdS()},"model":${model},"choices":[`;
  }

  function chunk(index: number, delta: string, logprobs = 'null', finish = 'null', matched = 'null'): void {
    send(
      `${head()}{"index":${index},"delta":${delta},"logprobs":${logprobs},"finish_reason":${finish},"matched_stop":${matched}}]}\n\n`,
    );
  }

  function toolDelta(callId: string | null, index: number, name: string | null, args: string): string {
    return JSON.stringify({
      role: null,
      content: null,
      reasoning_content: null,
      tool_calls: [{ id: callId, index, type: 'function', function: { name, arguments: args } }],
    });
  }

  return {
    onToken(choice) {
      if (!roles.has(choice.index)) {
        roles.add(choice.index);
        chunk(choice.index, '{"reasoning_content":null,"role":"assistant","content":""}');
      }
      const logprobs =
        style.topLogprobs === undefined || choice.deltaContent === ''
          ? 'null'
          : `{"content":[${JSON.stringify(contentLogprob(tokenizer, choice.lastId, choice.count, style.topLogprobs))}]}`;
      if (choice.deltaReasoning !== '')
        chunk(choice.index, `{"reasoning_content":${JSON.stringify(choice.deltaReasoning)}}`);
      const reader = readers[choice.index];
      if (choice.deltaContent !== '' && !reader) {
        chunk(choice.index, `{"reasoning_content":null,"content":${JSON.stringify(choice.deltaContent)}}`, logprobs);
      } else if (choice.deltaContent !== '' && reader) {
        for (const event of reader.feed(choice.deltaContent)) {
          if (event.kind === 'content') {
            if (style.toolChoice === 'auto')
              chunk(choice.index, `{"reasoning_content":null,"content":${JSON.stringify(event.text)}}`);
          } else if (event.kind === 'start')
            chunk(choice.index, toolDelta(options.toolCallId(), event.index, event.name, ''));
          else chunk(choice.index, toolDelta(null, event.index, null, event.text));
        }
      }
      if (choice.finish !== undefined) finished.push(choice);
    },
    onEnd(counts) {
      // Finish chunks come after all choices have ended.
      for (const choice of finished.sort((a, b) => a.index - b.index)) {
        const called = (readers[choice.index]?.started ?? 0) > 0;
        const finish = JSON.stringify(called ? 'tool_calls' : choice.finish === 'repetition' ? 'abort' : choice.finish);
        chunk(choice.index, '{"reasoning_content":null}', 'null', finish, JSON.stringify(stopOf(choice)));
      }
      if (style.includeUsage) send(`${head()}],"usage":${JSON.stringify(usage(counts))}}\n\n`);
      send('data: [DONE]\n\n');
    },
  };
}

export function chatBody(options: ChatPlainOptions): string {
  const { style, tokenizer } = options;
  const choices = options.choices.map((choice) => {
    const parsed = style.toolChoice === 'none' ? undefined : parseFinishedCalls(choice.content);
    const called = parsed !== undefined && parsed.calls.length > 0;
    const top = style.topLogprobs;
    const shown = choice.finish === 'stop' && choice.stopReason === null ? choice.ids.slice(0, -1) : choice.ids;
    return {
      index: choice.index,
      message: {
        role: 'assistant',
        content: called ? parsed.content || null : choice.inContent ? choice.content : null,
        reasoning_content: choice.reasoning === '' ? null : choice.reasoning,
        tool_calls: called
          ? parsed.calls.map(({ name, arguments: args }, index) => ({
              id: options.toolCallId(),
              index,
              type: 'function',
              function: { name, arguments: pythonJson(args, false) },
            }))
          : null,
      },
      logprobs:
        top === undefined
          ? null
          : { content: shown.map((token, place) => contentLogprob(tokenizer, token, place + 1, top)) },
      finish_reason:
        called && choice.finish === 'stop' ? 'tool_calls' : choice.finish === 'repetition' ? 'abort' : choice.finish!,
      matched_stop: stopOf(choice),
    };
  });
  return JSON.stringify({
    id: options.id,
    object: 'chat.completion',
    created: options.createdS(),
    model: style.model,
    choices,
    usage: usage(options.counts),
    metadata: { weight_version: 'default' },
  });
}
