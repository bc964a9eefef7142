/** `node write-results.ts RESULTS`: from jest's JSON of a run with the real engine to docs/conformance.md. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { conformanceDocument, DOCUMENT, REAL_RESULTS } from '../conformance/contracts/document.ts';

interface JestResults {
  testResults: { name: string; assertionResults: { title: string; status: string }[] }[];
}

type Result = 'pass' | 'fail';

const { testResults } = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as JestResults;
const lines: Record<string, Result> = {};
const beyond: { name: string; result: Result }[] = [];
for (const { name, assertionResults } of testResults) {
  for (const { title, status } of assertionResults) {
    if (status !== 'passed' && status !== 'failed') continue;
    const result: Result = status === 'passed' ? 'pass' : 'fail';
    const id = /^(C?\d+(?:\.\d+)?) /.exec(title)?.[1];
    if (name.endsWith('.check.ts')) beyond.push({ name: title, result });
    else if (id !== undefined && lines[id] !== 'fail') lines[id] = result;
  }
}
const byId = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true });
const results = {
  engine: 'vLLM 0.29.0 (CPU build, XGrammar 0.2.8, a made Qwen3-MoE model with random weights)',
  date: new Date().toISOString().slice(0, 10),
  whole: true,
  commit: execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim(),
  lines: Object.fromEntries(Object.entries(lines).sort(([a], [b]) => byId(a, b))),
  beyond: beyond.sort((a, b) => a.name.localeCompare(b.name)),
};
writeFileSync(REAL_RESULTS, `${JSON.stringify(results, null, 2)}\n`);
writeFileSync(DOCUMENT, conformanceDocument());
