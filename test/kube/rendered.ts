/** The chart as Helm renders it: objects, and a check against the committed schemas of Kubernetes and of the operators. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv, type ValidateFunction } from 'ajv';
import { parseAllDocuments } from 'yaml';
import { chartFolder } from './chart-files.ts';
import { toolEnvironment } from './config.ts';

// biome-ignore lint/suspicious/noExplicitAny: objects of any kind; the schemas say what is in them.
export type KubeObject = any;

export interface HelmAnswer {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs one Helm command in a home of its own; never throws. */
export function helm(program: string, home: string, args: string[], more: Record<string, string> = {}): HelmAnswer {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    env: toolEnvironment(home, more),
    maxBuffer: 64 * 1024 * 1024,
  });
  return { code: status ?? 1, stdout, stderr };
}

/** Objects that `helm template` makes with these arguments. @throws with Helm's own words */
export function render(program: string, home: string, args: string[]): KubeObject[] {
  const answer = helm(program, home, ['template', 'shop', chartFolder, '--namespace', 'lab', ...args]);
  if (answer.code !== 0) throw new Error(answer.stderr);
  return parseAllDocuments(answer.stdout).flatMap((document) => {
    if (document.errors.length > 0) throw document.errors[0]!;
    return document.toJS() ?? [];
  });
}

/** What is wrong with an object, as its kind's schema says; an empty list when nothing is. */
export class Schemas {
  readonly #folder = fileURLToPath(new URL('schemas/', import.meta.url));
  readonly #ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false, logger: false });
  readonly #byName = new Map<string, ValidateFunction>();

  problems(object: KubeObject): string[] {
    const [group, version] = object.apiVersion.includes('/') ? object.apiVersion.split('/') : ['', object.apiVersion];
    const name = `${object.kind}-${group ? `${group.split('.')[0]}-` : ''}${version}.json`.toLowerCase();
    if (!readdirSync(this.#folder).includes(name)) return [`no schema ${name}`];
    let validate = this.#byName.get(name);
    if (!validate) {
      validate = this.#ajv.compile(JSON.parse(readFileSync(this.#folder + name, 'utf8')));
      this.#byName.set(name, validate);
    }
    if (validate(object)) return [];
    return (validate.errors ?? []).map(({ instancePath, message, params }) =>
      `${object.kind}/${object.metadata?.name} ${instancePath} ${message} ${JSON.stringify(params)}`.trim(),
    );
  }
}

/** The pod that an object makes; null when it makes none. */
export function podOf(object: KubeObject): KubeObject | null {
  if (object.kind === 'Pod') return object.spec;
  return object.spec?.template?.spec ?? null;
}

/** An object by kind and the end of its name. */
export function find(objects: readonly KubeObject[], kind: string, end: string): KubeObject {
  const found = objects.filter((each) => each.kind === kind && each.metadata.name.endsWith(end));
  if (found.length !== 1) throw new Error(`${found.length} objects ${kind} *${end}`);
  return found[0];
}

/** Plain values of a container's variables. */
export function environmentOf(pod: KubeObject): Record<string, string> {
  const env = pod.containers[0].env as { name: string; value?: string }[];
  return Object.fromEntries(env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])));
}
