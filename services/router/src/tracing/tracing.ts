/**
 * OpenTelemetry spans of generation requests, when `OTEL_EXPORTER_OTLP_ENDPOINT` (or `..._TRACES_ENDPOINT`) is set: a SERVER
 * span for the request, a CLIENT child for each attempt at a worker, named and described by the GenAI conventions
 * (semantic-conventions-genai, in development). No prompt, answer, key or header ever is an attribute. The SDK is loaded only
 * then: without it nothing of this costs anything.
 */
import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { RouterConfig } from '../config.ts';
import type { RequestContext } from '../context.ts';
import type { HeaderOf } from '../contract/profile.ts';

/** One request's spans. */
export interface RequestTrace {
  /** Null where the trace is not kept. */
  readonly traceId: string | null;
  /** An attempt leaves for a worker; returns the `traceparent` that tells the worker of its span. */
  dispatched(worker: string, ctx: RequestContext): string;
  /** The request has ended. */
  end(ctx: RequestContext): void;
}

export interface Tracing {
  begin(ctx: RequestContext, header: HeaderOf): RequestTrace;
  /** Sends what waits. */
  close(): Promise<void>;
}

export type TracingConfig = Pick<
  RouterConfig,
  | 'OTEL_SDK_DISABLED'
  | 'OTEL_EXPORTER_OTLP_ENDPOINT'
  | 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'
  | 'OTEL_SERVICE_NAME'
  | 'OTEL_TRACES_SAMPLER_ARG'
>;

/** Null when no endpoint is configured. `/v1/traces` is added to the general one, as the specification says. */
export async function startTracing(config: TracingConfig, version: string): Promise<Tracing | null> {
  const base = config.OTEL_EXPORTER_OTLP_ENDPOINT?.replace(/\/+$/, '');
  const url = config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base === undefined ? undefined : `${base}/v1/traces`);
  if (url === undefined || config.OTEL_SDK_DISABLED) return null;
  const { BatchSpanProcessor, TraceIdRatioBasedSampler, TracerProvider } = await import('@opentelemetry/sdk-trace');
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
  const { resourceFromAttributes } = await import('@opentelemetry/resources');
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': config.OTEL_SERVICE_NAME, 'service.version': version }),
    // By the trace's id alone: a client's own flag must not decide what we keep.
    sampler: new TraceIdRatioBasedSampler(config.OTEL_TRACES_SAMPLER_ARG),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url }) })],
  });
  return tracingOn(provider.getTracer('tollgate-router', version), () => provider.shutdown());
}

/** On any tracer. */
export function tracingOn(tracer: Tracer, close: () => Promise<void> = async () => {}): Tracing {
  return {
    close,
    begin(ctx, header) {
      const { basePath } = ctx.profile;
      const parent = parentOf(header('traceparent'));
      const server = tracer.startSpan(
        `POST ${basePath}${ctx.endpoint}`,
        {
          kind: SpanKind.SERVER,
          attributes: { 'http.request.method': 'POST', 'url.path': basePath + ctx.endpoint },
        },
        parent,
      );
      return new Spans(tracer, server, trace.setSpan(parent, server));
    },
  };
}

class Spans implements RequestTrace {
  readonly traceId: string | null;
  readonly #tracer: Tracer;
  readonly #server: Span;
  readonly #context: Context;
  #attempt: Span | null = null;

  constructor(tracer: Tracer, server: Span, context: Context) {
    this.#tracer = tracer;
    this.#server = server;
    this.#context = context;
    const { traceId, traceFlags } = server.spanContext();
    this.traceId = (traceFlags & TraceFlags.SAMPLED) === 0 ? null : traceId;
  }

  dispatched(worker: string, ctx: RequestContext): string {
    this.#attempt?.setAttribute('error.type', 'retried').end();
    const { hostname, port } = new URL(worker);
    const operation = OPERATIONS[ctx.endpoint] ?? 'generate_content';
    const model = ctx.request?.model ?? 'unknown';
    const attempt = this.#tracer.startSpan(
      `${operation} ${model}`,
      {
        kind: SpanKind.CLIENT,
        attributes: {
          'gen_ai.operation.name': operation,
          'gen_ai.provider.name': ctx.engine?.split(' ')[0] ?? 'vllm',
          'gen_ai.request.model': model,
          'gen_ai.request.stream': ctx.request?.stream ?? false,
          'gen_ai.request.max_tokens': ctx.admission?.outputLimit ?? 0,
          'server.address': hostname,
          'server.port': Number(port) || 80,
          'tollgate.attempt': ctx.attempts,
        },
      },
      this.#context,
    );
    this.#attempt = attempt;
    const { traceId, spanId, traceFlags } = attempt.spanContext();
    return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
  }

  end(ctx: RequestContext): void {
    const served = ctx.outcome === 'served' || ctx.outcome === 'replayed';
    const attempt = this.#attempt;
    if (attempt !== null) {
      attempt.setAttributes({
        'gen_ai.usage.input_tokens': ctx.counts.promptTokens ?? 0,
        'gen_ai.usage.output_tokens': ctx.counts.completionTokens,
        'gen_ai.response.id': ctx.requestId,
        ...(ctx.finishReason === null ? {} : { 'gen_ai.response.finish_reasons': [ctx.finishReason] }),
        ...(ctx.firstTokenMs === null ? {} : { 'tollgate.first_token_ms': ctx.firstTokenMs - ctx.startedMs }),
      });
      if (!served) fail(attempt, ctx);
      attempt.end();
    }
    this.#server.setAttributes({
      'http.response.status_code': ctx.status,
      'tollgate.request_id': ctx.requestId,
      'tollgate.contract': ctx.profile.name,
      'tollgate.outcome': ctx.outcome ?? 'unknown',
      ...(ctx.key === null ? {} : { 'tollgate.account_id': ctx.key.accountId }),
      ...(ctx.queueMs === null ? {} : { 'tollgate.queue_ms': ctx.queueMs }),
    });
    if (!served) fail(this.#server, ctx);
    this.#server.end();
  }
}

/** The catalogue's code and nothing more: messages may quote what a client sent. */
function fail(span: Span, ctx: RequestContext): void {
  span.setAttribute('error.type', ctx.error?.code ?? ctx.outcome ?? 'unknown');
  span.setStatus({ code: SpanStatusCode.ERROR });
}

const OPERATIONS: Record<string, string> = {
  '/chat/completions': 'chat',
  '/messages': 'chat',
  '/responses': 'chat',
  '/completions': 'text_completion',
  '/embeddings': 'embeddings',
};

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** The caller's span (W3C Trace Context); none when it says nothing, or nonsense. */
function parentOf(header: string | undefined): Context {
  const match = TRACEPARENT.exec(header ?? '');
  if (match === null || /^0+$/.test(match[1]!) || /^0+$/.test(match[2]!)) return ROOT_CONTEXT;
  const [, traceId, spanId, flags] = match as unknown as [string, string, string, string];
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & 1,
    isRemote: true,
  });
}
