import { expect, test } from '@jest/globals';
import { Exemplars, openMetricsText } from './exemplars.ts';
import { Counter, Gauge, Histogram, Registry, startMetricsServer } from './metrics.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const BOUNDS = [0.1, 1];

function made() {
  const registry = new Registry();
  const registers = [registry];
  const seconds = new Histogram({
    name: 'a_seconds',
    help: 'How long.',
    labelNames: ['model'],
    buckets: BOUNDS,
    registers,
  });
  new Counter({ name: 'b_total', help: 'How "many"\\\n.', labelNames: ['name'], registers }).inc(
    { name: 'x"\\y\n' },
    3,
  );
  new Gauge({ name: 'c', help: 'C.', registers }).set(Number.POSITIVE_INFINITY);
  const exemplars = new Exemplars();
  for (const value of [0.05, 0.5, 7]) seconds.observe({ model: 'm' }, value);
  return { registry, exemplars };
}

test('an exemplar stands at the bucket of its value, and nowhere else; the last one counts', async () => {
  const { registry, exemplars } = made();
  exemplars.note('a_seconds', { model: 'm' }, BOUNDS, { traceId: 'before', value: 0.4, atMs: 1_000 });
  exemplars.note('a_seconds', { model: 'm' }, BOUNDS, { traceId: TRACE, value: 0.5, atMs: 2_500 });
  exemplars.note('a_seconds', { model: 'm' }, BOUNDS, { traceId: 'late', value: 7, atMs: 3_000 });
  expect(await openMetricsText(registry, exemplars)).toBe(
    [
      '# HELP a_seconds How long.',
      '# TYPE a_seconds histogram',
      'a_seconds_bucket{le="0.1",model="m"} 1',
      `a_seconds_bucket{le="1",model="m"} 2 # {trace_id="${TRACE}"} 0.5 2.500`,
      'a_seconds_bucket{le="+Inf",model="m"} 3 # {trace_id="late"} 7 3.000',
      'a_seconds_sum{model="m"} 7.55',
      'a_seconds_count{model="m"} 3',
      '# HELP b How \\"many\\"\\\\\\n.',
      '# TYPE b counter',
      'b_total{name="x\\"\\\\y\\n"} 3',
      '# HELP c C.',
      '# TYPE c gauge',
      'c +Inf',
      '# EOF',
      '',
    ].join('\n'),
  );
});

test('only who asks for OpenMetrics gets it, and only of a process that has exemplars', async () => {
  const { registry, exemplars } = made();
  const typeOf = async (accept: string, options: { exemplars?: Exemplars }) => {
    const server = await startMetricsServer({ host: '127.0.0.1', port: 0 }, registry, options);
    const response = await fetch(`${server.url}/metrics`, { headers: { accept } });
    const text = await response.text();
    await server.close();
    return [response.headers.get('content-type')!.split(';')[0], text.endsWith('# EOF\n')];
  };
  const asks = 'application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
  expect(await typeOf(asks, { exemplars })).toEqual(['application/openmetrics-text', true]);
  expect(await typeOf('*/*', { exemplars })).toEqual(['text/plain', false]);
  expect(await typeOf(asks, {})).toEqual(['text/plain', false]);
});
