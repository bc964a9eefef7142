/** Rules about what files may say. Pure functions over file lists; `rules.test.ts` plants a violation for each. */
import { importsOf, isTestCode, layerOf, type Violation } from './arrows.ts';
import type { Exception } from './exceptions.ts';
import type { SourceFile } from './files.ts';

const isScript = (path: string) => /\.(ts|tsx|mts|cts|mjs|cjs|js|jsx)$/.test(path);

/** TypeScript without its comments; line numbers stay. Good enough for word rules: strings are left alone. */
export function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|[\s;,{}()])\/\/[^\n]*/g, '$1');
}

/** Lua without comments and string contents; line numbers stay. */
export function luaCode(text: string): string {
  return text
    .replace(/--\[\[[\s\S]*?\]\]/g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|--[^\n]*/g, (found) => (found.startsWith('--') ? '' : '""'));
}

function matches(file: SourceFile, code: string, pattern: RegExp, message: (found: string) => string): Violation[] {
  return [...code.matchAll(pattern)].map((match) => ({
    path: file.path,
    line: code.slice(0, match.index).split('\n').length,
    message: message(match[0]),
  }));
}

const covers = (exception: Exception, path: string) =>
  exception.path.endsWith('/') ? path.startsWith(exception.path) : exception.path === path;

/** Node modules that compute (checksums, hashes) and touch nothing; their random functions are caught as words. */
const COMPUTING = new Set(['node:zlib', 'node:crypto', 'node:buffer']);

/** Domain and routing decide; they take time, randomness and data as arguments. */
export function checkPurity(files: readonly SourceFile[]): Violation[] {
  const impure =
    /\b(?:Date\.now|performance\.now|Math\.random|new Date\(\)|setTimeout|setInterval|setImmediate|fetch|(?:randomUUID|randomBytes|randomInt|getRandomValues)|process\.\w+|console\.\w+)\b|new Date\(\)/g;
  return files
    .filter(({ path }) => layerOf(path) === 'shared/domain' || path.startsWith('services/router/src/routing/'))
    .filter(({ path }) => isScript(path) && !isTestCode(path))
    .flatMap((file) => [
      ...matches(file, withoutComments(file.text), impure, (found) => `${found} in code that must be pure`),
      ...importsOf(file.text)
        .filter(({ specifier }) => /^(node:|ioredis|undici|pg$|fs$|net$|http)/.test(specifier))
        .filter(({ specifier }) => !COMPUTING.has(specifier))
        .map(({ specifier, line }) => ({ path: file.path, line, message: `pure code imports ${specifier}` })),
    ]);
}

/** The environment is read in one file per service, and by the bootstrap, which comes before all of them. */
export function checkEnvironment(files: readonly SourceFile[]): Violation[] {
  const allowed = (path: string) =>
    /(^|\/)config\.ts$/.test(path) ||
    (path.startsWith('services/cli/bootstrap/') && path.endsWith('.mjs')) ||
    path === 'services/shared/src/runtime/binaries.mjs';
  return files
    .filter(({ path }) => isScript(path) && !allowed(path))
    .flatMap((file) => [
      ...matches(
        file,
        withoutComments(file.text),
        /\bprocess\s*(?:\?\.|\.)\s*env\b|\bprocess\[['"]env/g,
        () => 'process.env outside config.ts',
      ),
      ...matches(
        file,
        withoutComments(file.text),
        /import\s*\{[^}]*\benv\b[^}]*\}\s*from\s*['"](?:node:)?process['"]/g,
        () => 'env of node:process outside config.ts',
      ),
    ]);
}

/** Lua lies in .lua files, where editors and reviewers see it. */
export function checkLuaPlace(files: readonly SourceFile[], exceptions: readonly Exception[]): Violation[] {
  return files
    .filter(({ path }) => isScript(path) && !exceptions.some((exception) => covers(exception, path)))
    .flatMap((file) =>
      matches(file, withoutComments(file.text), /\bredis\.p?call\s*\(/g, () => 'Lua outside a .lua file'),
    );
}

/** MONEY 3.3: Lua prints 150000000000001 as 1.5e+14, so scripts never turn numbers into text. */
export function checkLuaNumbers(files: readonly SourceFile[], exceptions: readonly Exception[]): Violation[] {
  const text = /(?<!\.)\.\.(?!\.)|\btostring\b|\bstring\.(?:format|rep)\b|\bcjson\b(?!\.decode\b)|\bcmsgpack\b/g;
  return files
    .filter(({ path }) => path.endsWith('.lua') && !exceptions.some((exception) => covers(exception, path)))
    .flatMap((file) => matches(file, luaCode(file.text), text, (found) => `${found} may turn a number into text`));
}

/** Names of Redis keys are made in one folder. */
export function checkKeyNames(files: readonly SourceFile[]): Violation[] {
  return files
    .filter(({ path }) => isScript(path) && layerOf(path) !== 'shared/redis' && !isTestCode(path))
    .flatMap((file) =>
      matches(file, withoutComments(file.text), /['"`]tg:/g, () => 'a Redis key name outside shared/src/redis'),
    );
}

/** SQL, and the libraries that speak it, live in one folder. */
export function checkSql(files: readonly SourceFile[]): Violation[] {
  // Lower case needs a second word of SQL, or "select a model" in a help text would count.
  const statement =
    /\bsql(?:<[^`(]*>)?`|['"`]\s*(?:SELECT\s|INSERT\s+INTO\s|UPDATE\s+[\w"]+\s+SET\s|DELETE\s+FROM\s|CREATE\s+(?:TABLE|INDEX|DATABASE|SCHEMA|TYPE)\s|ALTER\s+TABLE\s|WITH\s+\w+\s+AS\s|select\s[^'"`]*\sfrom\s|insert\s+into\s|delete\s+from\s|update\s+\w+\s+set\s)/g;
  return files
    .filter(
      ({ path }) => isScript(path) && layerOf(path) !== null && layerOf(path) !== 'shared/db' && !isTestCode(path),
    )
    .flatMap((file) => [
      ...matches(file, withoutComments(file.text), statement, () => 'SQL outside shared/src/db'),
      ...importsOf(file.text)
        .filter(({ specifier }) => specifier === 'pg' || specifier === 'kysely' || specifier.startsWith('kysely/'))
        .map(({ specifier, line }) => ({ path: file.path, line, message: `${specifier} outside shared/src/db` })),
    ]);
}

/** A file that does not fit into a head. */
export function checkLength(
  files: readonly SourceFile[],
  limit: number,
  exceptions: readonly Exception[],
): Violation[] {
  return files
    .filter(({ path }) => isScript(path) || path.endsWith('.lua') || path.endsWith('.sql'))
    .filter(({ path }) => !exceptions.some((exception) => covers(exception, path)))
    .map((file) => ({ file, lines: file.text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > limit)
    .map(({ file, lines }) => ({
      path: file.path,
      line: lines,
      message: `${lines} lines, at most ${limit}: split it`,
    }));
}

/** A clone must work anywhere: no package registry's address, no path of the machine where it was written. */
export function checkPlaces(files: readonly SourceFile[], foreign: readonly Exception[]): Violation[] {
  const place =
    /\bregistry\.(?!example\b)[\w-]+\.(?:org|com|net)\b|\bartifactory\b|(?<![\w.:-])\/(?:root|work)\/[\w.-]|(?<![\w.:/-])\/(?:home|Users)\/[a-z]\w*\//gi;
  return files
    .filter(({ path }) => !foreign.some((exception) => covers(exception, path)))
    .flatMap((file) => matches(file, file.text, place, (found) => `a place of one machine: ${found}`));
}

/** The lock file names versions and hashes, never where they were fetched. */
export function checkLockFile(files: readonly SourceFile[]): Violation[] {
  return files
    .filter(({ path }) => path === 'package-lock.json')
    .flatMap((file) =>
      matches(file, file.text, /"resolved":\s*"(?:https?|git)[^"]*"/g, () => 'the lock file names a registry'),
    );
}

/** Work that is put off belongs into an issue. */
export function checkLeftovers(files: readonly SourceFile[], foreign: readonly Exception[]): Violation[] {
  const word = new RegExp(`\\b(?:${['TO', 'DO'].join('')}|${['FIX', 'ME'].join('')})\\b`, 'g');
  return files
    .filter(({ path }) => !foreign.some((exception) => covers(exception, path)))
    .flatMap((file) => matches(file, file.text, word, (found) => `${found} left over`));
}

export const TOP_FOLDERS = ['services', 'infra', 'helm', 'test', 'docs', '.ci'] as const;

/** The top of the tree is fixed. */
export function checkTopFolders(files: readonly SourceFile[]): Violation[] {
  const allowed: readonly string[] = TOP_FOLDERS;
  const seen = new Set(files.filter(({ path }) => path.includes('/')).map(({ path }) => path.split('/')[0]!));
  return [...seen]
    .filter((folder) => !allowed.includes(folder))
    .map((folder) => ({ path: folder, line: 1, message: 'not one of the fixed top-level folders' }));
}

/** An exception that covers nothing any more is a hole waiting for a wrong file. */
export function checkExceptions(files: readonly SourceFile[], exceptions: readonly Exception[]): Violation[] {
  return exceptions
    .filter((exception) => exception.reason.length < 10 || !files.some(({ path }) => covers(exception, path)))
    .map((exception) => ({ path: exception.path, line: 1, message: 'an exception without a file or a reason' }));
}
