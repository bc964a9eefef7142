// @ts-check
/** `docs/proofs.md` from what the tests of a full run noted (`recordProof`, one JSON object per line). */
import { relative } from 'node:path';

/**
 * @typedef {object} FullRun
 * @property {string} commit
 * @property {number} seed
 * @property {string} date
 * @property {number} minutes
 * @property {Record<string, { passed: number, failed: string[] }>} files by name; `failed` tests by name
 */

/**
 * What jest's report (`--json`) says of each file.
 * @param {{ testResults: { name: string, message: string, assertionResults: { status: string, fullName: string }[] }[] }} report
 * @param {string} root folder that file names are told relative to
 * @returns {FullRun['files']}
 */
export function filesOf({ testResults }, root) {
  return Object.fromEntries(
    testResults.map(({ name, message, assertionResults }) => {
      const failed = assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
      // A file that could not even be loaded has no tests, only a message.
      if (assertionResults.length === 0 && message !== '') failed.push('did not run');
      return [
        relative(root, name),
        { passed: assertionResults.filter((test) => test.status === 'passed').length, failed },
      ];
    }),
  );
}

/**
 * The files in which the last of these runs that had them saw a test fail.
 * @param {FullRun[]} runs
 */
export function failedFiles(runs) {
  const last = Object.assign({}, ...runs.map(({ files }) => files));
  return Object.keys(last).filter((file) => last[file].failed.length > 0);
}

/**
 * @param {string} lines
 * @param {FullRun[]} runs the first of everything, each later one of what had failed until then; none is left out
 * @returns {string} Markdown
 */
export function renderProofs(lines, runs) {
  const byName = new Map(
    lines
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
      .map((proof) => [proof.name, proof]),
  );
  const proofs = [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const cell = (/** @type {unknown} */ value) =>
    String(value ?? '')
      .replaceAll('|', '\\|')
      .replaceAll('\n', ' ');
  return [
    '# Proofs',
    '',
    'What the last full run (`npm run test:full`) has shown. Written by that run, never by hand.',
    '',
    ...runs.flatMap((run, i) => describe(run, i === 0 ? 'everything' : 'what had failed, again')),
    '',
    failedFiles(runs).length === 0 ? 'All tests passed in the last run that had them.' : 'NOT all tests passed.',
    '',
    '| guarantee | cases | seed | result |',
    '|---|---|---|---|',
    ...proofs.map(
      (proof) => `| ${cell(proof.name)} | ${cell(proof.count)} | ${cell(proof.seed)} | ${cell(proof.result)} |`,
    ),
    '',
  ].join('\n');
}

/** @param {FullRun} run @param {string} what @returns {string[]} */
function describe({ commit, seed, date, minutes, files }, what) {
  const results = Object.entries(files);
  const passed = results.reduce((sum, [, file]) => sum + file.passed, 0);
  const failed = results.flatMap(([file, result]) => result.failed.map((test) => `${file}: ${test}`));
  return [
    `- ${what}: commit ${commit}, ${date}, ${minutes} minutes, ${passed} tests passed, ${failed.length} failed (repeat: \`TOLLGATE_TEST_SEED=${seed} npm run test:full\`)`,
    ...failed.map((test) => `  - failed: ${test.replaceAll('\n', ' ')}`),
  ];
}
