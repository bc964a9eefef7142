/** What differs between the engines that a constraint may be sent to. */

export interface EngineDialect {
  engine: 'vllm' | 'sglang';
  /** The engine's own version, `major.minor`; decides the names of the request's fields. */
  version: readonly [number, number];
  /** The grammar engine inside: its bugs decide what counts as enforced. 0.1 is what the devworker's WebAssembly build is. */
  xgrammar: '0.1' | '0.2';
}

export const VLLM: EngineDialect = { engine: 'vllm', version: [0, 32], xgrammar: '0.2' };
export const SGLANG: EngineDialect = { engine: 'sglang', version: [0, 5], xgrammar: '0.2' };

/** vLLM 0.12 removed the `guided_*` fields; before it `structured_outputs` was unknown. */
export const usesGuidedFields = (dialect: EngineDialect): boolean =>
  dialect.engine === 'vllm' && dialect.version[0] === 0 && dialect.version[1] < 12;
