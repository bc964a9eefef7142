/**
 * Everything on a screen is in the console's API: each address that the dashboard's sources call, with its method, is in
 * the OpenAPI document. Read off the text, without a browser; an address that cannot be read off fails too.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { VERSION } from '../../services/console/src/app.ts';
import { openRoutes } from '../../services/console/src/http/open-routes.ts';
import { openApiDocument } from '../../services/console/src/http/openapi.ts';
import { allRoutes } from '../../services/console/src/routes.ts';
import { declared } from './host-routes.ts';

const SOURCES = fileURLToPath(new URL('../../services/dashboard/src/', import.meta.url));
/** The functions of `api/` by which everything is asked, and their methods; `null`: the first argument names it. */
const METHODS: Readonly<Record<string, string | null>> = {
  get: 'GET',
  listQuery: 'GET',
  EventSource: 'GET',
  post: 'POST',
  upload: 'POST',
  patch: 'PATCH',
  send: null,
  call: null,
};

const document = openApiDocument(allRoutes({} as Parameters<typeof allRoutes>[0]), VERSION) as {
  paths: Record<string, Record<string, unknown>>;
};
/** `GET /api/keys/{}`. */
const offered = new Set([
  ...Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path.replace(/\{\w+\}/g, '{}')}`),
  ),
  ...declared(openRoutes({ openApi: {}, unready: () => Promise.resolve(null) })).map(
    ({ method, path }) => `${method} ${String(path).replace(/:\w+/g, '{}')}`,
  ),
]);

/** Sources by their path below `src`, without comments; what is blanked keeps its place. */
const files = new Map(
  readdirSync(SOURCES, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && !/\.test\./.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path): [string, string] => [relative(SOURCES, path), withoutComments(readFileSync(path, 'utf8'))]),
);

function withoutComments(text: string): string {
  const blank = (comment: string) => comment.replace(/[^\n]/g, ' ');
  return text.replace(/\/\*[\s\S]*?\*\//g, blank).replace(/^\s*\/\/.*$/gm, blank);
}

interface Found {
  file: string;
  /** What stands there, and where. */
  text: string;
  start: number;
}

/** Expressions of a list in brackets that begins at `start`, split at its own commas. */
function listed(file: string, start: number): Found[] {
  const text = files.get(file)!;
  const parts: Found[] = [];
  let depth = 0;
  let quote = '';
  let from = start + 1;
  const templates: number[] = [];
  for (let at = start; at < text.length; at++) {
    const char = text[at]!;
    if (quote !== '') {
      if (char === '\\') at++;
      else if (quote === '`' && char === '$' && text[at + 1] === '{') {
        templates.push(depth);
        quote = '';
        depth++;
        at++;
      } else if (char === quote) quote = '';
    } else if (char === "'" || char === '"' || char === '`') quote = char;
    else if (char === '(' || char === '[' || char === '{') depth++;
    else if (char === ')' || char === ']' || char === '}') {
      depth--;
      if (depth > 0 && char === '}' && templates.at(-1) === depth) {
        templates.pop();
        quote = '`';
      } else if (depth === 0) {
        parts.push({ file, text: text.slice(from, at), start: from });
        return parts;
      }
    } else if (char === ',' && depth === 1) {
      parts.push({ file, text: text.slice(from, at), start: from });
      from = at + 1;
    }
  }
  throw new Error(`${file}: a bracket is not closed`);
}

/** Every text that an expression can be, `{}` for what only a run knows. Throws when it cannot be told at all. */
function values({ text: expression, file, start }: Found, depth = 0): string[] {
  const text = expression.trim();
  const part = (piece: string): Found => ({ file, start, text: piece });
  if (depth > 5) throw new Error('goes round in circles');
  const literal = /^(['"])([^'"\\]*)\1$/.exec(text);
  if (literal) return [literal[2]!];
  if (/^account\(/.test(text)) return ['/api/accounts/{}'];
  if (/^queryText\(/.test(text)) return [''];
  const choice = /^[^?`]*\?\s*('[^']*')\s*:\s*('[^']*')$/.exec(text);
  if (choice) return [...values(part(choice[1]!)), ...values(part(choice[2]!))];
  if (/^`[\s\S]*`$/.test(text)) {
    const pieces = [...text.slice(1, -1).matchAll(/\$\{((?:[^{}]|\{[^{}]*\})*)\}|[^$]+|\$/g)];
    return pieces.reduce(
      (sofar: string[], [whole, inner]) => {
        const next = inner === undefined ? [whole] : inside(part(inner), depth);
        return sofar.flatMap((before) => next.map((after) => before + after));
      },
      [''],
    );
  }
  if (/^\w+$/.test(text)) {
    const meant = meanings(text, file, start);
    if (meant.length > 0) return meant.flatMap((each) => values(each, depth + 1));
  }
  throw new Error(`cannot be read off: ${text}`);
}

/** Within a template: an address or a part of one, else an id. */
function inside(expression: Found, depth: number): string[] {
  try {
    const told = values(expression, depth + 1);
    const choice = expression.text.includes('?');
    return told.every((text) => choice || text === '' || text.startsWith('/')) ? told : ['{}'];
  } catch {
    return ['{}'];
  }
}

/**
 * What a name stands for at a place: the constant of the file that was declared last before it, else what some screen gives
 * as the property of that name.
 */
function meanings(name: string, file: string, place: number): Found[] {
  const constants = [...files.get(file)!.matchAll(new RegExp(`const ${name} = ([^;=]+);`, 'g'))]
    .filter(({ index }) => index < place)
    .map((match) => ({ file, text: match[1]!, start: match.index + match[0].indexOf(match[1]!) }))
    .slice(-1);
  const meant = constants.length > 0 ? constants : properties(name);
  seen.push(...meant);
  // Handed down under the same name: it is told further up.
  return meant.filter(({ text }) => text.trim() !== name);
}

function properties(name: string): Found[] {
  return [...files].flatMap(([file, text]) =>
    [...text.matchAll(new RegExp(`\\b${name}=(?:("[^"]*")|\\{)`, 'g'))].map((match) =>
      match[1] === undefined
        ? listed(file, match.index + match[0].length - 1)[0]!
        : { file, text: match[1], start: match.index },
    ),
  );
}

interface Call {
  where: string;
  method: string;
  paths: string[];
}
/** Everything that was looked into. */
const seen: Found[] = [];

function callsOf(file: string): Call[] {
  const text = files.get(file)!;
  const told: Call[] = [];
  const add = (method: string, path: Found) => {
    seen.push(path);
    const line = text.slice(0, path.start).split('\n').length;
    const paths = values(path).map((each) => each.replace(/\?.*$/, ''));
    told.push({ where: `${file}:${line}`, method, paths });
  };
  const names = new RegExp(`(?<![.\\w])(${Object.keys(METHODS).join('|')})(?:<[^()]*?>)?\\(`, 'g');
  for (const match of text.matchAll(names)) {
    const [first, second] = listed(file, match.index + match[0].length - 1);
    const method = METHODS[match[1]!];
    if (passedOn(first!)) continue;
    if (method) add(method, first!);
    else if (second) add(values(first!)[0]!, second);
  }
  for (const match of text.matchAll(/\bhref=\{(?=`\$\{account\(|['"`]\/api\/)/g)) {
    add('GET', listed(file, match.index + match[0].length - 1)[0]!);
  }
  // A request that somebody else sends.
  for (const match of text.matchAll(/\bmethod: '(\w+)',\s*url: (`[^`]*`)/g)) {
    add(match[1]!, { file, text: match[2]!, start: match.index + match[0].indexOf('`') });
  }
  return told;
}

/** `listQuery` gets its address from its caller, where it is looked into. */
const passedOn = ({ file, text }: Found) => file === 'api/queries.ts' && text.trim() === 'path';

/** What calls are made of is none itself. */
const callers = [...files.keys()].filter((file) => !/^api\/(client|error|upload)\.ts$/.test(file));
const calls = callers.flatMap(callsOf);

test('every address that the dashboard calls is in the OpenAPI document, with its method', () => {
  expect(calls.length).toBeGreaterThan(90);
  const missing = calls.flatMap(({ where, method, paths }) =>
    paths.filter((path) => !offered.has(`${method} ${path}`)).map((path) => `${where}: ${method} ${path}`),
  );
  expect(missing).toEqual([]);
});

test('no address of the API stands where this does not look', () => {
  const names = callers.flatMap((file) =>
    [...files.get(file)!.matchAll(/queryKey: \[|const account = \(/g)].map((match) => ({
      ...{ file, start: match.index },
      text: files.get(file)!.slice(match.index, files.get(file)!.indexOf('\n', match.index)),
    })),
  );
  const within = (file: string, at: number) =>
    [...seen, ...names].some((each) => each.file === file && at >= each.start && at < each.start + each.text.length);
  const overlooked = callers.flatMap((file) =>
    [...files.get(file)!.matchAll(/['"`]\/api\/|\baccount\(/g)]
      .filter(({ index }) => !within(file, index))
      .map(
        ({ index }) =>
          `${file}: ${
            files
              .get(file)!
              .slice(index, index + 60)
              .split('\n')[0]
          }`,
      ),
  );
  expect(overlooked).toEqual([]);
});
