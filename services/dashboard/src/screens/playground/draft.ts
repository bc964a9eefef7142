/** What somebody composes in the playground, and the request made from it. */
import type { Search } from '../../lib/search.ts';

export interface Message {
  role: 'user' | 'assistant';
  content: string;
}

export interface Draft {
  model: string;
  system: string;
  messages: Message[];
  temperature: string;
  maxTokens: string;
  /** JSON Schema text of the answer; used when `structured`. */
  schema: string;
  structured: boolean;
  strict: boolean;
  /** Collections that the answer may quote, of this project (empty: of none). */
  collections: string[];
  project: string;
  mode: 'hybrid' | 'vector' | 'text';
  topK: string;
}

/** The router takes so many in one request. */
export const COLLECTIONS_MOST = 8;

export const SAMPLE_SCHEMA = JSON.stringify(
  {
    type: 'object',
    properties: {
      name: { type: 'string', maxLength: 40 },
      population: { type: 'integer', minimum: 0 },
      sights: { type: 'array', items: { type: 'string', maxLength: 40 }, minItems: 1, maxItems: 3 },
    },
    required: ['name', 'population', 'sights'],
    additionalProperties: false,
  },
  null,
  2,
);

export const EMPTY_DRAFT: Draft = {
  model: '',
  system: '',
  messages: [{ role: 'user', content: '' }],
  temperature: '',
  maxTokens: '400',
  schema: SAMPLE_SCHEMA,
  structured: false,
  strict: true,
  collections: [],
  project: '',
  mode: 'hybrid',
  topK: '5',
};

export const PRESETS: readonly { name: string; draft: Partial<Draft> }[] = [
  {
    name: 'Say hello',
    draft: { system: '', messages: [{ role: 'user', content: 'Say hello in three languages.' }], structured: false },
  },
  {
    name: 'A city as JSON',
    draft: {
      system: 'Answer only with the JSON document.',
      messages: [{ role: 'user', content: 'Describe Vienna.' }],
      schema: SAMPLE_SCHEMA,
      structured: true,
      strict: true,
    },
  },
  {
    name: 'Sort a complaint',
    draft: {
      system: 'Classify the message.',
      messages: [{ role: 'user', content: 'The parcel came two weeks late and the box was wet.' }],
      schema: JSON.stringify(
        {
          type: 'object',
          properties: {
            topic: { enum: ['delivery', 'quality', 'payment', 'other'] },
            urgent: { type: 'boolean' },
          },
          required: ['topic', 'urgent'],
          additionalProperties: false,
        },
        null,
        2,
      ),
      structured: true,
      strict: true,
    },
  },
];

/** Body of `POST /v1/chat/completions`. @throws SyntaxError when the schema is no JSON */
export function bodyOf(draft: Draft): Record<string, unknown> {
  const messages = [
    ...(draft.system.trim() === '' ? [] : [{ role: 'system', content: draft.system }]),
    ...draft.messages.filter(({ content }) => content !== ''),
  ];
  const temperature = Number(draft.temperature);
  const maxTokens = Number(draft.maxTokens);
  const topK = Number(draft.topK);
  return {
    model: draft.model,
    messages,
    ...(draft.collections.length > 0
      ? {
          rag_params: {
            vector_store_ids: draft.collections,
            mode: draft.mode,
            ...(Number.isInteger(topK) && topK > 0 ? { top_k: topK } : {}),
          },
        }
      : {}),
    ...(draft.maxTokens.trim() !== '' && Number.isFinite(maxTokens) ? { max_tokens: maxTokens } : {}),
    ...(draft.temperature.trim() !== '' && Number.isFinite(temperature) ? { temperature } : {}),
    ...(draft.structured
      ? {
          response_format: {
            type: 'json_schema',
            json_schema: { name: 'answer', strict: draft.strict, schema: JSON.parse(draft.schema) as unknown },
          },
        }
      : {}),
    stream: true,
    stream_options: { include_usage: true },
  };
}

/**
 * The draft of a request that was sent before, or null where the playground has no place for it: other endpoints,
 * contents that are no text, tools. Fields it does not know are left out.
 */
export function draftOfBody(body: Readonly<Record<string, unknown>>): Draft | null {
  if (typeof body.model !== 'string' || !Array.isArray(body.messages)) return null;
  const system: string[] = [];
  const messages: Message[] = [];
  for (const message of body.messages as (Search | null)[]) {
    const { role, content } = message ?? {};
    if (typeof content !== 'string') return null;
    if (role === 'system' || role === 'developer') system.push(content);
    else if (role === 'user' || role === 'assistant') messages.push({ role, content });
    else return null;
  }
  if (messages.length === 0) return null;
  const most = body.max_completion_tokens ?? body.max_tokens;
  const format = (body.response_format as { json_schema?: { schema?: unknown; strict?: unknown } } | null | undefined)
    ?.json_schema;
  return {
    ...EMPTY_DRAFT,
    model: body.model,
    system: system.join('\n\n'),
    messages,
    temperature: typeof body.temperature === 'number' ? String(body.temperature) : '',
    maxTokens: typeof most === 'number' ? String(most) : '',
    ...(format?.schema
      ? { structured: true, strict: format.strict === true, schema: JSON.stringify(format.schema, null, 2) }
      : {}),
    collections: collectionIds(
      (body.rag_params as { vector_store_ids?: unknown } | null | undefined)?.vector_store_ids,
    ),
  };
}

const collectionIds = (list: unknown): string[] =>
  (Array.isArray(list) ? list : [])
    .filter((id): id is string => typeof id === 'string' && /^vs_\w{1,60}$/.test(id))
    .slice(0, COLLECTIONS_MOST);

/** A draft for the address after `#`: nothing of it reaches a server. */
export function draftToHash(draft: Draft): string {
  const bytes = new TextEncoder().encode(JSON.stringify(draft));
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

/** The draft of such an address, or null when it is none. */
export function draftFromHash(hash: string): Draft | null {
  try {
    const binary = atob(hash.replace(/^#/, '').replace(/-/g, '+').replace(/_/g, '/'));
    const found = JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (char) => char.charCodeAt(0)))) as Search;
    const text = (name: keyof Draft) =>
      typeof found[name] === 'string' ? (found[name] as string) : String(EMPTY_DRAFT[name]);
    const messages = (Array.isArray(found.messages) ? (found.messages as Search[]) : []).flatMap(({ role, content }) =>
      (role === 'user' || role === 'assistant') && typeof content === 'string' ? [{ role, content } as Message] : [],
    );
    return {
      model: text('model'),
      system: text('system'),
      messages: messages.length > 0 ? messages : EMPTY_DRAFT.messages,
      temperature: text('temperature'),
      maxTokens: text('maxTokens'),
      schema: text('schema'),
      structured: found.structured === true,
      strict: found.strict !== false,
      collections: collectionIds(found.collections),
      project: text('project'),
      mode: found.mode === 'vector' || found.mode === 'text' ? found.mode : 'hybrid',
      topK: text('topK'),
    };
  } catch {
    return null;
  }
}
