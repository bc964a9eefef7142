// @ts-check
/** `docs/proofs.md` from what the tests of a full run noted (`recordProof`, one JSON object per line). */
import { relative } from 'node:path';

/**
 * @typedef {object} RunFacts
 * @property {string} commit
 * @property {number} seed
 * @property {string} date
 * @property {number} minutes the whole run took
 * @property {number} passed tests
 * @property {string[]} failed tests, each as `file: name`; a guarantee that did not hold is not left out
 */

/**
 * What jest's report (`--json`) says of the tests.
 * @param {{ numPassedTests: number, testResults: { name: string, message: string, assertionResults: { status: string, fullName: string }[] }[] }} report
 * @param {string} root folder that file names are told relative to
 * @returns {Pick<RunFacts, 'passed' | 'failed'>}
 */
export function factsOf({ numPassedTests, testResults }, root) {
  const failed = testResults.flatMap(({ name, message, assertionResults }) => {
    const file = relative(root, name);
    const tests = assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
    // A file that could not even be loaded has no tests, only a message.
    if (tests.length === 0 && assertionResults.length === 0 && message !== '') return [`${file}: did not run`];
    return tests.map((test) => `${file}: ${test}`);
  });
  return { passed: numPassedTests, failed };
}

/**
 * @param {string} lines @param {RunFacts} facts
 * @returns {string} Markdown
 */
export function renderProofs(lines, { commit, seed, date, minutes, passed, failed }) {
  const proofs = lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const cell = (/** @type {unknown} */ value) =>
    String(value ?? '')
      .replaceAll('|', '\\|')
      .replaceAll('\n', ' ');
  return [
    '# Proofs',
    '',
    'What the last full run (`npm run test:full`) has shown. Written by that run, never by hand.',
    '',
    `- commit: ${commit}`,
    `- date: ${date}`,
    `- tests: ${passed} passed, ${failed.length} failed, in ${minutes} minutes`,
    ...failed.map((test) => `  - FAILED: ${test.replaceAll('\n', ' ')}`),
    `- seed: ${seed} (repeat: \`TOLLGATE_TEST_SEED=${seed} npm run test:full\`)`,
    '',
    '| guarantee | cases | seed | result |',
    '|---|---|---|---|',
    ...proofs.map(
      (proof) => `| ${cell(proof.name)} | ${cell(proof.count)} | ${cell(proof.seed)} | ${cell(proof.result)} |`,
    ),
    '',
  ].join('\n');
}
