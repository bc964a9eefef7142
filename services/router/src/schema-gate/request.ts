/** Reads what a request asks of the form of its answer, in any of the spellings that are in use, into one form. */
import { AppError } from '@tollgate/shared/domain/errors';
import { isRecord } from './problem.ts';

/** The fields of a request body that matter here, as they came. */
export interface StructuredRequest {
  response_format?: unknown;
  structured_outputs?: unknown;
  guided_json?: unknown;
  guided_regex?: unknown;
  guided_choice?: unknown;
  guided_grammar?: unknown;
  /** SGLang's own. */
  regex?: unknown;
  ebnf?: unknown;
  json_schema?: unknown;
  tools?: unknown;
  tool_choice?: unknown;
  parallel_tool_calls?: unknown;
}

export type Wanted =
  | { kind: 'text' }
  | { kind: 'json_object'; param: string }
  | { kind: 'schema'; param: string; schema: unknown; name: string; strict: boolean | undefined }
  | { kind: 'regex'; param: string; text: string }
  | { kind: 'grammar'; param: string; text: string }
  | { kind: 'choice'; param: string; choices: string[] };

const invalid = (param: string, message: string) => new AppError('invalid_request', { param, message });

/** Throws AppError `invalid_request` (or `unsupported_parameter`) naming the field. More than one constraint is refused. */
export function readWanted(body: StructuredRequest): Wanted {
  const found: Wanted[] = [];
  const add = (wanted: Wanted | undefined) => {
    if (wanted !== undefined && wanted.kind !== 'text') found.push(wanted);
  };
  if (isSet(body.response_format)) add(responseFormat(body.response_format));
  if (isSet(body.structured_outputs)) add(structuredOutputs(body.structured_outputs));
  for (const [param, kind] of FIELDS) if (isSet(body[param])) add(single(kind, param, body[param]));
  if (found.length > 1) {
    const names = found.map((each) => ('param' in each ? `"${each.param}"` : '')).join(' and ');
    throw invalid(
      (found[1] as { param: string }).param,
      `Only one constraint on the answer can be used: ${names} were given.`,
    );
  }
  return found[0] ?? { kind: 'text' };
}

const isSet = (value: unknown): boolean => value !== undefined && value !== null;

type Kind = 'json' | 'regex' | 'choice' | 'grammar';
const FIELDS: [keyof StructuredRequest & string, Kind][] = [
  ['guided_json', 'json'],
  ['guided_regex', 'regex'],
  ['guided_choice', 'choice'],
  ['guided_grammar', 'grammar'],
  ['regex', 'regex'],
  ['ebnf', 'grammar'],
  ['json_schema', 'json'],
];

function single(kind: Kind, param: string, value: unknown): Wanted {
  if (kind === 'json')
    return { kind: 'schema', param, schema: parsedSchema(value, param), name: 'schema', strict: undefined };
  if (kind === 'choice') {
    if (!Array.isArray(value) || value.length === 0 || !value.every((each) => typeof each === 'string')) {
      throw invalid(param, `"${param}" must be a list of one or more strings.`);
    }
    return { kind: 'choice', param, choices: [...new Set(value as string[])] };
  }
  if (typeof value !== 'string' || value === '') throw invalid(param, `"${param}" must be a text that is not empty.`);
  return { kind, param, text: value };
}

/** vLLM and SGLang also take the schema as JSON text. */
function parsedSchema(value: unknown, param: string): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    throw invalid(param, `"${param}" is a text that is not JSON.`);
  }
}

function responseFormat(value: unknown): Wanted {
  if (!isRecord(value)) throw invalid('response_format', '"response_format" must be an object.');
  switch (value.type) {
    case 'text':
      return { kind: 'text' };
    case 'json_object':
      return { kind: 'json_object', param: 'response_format' };
    case 'json_schema':
      return jsonSchema(value.json_schema);
    case 'structural_tag':
    case 'structural-tag':
      throw new AppError('unsupported_parameter', {
        param: 'response_format.type',
        message: 'Structural tags are not supported.',
      });
    default:
      throw invalid('response_format.type', '"response_format.type" must be one of text, json_object, json_schema.');
  }
}

function jsonSchema(value: unknown): Wanted {
  const param = 'response_format.json_schema';
  if (!isRecord(value)) throw invalid(param, `"${param}" must be given when the type is json_schema.`);
  const { name, strict } = value;
  if (!isSet(value.schema)) throw invalid(`${param}.schema`, `"${param}.schema" must be given.`);
  if (name !== undefined && (typeof name !== 'string' || !/^[A-Za-z0-9_-]{1,64}$/.test(name))) {
    throw invalid(`${param}.name`, `"${param}.name" must be 1 to 64 letters, digits, dashes or underscores.`);
  }
  if (isSet(strict) && typeof strict !== 'boolean')
    throw invalid(`${param}.strict`, `"${param}.strict" must be true or false.`);
  return {
    kind: 'schema',
    param: `${param}.schema`,
    schema: value.schema,
    name: name ?? 'schema',
    strict: (strict ?? undefined) as boolean | undefined,
  };
}

function structuredOutputs(value: unknown): Wanted {
  const param = 'structured_outputs';
  if (!isRecord(value)) throw invalid(param, `"${param}" must be an object.`);
  if (isSet(value.structural_tag)) {
    throw new AppError('unsupported_parameter', {
      param: `${param}.structural_tag`,
      message: 'Structural tags are not supported.',
    });
  }
  const kinds = (['json', 'regex', 'choice', 'grammar'] as const).filter((kind) => isSet(value[kind]));
  const wantsObject = value.json_object === true;
  if (kinds.length + (wantsObject ? 1 : 0) !== 1) {
    throw invalid(param, `"${param}" must hold exactly one of json, regex, choice, grammar, json_object.`);
  }
  const [kind] = kinds;
  if (kind === undefined) return { kind: 'json_object', param: `${param}.json_object` };
  return single(kind, `${param}.${kind}`, value[kind]);
}

/** The functions among the tools, which have been checked. */
export function toolsOf(body: StructuredRequest): { name: string; parameters: unknown }[] {
  return (body.tools as { function: { name: string; parameters?: unknown } }[]).map(({ function: fn }) => ({
    name: fn.name,
    parameters: fn.parameters,
  }));
}

/** Whether the request lets the model call tools, and how. */
export function toolUse(body: StructuredRequest): 'none' | 'auto' | 'forced' {
  if (!Array.isArray(body.tools) || body.tools.length === 0) return 'none';
  const choice = body.tool_choice;
  if (choice === 'none') return 'none';
  return choice === undefined || choice === null || choice === 'auto' ? 'auto' : 'forced';
}
