/**
 * What the schema gate makes of published schemas.
 *
 *   node --conditions=tollgate-source test/sim/schemas/study.ts FILE [--quick] [--write]
 *
 * FILE: JSON lines, plain or gzipped, `{name, schema, tests: [{valid, data}], xgrammar?}`. For each schema: the gate's verdict under
 * the profiles openai and dottxt, and five documents drawn from the schema that the engine is sent, each read whole and as a stream.
 * `--write` puts the table into docs/structured-output.md. Exit 1 when a document that plain ajv refuses would have been delivered as
 * complete, or when more than 3 % of the schemas are refused under openai.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { GrammarCompilerPool } from '@tollgate/router/schema-gate/compiler';
import type { EngineDialect } from '@tollgate/router/schema-gate/dialect';
import { DOTTXT_RULES, OPENAI_RULES, SchemaGate, type SchemaRules } from '@tollgate/router/schema-gate/gate';
import { StructuredAnswer } from '@tollgate/router/schema-gate/outcome';
import { seededRandom } from '@tollgate/shared/testkit/seeded-random';
import { GrammarSampler } from '@tollgate/shared/xgrammar/sampler';
import { asStream } from './as-stream.ts';
import { oracle } from './oracle.ts';

interface Row {
  name: string;
  schema: unknown;
  tests?: { valid: boolean; data: unknown }[];
  xgrammar?: string;
}

const PINNED: EngineDialect = { engine: 'vllm', version: [0, 29], xgrammar: '0.2' };
/** What draws the documents here: the WebAssembly build, whose gaps are the larger ones. */
const WASM: EngineDialect = { engine: 'vllm', version: [0, 29], xgrammar: '0.1' };
const DOCUMENTS = 5;
const MAX_BYTES = 6_000;
/** Share of published schemas that profile openai may refuse. */
const MAX_REFUSED = 0.03;

const say = (text: string) => process.stdout.write(`${text}\n`);

function readRows(file: string): Row[] {
  const raw = readFileSync(file);
  const text = (raw[0] === 0x1f && raw[1] === 0x8b ? gunzipSync(raw) : raw).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as Row);
}

const share = (count: number, of: number) => `${((100 * count) / Math.max(1, of)).toFixed(1)} %`;

async function verdictOf(gate: SchemaGate, schema: unknown, rules: SchemaRules, dialect: EngineDialect) {
  const body = { response_format: { type: 'json_schema', json_schema: { name: 'study', schema } } };
  try {
    return { ok: true as const, result: await gate.gate(body, rules, dialect, false) };
  } catch (error) {
    const { metadata, message } = error as { metadata?: { pointer: string; keyword: string }; message: string };
    return { ok: false as const, pointer: metadata?.pointer ?? '?', keyword: metadata?.keyword ?? '?', message };
  }
}

/** Documents from one schema text: `undefined` when XGrammar does not compile it. A failed instance is left behind with its thread's. */
async function draw(sampler: GrammarSampler, schemaText: string, seed: number) {
  const compiled = await sampler.compile({ kind: 'schema', text: schemaText });
  const samples = [];
  for (let i = 0; i < DOCUMENTS; i++) {
    samples.push(
      await sampler.sample(compiled, { random: seededRandom(seed + i), maxBytes: MAX_BYTES, windDownAfter: 250 }),
    );
  }
  compiled.dispose();
  return samples;
}

const delivered = (validator: ConstructorParameters<typeof StructuredAnswer>[0], text: string): boolean => {
  const answer = new StructuredAnswer(validator, true);
  return answer.push(text) && answer.finish('stop', null).kind === 'complete';
};

function parse(text: string): { ok: boolean; value?: unknown } {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    return { ok: false };
  }
}

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const file = args.find((each) => !each.startsWith('--'));
  if (file === undefined) {
    say('usage: study.ts FILE [--quick] [--write]');
    return 2;
  }
  const all = readRows(file);
  const rows = args.includes('--quick') ? all.filter((_, index) => index % 10 === 0) : all;
  const compiler = new GrammarCompilerPool({ schemaMs: 5_000 });
  const gate = new SchemaGate({ compiler });
  const sampler = await GrammarSampler.create();
  const verdicts: Record<string, Record<string, number>> = {};
  const refusals: Record<string, string[]> = { openai: [], dottxt: [] };
  const dottxtKeywords: Record<string, number> = {};
  const totals = {
    documents: 0,
    unfinished: 0,
    heldBack: 0,
    streamsRefused: 0,
    deliveredInvalid: 0,
    streamedInvalid: 0,
    enforcedInvalid: 0,
    noOracle: 0,
  };
  const alone = { schemas: 0, loose: 0, refused: 0 };
  const fixtures = { valid: 0, validKept: 0, invalid: 0, invalidCaught: 0 };
  const count = (name: string, verdict: string) => {
    verdicts[name] ??= {};
    verdicts[name][verdict] = (verdicts[name][verdict] ?? 0) + 1;
  };

  for (const [index, row] of rows.entries()) {
    const check = oracle(row.schema);
    if (check === undefined) totals.noOracle++;
    for (const [profile, rules] of [
      ['openai', OPENAI_RULES],
      ['dottxt', DOTTXT_RULES],
    ] as const) {
      const verdict = await verdictOf(gate, row.schema, rules, PINNED);
      count(profile, verdict.ok ? verdict.result.verdict : 'refused');
      if (verdict.ok) continue;
      refusals[profile]!.push(
        `${row.name}: \`${verdict.pointer || '#'}\`, \`${verdict.keyword}\`: ${verdict.message.split(': ').slice(1).join(': ')}`,
      );
      if (profile === 'dottxt') dottxtKeywords[verdict.keyword] = (dottxtKeywords[verdict.keyword] ?? 0) + 1;
    }
    const wasm = await verdictOf(gate, row.schema, OPENAI_RULES, WASM);
    count('openai, XGrammar 0.1', wasm.ok ? wasm.result.verdict : 'refused');
    if (wasm.ok) {
      const sent = (wasm.result.engineConstraint.structured_outputs as { json: unknown }).json;
      for (const { text, complete } of await draw(sampler, JSON.stringify(sent), index * 100)) {
        totals.documents++;
        if (!complete) {
          totals.unfinished++;
          continue;
        }
        const passes = delivered(wasm.result.validator, text);
        const streamed = asStream(wasm.result.validator, text);
        if (!passes) totals.heldBack++;
        if (streamed.refused) totals.streamsRefused++;
        if (!passes && wasm.result.verdict === 'enforced') {
          totals.enforcedInvalid++;
          say(
            `ENFORCED BUT REFUSED ${row.name} ${JSON.stringify(wasm.result.validator?.(text))} ${text.slice(0, 200)}`,
          );
        }
        const parsed = parse(text);
        if (check !== undefined && !(parsed.ok && check(parsed.value))) {
          if (passes) totals.deliveredInvalid++;
          if (streamed.complete) totals.streamedInvalid++;
          if (passes || streamed.complete) say(`DELIVERED BUT INVALID ${row.name} ${text.slice(0, 200)}`);
        }
      }
      for (const { valid, data } of row.tests ?? []) {
        const passes = delivered(wasm.result.validator, JSON.stringify(data));
        fixtures[valid ? 'valid' : 'invalid']++;
        if (valid && passes) fixtures.validKept++;
        if (!valid && !passes) fixtures.invalidCaught++;
        if (valid !== passes && args.includes('--verbose')) {
          say(
            `FIXTURE ${row.name} ${valid} ${JSON.stringify(wasm.result.validator?.(JSON.stringify(data)))} oracle ${check?.(data)}`,
          );
        }
      }
    }
    if (check === undefined) continue;
    alone.schemas++;
    // Whatever aborts XGrammar would take this thread's instance along: the compile thread tries it first.
    if (!(await compiler.check('schema', JSON.stringify(row.schema))).ok) {
      alone.refused++;
      continue;
    }
    const samples = await draw(sampler, JSON.stringify(row.schema), index * 100);
    const bad = samples.some(({ text, complete }) => {
      const parsed = parse(text);
      return complete && !(parsed.ok && check(parsed.value));
    });
    if (bad) alone.loose++;
  }
  await compiler.close();

  const lines = report({ rows, verdicts, refusals, dottxtKeywords, totals, alone, fixtures });
  say(lines);
  if (args.includes('--write')) writeTable(lines);
  const invalid = totals.deliveredInvalid + totals.streamedInvalid + totals.enforcedInvalid;
  const tooMany = refusals.openai!.length > MAX_REFUSED * rows.length;
  return invalid === 0 && totals.streamsRefused === totals.heldBack && !tooMany ? 0 : 1;
}

interface Figures {
  rows: Row[];
  verdicts: Record<string, Record<string, number>>;
  refusals: Record<string, string[]>;
  dottxtKeywords: Record<string, number>;
  totals: Record<
    | 'documents'
    | 'unfinished'
    | 'heldBack'
    | 'streamsRefused'
    | 'deliveredInvalid'
    | 'streamedInvalid'
    | 'enforcedInvalid'
    | 'noOracle',
    number
  >;
  alone: { schemas: number; loose: number; refused: number };
  fixtures: { valid: number; validKept: number; invalid: number; invalidCaught: number };
}

function report({ rows, verdicts, refusals, dottxtKeywords, totals, alone, fixtures }: Figures): string {
  const n = rows.length;
  const recorded = rows.filter((row) => row.xgrammar === 'too loose').length;
  const cell = (profile: string, verdict: string) => {
    const found = verdicts[profile]?.[verdict] ?? 0;
    return `${found} (${share(found, n)})`;
  };
  const lines = [
    `${n} schemas.`,
    '',
    '| profile | enforced by the engine alone | sent, checked after | refused |',
    '|---|---|---|---|',
    ...Object.keys(verdicts).map(
      (profile) =>
        `| ${profile} | ${cell(profile, 'enforced')} | ${cell(profile, 'validated_after')} | ${cell(profile, 'refused')} |`,
    ),
    '',
    '| documents drawn from what the engine is sent (XGrammar 0.1.27, bytes, seeds) | count |',
    '|---|---|',
    `| drawn | ${totals.documents} |`,
    `| not finished within ${MAX_BYTES} bytes (a length finish, never complete) | ${totals.unfinished} |`,
    `| finished and held back by the check | ${totals.heldBack} |`,
    `| the same as streams: ended with an error event, without finish reason and \`[DONE]\` | ${totals.streamsRefused} |`,
    `| held back though the verdict was "enforced" | ${totals.enforcedInvalid} |`,
    `| **delivered as complete though plain ajv refuses them** | **${totals.deliveredInvalid}** |`,
    `| **streamed to a whole end though plain ajv refuses them** | **${totals.streamedInvalid}** |`,
    `| schemas that plain ajv cannot compile (no second opinion) | ${totals.noOracle} |`,
    '',
    `XGrammar 0.1.27 alone, given the schemas as they are: ${alone.refused} of ${alone.schemas} not compiled, and ${alone.loose} (${share(alone.loose, alone.schemas)}) wrote at least one invalid document of ${DOCUMENTS} that would have passed as complete.`,
    `XGrammar 0.2.8 alone, as recorded in the file: ${recorded} (${share(recorded, n)}) let an invalid document of the file pass.`,
    `The file's own documents under the gate's check: ${fixtures.validKept} of ${fixtures.valid} valid ones pass, ${fixtures.invalidCaught} of ${fixtures.invalid} invalid ones are refused.`,
    '',
    `Refused under openai: ${refusals.openai!.length === 0 ? 'none' : ''}`,
    ...refusals.openai!.map((line) => `- ${line}`),
    '',
    `Refused under dottxt, by keyword: ${Object.entries(dottxtKeywords)
      .sort(([, a], [, b]) => b - a)
      .map(([keyword, times]) => `\`${keyword}\` ${times}`)
      .join(', ')}`,
  ];
  return lines.join('\n');
}

const PAGE = new URL('../../../docs/structured-output.md', import.meta.url);
const START = '<!-- study:start -->';
const END = '<!-- study:end -->';

function writeTable(lines: string): void {
  const page = readFileSync(PAGE, 'utf8');
  const [head, rest] = page.split(START);
  writeFileSync(PAGE, `${head}${START}\n${lines}\n${END}${rest!.split(END)[1]}`);
}

process.exitCode = await main();
