/** What the screens show besides lists: home, set-up guide, usage charts, live limits, public status. */
import { z } from 'zod';
import { accountId, isoTime, keyId, modelId, nusd, timeInput } from './common.ts';
import { exportPaging, queryList } from './requests.ts';

const figures = {
  requests: z.int(),
  promptTokens: z.int(),
  cachedTokens: z.int(),
  completionTokens: z.int(),
  amountNusd: nusd,
};

export const SERIES_GROUPS = ['model', 'key', 'status', 'none'] as const;
const seriesFilters = {
  from: timeInput.optional().meta({ format: 'date-time', description: '7 days ago when absent.' }),
  to: timeInput.optional().meta({ format: 'date-time', description: 'Now when absent.' }),
  by: z.enum(['hour', 'day']).optional().meta({ description: 'UTC; day when absent. Hours: at most 31 days.' }),
  group: z.enum(SERIES_GROUPS).optional().meta({ description: 'What a bar is made of; none when absent.' }),
  model: queryList(modelId),
  keyId: queryList(keyId),
  outcome: queryList(z.string().regex(/^[a-z_]{1,40}$/)),
};
export const seriesQuery = z.strictObject(seriesFilters);
export type SeriesQuery = z.output<typeof seriesQuery>;
export const series = z
  .object({
    by: z.enum(['hour', 'day']),
    from: isoTime,
    to: isoTime,
    timeZone: z.literal('UTC'),
    groups: z.array(z.object({ id: z.string(), label: z.string() })).meta({
      description: 'Largest spend first, at most 50; smaller ones are in the group `other`. Keys of the past included.',
    }),
    points: z.array(z.object({ start: isoTime, group: z.string(), ...figures })).meta({
      description: 'Ascending by time; a time or group without requests has no point.',
    }),
    totals: z.object(figures),
  })
  .meta({ id: 'UsageSeries' });
export type SeriesView = z.infer<typeof series>;
export const usageExportQuery = z.strictObject({
  ...exportPaging,
  from: seriesFilters.from,
  to: seriesFilters.to,
  by: seriesFilters.by,
});
export type UsageExportQuery = z.output<typeof usageExportQuery>;

export const forecast = z
  .object({
    perDayNusd: nusd.meta({ description: 'Mean spend per day over the last 7 days (or since the first request).' }),
    daysLeft: z.number().nullable().meta({ description: 'Available divided by that; null when nothing is spent.' }),
    emptyAt: isoTime.nullable(),
    topKeys: z
      .array(z.object({ keyId: z.string(), name: z.string(), share: z.number() }))
      .meta({ description: 'Of 7 days, share 0 to 1.' }),
  })
  .meta({ id: 'Forecast' });
export type ForecastView = z.infer<typeof forecast>;

export const overview = z
  .object({
    accountId,
    availableNusd: nusd,
    heldNusd: nusd,
    forecast,
    last24h: z.object({
      ...figures,
      failed: z.int().meta({ description: 'Not served, whatever the reason.' }),
      firstTokenP50Ms: z.int().nullable(),
      firstTokenP95Ms: z.int().nullable(),
    }),
    sparkline: z
      .array(
        z.object({
          start: isoTime,
          requests: z.int(),
          failed: z.int(),
          amountNusd: nusd,
          firstTokenP50Ms: z.int().nullable(),
        }),
      )
      .meta({ description: 'The last 24 hours, ascending, one point per UTC hour (24 points, zeros included).' }),
    incidents: z.array(z.object({ kind: z.string(), text: z.string(), since: isoTime.nullable() })),
  })
  .meta({ id: 'Overview' });
export type OverviewView = z.infer<typeof overview>;

export const guide = z
  .object({
    steps: z.object({
      key: z.boolean().meta({ description: 'The organisation has a live key.' }),
      credit: z.boolean(),
      request: z.boolean().meta({ description: 'A request was served: the guide may go.' }),
    }),
    firstSuccess: z.object({ requestId: z.string(), at: isoTime, model: z.string() }).nullable(),
    lastFailure: z
      .object({
        requestId: z.string().nullable(),
        at: isoTime,
        status: z.int(),
        code: z.string(),
        message: z.string(),
        docUrl: z.string().meta({ description: 'Path of the page that says what to do.' }),
        keyId: z.string().nullable(),
      })
      .nullable()
      .meta({ description: 'The newest refused or failed request of its keys, unless one was served since.' }),
    routerUrl: z.string(),
    model: z.string().nullable().meta({ description: 'A model to try.' }),
  })
  .meta({ id: 'Guide' });
export type GuideView = z.infer<typeof guide>;

const gauge = z
  .object({ limit: z.int(), remaining: z.int(), resetMs: z.int() })
  .nullable()
  .meta({ description: 'Null = no such limit.' });
const scopeGauges = z.object({
  requests: gauge,
  tokens: gauge,
  concurrency: z.object({ limit: z.int().nullable(), running: z.int() }),
});
export const liveLimits = z
  .object({
    at: isoTime,
    available: z.boolean().meta({ description: 'False when the counters cannot be read now; gauges are empty then.' }),
    plan: z.string(),
    account: scopeGauges,
    models: z.array(scopeGauges.extend({ model: z.string() })),
    keys: z
      .array(
        scopeGauges.extend({
          keyId: z.string(),
          name: z.string(),
          prefix: z.string(),
          capDay: z.object({ limitNusd: nusd, usedNusd: nusd.nullable() }).nullable(),
          capMonth: z.object({ limitNusd: nusd, usedNusd: nusd.nullable() }).nullable(),
        }),
      )
      .meta({ description: 'Live keys, newest first, at most 50.' }),
  })
  .meta({ id: 'LiveLimits' });
export type LiveLimitsView = z.infer<typeof liveLimits>;

export const status = z
  .object({
    at: isoTime,
    models: z.array(
      z.object({
        id: z.string(),
        state: z.enum(['operational', 'degraded', 'down', 'unknown']),
        contextTokens: z.int(),
        price: z.object({ inputNusd: nusd, cachedInputNusd: nusd, outputNusd: nusd }).nullable(),
        uptime24h: z
          .number()
          .nullable()
          .meta({ description: 'Share of requests that the platform did not fail, 0 to 1.' }),
        uptime30d: z.number().nullable(),
        firstTokenP50Ms: z.int().nullable().meta({ description: 'Of the last 24 hours.' }),
        firstTokenP95Ms: z.int().nullable(),
        tokensPerSecond: z.number().nullable().meta({ description: 'Mean of one stream while it decodes.' }),
        hours: z
          .array(
            z.object({
              start: isoTime,
              requests: z.boolean(),
              uptime: z.number().nullable(),
              firstTokenP50Ms: z.int().nullable(),
            }),
          )
          .meta({ description: 'The last 48 UTC hours, ascending.' }),
      }),
    ),
  })
  .meta({ id: 'PublicStatus' });
export type StatusView = z.infer<typeof status>;
