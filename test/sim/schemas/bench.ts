/**
 * `npm run bench:gate`: what the schema gate costs a request whose schema is known, and an answer that is checked.
 *
 * CPU time of this process per call (load from others on the machine counts little), best of several rounds. Exit 1 when
 * a bound is missed.
 */
import { readForm } from '@tollgate/router/answer-form';
import { loadProfiles } from '@tollgate/router/contract/load-profiles';
import { type EngineDialect, VLLM } from '@tollgate/router/schema-gate/dialect';
import { OPENAI_RULES, SchemaGate } from '@tollgate/router/schema-gate/gate';
import { InlineCompiler } from '@tollgate/router/schema-gate/inline-compiler';

const gate = new SchemaGate({ compiler: new InlineCompiler() });
const engine: EngineDialect = VLLM;
const [profile] = loadProfiles({ docsBase: '/docs/errors', names: ['openai'] });

/** A chat request with a schema, of about this many characters in all; the schema is about half of it. */
function request(chars: number): string {
  const properties: Record<string, unknown> = {};
  const required: string[] = [];
  const schema = { type: 'object', properties, required, additionalProperties: false };
  for (let i = 0; JSON.stringify(schema).length < chars / 2; i++) {
    const name = `field_${i}`;
    properties[name] = [
      { type: 'string', minLength: 1, maxLength: 40 },
      { type: 'integer', minimum: 0, maximum: 100 },
      { enum: ['billing', 'bug', 'feature', 'other'] },
      { type: 'array', items: { type: 'boolean' }, maxItems: 4 },
    ][i % 4];
    required.push(name);
  }
  const body = {
    model: 'Qwen/Qwen3-30B-A3B-FP8',
    messages: [{ role: 'user', content: '' }],
    response_format: { type: 'json_schema', json_schema: { name: 'x', schema } },
  };
  body.messages[0]!.content = 'x'.repeat(Math.max(1, chars - JSON.stringify(body).length));
  return JSON.stringify(body);
}

/** A document that the request's schema accepts. */
function answerTo(text: string): string {
  const { properties } = JSON.parse(text).response_format.json_schema.schema;
  const value = (schema: { type?: string; enum?: string[] }) =>
    schema.enum?.[0] ?? { string: 'some words', integer: 42, array: [true, false] }[schema.type as 'string'];
  return JSON.stringify(
    Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, value(schema as object)])),
  );
}

async function cpuMicros(calls: number, work: (index: number) => unknown): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 8; round++) {
    const start = process.cpuUsage();
    for (let i = 0; i < calls; i++) await work(i);
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, (user + system) / calls);
  }
  return best;
}

/** Characters of a request, and what the contract's rules and the gate together may cost, in us of CPU. */
const BOUNDS = [
  [1_000, 15],
  [8_000, 60],
] as const;

for (const [chars, mostUs] of BOUNDS) {
  const text = request(chars);
  // Every request brings objects of its own, as parsed bodies do.
  const bodies = Array.from({ length: 500 }, () => JSON.parse(text));
  const calls = 4_000;
  const loop = await cpuMicros(calls, () => undefined);
  const cost =
    (await cpuMicros(calls, (i) => gate.gate(bodies[i % bodies.length], OPENAI_RULES, engine, false))) - loop;
  // The whole of what a request pays before admission: the contract's rules, then the gate.
  const whole =
    (await cpuMicros(calls, (i) => {
      const read = profile!.parseChat(bodies[i % bodies.length]);
      return readForm(gate, read, profile!.answers, engine, false);
    })) - loop;
  const { validator } = await gate.gate(bodies[0], OPENAI_RULES, engine, false);
  const answer = answerTo(text);
  if (validator?.(answer) !== undefined) throw new Error('the answer should be valid');
  const check = (await cpuMicros(calls, () => validator?.(answer))) - loop;
  process.stdout.write(
    `request of ${text.length} characters: gate ${cost.toFixed(1)} us CPU, with the contract's rules ${whole.toFixed(1)} us (bound ${mostUs}); its answer of ${answer.length} characters: check ${check.toFixed(1)} us CPU\n`,
  );
  if (whole > mostUs) process.exitCode = 1;
}
