/** A real Prometheus for a test: asks a fixed list of targets every second, answers queries. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { stringify } from 'yaml';
import { onPath } from '../../services/shared/src/runtime/binaries.mjs';

export const prometheusProgram = onPath('prometheus', '/usr/bin:/usr/local/bin');
if (!prometheusProgram)
  process.stderr.write('prometheus is not installed: nothing is asked of it (Debian: prometheus)\n');

interface Target {
  targets: string[];
  labels: Record<string, string>;
}

export class Prometheus {
  private readonly child: ChildProcess;
  private readonly url: string;

  private constructor(child: ChildProcess, url: string) {
    this.child = child;
    this.url = url;
  }

  static async start(folder: string, targets: readonly Target[]): Promise<Prometheus> {
    mkdirSync(folder, { recursive: true });
    const config = join(folder, 'prometheus.yml');
    const jobs = [{ job_name: 'tollgate-router', static_configs: targets }];
    writeFileSync(config, stringify({ global: { scrape_interval: '1s', scrape_timeout: '1s' }, scrape_configs: jobs }));
    const listen = `127.0.0.1:${await freePort()}`;
    const args = [`--config.file=${config}`, `--storage.tsdb.path=${join(folder, 'data')}`];
    args.push(`--web.listen-address=${listen}`, '--log.level=error', '--enable-feature=exemplar-storage');
    const child = spawn(prometheusProgram!, args, {
      env: childEnvironment(),
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const prometheus = new Prometheus(child, `http://${listen}`);
    await eventually('Prometheus is ready', async () => (await fetch(`${prometheus.url}/-/ready`)).ok);
    return prometheus;
  }

  /** The one number that a query answers; null when it answers nothing. */
  async ask(query: string): Promise<number | null> {
    const answer = await fetch(`${this.url}/api/v1/query?query=${encodeURIComponent(query)}`);
    const { data, error } = (await answer.json()) as {
      data?: { result: { value: [number, string] }[] };
      error?: string;
    };
    if (data === undefined) throw new Error(error);
    const [only] = data.result;
    return only === undefined ? null : Number(only.value[1]);
  }

  /** Traces that the exemplars of a series lead to. */
  async traces(series: string): Promise<string[]> {
    const [start, end] = [Date.now() / 1_000 - 3_600, Date.now() / 1_000 + 60];
    const query = new URLSearchParams({ query: series, start: String(start), end: String(end) });
    const answer = await fetch(`${this.url}/api/v1/query_exemplars?${query}`);
    const { data } = (await answer.json()) as { data: { exemplars: { labels: { trace_id: string } }[] }[] };
    return data.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels.trace_id));
  }

  async stop(): Promise<void> {
    const gone = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await gone;
  }
}
