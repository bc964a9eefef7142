import { describe, expect, test } from '@jest/globals';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { AppError } from '@tollgate/shared/domain/errors';
import type { RequestContext } from '../context.ts';
import { startTracing, tracingOn } from './tracing.ts';

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
const tracing = tracingOn(provider.getTracer('test'));

const context = (change: Partial<RequestContext> = {}): RequestContext =>
  ({
    requestId: 'req_1',
    endpoint: '/chat/completions',
    profile: { name: 'openai', basePath: '/v1' },
    startedMs: 1_000,
    key: { accountId: 'acct_1' },
    request: { model: 'm', stream: true, messages: [{ role: 'user', content: 'a canary' }] },
    admission: { outputLimit: 64 },
    engine: 'vllm 0.32',
    attempts: 1,
    counts: { promptTokens: 7, completionTokens: 9 },
    finishReason: 'stop',
    firstTokenMs: 1_040,
    queueMs: 3,
    status: 200,
    outcome: 'served',
    error: null,
    ...change,
  }) as unknown as RequestContext;

const TRACE = '0af7651916cd43dd8448eb211c80319c';

function run(header: string | undefined, ctx: RequestContext, workers: readonly string[]) {
  exporter.reset();
  const spans = tracing.begin(ctx, (name) => (name === 'traceparent' ? header : undefined));
  const told = workers.map((worker) => spans.dispatched(worker, ctx));
  spans.end(ctx);
  return { spans: exporter.getFinishedSpans(), told };
}

describe('spans of a request', () => {
  test('one for the request, one for its attempt, under the caller, and the worker is told of its own', () => {
    const { spans, told } = run(`00-${TRACE}-b7ad6b7169203331-01`, context(), ['http://10.0.0.7:8000']);
    const [attempt, server] = spans;
    expect(server).toMatchObject({ name: 'POST /v1/chat/completions', parentSpanContext: { traceId: TRACE } });
    expect(attempt).toMatchObject({
      name: 'chat m',
      parentSpanContext: { spanId: server!.spanContext().spanId },
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'vllm',
        'gen_ai.request.model': 'm',
        'gen_ai.usage.input_tokens': 7,
        'gen_ai.usage.output_tokens': 9,
        'gen_ai.response.finish_reasons': ['stop'],
        'server.address': '10.0.0.7',
        'server.port': 8000,
        'tollgate.first_token_ms': 40,
      },
    });
    expect(told[0]).toBe(`00-${TRACE}-${attempt!.spanContext().spanId}-01`);
  });

  test('a second attempt has a span of its own; an error is told by its code', () => {
    const ctx = context({ outcome: 'worker_lost', status: 502, error: new AppError('worker_failed') });
    const { spans } = run(undefined, ctx, ['http://a:1', 'http://b:1']);
    expect(spans.map(({ attributes }) => attributes['error.type'])).toEqual([
      'retried',
      'worker_failed',
      'worker_failed',
    ]);
  });

  test('nothing of what a client sent or was sent is in them', () => {
    const { spans } = run(undefined, context(), ['http://a:1']);
    const text = JSON.stringify(
      spans.map(({ name, attributes, events, status }) => ({ name, attributes, events, status })),
    );
    expect(text).not.toContain('canary');
  });

  test.each(['', '00-xyz', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`, `ff-${TRACE}-b7ad6b7169203331-01`])(
    'a parent that is none (%j) begins a trace of our own',
    (header) => {
      const [, server] = run(header, context(), ['http://a:1']).spans;
      expect(server!.parentSpanContext).toBeUndefined();
    },
  );
});

test('without an endpoint, or switched off, nothing is started', async () => {
  const config = { OTEL_SDK_DISABLED: false, OTEL_SERVICE_NAME: 's', OTEL_TRACES_SAMPLER_ARG: 1 };
  const none = { OTEL_EXPORTER_OTLP_ENDPOINT: undefined, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: undefined };
  expect(await startTracing({ ...config, ...none }, '0')).toBeNull();
  const off = { ...config, ...none, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_SDK_DISABLED: true };
  expect(await startTracing(off, '0')).toBeNull();
});
