/** The gate's compiler without its thread and without XGrammar: for studies and tests of the gate's own verdicts. */
import type { CompileVerdict, PrepareVerdict, SchemaCompiler } from './compiler.ts';
import { prepareSchema, type SchemaAsk } from './prepare-schema.ts';
import { SchemaProblem } from './problem.ts';

export class InlineCompiler implements SchemaCompiler {
  /** Every verdict on a grammar, a schema's own among them. */
  readonly verdict: CompileVerdict;
  /** What was asked, in order: the kind, and its text as the engine would get it. */
  readonly asked: string[] = [];

  constructor(verdict: CompileVerdict = { ok: true }) {
    this.verdict = verdict;
  }

  async check(kind: 'ebnf' | 'regex', text: string): Promise<CompileVerdict> {
    this.asked.push(`${kind} ${text}`);
    return this.verdict;
  }

  async prepare(ask: SchemaAsk): Promise<PrepareVerdict> {
    try {
      const prepared = prepareSchema(ask);
      if (prepared.compilable) {
        this.asked.push(`schema ${JSON.stringify(prepared.schema)}`);
        if (!this.verdict.ok) return this.verdict;
      }
      return { ok: true, prepared };
    } catch (error) {
      if (!(error instanceof SchemaProblem)) throw error;
      const { pointer, keyword, message } = error;
      return { ok: false, reason: 'problem', problem: { pointer, keyword, message } };
    }
  }
}
