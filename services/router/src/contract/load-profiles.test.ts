import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { AppError } from '@tollgate/shared/domain/errors';
import { CONTRACTS_FOLDER, loadProfiles } from './load-profiles.ts';
import { ContractError } from './profile.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** The product's folder with one file more. */
function folderWith(name: string, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-contracts-'));
  folders.push(folder);
  cpSync(CONTRACTS_FOLDER, folder, { recursive: true });
  writeFileSync(join(folder, name), text);
  return folder;
}

function problemsOf(name: string, text: string): readonly string[] {
  try {
    loadProfiles({ folder: folderWith(name, text), docsBase: '' });
  } catch (error) {
    expect(error).toBeInstanceOf(ContractError);
    return (error as ContractError).problems;
  }
  return [];
}

const acme = (more: string) => `name: acme\nextends: openai\nprefix: /acme\nbase: /v2\n${more}`;
const body = (more: object = {}) => ({ model: 'm', messages: [{ role: 'user', content: 'x' }], ...more });

describe('profiles', () => {
  test('the six of the product load, openai first, each at a place of its own', () => {
    const places = loadProfiles({ docsBase: '' }).map(({ name, basePath }) => `${name} ${basePath}`);
    expect(places).toEqual([
      'openai /v1',
      'arcee /arcee/api/v1',
      'dmind /dmind/v1',
      'dos-ai /dos-ai/v1',
      'dottxt /dottxt/v1',
      'rag /rag/v1',
    ]);
    expect(loadProfiles({ docsBase: '', names: ['dmind'] }).map(({ name }) => name)).toEqual(['dmind']);
    expect(() => loadProfiles({ docsBase: '', names: ['openai', 'nobody'] })).toThrow('nobody: no such contract');
  });

  test('a file more is a contract more: what it extends, with what it says on top', () => {
    const text = acme('parameters: { temperature: { max: 1, default: 0.5 }, seed: { unsupported: refuse } }\n');
    const profile = loadProfiles({ folder: folderWith('acme.yaml', text), docsBase: '' }).find(
      ({ name }) => name === 'acme',
    )!;
    expect(profile.basePath).toBe('/acme/v2');
    expect(profile.parseChat(body()).sampling).toEqual({ temperature: 0.5 });
    expect(profile.parseChat(body({ temperature: 1, top_p: 0.5 })).sampling).toEqual({ temperature: 1, top_p: 0.5 });
    expect(() => profile.parseChat(body({ temperature: 1.5 }))).toThrow(AppError);
    expect(() => profile.parseChat(body({ seed: 1 }))).toThrow("Unsupported parameter: 'seed'");
  });

  test('open and closed ends of a range differ by exactly the end', () => {
    const text = acme('parameters: { temperature: { min: null, above: 0, max: null, below: 2 } }\n');
    const { parseChat } = loadProfiles({ folder: folderWith('acme.yaml', text), docsBase: '', names: ['acme'] })[0]!;
    for (const temperature of [0, 2]) expect(() => parseChat(body({ temperature }))).toThrow(/temperature/);
    for (const temperature of [0.001, 1.999])
      expect(parseChat(body({ temperature })).sampling).toEqual({ temperature });
  });
});

test('the example of docs/adding-a-contract.md does what the page says', () => {
  const page = readFileSync(new URL('../../../../docs/adding-a-contract.md', import.meta.url), 'utf8');
  const example = /```yaml\n([\s\S]*?)```/.exec(page)![1]!;
  const folder = folderWith('acme.yaml', example);
  const { parseChat, renderError, basePath } = loadProfiles({ folder, docsBase: '', names: ['acme'] })[0]!;
  expect(basePath).toBe('/acme/v2');
  const refusal = (more: object) => {
    try {
      parseChat(body(more));
    } catch (error) {
      return [renderError(error as AppError).status, (error as AppError).param];
    }
    return null;
  };
  expect(refusal({ temperature: 1.5 })).toEqual([422, 'temperature']);
  expect(refusal({ temperature: 'x' })).toEqual([400, 'temperature']);
  expect(refusal({ top_p: null })).toEqual([400, 'top_p']);
  expect(refusal({ seed: 1 })).toEqual([400, 'seed']);
  const read = parseChat(body({ top_k: 'anything', trace: 't1', n: 100 }));
  expect(read).toMatchObject({ sampling: { temperature: 0.5 }, labels: { chatId: 't1' }, choices: 100 });
  expect(renderError(new AppError('rate_limit_exceeded')).body).toMatchObject({
    error: { message: expect.stringMatching(/^Slow Down: /) },
  });
});

describe('a profile that cannot be followed stops the start', () => {
  test.each([
    ['a field of no meaning', 'surprise: 1\n', /^acme: .*surprise/],
    [
      'a parameter that the router does not know',
      'parameters: { warp: { type: number } }\n',
      /parameters.warp: the router knows/,
    ],
    ['a default against its own rule', 'parameters: { temperature: { default: 9 } }\n', /temperature: its default/],
    ['a status that it does not list', 'errors: { statuses: [400, 401] }\n', /insufficient_credits has the status 402/],
    ['a code that does not exist', 'errors: { codes: { oops: { status: 400 } } }\n', /errors.codes.oops/],
    ['a blocked field under a name of its own', 'parameters: { priority: { type: integer } }\n', /parameters.priority/],
    ['broken YAML', 'parameters: [\n', /^acme: /],
  ])('%s', (_what, text, problem) => {
    expect(problemsOf('acme.yaml', acme(text)).join('\n')).toMatch(problem);
  });

  test('all problems of all files are told at once', () => {
    const problems = problemsOf(
      'acme.yaml',
      acme('prefix: /dmind\nbase: /v1\n').replace('prefix: /acme\nbase: /v2\n', ''),
    );
    expect(problems).toEqual(['dmind: its path /dmind/v1 is that of acme']);
    const two = acme(
      'parameters: { warp: { type: number }, weft: { type: number } }\nerrors: { codes: { oops: {} } }\n',
    );
    expect(problemsOf('acme.yaml', two)).toHaveLength(3);
    expect(problemsOf('acme.yaml', 'name: acme\nextends: acme\n')[0]).toMatch(/^acme: extends/);
  });
});
