/** The thread in which grammars are compiled: XGrammar's aborts, loops and memory stay in here. */
import { parentPort } from 'node:worker_threads';
import { GrammarSampler } from '@tollgate/shared/xgrammar/sampler';

export type CompileJob = { id: number; kind: 'schema' | 'ebnf' | 'regex'; text: string };
export type CompileReply = { id: number; ok: boolean; retire: boolean };

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

parentPort!.on('message', async ({ id, kind, text }: CompileJob) => {
  let ok = true;
  try {
    const compiled = await (await sampler).compile({ kind, text });
    compiled.dispose();
  } catch {
    // After "Aborted()" the instance cannot be trusted, and which failures abort cannot be told from its texts.
    ok = false;
  }
  const reply: CompileReply = { id, ok, retire: !ok || (memory?.buffer.byteLength ?? 0) > RETIRE_BYTES };
  parentPort!.postMessage(reply);
});
