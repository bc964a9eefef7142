/** POST /v1/chat/completions: from the parsed body to a job and to how its answer is written. */

import type { ToolSpec } from '../../generation/tools.ts';
import { stringifyExact } from '../../http/python-json.ts';
import { renderChat } from '../../model/template.ts';
import type { ModelContext, Prepared } from '../dialect.ts';
import { type ChatFields, readChatFields } from './chat-fields.ts';
import { badRequest, unknownModel } from './errors.ts';
import { type Message, readMessages } from './messages.ts';
import { type FieldError, isObject, type Reader, validationError } from './pydantic.ts';
import { checkLate, checkSampling, DEFAULT_TEMPERATURE, encodePrompt, readLogitBias } from './sampling.ts';
import { checkStructuredRaw, readConstraint } from './structured.ts';

/** How the answer to a chat request is written. */
export interface ChatStyle {
  model: string;
  stream: boolean;
  includeUsage: boolean;
  continuousUsage: boolean;
  /** Tokens per chunk. */
  interval: number;
  includeReasoning: boolean;
  /** undefined: no logprobs; else how many alternatives. */
  topLogprobs: number | undefined;
  returnTokenIds: boolean;
  promptText: string | undefined;
  promptLogprobs: boolean;
  /** Text to be put before the answer (`echo` of a continued message). */
  echo: string;
  role: string;
  beamSearch: boolean;
  /** none | auto | required | named: decides how calls are read and which finish reason they get. */
  toolChoice: 'none' | 'auto' | 'required' | 'named';
  hasTools: boolean;
  parallelToolCalls: boolean;
  requestId: string | undefined;
}

/** Runs a reader over a body and throws all its field errors together. */
export function readBody<T>(reader: Reader<T>, body: unknown): T {
  const errors: FieldError[] = [];
  const fields = reader(body, ['body'], errors);
  if (errors.length > 0) throw validationError(errors);
  return fields;
}

function checkToolsRaw(body: Record<string, unknown>): void {
  const { tools, tool_choice: choice } = body;
  if (Array.isArray(tools) && tools.length === 0) {
    throw badRequest(
      '`tools` must not be an empty array. Either provide at least one tool or omit the field entirely.',
      'tools',
    );
  }
  if (choice === undefined || choice === null || choice === 'none') return;
  if (!Array.isArray(tools)) {
    if (tools === undefined || tools === null)
      throw badRequest('When using `tool_choice`, `tools` must be set.', 'tool_choice');
    return;
  }
  if (choice === 'auto' || choice === 'required') return;
  if (!isObject(choice)) {
    throw badRequest(
      `Invalid value for \`tool_choice\`: ${String(choice)}! Only named tools, "none", "auto" or "required" are supported.`,
      'tool_choice',
    );
  }
  const name = isObject(choice.function) ? choice.function.name : undefined;
  if (!tools.some((tool) => isObject(tool) && isObject(tool.function) && tool.function.name === name)) {
    throw badRequest('The tool specified in `tool_choice` does not match any of the specified `tools`', 'tool_choice');
  }
}

/** vLLM's validators that see the raw body before any field is read. */
function checkRaw(body: unknown): void {
  if (!isObject(body)) return;
  if (body.messages === null) throw badRequest("'NoneType' object is not iterable");
  const streams = body.stream !== undefined && body.stream !== null && body.stream !== false;
  if (body.stream_options !== undefined && body.stream_options !== null && !streams) {
    throw badRequest('Stream options can only be defined when `stream=True`.', 'stream_options');
  }
  const top = body.top_logprobs;
  if (typeof top === 'number' && top !== 0 && body.logprobs !== true) {
    throw badRequest('when using `top_logprobs`, `logprobs` must be set to true.', 'top_logprobs');
  }
  checkStructuredRaw(body);
  checkToolsRaw(body);
  if (body.continue_final_message === true && body.add_generation_prompt === true) {
    throw badRequest('Cannot set both `continue_final_message` and `add_generation_prompt` to True.');
  }
}

function thinkingOf(fields: ChatFields, byDefault: boolean): boolean {
  const { reasoning_effort: effort } = fields;
  const asked = fields.chat_template_kwargs?.enable_thinking;
  // An effort only decides where the template's own switch is not set.
  if (typeof asked === 'boolean') return effort !== undefined && effort !== 'none' ? true : asked;
  if (effort !== undefined) return effort !== 'none';
  return byDefault;
}

function toolSpecs(fields: ChatFields): ToolSpec[] {
  return (fields.tools ?? []).map(({ function: { name, description, parameters, strict } }) => ({
    name,
    description,
    parameters: parameters === undefined ? undefined : stringifyExact(parameters),
    strict: strict === true,
  }));
}

function lastUserText(messages: readonly Message[]): string {
  return messages.findLast((message) => message.role === 'user')?.content ?? '';
}

/** A message to be continued, as thought and text; a thought without its end is still open. */
function readSaid(message: string): { reasoning: string; content: string; isOpen: boolean } {
  const opened = /^\s*<think>\n?/.exec(message);
  if (opened === null) return { reasoning: '', content: message, isOpen: false };
  const rest = message.slice(opened[0].length);
  const end = rest.indexOf('</think>');
  if (end === -1) return { reasoning: rest, content: '', isOpen: true };
  const content = rest.slice(end + '</think>'.length).replace(/^\n+/, '');
  return { reasoning: rest.slice(0, end).replace(/\n+$/, ''), content, isOpen: false };
}

/** Validates as vLLM does and prepares the job. Throws ApiError. */
export function prepareChat(body: unknown, context: ModelContext): Prepared<ChatStyle> {
  const { tokenizer, maxModelLen } = context;
  checkRaw(body);
  const fields = readBody(readChatFields, body);
  if (fields.model !== undefined && fields.model !== context.model) throw unknownModel(fields.model);
  if (fields.chat_template !== undefined || fields.chat_template_kwargs?.chat_template !== undefined) {
    throw badRequest(
      'Chat template is passed with request, but --trust-request-chat-template is not set. Refused request with untrusted chat template.',
    );
  }
  const messages = readMessages(fields.messages, context.model);
  if (messages.length === 0) {
    throw badRequest('Cannot apply chat template to an empty conversation. Provide at least one message.');
  }
  if (fields.continue_final_message && fields.add_generation_prompt) {
    throw badRequest(
      'continue_final_message and add_generation_prompt are not compatible. Use continue_final_message when you want the model to continue the final message, and add_generation_prompt when you want to add a header that will prompt it to start a new assistant message instead.',
    );
  }
  const thinking = thinkingOf(fields, context.thinkingByDefault);
  const rawTools = isObject(body) && Array.isArray(body.tools) ? body.tools : [];
  const template = {
    tools: fields.tool_choice === 'none' ? [] : rawTools,
    addGenerationPrompt: fields.add_generation_prompt,
    continueFinalMessage: fields.continue_final_message,
    enableThinking: thinking,
  };
  const promptText = renderChat(messages, template);
  const asked = fields.max_completion_tokens ?? fields.max_tokens;
  const promptIds = encodePrompt(tokenizer, promptText, asked, maxModelLen);
  const n = fields.n ?? 1;
  const temperature = fields.temperature ?? DEFAULT_TEMPERATURE;
  const stop = checkSampling({
    ...fields,
    n,
    max_tokens: asked,
    temperature: fields.use_beam_search ? 1 : fields.temperature,
  });
  const constraint = readConstraint(fields.response_format, fields.structured_outputs);
  const topLogprobs = fields.logprobs ? (fields.top_logprobs ?? 0) : undefined;
  const logitBias = readLogitBias(fields.logit_bias, tokenizer.vocabSize);
  checkLate(fields, topLogprobs, tokenizer.vocabSize);

  const choice = fields.tool_choice;
  const hasTools = rawTools.length > 0;
  const toolChoice =
    !hasTools || choice === 'none' ? 'none' : isObject(choice) ? 'named' : choice === 'required' ? 'required' : 'auto';
  const continued = fields.continue_final_message || !fields.add_generation_prompt;
  const last = messages[messages.length - 1]!;
  const said = fields.continue_final_message && last.role === 'assistant' ? readSaid(last.content) : undefined;
  return {
    job: {
      promptIds,
      // The same answer goes on as would have come whole: its seed is that of the conversation before it.
      promptText:
        said === undefined
          ? promptText
          : renderChat(messages.slice(0, -1), { ...template, addGenerationPrompt: true, continueFinalMessage: false }),
      cacheSalt: fields.cache_salt,
      priority: 0,
      n,
      maxTokens: Math.min(asked ?? maxModelLen, maxModelLen - promptIds.length),
      minTokens: fields.min_tokens,
      ignoreEos: fields.ignore_eos,
      stop,
      includeStop: fields.include_stop_str_in_output,
      stopTokenIds: fields.stop_token_ids ?? [],
      temperature,
      seed: fields.seed,
      logitBias,
      allowedTokenIds: fields.allowed_token_ids,
      badWords: fields.bad_words,
      repetition: fields.repetition_detection && {
        maxPatternSize: fields.repetition_detection.max_pattern_size,
        minPatternSize: Math.max(1, fields.repetition_detection.min_pattern_size),
        minCount: Math.max(2, fields.repetition_detection.min_count),
      },
      // A prompt that does not open an assistant's turn has no thought to begin.
      thinking: said === undefined ? thinking && !continued : said.isOpen,
      endlessThought: false,
      continued: said && {
        thinking: thinking || said.reasoning !== '',
        reasoning: said.reasoning,
        content: said.content,
      },
      constraint: toolChoice === 'required' || toolChoice === 'named' ? undefined : constraint,
      tools: toolSpecs(fields),
      toolMode: toolChoice === 'none' ? 'none' : toolChoice === 'auto' ? 'auto' : 'forced',
      namedTool: isObject(choice) && isObject(choice.function) ? String(choice.function.name) : undefined,
      parallelToolCalls: fields.parallel_tool_calls ?? true,
      lastUserText: lastUserText(messages),
      answeringTool: last.role === 'tool',
    },
    style: {
      model: context.model,
      stream: fields.stream ?? false,
      includeUsage: fields.stream_options?.include_usage ?? false,
      continuousUsage: (fields.stream_options?.include_usage && fields.stream_options.continuous_usage_stats) ?? false,
      interval: Math.max(1, fields.stream_interval ?? 1),
      includeReasoning: fields.include_reasoning,
      topLogprobs,
      returnTokenIds: fields.return_token_ids ?? false,
      promptText: fields.return_prompt_text ? promptText : undefined,
      promptLogprobs: fields.prompt_logprobs !== undefined || fields.echo,
      echo: fields.echo && fields.continue_final_message ? last.content : '',
      role: fields.add_generation_prompt ? 'assistant' : last.role,
      beamSearch: fields.use_beam_search,
      toolChoice,
      hasTools,
      parallelToolCalls: fields.parallel_tool_calls ?? true,
      requestId: fields.request_id,
    },
  };
}
