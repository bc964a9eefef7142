/** POST /v1/messages as vLLM 0.29 serves it: the request as a chat request, the message, the typed events. */
import { isObject } from './pydantic.ts';
import {
  type Block,
  continues,
  type Piece,
  type TypedAnswer,
  type TypedCounts,
  type TypedOptions,
  textOf,
  typedEvent,
} from './typed-run.ts';

/** The chat request that vLLM makes of it. */
export function messagesAsChat(body: Record<string, unknown>): Record<string, unknown> {
  const messages: object[] = body.system == null ? [] : [{ role: 'system', content: textOf(body.system) }];
  for (const message of body.messages as unknown[]) {
    if (!isObject(message)) continue;
    const { role, content } = message;
    if (!Array.isArray(content)) {
      messages.push({ role, content });
      continue;
    }
    const calls = content.filter((block) => isObject(block) && block.type === 'tool_use');
    const results = content.filter((block) => isObject(block) && block.type === 'tool_result');
    for (const result of results)
      messages.push({ role: 'tool', tool_call_id: result.tool_use_id, content: textOf(result.content) });
    const text = textOf(content.filter((block) => isObject(block) && block.type === 'text'));
    if (calls.length > 0) {
      const tool_calls = calls.map(({ id, name, input }) => ({
        id,
        type: 'function',
        function: { name, arguments: JSON.stringify(input ?? {}) },
      }));
      messages.push({ role, content: text === '' ? null : text, tool_calls });
    } else if (text !== '' || results.length === 0) messages.push({ role, content: text });
  }
  const tools = Array.isArray(body.tools) && body.tools.length > 0 ? body.tools : undefined;
  const choice = isObject(body.tool_choice) ? body.tool_choice : undefined;
  return {
    model: body.model,
    messages,
    stream: body.stream,
    max_tokens: body.max_tokens,
    ...Object.fromEntries(
      ['temperature', 'top_p', 'top_k', 'chat_template_kwargs']
        .filter((name) => body[name] != null)
        .map((name) => [name, body[name]]),
    ),
    ...(body.stop_sequences == null ? {} : { stop: body.stop_sequences }),
    ...(tools === undefined
      ? {}
      : {
          tools: tools.map(({ name, description, input_schema: parameters }) => ({
            type: 'function',
            function: { name, ...(description == null ? {} : { description }), parameters },
          })),
          ...(choice === undefined
            ? {}
            : {
                tool_choice:
                  choice.type === 'any'
                    ? 'required'
                    : choice.type === 'tool'
                      ? { type: 'function', function: { name: choice.name } }
                      : 'auto',
              }),
        }),
  };
}

const STOP: Record<string, string> = { stop: 'end_turn', length: 'max_tokens', tool_calls: 'tool_use' };

export function createMessageAnswer(options: TypedOptions): TypedAnswer {
  const { id, model, promptTokens } = options;
  let index = 0;
  let block: Block | undefined;
  const event = (type: string, data: Record<string, unknown> = {}): string => typedEvent(type, { type, ...data });
  const usage = ({ prompt, completion, cached }: TypedCounts) => ({
    input_tokens: prompt,
    output_tokens: completion,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
  });

  function open(piece: Piece): string {
    const kind = piece.kind === 'arguments' ? 'call' : piece.kind;
    block = { kind, name: piece.kind === 'call' ? piece.name : '', text: '' };
    const content =
      kind === 'thought'
        ? { type: 'thinking', thinking: '' }
        : kind === 'text'
          ? { type: 'text', text: '' }
          : { type: 'tool_use', id: `chatcmpl-tool-${options.randomId()}`, name: block.name, input: {} };
    return event('content_block_start', { content_block: content, index });
  }

  function close(): string[] {
    if (block === undefined) return [];
    const events: string[] = [];
    if (block.kind === 'thought') {
      const signature = options.randomId() + options.randomId();
      events.push(event('content_block_delta', { delta: { type: 'signature_delta', signature }, index }));
    }
    events.push(event('content_block_stop', { index }));
    block = undefined;
    index++;
    return events;
  }

  return {
    begin: () => [
      event('message_start', {
        message: {
          id,
          type: 'message',
          role: 'assistant',
          content: [],
          model,
          stop_reason: null,
          stop_sequence: null,
          usage: { input_tokens: promptTokens, output_tokens: 0 },
        },
      }),
    ],
    onPieces(pieces) {
      const events: string[] = [];
      for (const piece of pieces) {
        if (!continues(block, piece)) {
          if (piece.kind === 'text' && piece.text.trim() === '') continue;
          events.push(...close(), open(piece));
        }
        if (piece.kind === 'call') continue;
        block!.text += piece.text;
        const delta =
          piece.kind === 'thought'
            ? { type: 'thinking_delta', thinking: piece.text }
            : piece.kind === 'text'
              ? { type: 'text_delta', text: piece.text }
              : { type: 'input_json_delta', partial_json: piece.text };
        events.push(event('content_block_delta', { delta, index }));
      }
      return events;
    },
    end: (counts, finish) => [
      ...close(),
      event('message_delta', { delta: { stop_reason: STOP[finish] }, usage: usage(counts) }),
      event('message_stop'),
    ],
    plain(blocks, counts, finish) {
      const content = blocks.map(({ kind, name, text }) =>
        kind === 'thought'
          ? { type: 'thinking', thinking: text, signature: options.randomId() + options.randomId() }
          : kind === 'text'
            ? { type: 'text', text }
            : { type: 'tool_use', id: `chatcmpl-tool-${options.randomId()}`, name, input: parsed(text) },
      );
      return JSON.stringify({
        id,
        type: 'message',
        role: 'assistant',
        content,
        model,
        stop_reason: STOP[finish],
        usage: usage(counts),
      });
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
