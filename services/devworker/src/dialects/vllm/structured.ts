/** Which constraint a request asks for, and vLLM's complaints about the asking. */

import type { Constraint } from '../../grammar/constraint.ts';
import { stringifyExact } from '../../http/python-json.ts';
import type { ResponseFormat, StructuredOutputs } from './chat-fields.ts';
import { badRequest, lateBadRequest } from './errors.ts';
import { isObject, pythonRepr } from './pydantic.ts';

interface Merged {
  json: unknown;
  regex: string | undefined;
  choice: string[] | undefined;
  grammar: string | undefined;
  json_object: boolean | undefined;
  disable_any_whitespace: boolean;
  structural_tag: string | undefined;
}

const NOTHING: Merged = {
  json: undefined,
  regex: undefined,
  choice: undefined,
  grammar: undefined,
  json_object: undefined,
  disable_any_whitespace: false,
  structural_tag: undefined,
};

/** Python's repr of vLLM's StructuredOutputsParams, which it prints in two complaints. */
function reprMerged(merged: Merged): string {
  return pythonRepr({
    json: merged.json,
    regex: merged.regex,
    choice: merged.choice,
    grammar: merged.grammar,
    json_object: merged.json_object,
    disable_any_whitespace: merged.disable_any_whitespace,
    disable_additional_properties: false,
    whitespace_pattern: null,
    structural_tag: merged.structural_tag,
    _backend: null,
    _backend_was_auto: false,
  });
}

function merge(format: ResponseFormat | undefined, structured: StructuredOutputs | undefined): Merged | undefined {
  let merged: Merged | undefined = structured ? { ...NOTHING, ...structured } : undefined;
  if (!format || format.type === 'text') return merged;
  merged ??= { ...NOTHING };
  if (format.type === 'json_object') merged.json_object = true;
  else if (format.type === 'json_schema') merged.json = format.json_schema!.schema ?? merged.json;
  else merged.structural_tag = stringifyExact(format);
  return merged;
}

/** Checks that run before the fields are read. */
export function checkStructuredRaw(body: Record<string, unknown>): void {
  const structured = body.structured_outputs;
  if (isObject(structured)) {
    const kinds = ['json', 'regex', 'choice'].filter(
      (kind) => structured[kind] !== undefined && structured[kind] !== null,
    );
    if (kinds.length > 1) {
      throw badRequest(
        "You can only use one kind of constraints for structured outputs ('json', 'regex' or 'choice').",
      );
    }
    const choice = body.tool_choice;
    if (kinds.length > 0 && choice !== undefined && choice !== null && choice !== 'none' && choice !== 'auto') {
      throw badRequest('You can only either use constraints for structured outputs or tools, not both.');
    }
  }
  const format = body.response_format;
  if (
    isObject(format) &&
    format.type === 'json_schema' &&
    (format.json_schema === undefined || format.json_schema === null)
  ) {
    throw badRequest(
      "When response_format type is 'json_schema', the 'json_schema' field must be provided.",
      'response_format',
    );
  }
}

function isTriggered(tag: string): boolean {
  try {
    const parsed = JSON.parse(tag) as unknown;
    if (!isObject(parsed)) return false;
    return Array.isArray(parsed.triggers) || (isObject(parsed.format) && parsed.format.type === 'triggered_tags');
  } catch {
    return false;
  }
}

function plainTagBegin(tag: string): string | undefined {
  try {
    const parsed = JSON.parse(tag) as unknown;
    const format = isObject(parsed) ? parsed.format : undefined;
    if (isObject(format) && format.type === 'tag' && typeof format.begin === 'string') return format.begin;
  } catch {
    // Left to the grammar engine to refuse.
  }
  return undefined;
}

/** The constraint of a request, or undefined. Throws vLLM's refusals that do not need a grammar engine. */
export function readConstraint(
  format: ResponseFormat | undefined,
  structured: StructuredOutputs | undefined,
): Constraint | undefined {
  const merged = merge(format, structured);
  if (!merged) return undefined;
  const { json, regex, choice, grammar, json_object, structural_tag } = merged;
  const kinds = [json, regex, choice, grammar, json_object, structural_tag].filter(
    (value) => value !== undefined && value !== null,
  );
  if (kinds.length === 0) {
    throw badRequest(
      `You must use one kind of structured outputs constraint but none are specified: ${reprMerged(merged)}`,
    );
  }
  if (kinds.length > 1) {
    throw badRequest(
      `You can only use one kind of structured outputs constraint but multiple are specified: ${reprMerged(merged)}`,
    );
  }
  if (json !== undefined && json !== null) {
    return { kind: 'json', schema: typeof json === 'string' ? json : stringifyExact(json) };
  }
  if (regex !== undefined) return { kind: 'regex', pattern: regex };
  if (choice !== undefined) {
    if (choice.length === 0) throw lateBadRequest("Choice '[]' cannot be an empty list");
    return { kind: 'choice', choices: choice };
  }
  if (grammar !== undefined) return { kind: 'grammar', ebnf: grammar };
  if (json_object !== undefined) return { kind: 'json_object' };
  // Triggered tags (and the legacy form) leave the text free until a trigger comes, and the model never writes one.
  const begin = plainTagBegin(structural_tag!);
  return begin === undefined && isTriggered(structural_tag!)
    ? undefined
    : { kind: 'structural_tag', tag: structural_tag!, begin };
}
