/** Writes a constraint in the words of one engine, by its version. */
import { type EngineDialect, usesGuidedFields } from './dialect.ts';
import type { EngineSchema } from './enforceable.ts';

export type Constraint =
  | { kind: 'schema'; schema: EngineSchema; name: string }
  | { kind: 'regex'; text: string }
  | { kind: 'grammar'; text: string }
  | { kind: 'choice'; choices: string[] }
  /** A document, or one or (`several`) more calls. */
  | { kind: 'either'; document: EngineSchema; callable: readonly CallableTool[]; several: boolean };

export interface CallableTool {
  name: string;
  parameters: EngineSchema;
}

/** Fields to be added to the body for the worker. */
export type EngineConstraint = Readonly<Record<string, unknown>>;

/** vLLM's per-request flag for compact JSON: without it a grammar allows white space without end. */
const COMPACT = { disable_any_whitespace: true };

export function writeConstraint(constraint: Constraint, dialect: EngineDialect): EngineConstraint {
  if (dialect.engine === 'sglang') return forSglang(constraint);
  return usesGuidedFields(dialect) ? forOldVllm(constraint) : { structured_outputs: forVllm(constraint) };
}

function forVllm(constraint: Constraint): Record<string, unknown> {
  switch (constraint.kind) {
    case 'schema':
      return { json: constraint.schema, ...COMPACT };
    case 'regex':
      return { regex: constraint.text };
    case 'grammar':
      return { grammar: constraint.text };
    case 'choice':
      return { choice: constraint.choices };
    case 'either':
      return { structural_tag: JSON.stringify({ type: 'structural_tag', format: eitherFormat(constraint) }) };
  }
}

/**
 * XGrammar's words for "this document, or calls in the form that Qwen3 was taught" (Hermes: the parser that workers are started
 * with). The engines' own ways drop either the schema or the tools (facts/engines.md 2.5); tried on vLLM 0.29.
 */
function eitherFormat({ document, callable, several }: Extract<Constraint, { kind: 'either' }>): unknown {
  const tags = callable.map(({ name, parameters }) => ({
    type: 'tag',
    begin: `<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": `,
    content: { type: 'json_schema', json_schema: parameters },
    end: '}\n</tool_call>',
  }));
  const calls = { type: 'tags_with_separator', tags, separator: '\n', at_least_one: true, stop_after_first: !several };
  return { type: 'or', elements: [{ type: 'json_schema', json_schema: document }, calls] };
}

function forOldVllm(constraint: Constraint): Record<string, unknown> {
  switch (constraint.kind) {
    case 'schema':
      return { guided_json: constraint.schema };
    case 'regex':
      return { guided_regex: constraint.text };
    case 'grammar':
      return { guided_grammar: constraint.text };
    case 'choice':
      return { guided_choice: constraint.choices };
    case 'either':
      throw new Error('no words for it before vLLM 0.12');
  }
}

function forSglang(constraint: Constraint): Record<string, unknown> {
  switch (constraint.kind) {
    case 'schema':
      return {
        response_format: {
          type: 'json_schema',
          json_schema: { name: constraint.name, schema: constraint.schema, strict: true },
        },
      };
    case 'regex':
      return { regex: constraint.text };
    case 'grammar':
      return { ebnf: constraint.text };
    case 'choice':
      return { ebnf: choiceGrammar(constraint.choices) };
    case 'either':
      return { response_format: { type: 'structural_tag', format: eitherFormat(constraint) } };
  }
}

/** A list of fixed answers as a grammar, for an engine without `choice`. */
export function choiceGrammar(choices: readonly string[]): string {
  return `root ::= ${choices.map(grammarString).join(' | ')}\n`;
}

const NAMED: Record<string, string> = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function grammarString(text: string): string {
  const escaped = [...text].map((char) => {
    const code = char.codePointAt(0)!;
    return NAMED[char] ?? (code < 0x20 || code === 0x7f ? `\\x${code.toString(16).padStart(2, '0')}` : char);
  });
  return `"${escaped.join('')}"`;
}
