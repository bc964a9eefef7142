import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { checkArrows, checkExpress, type Violation } from './arrows.ts';
import { FOREIGN, LONG_FILES, LUA_QUOTES, LUA_TEXT } from './exceptions.ts';
import { readProject } from './files.ts';
import * as rules from './rules.ts';

const files = readProject(fileURLToPath(new URL('../../', import.meta.url)));
/** The rules' own files must name what they forbid. */
const words = files.filter(({ path }) => !path.startsWith('test/tidy/'));
const LINES_PER_FILE = 500;

const none = (violations: Violation[]) =>
  expect(violations.map(({ path, line, message }) => `${path}:${line} ${message}`)).toEqual([]);

test('the project is seen', () => {
  expect(files.length).toBeGreaterThan(50);
});
test('imports follow the arrows of the design', () => none(checkArrows(files)));
test('express stops at http/', () => none(checkExpress(files)));
test('domain and routing are pure', () => none(rules.checkPurity(files)));
test('process.env is read only in config.ts and the bootstrap', () => none(rules.checkEnvironment(words)));
test('Lua lies only in .lua files', () => none(rules.checkLuaPlace(words, LUA_QUOTES)));
test('Lua never turns a number into text', () => none(rules.checkLuaNumbers(files, LUA_TEXT)));
test('Redis key names live in shared/src/redis', () => none(rules.checkKeyNames(words)));
test('SQL lives in shared/src/db', () => none(rules.checkSql(files)));
test('no file is too long', () => none(rules.checkLength(files, LINES_PER_FILE, LONG_FILES)));
test('no registry host, no path of one machine', () => none(rules.checkPlaces(words, FOREIGN)));
test('the lock file names no registry', () => none(rules.checkLockFile(files)));
test('nothing is put off in the text', () => none(rules.checkLeftovers(words, FOREIGN)));
test('the top-level folders are the fixed ones', () => none(rules.checkTopFolders(files)));
test('every exception still has its file and a reason', () =>
  none([LONG_FILES, LUA_QUOTES, LUA_TEXT].flatMap((list) => rules.checkExceptions(files, list))));
test('every long file that is excepted is still long', () => {
  const long = rules.checkLength(files, LINES_PER_FILE, []).map(({ path }) => path);
  expect(LONG_FILES.map(({ path }) => path).filter((path) => !long.includes(path))).toEqual([]);
});
