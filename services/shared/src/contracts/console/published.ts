/** What console and routers tell each other through Redis: text in, text out. Money inside is decimal strings. */
import { z } from 'zod';
import type { Catalog } from '../../domain/catalog.ts';
import type { PriceId } from '../../domain/ids.ts';
import type { KeyRecord } from '../../domain/key.ts';
import type { WorkerSnapshot } from '../../domain/worker.ts';

/** `tg:{keys}-catalog`: the `Catalog` with prices as decimal strings of nano-USD per 1,000,000 tokens. */
export function catalogToText(catalog: Catalog): string {
  return JSON.stringify(catalog, (_name, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}

const price = z
  .string()
  .regex(/^\d{1,18}$/)
  .transform(BigInt);
const catalogSchema = z.object({
  version: z.int(),
  models: z.array(
    z.object({
      id: z.string(),
      createdAt: z.int(),
      ownedBy: z.string(),
      maxModelLen: z.int().positive(),
      defaultMaxTokens: z.int().positive().nullable(),
      templateTokens: z.int().nonnegative(),
      templateTokensPerMessage: z.int().nonnegative(),
      priceId: z.string().transform((id) => id as PriceId),
      prices: z.object({ inputNusd: price, cachedInputNusd: price, outputNusd: price }),
      enabled: z.boolean(),
    }),
  ),
});

/** The catalogue of a text that `catalogToText` made (this version's or the next one's); throws on anything else. */
export function catalogFromText(text: string): Catalog {
  return catalogSchema.parse(JSON.parse(text));
}

/** `tg:{keys}:<digest>`: a `KeyRecord` as it is; it holds no bigint. */
export function keyRecordToText(record: KeyRecord): string {
  return JSON.stringify(record);
}

/** One router's view of the fleet, field of `tg:fleet`. */
export interface FleetView {
  /** When it was written, ms since 1970. */
  atMs: number;
  workers: readonly WorkerSnapshot[];
}

const fleetSchema = z.object({
  atMs: z.number(),
  workers: z.array(
    z.object({
      url: z.string(),
      engine: z.enum(['vllm', 'sglang']),
      models: z.array(z.string()),
      maxModelLen: z.number(),
      state: z.enum(['joining', 'ready', 'draining', 'gone']),
      breakerOpen: z.boolean(),
      running: z.int().nonnegative(),
      waiting: z.int().nonnegative(),
      pendingPrefillTokens: z.number(),
      kvUsage: z.number().nullable(),
      maxConcurrency: z.number().nullable(),
      counters: z
        .object({
          promptTokens: z.number(),
          completionTokens: z.number(),
          requests: z.number(),
          startedS: z.number().nullable(),
          atMs: z.number(),
        })
        .nullish()
        .transform((counters) => counters ?? null),
    }),
  ),
});

export function fleetViewToText(view: FleetView): string {
  return JSON.stringify(view);
}

/** A router's view, or null when the text is none (a router of another version): one bad view must not hide the rest. */
export function fleetViewFromText(text: string): FleetView | null {
  try {
    return fleetSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
