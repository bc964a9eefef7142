/**
 * A chat body as its contract profile allows it: JSON value -> ChatRequest, or an error that names the field. The rules
 * are compiled once; a request costs one pass over the names of its fields and one call per value.
 */
import { readRagParams } from '../grounding/rag-params.ts';
import type { StructuredRequest } from '../schema-gate/request.ts';
import {
  checkBoolean,
  checkObject,
  checkString,
  invalid,
  isAbsent,
  isObject,
  type JsonObject,
  missing,
  unsupported,
  wrongType,
} from './checks.ts';
import { type MessageRules, parseMessages } from './messages.ts';
import { compileReader, type Reader } from './parameters.ts';
import { asPatch } from './patch-mode.ts';
import { ContractError } from './profile.ts';
import type { ParameterRule, ProfileFile } from './profile-file.ts';
import type { ChatRequest, Message, RequestLabels, Tool, ToolChoice, UsageInStream } from './request.ts';
import { readStructured, STRUCTURED_FIELDS } from './structured.ts';
import { parseToolChoice, parseTools } from './tools.ts';
import { findLoneSurrogate } from './unicode.ts';

/** What a profile may send on under its own name: the only names of a client that ever reach a worker so. */
const FORWARDED = new Set([
  'temperature',
  'top_p',
  'presence_penalty',
  'frequency_penalty',
  'seed',
  'stop',
  'logit_bias',
  'logprobs',
  'top_logprobs',
  'top_k',
  'min_p',
  'repetition_penalty',
  'ignore_eos',
  'include_stop_str_in_output',
]);

/** Checked by themselves, used below. */
const SINGLE = new Set([
  'stream',
  'n',
  'max_tokens',
  'max_completion_tokens',
  'min_tokens',
  'parallel_tool_calls',
  'reasoning_effort',
]);

/** Read below, together with others; the only type that each may have. */
const TOGETHER: Record<string, ParameterRule['type']> = {
  model: 'model',
  messages: 'messages',
  stream_options: 'stream_options',
  tools: 'tools',
  tool_choice: 'tool_choice',
  ...Object.fromEntries(STRUCTURED_FIELDS.map((name) => [name, 'structured' as const])),
  chat_template_kwargs: 'chat_template_kwargs',
  rag_params: 'rag_params',
};

interface Entry {
  /** `sampling` goes to the worker, `single` to the request model; `later` is read with others. */
  kind: 'sampling' | 'single' | 'later' | 'drop' | 'refuse';
  nullable: boolean;
  read: Reader | null;
  label: keyof RequestLabels | null;
  why: string;
}

/** Throws ContractError for rules that this router cannot follow. */
export function compileChat(file: ProfileFile): (body: unknown) => ChatRequest {
  const entries = new Map<string, Entry>();
  const problems: string[] = [];
  for (const [name, rule] of Object.entries(file.parameters)) {
    const entry = compileEntry(name, rule);
    if (typeof entry === 'string') problems.push(`${file.name}: parameters.${name}: ${entry}`);
    else entries.set(name, entry);
  }
  for (const name of ['model', 'messages']) {
    if (!entries.has(name)) problems.push(`${file.name}: parameters.${name}: must be there`);
  }
  if (problems.length > 0) throw new ContractError(problems);
  return compileBody(file, entries);
}

function compileEntry(name: string, rule: ParameterRule): Entry | string {
  const named: keyof RequestLabels | null = rule.log ?? (rule.session ? 'session' : null);
  const base = { nullable: rule.nullable, label: named, why: rule.why ?? 'It is not known here.' };
  if (rule.unsupported === 'refuse') return { ...base, kind: 'refuse', read: null };
  if (rule.unsupported === 'drop') return { ...base, kind: 'drop', read: null };
  const together = TOGETHER[name];
  if (rule.unsupported === undefined && together !== undefined) {
    if (rule.type !== together) return `must have the type ${together}`;
    return { ...base, kind: 'later', read: null };
  }
  const read = compileReader(name, rule);
  if (rule.unsupported === 'ignore') return { ...base, kind: 'single', read };
  if (read === null) return 'needs a type, or says how it is unsupported';
  if (rule.default !== undefined) {
    try {
      read(rule.default);
    } catch {
      return 'its default breaks its own rule';
    }
  }
  if (FORWARDED.has(name)) return { ...base, kind: 'sampling', read };
  if (SINGLE.has(name) || rule.type === 'must_be' || named !== null) return { ...base, kind: 'single', read };
  return 'the router knows no such parameter: say how it is unsupported, or where it is logged';
}

interface Read {
  body: JsonObject;
  sampling: Record<string, unknown>;
  single: Record<string, unknown>;
  labels: RequestLabels | null;
}

function compileBody(file: ProfileFile, entries: ReadonlyMap<string, Entry>): (body: unknown) => ChatRequest {
  const { parameters } = file;
  const refusesUnknown = file.unknownParameters === 'refuse';
  const defaults = Object.entries(parameters).filter(
    ([name, rule]) => rule.default !== undefined && entries.get(name)?.kind === 'sampling',
  );
  const required = Object.keys(parameters).filter((name) => parameters[name]!.required);
  const readModel = modelReader(parameters.model!);
  const messageRules = rulesOfMessages(parameters.messages!);
  const readLimit = tokenLimit(file);
  const readUsage = usageRule(file.usageInStream);
  const forms = STRUCTURED_FIELDS.filter((name) => entries.get(name)?.kind === 'later');
  const canGround = entries.get('rag_params')?.kind === 'later';
  const { minItems: minTools = 1, maxItems: maxTools = 128 } = parameters.tools ?? {};

  function readFields(body: JsonObject): Read {
    const read: Read = { body, sampling: {}, single: {}, labels: null };
    for (const name of Object.keys(body)) {
      const value = body[name];
      const entry = entries.get(name);
      if (entry === undefined) {
        if (refusesUnknown) throw unsupported(name.slice(0, 64), 'It is not known here.');
      } else if (entry.kind === 'refuse') {
        if (value !== null || !entry.nullable) throw unsupported(name, entry.why);
      } else if (entry.kind !== 'drop') readField(read, name, value, entry);
    }
    for (const name of required) if (body[name] === undefined) throw missing(name);
    for (const [name, rule] of defaults) read.sampling[name] ??= rule.default;
    return read;
  }

  return (body) => {
    if (!isObject(body)) throw wrongType('body', 'an object', body);
    const read = readFields(body);
    const { sampling, single } = read;
    if (sampling.top_logprobs !== undefined && sampling.logprobs !== true) {
      if (file.topLogprobsAlone === 'refuse') throw invalid('top_logprobs', "it needs 'logprobs' to be true.");
      delete sampling.top_logprobs;
    }
    const model = readModel(body.model);
    const messages = parseMessages(body.messages, messageRules);
    const patch = single.stream === 'patch';
    const stream = patch || single.stream === true;
    const choices = (single.n as number | undefined) ?? 1;
    if (choices > 1 && sampling.temperature === 0) throw invalid('n', 'it must be 1 when temperature is 0.');
    const { maxTokens, isDefault } = readLimit(single);
    const tools = parseTools(body.tools, minTools, maxTools);
    const toolChoice = parseToolChoice(body.tool_choice, tools);
    const structured = readStructured(body, forms);
    if (file.jsonModeNeedsTheWord && wantsJsonMode(structured)) checkTheWord(messages);
    const needsWholeOutput = structured !== null || isForced(toolChoice);
    const request: ChatRequest = {
      model,
      messages,
      stream,
      usageInStream: readUsage(body.stream_options, single.stream === true),
      choices,
      maxTokens,
      maxTokensIsDefault: isDefault,
      minTokens: readMinTokens(single.min_tokens as number | undefined, maxTokens),
      sampling,
      tools,
      toolChoice,
      parallelToolCalls: tools === null ? null : ((single.parallel_tool_calls as boolean | undefined) ?? null),
      structured,
      // A thought that never closes keeps the grammar from ever being applied (facts/real-engine.md 3.8).
      thinking: needsWholeOutput ? false : readThinking(single.reasoning_effort, body.chat_template_kwargs),
      needsWholeOutput,
      rag: canGround ? readRagParams(body.rag_params) : null,
      labels: read.labels,
    };
    if (patch) asPatch(request);
    checkUnicode(request);
    return request;
  };
}

function readField(read: Read, name: string, value: unknown, entry: Entry): void {
  if (value === null || value === undefined) {
    if (entry.nullable) return;
    // Readers that run later say it in their own words.
    if (entry.read === null) {
      if (name !== 'messages') throw wrongType(name, 'a value', value);
    } else entry.read(value);
    return;
  }
  if (entry.read === null) {
    if (entry.label !== null && typeof value === 'string') label(read, entry.label, value);
    return;
  }
  const checked = entry.read(value);
  if (entry.label !== null) label(read, entry.label, String(checked));
  if (entry.kind === 'sampling') read.sampling[name] = checked;
  else read.single[name] = checked;
}

const MAX_LABEL = 256;

function label(read: Read, name: keyof RequestLabels, value: string): void {
  read.labels ??= {};
  read.labels[name] = value.slice(0, MAX_LABEL);
}

/** '' = the default model. */
function modelReader(rule: ParameterRule): (value: unknown) => string {
  const aliases = new Set(Object.keys(rule.aliases ?? {}));
  return (value) => {
    if (isAbsent(value)) {
      if (rule.default === undefined) throw missing('model');
      return '';
    }
    const model = checkString('model', value, 256);
    if (aliases.has(model)) return '';
    if (model === '') throw invalid('model', 'it is empty.');
    return model;
  };
}

function rulesOfMessages(rule: ParameterRule): MessageRules {
  return {
    roles: rule.roles ?? ['system', 'user', 'assistant', 'tool'],
    min: rule.minItems ?? 1,
    max: rule.maxItems ?? 4096,
  };
}

interface TokenLimit {
  maxTokens: number | null;
  isDefault: boolean;
}

function tokenLimit({ parameters, bothTokenLimits }: ProfileFile): (single: Record<string, unknown>) => TokenLimit {
  const standard = (parameters.max_completion_tokens?.default ?? parameters.max_tokens?.default ?? null) as
    | number
    | null;
  return (single) => {
    const old = single.max_tokens as number | undefined;
    const now = single.max_completion_tokens as number | undefined;
    if (old === undefined || now === undefined) {
      const asked = now ?? old;
      return { maxTokens: asked ?? standard, isDefault: asked === undefined };
    }
    if (bothTokenLimits === 'refuse') {
      throw invalid('max_tokens', "it cannot be given together with 'max_completion_tokens'.");
    }
    return { maxTokens: bothTokenLimits === 'smaller' ? Math.min(old, now) : now, isDefault: false };
  };
}

function readMinTokens(value: number | undefined, maxTokens: number | null): number {
  if (value === undefined) return 0;
  if (maxTokens !== null && value > maxTokens) throw invalid('min_tokens', 'it is above the output limit.');
  return value;
}

/** What a stream shows of usage: as asked for, or as the contract always has it. */
export function usageRule(policy: ProfileFile['usageInStream']): (options: unknown, stream: boolean) => UsageInStream {
  const unasked: UsageInStream =
    policy === 'final_chunk' ? 'finish_chunk' : policy === 'extra_chunk' ? 'final' : 'hidden';
  return (value, stream) => {
    if (isAbsent(value)) return unasked;
    if (!stream) throw invalid('stream_options', "it is only allowed when 'stream' is true.");
    const options = checkObject('stream_options', value);
    for (const name of Object.keys(options)) {
      if (name !== 'include_usage' && name !== 'continuous_usage_stats' && name !== 'include_obfuscation') {
        throw unsupported(`stream_options.${name.slice(0, 64)}`, 'It is not known here.');
      }
      if (!isAbsent(options[name])) checkBoolean(`stream_options.${name}`, options[name]);
    }
    if (policy === 'never') return 'hidden';
    if (options.include_usage !== true) return unasked;
    return options.continuous_usage_stats === true ? 'every' : 'final';
  };
}

function readThinking(effort: unknown, template: unknown): boolean | null {
  const thinking = effort === undefined ? null : effort !== 'none' && effort !== 'minimal';
  if (isAbsent(template)) return thinking;
  const kwargs = checkObject('chat_template_kwargs', template);
  for (const name of Object.keys(kwargs)) {
    if (name !== 'enable_thinking') {
      throw unsupported(`chat_template_kwargs.${name.slice(0, 64)}`, "Only 'enable_thinking' is allowed.");
    }
  }
  if (isAbsent(kwargs.enable_thinking)) return thinking;
  return checkBoolean('chat_template_kwargs.enable_thinking', kwargs.enable_thinking);
}

function wantsJsonMode(structured: StructuredRequest | null): boolean {
  return isObject(structured?.response_format) && structured.response_format.type === 'json_object';
}

/** A model that is not told to write JSON may fill its whole output with white space. */
function checkTheWord(messages: readonly Message[]): void {
  const says = messages.some(({ content }) => content !== null && /json/i.test(JSON.stringify(content)));
  if (!says) throw invalid('messages', "a message must contain the word 'JSON' when response_format is json_object.");
}

function isForced(choice: ToolChoice | null): boolean {
  return choice === 'required' || (typeof choice === 'object' && choice !== null);
}

/** Half characters cannot be written as UTF-8; the worker would answer with a type error of its own. */
function checkUnicode(request: ChatRequest): void {
  const forwarded: [string, unknown][] = [
    ['messages', request.messages],
    ['tools', request.tools satisfies readonly Tool[] | null],
    ...Object.entries(request.structured ?? {}),
    ['stop', request.sampling.stop],
    ['model', request.model],
  ];
  for (const [name, value] of forwarded) {
    const path = findLoneSurrogate(name, value);
    if (path !== null) throw invalid(path, 'it holds half of a UTF-16 surrogate pair, which is not a character.');
  }
}
