/** POST /v1/responses as vLLM 0.29 serves it: the request as a chat request, the finished object, the typed events. */
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
export function responsesAsChat(body: Record<string, unknown>): Record<string, unknown> {
  const messages: object[] =
    typeof body.instructions === 'string' ? [{ role: 'system', content: body.instructions }] : [];
  const items = typeof body.input === 'string' ? [{ role: 'user', content: body.input }] : (body.input as unknown[]);
  for (const item of items) {
    if (!isObject(item)) continue;
    if (item.type === 'function_call') {
      const fn = { name: item.name, arguments: item.arguments };
      messages.push({
        role: 'assistant',
        content: null,
        tool_calls: [{ id: item.call_id, type: 'function', function: fn }],
      });
    } else if (item.type === 'function_call_output') {
      messages.push({ role: 'tool', tool_call_id: item.call_id, content: textOf(item.output) });
    } else messages.push({ role: item.role, content: textOf(item.content) });
  }
  const tools = Array.isArray(body.tools) && body.tools.length > 0 ? body.tools : undefined;
  const choice = isObject(body.tool_choice)
    ? { type: 'function', function: { name: body.tool_choice.name } }
    : body.tool_choice;
  const format = isObject(body.text) ? body.text.format : undefined;
  return {
    model: body.model,
    messages,
    stream: body.stream,
    ...(body.max_output_tokens == null ? {} : { max_tokens: body.max_output_tokens }),
    ...Object.fromEntries(
      [
        'temperature',
        'top_p',
        'top_k',
        'min_p',
        'presence_penalty',
        'frequency_penalty',
        'chat_template_kwargs',
        'cache_salt',
      ]
        .filter((name) => body[name] != null)
        .map((name) => [name, body[name]]),
    ),
    ...(isObject(body.reasoning) && body.reasoning.effort != null ? { reasoning_effort: body.reasoning.effort } : {}),
    ...(tools === undefined
      ? {}
      : {
          tools: tools.map(({ type, ...fn }) => ({ type, function: fn })),
          ...(choice == null ? {} : { tool_choice: choice }),
        }),
    ...(isObject(format) && format.type === 'json_schema'
      ? { response_format: { type: 'json_schema', json_schema: { name: format.name, schema: format.schema } } }
      : isObject(format) && format.type === 'json_object'
        ? { response_format: { type: 'json_object' } }
        : {}),
  };
}

export function createResponsesAnswer(options: TypedOptions): TypedAnswer {
  const { body } = options;
  let sequence = 0;
  let index = -1;
  let block: (Block & { id: string; callId: string }) | undefined;
  const done: Block[] = [];
  const event = (type: string, data: Record<string, unknown>): string => {
    const sorted = Object.fromEntries(
      Object.entries({ ...data, sequence_number: sequence++, type }).sort(([a], [b]) => (a < b ? -1 : 1)),
    );
    return typedEvent(type, sorted);
  };

  function item({ kind, name, text, id, callId }: NonNullable<typeof block>, status: string): object {
    const begun = status === 'in_progress';
    if (kind === 'thought') {
      const content = begun ? null : [{ text, type: 'reasoning_text' }];
      return { id, summary: [], type: 'reasoning', content, encrypted_content: null, status };
    }
    if (kind === 'call') return { arguments: text, call_id: callId, name, type: 'function_call', id, status };
    const content = begun ? [] : [{ annotations: [], text, type: 'output_text', logprobs: null }];
    return { id, content, role: 'assistant', status, type: 'message', phase: null };
  }

  function part(kind: Block['kind'], text: string): object {
    return kind === 'thought'
      ? { text, type: 'reasoning_text' }
      : { annotations: [], text, type: 'output_text', logprobs: [] };
  }

  function open(kind: Block['kind'], name: string): string[] {
    index++;
    block = { kind, name, text: '', id: options.randomId(), callId: `call_${options.randomId()}` };
    const at = { item_id: block.id, output_index: index };
    const added = event('response.output_item.added', { item: item(block, 'in_progress'), output_index: index });
    if (kind === 'call') return [added];
    const type = kind === 'thought' ? 'response.reasoning_part.added' : 'response.content_part.added';
    return [added, event(type, { content_index: 0, ...at, part: part(kind, '') })];
  }

  function close(): string[] {
    if (block === undefined) return [];
    const { kind, text, id } = block;
    const at = { item_id: id, output_index: index };
    const finished = block;
    const before =
      kind === 'call'
        ? [event('response.function_call_arguments.done', { ...at, arguments: text, name: block.name })]
        : [
            event(kind === 'thought' ? 'response.reasoning_text.done' : 'response.output_text.done', {
              content_index: 0,
              ...at,
              ...(kind === 'thought' ? {} : { logprobs: [] }),
              text,
            }),
            event(kind === 'thought' ? 'response.reasoning_part.done' : 'response.content_part.done', {
              content_index: 0,
              ...at,
              part: part(kind, text),
            }),
          ];
    block = undefined;
    done.push(finished);
    return [...before, event('response.output_item.done', { item: item(finished, 'completed'), output_index: index })];
  }

  function response(blocks: readonly Block[], status: string, counts: TypedCounts | null): object {
    const output = blocks.map((one) => {
      const prefix = one.kind === 'thought' ? 'rs' : one.kind === 'call' ? 'fc' : 'msg';
      const whole = { ...one, id: `${prefix}_${options.randomId()}`, callId: `call_${options.randomId()}` };
      const written = item(whole, 'completed') as Record<string, unknown>;
      return one.kind === 'thought' ? { ...written, status: null } : written;
    });
    const { text, tools } = body;
    return {
      id: options.id,
      created_at: options.createdS,
      incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
      instructions: body.instructions ?? null,
      metadata: null,
      model: options.model,
      object: 'response',
      output,
      parallel_tool_calls: body.parallel_tool_calls ?? true,
      temperature: body.temperature ?? 0.7,
      tool_choice: body.tool_choice ?? (Array.isArray(tools) && tools.length > 0 ? 'auto' : 'none'),
      tools: tools ?? [],
      top_p: body.top_p ?? 1.0,
      background: false,
      max_output_tokens: body.max_output_tokens ?? null,
      max_tool_calls: null,
      previous_response_id: null,
      prompt: null,
      reasoning: body.reasoning ?? null,
      service_tier: 'auto',
      status,
      text: formatOf(text),
      top_logprobs: null,
      truncation: 'disabled',
      usage:
        counts === null
          ? null
          : {
              input_tokens: counts.prompt,
              input_tokens_details: {
                cached_tokens: counts.cached,
                input_tokens_per_turn: [],
                cached_tokens_per_turn: [],
              },
              output_tokens: counts.completion,
              output_tokens_details: {
                reasoning_tokens: counts.reasoning,
                tool_output_tokens: 0,
                output_tokens_per_turn: [],
                tool_output_tokens_per_turn: [],
              },
              total_tokens: counts.prompt + counts.completion,
            },
      user: null,
      presence_penalty: 0.0,
      frequency_penalty: 0.0,
      kv_transfer_params: null,
      ec_transfer_params: null,
      input_messages: null,
      output_messages: null,
    };
  }

  return {
    begin: () =>
      ['response.created', 'response.in_progress'].map((type) =>
        event(type, { response: response([], 'in_progress', null) }),
      ),
    onPieces(pieces: readonly Piece[]) {
      const events: string[] = [];
      for (const piece of pieces) {
        if (!continues(block, piece)) {
          if (piece.kind === 'text' && piece.text.trim() === '') continue;
          events.push(
            ...close(),
            ...open(piece.kind === 'arguments' ? 'call' : piece.kind, piece.kind === 'call' ? piece.name : ''),
          );
        }
        if (piece.kind === 'call') continue;
        block!.text += piece.text;
        const at = { delta: piece.text, item_id: block!.id, output_index: index };
        if (piece.kind === 'arguments') events.push(event('response.function_call_arguments.delta', at));
        else if (piece.kind === 'thought')
          events.push(event('response.reasoning_text.delta', { content_index: 0, ...at }));
        else events.push(event('response.output_text.delta', { content_index: 0, ...at, logprobs: [] }));
      }
      return events;
    },
    end(counts, finish) {
      const closed = close();
      const status = finish === 'length' ? 'incomplete' : 'completed';
      return [...closed, event('response.completed', { response: response(done, status, counts) })];
    },
    plain: (blocks, counts, finish) =>
      JSON.stringify(response(blocks, finish === 'length' ? 'incomplete' : 'completed', counts)),
  };
}

function formatOf(text: unknown): object | null {
  if (!isObject(text)) return null;
  const format = isObject(text.format) ? text.format : null;
  if (format?.type !== 'json_schema') return { format: format ?? null, verbosity: null };
  const { name, schema } = format;
  return {
    format: { name, schema, type: 'json_schema', description: null, strict: format.strict ?? null },
    verbosity: null,
  };
}
