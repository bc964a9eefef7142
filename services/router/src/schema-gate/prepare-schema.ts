/**
 * Everything that a schema seen for the first time costs, but XGrammar: lint, OpenAI's subset, the engine's schema, the code of
 * the check after. Pure, and too dear for the router's own thread: compile-worker.ts runs it.
 */
import { type CheckCode, checkCode } from './check-code.ts';
import type { EngineDialect } from './dialect.ts';
import { type EngineSchema, enforceable, type Finding } from './enforceable.ts';
import { meantKeyword } from './keywords.ts';
import type { SchemaLimits } from './limits.ts';
import { lint } from './lint.ts';
import { isRecord, SchemaProblem } from './problem.ts';
import { checkStrictSubset } from './strict-subset.ts';

/** A schema and what the contract says of it; plain data, since it travels to a thread. */
export interface SchemaAsk {
  /** The schema as JSON. */
  text: string;
  limits: SchemaLimits;
  dialect: EngineDialect;
  strictSubset: boolean;
  refuseDropped: boolean;
  refuseSlips: boolean;
  /** The document is not checked after. */
  unchecked: boolean;
}

export interface PreparedSchema {
  schema: EngineSchema;
  findings: Finding[];
  check: CheckCode | null;
  /** Whether XGrammar's WebAssembly build can be asked about it. */
  compilable: boolean;
}

/** Throws SchemaProblem with pointer and keyword. */
export function prepareSchema(ask: SchemaAsk): PreparedSchema {
  const normalized = lint(JSON.parse(ask.text), ask.text, ask.limits);
  if (ask.strictSubset) checkStrictSubset(normalized);
  const { schema, findings } = enforceable(normalized, ask.dialect);
  if (ask.refuseDropped) refuseDropped(findings);
  if (ask.refuseSlips) refuseSlips(normalized.unknown);
  const check = ask.unchecked ? null : checkCode(normalized.schema);
  return { schema, findings, check, compilable: !hasAwkwardName(schema) };
}

function refuseDropped(findings: readonly Finding[]): void {
  const dropped = findings.find(({ how }) => how === 'dropped');
  if (dropped === undefined) return;
  throw new SchemaProblem(
    dropped.pointer,
    dropped.keyword,
    `"${dropped.keyword}" is not supported here (${dropped.reason})`,
  );
}

function refuseSlips(unknown: readonly { pointer: string; keyword: string }[]): void {
  for (const { pointer, keyword } of unknown) {
    const meant = meantKeyword(keyword);
    if (meant === undefined) continue;
    throw new SchemaProblem(
      pointer,
      keyword,
      `"${keyword.slice(0, 64)}" is no keyword of JSON Schema; "${meant}" may be meant`,
    );
  }
}

/** The WebAssembly build (not the workers') breaks over property names with a quote, backslash or control character. */
function hasAwkwardName(schema: unknown): boolean {
  if (Array.isArray(schema)) return schema.some(hasAwkwardName);
  if (!isRecord(schema)) return false;
  const names = isRecord(schema.properties) ? Object.keys(schema.properties) : [];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return names.some((name) => /["\\\u0000-\u001f]/.test(name)) || Object.values(schema).some(hasAwkwardName);
}
