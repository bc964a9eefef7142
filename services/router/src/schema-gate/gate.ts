/**
 * The one entry to structured output: from what a request asks to what the worker is sent, how the finished answer is checked, and
 * whether the promise rests on the engine alone. What cannot be promised is refused here, before anything is generated.
 */
import { AppError } from '@tollgate/shared/domain/errors';
import type { CompileVerdict, GrammarCompilerPool } from './compiler.ts';
import { type Constraint, choiceGrammar, type EngineConstraint, writeConstraint } from './constraint.ts';
import type { EngineDialect } from './dialect.ts';
import { type EngineSchema, enforceable, type Finding } from './enforceable.ts';
import { meantKeyword } from './keywords.ts';
import { DEFAULT_LIMITS, GRAMMAR_CHARS, type SchemaLimits } from './limits.ts';
import { lint } from './lint.ts';
import { Lru } from './lru.ts';
import { isRecord, SchemaProblem } from './problem.ts';
import { PatternError } from './regex-parse.ts';
import { readWanted, type StructuredRequest, toolUse, type Wanted } from './request.ts';
import { checkStrictSubset } from './strict-subset.ts';
import { checkChoice, checkObject, checkRegex, compileCheck, type DocumentCheck } from './validate.ts';

/** What a contract profile says about structured output. */
export interface SchemaRules {
  /** Keywords that the engine is not told: check the document after (openai), or refuse by name (dottxt). */
  unsupported: 'check_after' | 'refuse';
  /** Keywords that no draft knows are annotations; refused by name where one is plainly a slip of a real one (`minimun`). */
  unknownKeywords: 'ignore' | 'refuse_slips';
  /** Whether `strict: true` asks for OpenAI's subset. */
  strictSubset: boolean;
  /** Without `strict: true`: enforce all the same, or send the schema as a hint that is not checked. */
  withoutStrict: 'enforce' | 'hint';
  /** A schema together with tools that the model is free to call or not: refuse, or leave the grammar out and check the text. */
  schemaWithTools: 'refuse' | 'check_after';
}

export const OPENAI_RULES: SchemaRules = {
  unsupported: 'check_after',
  unknownKeywords: 'ignore',
  strictSubset: true,
  withoutStrict: 'enforce',
  schemaWithTools: 'refuse',
};
export const DOTTXT_RULES: SchemaRules = {
  unsupported: 'refuse',
  unknownKeywords: 'refuse_slips',
  strictSubset: false,
  withoutStrict: 'enforce',
  schemaWithTools: 'refuse',
};

export interface GateResult {
  /** Fields for the worker's body; empty when nothing is to be enforced by it. */
  engineConstraint: EngineConstraint;
  /** Decides over the finished text of each choice; null when there is nothing to check. */
  validator: DocumentCheck | null;
  /** `enforced`: the engine alone makes every finished answer valid. `validated_after`: the validator has the last word. */
  verdict: 'enforced' | 'validated_after' | 'unconstrained';
  /** Whether the answer is JSON: switches the white space guard on. */
  json: boolean;
  /** Where and why the engine alone is not enough. */
  notes: readonly Finding[];
}

export interface SchemaGateOptions {
  compiler: Pick<GrammarCompilerPool, 'check'>;
  limits?: SchemaLimits;
  /** Prepared schemas kept, by count and by characters of their text. */
  cacheEntries?: number;
  cacheChars?: number;
}

const UNCONSTRAINED: GateResult = {
  engineConstraint: {},
  validator: null,
  verdict: 'unconstrained',
  json: false,
  notes: [],
};
const ANY_OBJECT: EngineSchema = { type: 'object', additionalProperties: {} };

export class SchemaGate {
  readonly #compiler: Pick<GrammarCompilerPool, 'check'>;
  readonly #limits: SchemaLimits;
  readonly #prepared: Lru<GateResult>;

  constructor(options: SchemaGateOptions) {
    this.#compiler = options.compiler;
    this.#limits = options.limits ?? DEFAULT_LIMITS;
    this.#prepared = new Lru(options.cacheEntries ?? 1_000, options.cacheChars ?? 8_000_000);
  }

  /**
   * `allowGrammars`: whether the key may send regular expressions and grammars of its own.
   * Throws AppError: `invalid_request` for a malformed field, `invalid_schema` with pointer and keyword (param is the field's path
   * followed by the pointer), `unsupported_parameter` for what the key or the profile does not allow, `queue_full` when too many
   * unseen schemas wait for the compiler.
   */
  async gate(
    body: StructuredRequest,
    rules: SchemaRules,
    engine: EngineDialect,
    allowGrammars: boolean,
  ): Promise<GateResult> {
    const wanted = readWanted(body);
    if (wanted.kind === 'text') return UNCONSTRAINED;
    const tools = toolUse(body);
    // A forced call is what the engine constrains then, by the tool's own parameters; it would drop the schema without a word.
    if (tools === 'forced') return UNCONSTRAINED;
    if (tools === 'auto' && rules.schemaWithTools === 'refuse') throw toolsConflict(wanted.param);
    const prepared = await this.#prepare(wanted, rules, engine, allowGrammars);
    if (tools === 'none') return prepared;
    // With a grammar from the first token no tool could be called.
    return { ...prepared, engineConstraint: {}, verdict: 'validated_after' };
  }

  async #prepare(
    wanted: Exclude<Wanted, { kind: 'text' }>,
    rules: SchemaRules,
    engine: EngineDialect,
    allowGrammars: boolean,
  ) {
    if ((wanted.kind === 'regex' || wanted.kind === 'grammar') && !allowGrammars) {
      throw new AppError('unsupported_parameter', {
        param: wanted.param,
        message: `This API key may not send regular expressions or grammars ("${wanted.param}").`,
      });
    }
    const text = textOf(wanted);
    const key = `${cacheKey(rules, engine)}${wanted.kind} ${wanted.kind === 'schema' ? `${wanted.strict === true} ${wanted.name} ` : ''}${text}`;
    const known = this.#prepared.get(key);
    if (known !== undefined) return known;
    const made = await this.#make(wanted, text, rules, engine);
    this.#prepared.set(key, made, key.length);
    return made;
  }

  async #make(
    wanted: Exclude<Wanted, { kind: 'text' }>,
    text: string,
    rules: SchemaRules,
    engine: EngineDialect,
  ): Promise<GateResult> {
    const written = (constraint: Constraint) => writeConstraint(constraint, engine);
    switch (wanted.kind) {
      case 'schema':
        return this.#makeSchema(wanted, text, rules, engine);
      case 'json_object':
        return {
          engineConstraint: written({ kind: 'schema', schema: ANY_OBJECT, name: 'object' }),
          validator: checkObject,
          verdict: 'validated_after',
          json: true,
          notes: [{ pointer: '', keyword: 'type', how: 'loose', reason: 'any value is allowed inside' }],
        };
      case 'choice': {
        if (text.length > this.#limits.chars)
          throw refused(wanted.param, '', 'choice', `longer than ${this.#limits.chars} characters`);
        await this.#compile('ebnf', choiceGrammar(wanted.choices), wanted.param, 'choice');
        return enforced(written({ kind: 'choice', choices: wanted.choices }), checkChoice(wanted.choices));
      }
      case 'regex': {
        const check = await this.#grammar(wanted.param, wanted.text, 'regex', () => checkRegex(wanted.text));
        return enforced(written({ kind: 'regex', text: wanted.text }), check);
      }
      case 'grammar':
        await this.#grammar(wanted.param, wanted.text, 'grammar', () => null);
        return enforced(written({ kind: 'grammar', text: wanted.text }), null);
    }
  }

  async #makeSchema(
    wanted: Extract<Wanted, { kind: 'schema' }>,
    text: string,
    rules: SchemaRules,
    engine: EngineDialect,
  ): Promise<GateResult> {
    const hint = rules.withoutStrict === 'hint' && wanted.strict !== true;
    try {
      const normalized = lint(wanted.schema, text, this.#limits);
      if (rules.strictSubset && wanted.strict === true) checkStrictSubset(normalized);
      const { schema, findings } = enforceable(normalized, engine);
      if (rules.unsupported === 'refuse' && !hint) refuseDropped(findings);
      if (rules.unknownKeywords === 'refuse_slips' && !hint) refuseSlips(normalized.unknown);
      if (!hasAwkwardName(schema)) await this.#compile('schema', JSON.stringify(schema), wanted.param, 'schema');
      return {
        engineConstraint: writeConstraint({ kind: 'schema', schema, name: wanted.name }, engine),
        validator: hint ? null : compileCheck(normalized.schema),
        verdict: findings.length === 0 && !hint ? 'enforced' : 'validated_after',
        json: true,
        notes: findings,
      };
    } catch (error) {
      if (error instanceof SchemaProblem) throw refused(wanted.param, error.pointer, error.keyword, error.message);
      throw error;
    }
  }

  async #grammar<Check>(param: string, text: string, keyword: 'regex' | 'grammar', check: () => Check): Promise<Check> {
    if (text.length > GRAMMAR_CHARS) throw refused(param, '', keyword, `longer than ${GRAMMAR_CHARS} characters`);
    try {
      const made = check();
      await this.#compile(keyword === 'grammar' ? 'ebnf' : 'regex', text, param, keyword);
      return made;
    } catch (error) {
      if (error instanceof PatternError)
        throw refused(param, '', keyword, `has ${error.construct}, which is not supported`);
      throw error;
    }
  }

  async #compile(kind: 'schema' | 'ebnf' | 'regex', text: string, param: string, keyword: string): Promise<void> {
    const verdict: CompileVerdict = await this.#compiler.check(kind, text);
    if (verdict.ok) return;
    if (verdict.reason === 'busy')
      throw new AppError('queue_full', {
        message: 'Too many new schemas are waiting to be compiled.',
        retryAfterMs: 1_000,
      });
    const why = verdict.reason === 'too_slow' ? 'takes too long to compile' : 'cannot be compiled to a grammar';
    throw refused(param, '', keyword, why);
  }
}

const enforced = (engineConstraint: EngineConstraint, validator: DocumentCheck | null): GateResult => ({
  engineConstraint,
  validator,
  verdict: 'enforced',
  json: false,
  notes: [],
});

/** Profiles are few and live as long as the process; their rules differ in these words alone. */
function cacheKey(rules: SchemaRules, engine: EngineDialect): string {
  return `${rules.unsupported} ${rules.unknownKeywords} ${rules.strictSubset} ${rules.withoutStrict} ${engine.engine} ${engine.version[0]}.${engine.version[1]} ${engine.xgrammar} `;
}

function textOf(wanted: Exclude<Wanted, { kind: 'text' }>): string {
  switch (wanted.kind) {
    case 'schema':
      return JSON.stringify(wanted.schema);
    case 'choice':
      return JSON.stringify(wanted.choices);
    case 'json_object':
      return '';
    default:
      return wanted.text;
  }
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

function refused(param: string, pointer: string, keyword: string, reason: string): AppError {
  return new AppError('invalid_schema', {
    param: `${param}${pointer}`,
    message: `Invalid schema at "${pointer === '' ? '#' : `#${pointer}`}", keyword "${keyword.slice(0, 64)}": ${reason}.`,
    metadata: { pointer, keyword: keyword.slice(0, 64) },
  });
}

const toolsConflict = (param: string): AppError =>
  new AppError('unsupported_parameter', {
    param,
    message: `"${param}" cannot be enforced while the model is free to call tools. Send tool_choice "none" for the document, or "required" or a named tool for the call.`,
  });
