/**
 * Other gateways that are measured beside ours: what to install, and how to start each one the way its own documentation
 * recommends for speed, with its logs off. None is a dependency of the project.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MODEL } from '../traffic.ts';

export type PeerName = (typeof PEERS)[number]['name'];

export interface Start {
  program: string;
  args: string[];
  env?: Record<string, string>;
  /** What its requests carry. */
  key: string;
  headers?: Record<string, string>;
}

export interface Peer {
  name: string;
  version: string;
  /** `npm`: packages; `python`: a requirements file beside this one. */
  kind: 'npm' | 'python';
  packages: readonly string[];
  /** What a reader must know to compare. */
  remark: string;
  /** Command line. `folder`: where it is installed; `scratch`: a folder for this run. */
  start(place: { folder: string; scratch: string; port: number; spare: number; upstreams: readonly string[] }): Start;
}

const ANY_KEY = 'sk-0123456789abcdef0123456789abcdef';

export const PEERS = [
  {
    name: 'portkey',
    version: '1.15.2',
    kind: 'npm',
    // Newer hono and node-server that its ranges allow break every stream (TypeError: immutable).
    packages: ['@portkey-ai/gateway@1.15.2', 'hono@4.9.7', '@hono/node-server@1.13.5', '@hono/node-ws@1.2.0'],
    remark: 'one upstream',
    start: ({ folder, port, upstreams }) => ({
      program: process.execPath,
      args: [join(folder, 'node_modules/@portkey-ai/gateway/build/start-server.js'), '--headless', `--port=${port}`],
      env: { NODE_ENV: 'production' },
      key: ANY_KEY,
      headers: { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `${upstreams[0]}/v1` },
    }),
  },
  {
    name: 'smg',
    version: '1.13.0',
    kind: 'python',
    packages: ['smg==1.13.0'],
    remark: 'policy cache_aware',
    start: ({ folder, port, spare, upstreams }) => ({
      program: join(folder, 'venv/bin/smg'),
      args: [
        ...['launch', '--worker-urls', ...upstreams, '--policy', 'cache_aware'],
        ...['--host', '127.0.0.1', '--port', String(port), '--prometheus-port', String(spare)],
        ...['--log-level', 'error'],
      ],
      key: ANY_KEY,
    }),
  },
  {
    name: 'vllm-router',
    version: '0.1.17',
    kind: 'python',
    packages: ['vllm-router==0.1.17'],
    remark: 'policy cache_aware',
    start: ({ folder, port, spare, upstreams }) => ({
      program: join(folder, 'venv/bin/vllm-router'),
      args: [
        ...['--worker-urls', ...upstreams, '--policy', 'cache_aware'],
        ...['--host', '127.0.0.1', '--port', String(port), '--prometheus-port', String(spare)],
        ...['--log-level', 'error'],
      ],
      key: ANY_KEY,
    }),
  },
  {
    name: 'litellm',
    version: '1.106.2',
    kind: 'python',
    packages: ['litellm[proxy]==1.106.2'],
    remark: 'one worker process, one upstream, master key only',
    start: ({ folder, scratch, port, upstreams }) => {
      const file = join(scratch, 'litellm.yaml');
      writeFileSync(
        file,
        `model_list:
  - model_name: ${MODEL}
    litellm_params: {model: openai/${MODEL}, api_base: "${upstreams[0]}/v1", api_key: x}
litellm_settings: {callbacks: [], num_retries: 0, set_verbose: false, request_timeout: 600}
general_settings: {master_key: ${ANY_KEY}, disable_error_logs: true}
`,
      );
      return {
        program: join(folder, 'venv/bin/litellm'),
        args: ['--config', file, '--host', '127.0.0.1', '--port', String(port), '--num_workers', '1'],
        env: {
          LITELLM_LOG: 'ERROR',
          LITELLM_MODE: 'PRODUCTION',
          LITELLM_LOCAL_MODEL_COST_MAP: 'True',
          PYTHONWARNINGS: 'ignore',
        },
        key: ANY_KEY,
      };
    },
  },
] as const satisfies readonly Peer[];
