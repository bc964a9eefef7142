/** The thread in which schemas are prepared and grammars compiled: ajv's time and XGrammar's aborts, loops and memory stay in here. */
import { parentPort } from 'node:worker_threads';
import { GrammarSampler } from '@tollgate/shared/xgrammar/sampler';
import { type PreparedSchema, prepareSchema, type SchemaAsk } from './prepare-schema.ts';
import { SchemaProblem } from './problem.ts';

/** A grammar to be tried, or a schema to be prepared (its own grammar is tried too). */
export type CompileJob =
  | { id: number; kind: 'schema' | 'ebnf' | 'regex'; text: string }
  | { id: number; kind: 'prepare'; ask: SchemaAsk };

export interface Problem {
  pointer: string;
  keyword: string;
  message: string;
}

/** `retire`: replace the thread. `problem`: why the schema is refused. */
export interface CompileReply {
  id: number;
  ok: boolean;
  retire: boolean;
  /** CPU time of the thread so far. */
  usedMs: number;
  prepared?: PreparedSchema;
  problem?: Problem;
}

/** Memory of the WebAssembly instance above which the thread asks to be replaced. */
const RETIRE_BYTES = 256 * 1024 * 1024;

// XGrammar writes its complaints, with paths of its build machine, to the console.
process.stdout.write = () => true;
process.stderr.write = () => true;

interface Memory {
  buffer: ArrayBuffer;
}
type Instantiate = (source: unknown, imports: unknown) => Promise<{ instance?: Instance } & Partial<Instance>>;
interface Instance {
  exports: Record<string, unknown>;
}
// TypeScript knows WebAssembly only with the browser's library.
const wasm = (globalThis as unknown as { WebAssembly: { instantiate: Instantiate; Memory: new () => Memory } })
  .WebAssembly;

let memory: Memory | undefined;
const { instantiate } = wasm;
// The package keeps its instance to itself; its memory is seen when it is made.
wasm.instantiate = async (source, imports) => {
  const made = await instantiate(source, imports);
  const exported = Object.values((made.instance ?? made).exports ?? {});
  memory = exported.find((each) => each instanceof wasm.Memory) as Memory | undefined;
  return made;
};

const sampler = GrammarSampler.create();

/** False when XGrammar refuses it: after "Aborted()" the instance cannot be trusted, and which failures abort cannot be told from its texts. */
async function compiles(kind: 'schema' | 'ebnf' | 'regex', text: string): Promise<boolean> {
  try {
    const compiled = await (await sampler).compile({ kind, text });
    compiled.dispose();
    return true;
  } catch {
    return false;
  }
}

async function prepare(ask: SchemaAsk): Promise<Omit<CompileReply, 'id' | 'retire' | 'usedMs'>> {
  let prepared: PreparedSchema;
  try {
    prepared = prepareSchema(ask);
  } catch (error) {
    if (!(error instanceof SchemaProblem)) throw error;
    const { pointer, keyword, message } = error;
    return { ok: true, problem: { pointer, keyword, message } };
  }
  if (prepared.compilable && !(await compiles('schema', JSON.stringify(prepared.schema)))) return { ok: false };
  return { ok: true, prepared };
}

parentPort!.on('message', async (job: CompileJob) => {
  const made = job.kind === 'prepare' ? await prepare(job.ask) : { ok: await compiles(job.kind, job.text) };
  const retire = !made.ok || (memory?.buffer.byteLength ?? 0) > RETIRE_BYTES;
  const { user, system } = process.threadCpuUsage();
  const reply: CompileReply = { id: job.id, retire, usedMs: (user + system) / 1_000, ...made };
  parentPort!.postMessage(reply);
});
