/** SGLang's /v1/completions. From source, not recorded. */
import type { Constraint } from '../../grammar/constraint.ts';
import type { ModelContext } from '../dialect.ts';
import {
  type CompletionBodyOptions,
  type CompletionStream,
  type CompletionStreamOptions,
  type PreparedCompletion,
  prepareCompletion as prepareVllm,
} from '../vllm/completions.ts';
import { isObject } from '../vllm/pydantic.ts';
import { matchedStop, usage } from './answer-parts.ts';
import { badRequest, reworded } from './chat-request.ts';

/** `json_schema` (a string), `regex` and `ebnf` at the top; applied from the first token. */
function constraintOf(body: Record<string, unknown>): Constraint | undefined {
  const asked = ['regex', 'json_schema', 'ebnf'].filter((key) => typeof body[key] === 'string');
  if (asked.length > 1) throw badRequest('Only one of regex, json_schema, or ebnf can be set.');
  if (typeof body.regex === 'string') return { kind: 'regex', pattern: body.regex };
  if (typeof body.ebnf === 'string') return { kind: 'grammar', ebnf: body.ebnf };
  if (typeof body.json_schema === 'string') return { kind: 'json', schema: body.json_schema };
  return undefined;
}

export function prepareCompletion(body: unknown, context: ModelContext): PreparedCompletion {
  if (!isObject(body)) return prepareVllm(body, context);
  const model = typeof body.model === 'string' ? body.model : 'default';
  const { structured_outputs: _structured, response_format: _format, rid, priority, ...rest } = body;
  const constraint = constraintOf(body);
  const mapped = { ...rest, model, ...(typeof rid === 'string' ? { request_id: rid } : {}) };
  try {
    const prepared = prepareVllm(mapped, { ...context, model });
    for (const job of prepared.jobs) {
      job.constraint = constraint;
      job.priority = typeof priority === 'number' ? -priority : 0;
    }
    return prepared;
  } catch (error) {
    throw reworded(error, context.maxModelLen);
  }
}

export function createCompletionStream(options: CompletionStreamOptions): CompletionStream {
  const { style, send, jobs } = options;
  const started = new Set<number>();
  const head = () => ({ id: options.id, object: 'text_completion', created: options.createdS(), model: style.model });
  return {
    onToken(promptIndex, choice) {
      const index = promptIndex * style.n + choice.index;
      const echoed = style.echo && !started.has(index) ? jobs[promptIndex]!.promptText : '';
      started.add(index);
      const text = echoed + choice.deltaContent;
      const part = {
        index,
        text,
        logprobs: null,
        finish_reason: choice.finish ?? null,
        matched_stop: matchedStop(choice.finish, choice.stopReason),
      };
      send(`data: ${JSON.stringify({ ...head(), choices: [part] })}\n\n`);
    },
    onEnd(counts) {
      if (style.includeUsage)
        send(`data: ${JSON.stringify({ ...head(), choices: [], usage: usage({ ...counts, reasoning: 0 }) })}\n\n`);
      send('data: [DONE]\n\n');
    },
  };
}

export function completionBody(options: CompletionBodyOptions): string {
  const { style } = options;
  const choices = options.choices.flatMap((list, promptIndex) =>
    list.map((choice) => ({
      index: promptIndex * style.n + choice.index,
      text: (style.echo ? options.jobs[promptIndex]!.promptText : '') + choice.content,
      logprobs: null,
      finish_reason: choice.finish!,
      matched_stop: matchedStop(choice.finish, choice.stopReason),
    })),
  );
  return JSON.stringify({
    id: options.id,
    object: 'text_completion',
    created: options.createdS(),
    model: style.model,
    choices,
    usage: usage({ ...options.counts, reasoning: 0 }),
    metadata: { weight_version: 'default' },
  });
}
