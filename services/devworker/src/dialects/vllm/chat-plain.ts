/** Writes a whole chat answer as vLLM 0.29 does. */
import type { ChoiceState } from '../../generation/choice.ts';
import { parseFinishedCalls } from '../../generation/hermes.ts';
import type { ChatPlainOptions } from '../dialect.ts';
import type { ChatStyle } from './chat-request.ts';
import { pythonJson } from './errors.ts';
import { contentLogprob, promptLogprobs } from './logprobs.ts';
import { plainUsage } from './usage.ts';

interface Reading {
  content: string | null;
  toolCalls: object[] | undefined;
  finish: string;
}

function readCalls(choice: ChoiceState, style: ChatStyle, toolCallId: () => string): Reading {
  const { content } = choice;
  const finish = choice.finish!;
  const parsed = parseFinishedCalls(content);
  const forced = style.toolChoice === 'required' || style.toolChoice === 'named';
  if (!parsed || parsed.calls.length === 0) {
    const text = choice.inContent ? content : '';
    return { content: forced || text !== '' ? text : choice.inContent ? '' : null, toolCalls: undefined, finish };
  }
  const calls = style.parallelToolCalls ? parsed.calls : parsed.calls.slice(0, 1);
  return {
    content: forced ? '' : parsed.content === '' ? null : parsed.content,
    toolCalls: calls.map(({ name, arguments: args }) => ({
      id: toolCallId(),
      type: 'function',
      function: { name, arguments: pythonJson(args, false) },
    })),
    finish: style.toolChoice === 'named' ? finish : finish === 'stop' ? 'tool_calls' : finish,
  };
}

/** What the reasoning parser leaves of the content: null where no thought was closed or only marks followed. */
function plainContent(choice: ChoiceState, style: ChatStyle): string | null {
  const text = style.echo + choice.content;
  if (!choice.inContent) return null;
  if (choice.reasoning === '' && /^(?:<\/think>)+$/.test(text)) return null;
  return text;
}

/** The body of a plain answer. */
export function chatBody(options: ChatPlainOptions): string {
  const { style, tokenizer } = options;
  const choices = options.choices.map((choice) => {
    const reading: Reading =
      style.toolChoice === 'none'
        ? { content: plainContent(choice, style), toolCalls: undefined, finish: choice.finish! }
        : readCalls(choice, style, options.toolCallId);
    const reasoning = style.includeReasoning && choice.reasoning !== '' ? choice.reasoning : null;
    const top = style.topLogprobs;
    // The end-of-turn token has no characters and no entry.
    const shown = choice.finish === 'stop' && choice.stopReason === null ? choice.ids.slice(0, -1) : choice.ids;
    return {
      index: choice.index,
      message: {
        role: style.role,
        content: reading.content,
        refusal: null,
        annotations: null,
        audio: null,
        function_call: null,
        ...(reading.toolCalls === undefined ? {} : { tool_calls: reading.toolCalls }),
        reasoning,
      },
      logprobs:
        top === undefined ? null : { content: shown.map((id, place) => contentLogprob(tokenizer, id, place + 1, top)) },
      finish_reason: reading.finish,
      stop_reason: choice.stopReason,
      token_ids: style.returnTokenIds ? choice.ids : null,
      routed_experts: null,
    };
  });
  return JSON.stringify({
    id: options.id,
    object: 'chat.completion',
    created: options.createdS(),
    model: style.model,
    choices,
    service_tier: null,
    system_fingerprint: options.fingerprint,
    usage: plainUsage(options.counts, style.beamSearch),
    prompt_logprobs: style.promptLogprobs ? promptLogprobs(tokenizer, options.promptIds) : null,
    prompt_token_ids: style.returnTokenIds ? options.promptIds : null,
    prompt_text: style.promptText ?? null,
    kv_transfer_params: null,
    ec_transfer_params: null,
    metrics: null,
  });
}
