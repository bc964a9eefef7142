/**
 * The shape of an answer: what must be equal between a real vLLM and the devworker. Keys and their order, types, nulls,
 * numbers of choices and all fixed words stay; what depends on the model's weights or tokenizer, on ids or on the time
 * is replaced by a mark.
 */

type Json = unknown;

/** Free text of the model. */
const TEXT_KEYS = new Set([
  ...['content', 'reasoning', 'text', 'arguments', 'token', 'decoded_token', 'prompt_text'],
  // Of the typed APIs, where `delta` is the text itself.
  ...['thinking', 'delta'],
]);
/** Ids, times and fingerprints. */
const VOLATILE_KEYS = new Set([
  ...['id', 'created', 'system_fingerprint'],
  ...['item_id', 'created_at', 'request_id', 'signature'],
]);
/** Counts that belong to the tokenizer. `cached_tokens` too: a shorter prompt may not fill a block. */
const COUNT_KEYS = new Set([
  ...[
    'prompt_tokens',
    'total_tokens',
    'completion_tokens',
    'cached_tokens',
    'created_cache_tokens',
    'reasoning_tokens',
  ],
  ...['logprob', 'rank', 'count'],
  ...['input_tokens', 'output_tokens', 'original_input_tokens', 'cache_read_input_tokens'],
  // How many tokens come in one delta depends on the moment, and with it the number of every event behind it.
  'sequence_number',
]);
/** Lists whose length is a number of tokens: only their first element's shape counts. */
const TOKEN_LISTS = new Set([
  ...['bytes', 'token_ids', 'prompt_token_ids', 'tokens', 'token_strs', 'prompt_logprobs', 'text_offset'],
  ...['token_logprobs', 'top_logprobs'],
]);

function isObject(value: Json): value is Record<string, Json> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

export function shapeOf(value: Json, key = ''): Json {
  if (value === null) return null;
  if (VOLATILE_KEYS.has(key) && !isObject(value)) return `<${key}:${typeof value}>`;
  if (typeof value === 'string') return TEXT_KEYS.has(key) ? '<text>' : value;
  if (typeof value === 'number') return COUNT_KEYS.has(key) ? '<count>' : value;
  if (Array.isArray(value)) {
    if (TOKEN_LISTS.has(key) || (key === 'content' && value.length > 0)) {
      // A prompt's first token has no probability: null, then the real shape.
      const first = value.find((item) => item !== null);
      return [value[0] === null ? null : undefined, first === undefined ? undefined : tokenShape(first, key)];
    }
    return value.map((item) => shapeOf(item));
  }
  if (isObject(value)) {
    return Object.entries(value).map(([name, item]) => [name, shapeOf(item, name)]);
  }
  return value;
}

function tokenShape(value: Json, key: string): Json {
  if (typeof value === 'number') return '<number>';
  if (typeof value === 'string') return '<token>';
  // Dictionaries by token: the keys are tokens.
  if (isObject(value) && (key === 'prompt_logprobs' || (key === 'top_logprobs' && !('token' in value)))) {
    return Object.values(value)
      .slice(0, 1)
      .map((item) => (isObject(item) ? shapeOf(item) : '<number>'));
  }
  return shapeOf(value);
}

/** Event streams: the shape of every event, runs of equal shapes told once. */
export function streamShape(body: string): Json[] {
  const shapes: Json[] = [];
  let last = '';
  for (const block of body.split('\n\n')) {
    if (block === '') continue;
    const [, event = '', data] = /^(event: .+\n)?data: (\{.*)$/s.exec(block) ?? [];
    const shape = data === undefined ? block : [event, spacing(data), shapeOf(JSON.parse(data))];
    const text = JSON.stringify(shape);
    if (text === last) continue;
    last = text;
    shapes.push(shape);
  }
  return shapes;
}

/** Python's spaced JSON or the compact kind: error events differ from everything else. */
function spacing(text: string): string {
  return /^\{"\w+": /.test(text) ? 'spaced' : 'compact';
}

/** A body of any kind. */
export function bodyShape(body: string, contentType: string): Json {
  if (body === '') return '';
  if (contentType.startsWith('text/event-stream')) return streamShape(body);
  if (contentType.startsWith('application/json')) return [spacing(body), shapeOf(JSON.parse(body))];
  if (contentType.startsWith('text/plain; version=1.0.0')) return metricsShape(body);
  return body;
}

/** Families that belong to CPython and to the web framework, not to the engine. */
const FOREIGN = /^(?:python_|http_)/;

/** `/metrics`: every line of the engine's families without its number. */
function metricsShape(body: string): Json {
  return body
    .split('\n')
    .filter((line) => !FOREIGN.test(line.startsWith('#') ? line.split(' ')[2]! : line))
    .map((line) =>
      line.startsWith('#')
        ? line
        : line.replace(/ \S+$/, '').replace(/(block_size|num_gpu_blocks|kv_cache_size_tokens)="\d+"/g, '$1="n"'),
    );
}

/** Headers as sent: names in order, values but for those that depend on the body or the moment. */
export function headerShape(headers: readonly (readonly [string, string])[]): string[] {
  return headers
    .filter(([name]) => name !== 'date')
    .map(([name, value]) => (name === 'content-length' ? name : `${name}: ${value}`));
}

const MASKS: readonly (readonly [RegExp, string])[] = [[/\[\d\d:\d\d:\d\d\]/g, '[time]']];

/** Masks the time of day that xgrammar prints. */
export function maskTime(body: string): string {
  return MASKS.reduce((text, [pattern, mask]) => text.replace(pattern, mask), body);
}
