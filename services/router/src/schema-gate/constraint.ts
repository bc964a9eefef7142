/** Writes a constraint in the words of one engine, by its version. */
import { type EngineDialect, usesGuidedFields } from './dialect.ts';
import type { EngineSchema } from './enforceable.ts';

export type Constraint =
  | { kind: 'schema'; schema: EngineSchema; name: string }
  | { kind: 'regex'; text: string }
  | { kind: 'grammar'; text: string }
  | { kind: 'choice'; choices: string[] };

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
  }
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
