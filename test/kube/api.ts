/** The lab's API server, as far as tests need it: JSON in, JSON out. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { KubeObject } from './rendered.ts';

const LIMIT_MS = 20_000;

export interface ApiAnswer {
  status: number;
  body: KubeObject;
}

export class KubeApi {
  readonly server: URL;
  readonly certificate: string;
  private readonly token: string;

  /** `state`: the folder of `lab/up.sh`. `token`: somebody else's; the administrator's when absent. */
  constructor(state: string, token?: string) {
    const config = parse(readFileSync(join(state, 'kubeconfig'), 'utf8'));
    this.server = new URL(config.clusters[0].cluster.server);
    this.certificate = Buffer.from(config.clusters[0].cluster['certificate-authority-data'], 'base64').toString();
    this.token = token ?? config.users[0].user.token;
  }

  /** Any answer is an answer; only a broken connection rejects. */
  call(method: string, path: string, body?: unknown, type = 'application/json'): Promise<ApiAnswer> {
    return new Promise((resolve, reject) => {
      const sent = request(
        new URL(path, this.server),
        { method, ca: this.certificate, headers: { authorization: `Bearer ${this.token}`, 'content-type': type } },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            resolve({ status: response.statusCode ?? 0, body: text.startsWith('{') ? JSON.parse(text) : text });
          });
        },
      );
      sent.on('error', reject);
      sent.setTimeout(LIMIT_MS, () => sent.destroy(new Error(`${method} ${path}: no answer`)));
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** The status alone, as soon as it is there: a watch has no end. */
  status(method: string, path: string, body?: unknown): Promise<number> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' };
      const sent = request(new URL(path, this.server), { method, ca: this.certificate, headers }, (response) => {
        resolve(response.statusCode ?? 0);
        sent.destroy();
      });
      sent.on('error', reject);
      sent.setTimeout(LIMIT_MS, () => sent.destroy(new Error(`${method} ${path}: no answer`)));
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async list(path: string): Promise<KubeObject[]> {
    const { status, body } = await this.call('GET', path);
    if (status !== 200) throw new Error(`${path}: ${status}`);
    return body.items;
  }
}
