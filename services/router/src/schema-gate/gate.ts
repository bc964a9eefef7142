/**
 * The one entry to structured output: from what a request asks to what the worker is sent, how the finished answer is checked, and
 * whether the promise rests on the engine alone. What cannot be promised is refused here, before anything is generated.
 */
import { AppError } from '@tollgate/shared/domain/errors';
import type { SchemaCompiler } from './compiler.ts';
import {
  type CallableTool,
  type Constraint,
  choiceGrammar,
  type EngineConstraint,
  writeConstraint,
} from './constraint.ts';
import { type EngineDialect, usesGuidedFields } from './dialect.ts';
import type { EngineSchema, Finding } from './enforceable.ts';
import { DEFAULT_LIMITS, GRAMMAR_CHARS, type SchemaLimits } from './limits.ts';
import { Lru } from './lru.ts';
import { PatternError } from './regex-parse.ts';
import { readWanted, type StructuredRequest, toolsOf, toolUse, type Wanted } from './request.ts';
import { checkChoice, checkObject, checkRegex, type DocumentCheck, loadCheck } from './validate.ts';

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
  /**
   * A schema together with tools that the model is free to call or not. either: the engine is held to one of the two, a document
   * or calls; check_after: the grammar is left out and the text checked; refuse.
   */
  schemaWithTools: 'either' | 'check_after' | 'refuse';
}

export const OPENAI_RULES: SchemaRules = {
  unsupported: 'check_after',
  unknownKeywords: 'ignore',
  strictSubset: true,
  withoutStrict: 'enforce',
  schemaWithTools: 'either',
};
export const DOTTXT_RULES: SchemaRules = {
  unsupported: 'refuse',
  unknownKeywords: 'refuse_slips',
  strictSubset: false,
  withoutStrict: 'enforce',
  schemaWithTools: 'either',
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
  /** The answer is either this document or calls of the tools: all their arguments are promised too. */
  besideTools: boolean;
  /** What the engine is told of a JSON document; null where it is none. */
  engineSchema: EngineSchema | null;
}

export interface SchemaGateOptions {
  compiler: SchemaCompiler;
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
  besideTools: false,
  engineSchema: null,
};
const ANY_OBJECT: EngineSchema = { type: 'object', additionalProperties: {} };

export class SchemaGate {
  readonly #compiler: SchemaCompiler;
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
    const beside = { ...prepared, verdict: 'validated_after', besideTools: true } as const;
    // With the document's grammar from the first token no tool could be called.
    if (rules.schemaWithTools === 'check_after') return { ...beside, engineConstraint: {} };
    const document = prepared.engineSchema;
    if (document === null || usesGuidedFields(engine)) throw toolsConflict(wanted.param);
    const callable: CallableTool[] = [];
    for (const [i, { name, parameters }] of toolsOf(body).entries()) {
      callable.push({ name, parameters: await this.#parameters(parameters, i, rules, engine, allowGrammars) });
    }
    const several = body.parallel_tool_calls !== false;
    return { ...beside, engineConstraint: writeConstraint({ kind: 'either', document, callable, several }, engine) };
  }

  /** What the engine is told of a tool's arguments. */
  async #parameters(
    parameters: unknown,
    index: number,
    rules: SchemaRules,
    engine: EngineDialect,
    allowGrammars: boolean,
  ): Promise<EngineSchema> {
    if (parameters === undefined) return ANY_OBJECT;
    const param = `tools[${index}].function.parameters`;
    // The name is that of the check of arguments (answer-form.ts): prepared once, found by both.
    const wanted: Wanted = { kind: 'schema', param, schema: parameters, name: 'parameters', strict: false };
    const enforcing: SchemaRules = { ...rules, withoutStrict: 'enforce' };
    return (await this.#prepare(wanted, enforcing, engine, allowGrammars)).engineSchema ?? ANY_OBJECT;
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
          besideTools: false,
          engineSchema: ANY_OBJECT,
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
    const verdict = await this.#compiler.prepare({
      text,
      limits: this.#limits,
      dialect: engine,
      strictSubset: rules.strictSubset && wanted.strict === true,
      refuseDropped: rules.unsupported === 'refuse' && !hint,
      refuseSlips: rules.unknownKeywords === 'refuse_slips' && !hint,
      unchecked: hint,
    });
    if (!verdict.ok) {
      if (verdict.reason !== 'problem') throw notCompiled(verdict.reason, wanted.param, 'schema');
      const { pointer, keyword, message } = verdict.problem;
      throw refused(wanted.param, pointer, keyword, message);
    }
    const { schema, findings, check } = verdict.prepared;
    return {
      engineConstraint: writeConstraint({ kind: 'schema', schema, name: wanted.name }, engine),
      validator: check === null ? null : loadCheck(check),
      verdict: findings.length === 0 && !hint ? 'enforced' : 'validated_after',
      json: true,
      notes: findings,
      besideTools: false,
      engineSchema: schema,
    };
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

  async #compile(kind: 'ebnf' | 'regex', text: string, param: string, keyword: string): Promise<void> {
    const verdict = await this.#compiler.check(kind, text);
    if (!verdict.ok) throw notCompiled(verdict.reason, param, keyword);
  }
}

function notCompiled(reason: 'rejected' | 'too_slow' | 'busy', param: string, keyword: string): AppError {
  if (reason === 'busy') {
    return new AppError('queue_full', {
      message: 'Too many new schemas are waiting to be compiled.',
      retryAfterMs: 1_000,
    });
  }
  const why = reason === 'too_slow' ? 'takes too long to compile' : 'cannot be compiled to a grammar';
  return refused(param, '', keyword, why);
}

const enforced = (engineConstraint: EngineConstraint, validator: DocumentCheck | null): GateResult => ({
  engineConstraint,
  validator,
  verdict: 'enforced',
  json: false,
  notes: [],
  besideTools: false,
  engineSchema: null,
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
