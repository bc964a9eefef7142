/**
 * What one request asks of the form of its answer: a schema, a choice, a grammar, or tool calls whose arguments must
 * keep to their parameters. Made by the schema gate before anything is charged; every worker gets it in its own dialect.
 */
import { AppError } from '@tollgate/shared/domain/errors';
import type { RequestContext } from './context.ts';
import type { GenerationRequest, Tool, ToolChoice } from './contract/request.ts';
import type { EngineConstraint } from './schema-gate/constraint.ts';
import type { EngineDialect } from './schema-gate/dialect.ts';
import type { GateResult, SchemaGate, SchemaRules } from './schema-gate/gate.ts';
import type { DocumentCheck } from './schema-gate/validate.ts';

/** What becomes of a finished document that breaks its schema. `retry`: plain answers only, once, under the same hold. */
export type OnInvalid = 'pass' | 'error' | 'retry';

/** What a contract says of the answers that it passes on. */
export interface AnswerPolicy {
  schemas: SchemaRules;
  onInvalid: OnInvalid;
  /** Name of the field with the model's thoughts: vLLM's now, or SGLang's, DeepSeek's and vLLM's until 0.11. */
  reasoningField: 'reasoning' | 'reasoning_content';
}

/** How the relay judges an answer. */
export interface AnswerChecks {
  /** Decides over the finished text of a choice; null = nothing to check. */
  document: DocumentCheck | null;
  /** The text is constrained at all: only `stop` without a stop string means that it is whole. */
  constrained: boolean;
  /** JSON: white space without end is cut. */
  json: boolean;
  /** By name of the tool. */
  tools: ReadonlyMap<string, DocumentCheck>;
  onInvalid: OnInvalid;
}

/** True when the request needs the gate; all others do not pay for it. */
export function asksForForm({ structured, tools, toolChoice }: GenerationRequest): boolean {
  return structured !== null || (tools ?? []).some((tool) => isChecked(tool, toolChoice));
}

export class AnswerForm {
  readonly checks: AnswerChecks;
  readonly verdict: GateResult['verdict'];
  /** The answer is either the document or calls: the constraint says so, and nothing beside it may. */
  readonly besideTools: boolean;
  private readonly constraints: Map<string, Promise<EngineConstraint>>;
  private readonly make: (dialect: EngineDialect) => Promise<EngineConstraint>;

  constructor(
    result: GateResult,
    dialect: EngineDialect,
    tools: ReadonlyMap<string, DocumentCheck>,
    onInvalid: OnInvalid,
    make: (dialect: EngineDialect) => Promise<EngineConstraint>,
  ) {
    const { validator, json, verdict, engineConstraint } = result;
    this.verdict = verdict;
    this.besideTools = result.besideTools;
    this.checks = { document: validator, constrained: verdict !== 'unconstrained', json, tools, onInvalid };
    this.constraints = new Map([[nameOf(dialect), Promise.resolve(engineConstraint)]]);
    this.make = make;
  }

  /** Fields for the body of a worker that speaks `dialect`. */
  constraintFor(dialect: EngineDialect): Promise<EngineConstraint> {
    const name = nameOf(dialect);
    let constraint = this.constraints.get(name);
    if (constraint === undefined) {
      constraint = this.make(dialect);
      this.constraints.set(name, constraint);
    }
    return constraint;
  }
}

const nameOf = ({ engine, version, xgrammar }: EngineDialect): string => `${engine} ${version.join('.')} ${xgrammar}`;

/**
 * Throws AppError with JSON pointer and keyword for what cannot be promised. `dialect`: of a worker that may get it.
 */
export async function readForm(
  gate: Pick<SchemaGate, 'gate'>,
  request: GenerationRequest,
  policy: AnswerPolicy,
  dialect: EngineDialect,
  allowGrammars: boolean,
): Promise<AnswerForm> {
  const body = {
    ...request.structured,
    tools: request.tools,
    tool_choice: request.toolChoice,
    parallel_tool_calls: 'parallelToolCalls' in request ? request.parallelToolCalls : null,
  };
  const gated = (each: EngineDialect) => gate.gate(body, policy.schemas, each, allowGrammars);
  const result = await gated(dialect);
  const tools = await toolChecks(gate, request, policy.schemas, dialect, result.besideTools);
  return new AnswerForm(result, dialect, tools, policy.onInvalid, async (each) => (await gated(each)).engineConstraint);
}

/**
 * The form of a request that has come by its endpoint. Where a schema stands beside tools that may be called, the constraint covers
 * both: a strict tool makes vLLM write a constraint of its own and drop ours without a word (tried on 0.29), so the worker is not
 * told which are strict. Endpoints with another shape of tools refuse the two together.
 */
export async function formOf(
  ctx: Pick<RequestContext, 'endpoint' | 'key' | 'profile' | 'text'>,
  request: GenerationRequest,
  gate: Pick<SchemaGate, 'gate'>,
  dialect: EngineDialect,
): Promise<AnswerForm> {
  const { answers } = ctx.profile;
  const isChat = ctx.endpoint === '/chat/completions';
  const policy = isChat ? answers : { ...answers, schemas: { ...answers.schemas, schemaWithTools: 'refuse' as const } };
  const form = await readForm(gate, request, policy, dialect, ctx.key?.allowGrammars === true);
  if (form.besideTools && ctx.text !== null) ctx.text = { ...ctx.text, tools: withoutStrict(request.tools ?? []) };
  return form;
}

function withoutStrict(tools: readonly Tool[]): string {
  return JSON.stringify(tools.map(({ type, function: { strict: _, ...plain } }) => ({ type, function: plain })));
}

/** A tool whose arguments are promised to keep to its parameters: it is strict, or it must be called. */
function isChecked(tool: Tool, choice: ToolChoice | null): boolean {
  if (choice === 'none') return false;
  if (typeof choice === 'object' && choice !== null && choice.function.name !== tool.function.name) return false;
  return tool.function.strict === true || (choice !== null && choice !== 'auto');
}

async function toolChecks(
  gate: Pick<SchemaGate, 'gate'>,
  { tools, toolChoice }: GenerationRequest,
  rules: SchemaRules,
  dialect: EngineDialect,
  all: boolean,
): Promise<Map<string, DocumentCheck>> {
  const checks = new Map<string, DocumentCheck>();
  for (const [i, tool] of (tools ?? []).entries()) {
    const { parameters, strict } = tool.function;
    if (parameters === undefined || !(all || isChecked(tool, toolChoice))) continue;
    const schema = { name: 'parameters', schema: parameters, strict: strict === true };
    const body = { response_format: { type: 'json_schema', json_schema: schema } };
    try {
      const { validator } = await gate.gate(body, { ...rules, withoutStrict: 'enforce' }, dialect, false);
      if (validator !== null) checks.set(tool.function.name, validator);
    } catch (error) {
      throw atTool(error, `tools[${i}].function.parameters`);
    }
  }
  return checks;
}

/** The gate's error with the path of the tool. */
function atTool(error: unknown, path: string): unknown {
  if (!(error instanceof AppError) || error.param === null) return error;
  const { code, message, metadata, param } = error;
  return new AppError(code, {
    message,
    param: param.replace(/^response_format\.json_schema(\.schema)?/, path),
    ...(metadata === undefined ? {} : { metadata }),
  });
}
