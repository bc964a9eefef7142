/** The request log as people read it. */
import { z } from 'zod';
import { OUTCOMES } from '../../domain/outcome.ts';
import { accountId, isoTime, keyId, modelId, nusd, pageQuery, plainText, requestId, timeInput } from './common.ts';

/** Comma list in a query, such as `?outcome=served,client_gone`. */
const list = <T extends z.ZodType<unknown, string>>(item: T) =>
  z
    .string()
    .max(4000)
    .transform((text) => text.split(','))
    .pipe(z.array(item).min(1).max(50))
    .optional()
    .meta({ type: 'string', description: 'One value or several, comma between.' });
const whole = (max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().int().min(0).max(max))
    .optional()
    .meta({ type: 'integer', minimum: 0, maximum: max });

/** Clients' own names, in any script. */
const label = plainText(256).optional();

export const requestLine = z
  .object({
    requestId,
    admittedAt: isoTime,
    model: z.string(),
    keyId: z.string(),
    keyName: z.string().nullable(),
    endpoint: z.string(),
    stream: z.boolean(),
    outcome: z.enum(OUTCOMES),
    status: z.int(),
    code: z
      .string()
      .nullable()
      .meta({ description: 'Error code of a refused or failed request; its page: /docs/errors/<code>.' }),
    finishReason: z.string().nullable(),
    promptTokens: z.int(),
    cachedTokens: z.int(),
    completionTokens: z.int(),
    amountNusd: nusd,
    firstTokenMs: z.int().nullable(),
    durationMs: z.int(),
    userAgent: z.string().nullable().meta({ description: 'The program that asked, as it calls itself.' }),
    projectId: z.string().nullable(),
    userId: z.string().nullable(),
    chatId: z.string().nullable().meta({ description: 'What the client called the conversation (`chat_id`).' }),
    endUser: z.string().nullable().meta({ description: 'What the client called its own user (`user`).' }),
  })
  .meta({ id: 'RequestLine' });
export type RequestLine = z.infer<typeof requestLine>;

const filters = {
  from: timeInput.optional().meta({ format: 'date-time', description: 'Admitted at or after.' }),
  to: timeInput.optional().meta({ format: 'date-time', description: 'Admitted before.' }),
  outcome: list(z.enum(OUTCOMES)),
  status: list(z.string().regex(/^[1-5]\d\d$/)),
  code: list(z.string().regex(/^[a-z_]{1,60}$/)),
  model: list(modelId),
  keyId: list(keyId),
  idPrefix: z
    .string()
    .regex(/^req_[0-9A-Za-z]{0,40}$/, 'must begin with req_')
    .optional(),
  minFirstTokenMs: whole(86_400_000),
  minDurationMs: whole(86_400_000),
  chatId: label,
  endUser: label,
  userId: label,
  projectId: label,
};

export const requestsQuery = z.strictObject({ ...pageQuery, ...filters });
export type RequestsQuery = z.output<typeof requestsQuery>;
export const requestPage = z
  .object({
    data: z.array(requestLine),
    next: z.string().nullable().meta({ description: 'Cursor of the next page of the same snapshot.' }),
    snapshotAt: isoTime.meta({
      description: 'Pages of one walk never show rows that came later. Ask /requests/newer?since= how many did.',
    }),
  })
  .meta({ id: 'RequestPage' });
export type RequestPage = z.infer<typeof requestPage>;

export const newerQuery = z.strictObject({ since: timeInput.meta({ format: 'date-time' }) });
export type NewerQuery = z.output<typeof newerQuery>;
export const newer = z
  .object({
    newer: z.int().meta({ description: 'Rows that came since; counting stops at 1000.' }),
    inFlight: z.int().nullable().meta({ description: 'Running now; null = cannot be read.' }),
  })
  .meta({ id: 'Newer' });
export type NewerView = z.infer<typeof newer>;

export const requestParams = z.strictObject({ id: accountId, requestId: z.string().regex(/^req_[0-9A-Za-z]{1,40}$/) });
const costLine = z.object({ tokens: z.int(), unitNusd: nusd.meta({ description: 'Per 1,000,000 tokens.' }), nusd });
export const requestDetail = requestLine
  .extend({
    accountId,
    final: z.boolean(),
    finishedAt: isoTime,
    reasoningTokens: z.int(),
    countSource: z.enum(['engine', 'heartbeat', 'estimated']),
    clientRequestId: z.string().nullable(),
    timeline: z
      .array(
        z.object({ phase: z.enum(['queue', 'prefill', 'decode', 'total']), startMs: z.int(), durationMs: z.int() }),
      )
      .meta({ description: 'Milliseconds from admission; prefill ends with the first token.' }),
    tokensPerSecond: z.number().nullable().meta({ description: 'While decoding.' }),
    cost: z
      .object({
        priceId: z.string(),
        input: costLine.meta({ description: 'Prompt tokens that were not cached.' }),
        cachedInput: costLine,
        output: costLine,
        computedNusd: nusd.meta({ description: 'ceil of the sum of the three.' }),
        heldNusd: nusd.meta({ description: 'What was reserved at admission.' }),
        clipped: z.boolean().meta({ description: 'True: the charge was limited to what was held.' }),
        amountNusd: nusd,
      })
      .nullable()
      .meta({ description: 'Null for a refused request: nothing was charged.' }),
    attempts: z.int().meta({ description: 'Workers that were asked.' }),
    absorbed: z
      .record(z.string(), z.number())
      .nullable()
      .meta({ description: 'Tokens of lost work, not billed, by cause.' }),
    ledger: z.array(z.object({ transactionId: z.string(), kind: z.string(), createdAt: isoTime })),
    bodyKeptUntil: isoTime
      .nullable()
      .meta({ description: 'Null: no body is kept. Else `GET .../body` shows it to those who may.' }),
    worker: z
      .object({ url: z.string().nullable(), routerId: z.string() })
      .nullable()
      .meta({ description: 'For operators only; null for everybody else.' }),
  })
  .meta({ id: 'RequestDetail' });
export type RequestDetail = z.infer<typeof requestDetail>;

/** Bulk export: as long as the answer's `x-next-cursor` header is there, ask again with it. */
export const EXPORT_FORMATS = ['csv', 'ndjson'] as const;
const exportFormat = z.enum(EXPORT_FORMATS);
export const exportPaging = {
  format: exportFormat.optional().meta({ description: '`ndjson` when absent.' }),
  limit: z
    .string()
    .regex(/^\d{1,5}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().int().min(1).max(10_000))
    .optional()
    .meta({ type: 'integer', minimum: 1, maximum: 10_000, description: 'Rows per answer; 10000 when absent.' }),
  cursor: pageQuery.cursor,
};
export const requestsExportQuery = z.strictObject({ ...exportPaging, ...filters });
export type RequestsExportQuery = z.output<typeof requestsExportQuery>;
export { list as queryList };
