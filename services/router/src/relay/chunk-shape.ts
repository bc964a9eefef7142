/**
 * Makes the chunks of vLLM and SGLang look like OpenAI's, without parsing them: what is cut or renamed is a key with
 * its colon, and inside a JSON string every quote is escaped, so such a key can only be a key. Text is latin1.
 */
import type { TokenCounts } from './token-counts.ts';
import { openAiUsage } from './token-counts.ts';
import type { UsageSpan } from './usage-scan.ts';

export interface ChunkShape {
  /** The chunks come from SGLang: null fields everywhere, another `created` in every chunk. */
  sglang: boolean;
  reasoningField: 'reasoning' | 'reasoning_content';
  /** Chunks of text completions: raw text, in which nothing is a mark of a chat template. */
  bareText?: boolean;
}

/** Fields of engines that say nothing, where they stand in a chunk. */
const NULLS = [',"token_ids":null', ',"prompt_token_ids":null', ',"prompt_text":null', ',"matched_stop":null'];
const STOP_REASON = /,"(?:stop_reason|matched_stop)":(?:null|-?\d+|"(?:[^"\\]|\\.)*")/g;
/** The first part of a call, as vLLM writes it: without the arguments that OpenAI begins with ''. */
const NAMED_CALL = /("function":\{"name":"(?:[^"\\]|\\.)*")\}/g;
const CREATED = /"created":(\d+)/;
/** Control tokens of chat templates: with a reasoning parser vLLM leaves them in the text (facts/real-engine.md 3.6). */
const CONTROL_TOKENS = /<\|(?:im_start|im_end|endoftext)\|>/g;
const STRAY_END = '"content":"</think>"';

/** Text of a plain answer without what `ChunkShaper.clean` takes out of a stream. */
export function cleanText(text: string): string {
  const started = text.startsWith('</think>') ? text.replace(/^(?:<\/think>)+/, '') : text;
  return started.includes('<|') ? started.replace(CONTROL_TOKENS, '') : started;
}

/** Chunks of one stream. */
export class ChunkShaper {
  private readonly shape: ChunkShape;
  private created = '';
  private textBegan = false;

  constructor(shape: ChunkShape) {
    this.shape = shape;
  }

  /** Before the chunk is read: control tokens leave its text, and thoughts closed before any text (facts 3.7). */
  clean(event: string): string {
    if (this.shape.bareText) return event;
    if (!this.textBegan) {
      if (event.includes(STRAY_END)) return event.replace(STRAY_END, '"content":""');
      this.textBegan = event.includes('"content":"') && !event.includes('"content":""');
    }
    if (!event.includes('<|') || event.includes('"logprobs":{')) return event;
    return event.replace(CONTROL_TOKENS, '');
  }

  /** After it was read; `ends` = it carries a finish reason, `calls` = tool calls. */
  apply(event: string, ends: boolean, calls: boolean): string {
    let text = event;
    for (const field of NULLS) text = without(text, field);
    if (ends || this.shape.bareText) text = text.replace(STOP_REASON, '');
    if (this.shape.sglang) text = this.fromSglang(text, calls);
    if (calls) {
      text = text.replace('"delta":{"content":null,', '"delta":{').replaceAll(NAMED_CALL, '$1,"arguments":""}');
    }
    return this.shape.reasoningField === 'reasoning'
      ? text.replace('"reasoning_content":', '"reasoning":')
      : text.replace('"reasoning":', '"reasoning_content":');
  }

  /** The chunk with the whole usage, in OpenAI's words alone. */
  closing(event: string, span: UsageSpan, counts: TokenCounts | null): string {
    if (counts === null) return event;
    const usage = `"usage":${JSON.stringify(openAiUsage(counts))}`;
    const text = event.slice(0, span.start) + usage + event.slice(span.end);
    return this.shape.sglang ? this.sameCreated(text) : text;
  }

  private sameCreated(event: string): string {
    const found = CREATED.exec(event);
    if (found === null || found[1] === this.created) return event;
    if (this.created === '') this.created = found[1]!;
    return event.replace(found[0], `"created":${this.created}`);
  }

  private fromSglang(event: string, calls: boolean): string {
    const text = this.sameCreated(event)
      .replace('"delta":{"reasoning_content":null}', '"delta":{}')
      .replace('"reasoning_content":null,', '');
    if (!calls) return text;
    // A later part of a call repeats what is told once: `{"id":null,...,"type":"function","function":{"name":null,...}}`.
    return text
      .replace('"role":null,', '')
      .replaceAll(/"id":null,("index":\d+,)"type":"function","function":\{"name":null,/g, '$1"function":{');
  }
}

/** The text without one literal that stands in it at most once. */
function without(text: string, literal: string): string {
  const at = text.indexOf(literal);
  return at === -1 ? text : text.slice(0, at) + text.slice(at + literal.length);
}
