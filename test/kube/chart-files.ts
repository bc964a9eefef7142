/** The chart as text, read without Helm: for the tests that run everywhere. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const chartFolder = fileURLToPath(new URL('../../helm/tollgate/', import.meta.url));

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export const chartText = (path: string) => readFileSync(chartFolder + path, 'utf8');
export const chartYaml = (path: string) => parse(chartText(path)) as { [name: string]: Json };

/** Names of the value files below `ci/`: the matrix that every check goes through, besides the plain defaults. */
export const sampleValues = () => readdirSync(`${chartFolder}ci`).map((name) => `ci/${name}`);

/** Every template, helpers included: name and text. */
export function templates(): Map<string, string> {
  return new Map(readdirSync(`${chartFolder}templates`).map((name) => [name, chartText(`templates/${name}`)] as const));
}

/** Bodies of the named templates (`define`) of all helper files. */
export function definitions(): Map<string, string> {
  const found = new Map<string, string>();
  for (const text of templates().values()) {
    // A definition ends at the last `end` before the next one begins.
    for (const part of text.split(/(?=\{\{-? define ")/)) {
      const name = /^\{\{-? define "([^"]+)"/.exec(part)?.[1];
      if (name) found.set(name, part);
    }
  }
  return found;
}

/** Names of the variables that a block of `_env.tpl` sets, with those of the blocks that it includes. */
export function environmentNames(block: string, all = definitions()): string[] {
  const text = all.get(block);
  if (text === undefined) throw new Error(`no template ${block}`);
  const own = [...text.matchAll(/^- name: (\w+)$/gm)].map(([, name]) => name!);
  const included = [...text.matchAll(/include "(tollgate\.env\.\w+)"/g)].map(([, name]) => name!);
  return [...new Set([...own, ...included.flatMap((name) => environmentNames(name, all))])].sort();
}

/** A value of a nested object by its path (`a.b.c`); undefined when a part is missing. */
export function at(values: Json, path: string): Json | undefined {
  let node: Json | undefined = values;
  for (const part of path.split('.')) {
    if (typeof node !== 'object' || node === null || Array.isArray(node)) return undefined;
    node = node[part];
  }
  return node;
}
