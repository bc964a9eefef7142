// @ts-check
/** `docs/proofs.md` from what the tests of a full run noted (`recordProof`, one JSON object per line). */

/**
 * @param {string} lines @param {{ commit: string, seed: number, date: string }} meta
 * @returns {string} Markdown
 */
export function renderProofs(lines, { commit, seed, date }) {
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
