/**
 * What the router, Redis and metering tell each other about money, as JSON: intent and progress in a hold, the usage
 * record in outbox and spool, the keeper's verdict. Money is a decimal string of nano-USD; unknown fields are ignored, so
 * that versions N and N+1 can run side by side. Parsing is strict about everything that Postgres would refuse: a
 * record that parses can be stored.
 */
import { type AccountId, isId, type KeyId, type LeaseId, type PriceId, type RequestId } from '../domain/ids.ts';
import type { Nusd } from '../domain/money.ts';
import type { Outcome } from '../domain/outcome.ts';
import { ABSORBED_CAUSES, type CountSource, type Intent, type Progress, type UsageRecord } from '../domain/usage.ts';

/** The text is not what it should be. `message` names the field, never a value. */
export class MalformedText extends Error {
  override readonly name = 'MalformedText';
}

/**
 * The keeper's answer for an account (MONEY.md 5.1). True credit, as seen by whoever knows Redis's lease too:
 * available + quarantined + granted - returned - spent(Redis); valid while `leaseId` is the lease in Redis (null: there
 * is none) and `granted` equals Redis's.
 */
export interface Verdict {
  /** Version of the balance that it tells. */
  version: bigint;
  leaseId: LeaseId | null;
  grantedNusd: Nusd;
  returnedNusd: Nusd;
  availableNusd: Nusd;
  quarantinedNusd: Nusd;
  /** Redis clock. */
  atMs: number;
}

export function encodeVerdict(verdict: Verdict): string {
  return JSON.stringify({
    version: String(verdict.version),
    leaseId: verdict.leaseId,
    granted: String(verdict.grantedNusd),
    returned: String(verdict.returnedNusd),
    available: String(verdict.availableNusd),
    quarantined: String(verdict.quarantinedNusd),
    atMs: verdict.atMs,
  });
}

/** @throws {MalformedText} */
export function parseVerdict(text: string): Verdict {
  const field = reader(text);
  return {
    version: money(field, 'version'),
    leaseId: field.leaseId === null ? null : id('lease', field, 'leaseId'),
    grantedNusd: money(field, 'granted'),
    returnedNusd: money(field, 'returned'),
    availableNusd: balance(field, 'available'),
    quarantinedNusd: balance(field, 'quarantined'),
    atMs: time(field, 'atMs'),
  };
}

export function encodeIntent(intent: Intent): string {
  return JSON.stringify(intentFields(intent));
}

/** @throws {MalformedText} */
export function parseIntent(text: string): Intent {
  return readIntent(reader(text));
}

export function encodeProgress(progress: Progress): string {
  return JSON.stringify(progress);
}

/** @throws {MalformedText} */
export function parseProgress(text: string): Progress {
  const field = reader(text);
  return {
    promptTokens: field.promptTokens === null ? null : count(field, 'promptTokens'),
    completionTokens: count(field, 'completionTokens'),
    source: source(field, 'source'),
  };
}

export function encodeUsageRecord(record: UsageRecord): string {
  return JSON.stringify({ ...record, ...intentFields(record), amountNusd: String(record.amountNusd) });
}

/** @throws {MalformedText} */
export function parseUsageRecord(text: string): UsageRecord {
  const field = reader(text);
  if (field.version !== 1) fail('version');
  return {
    ...readIntent(field),
    version: 1,
    final: bool(field, 'final'),
    outcome: word(field, 'outcome') as Outcome,
    status: count(field, 'status'),
    finishReason: optionalText(field, 'finishReason'),
    promptTokens: count(field, 'promptTokens'),
    cachedTokens: count(field, 'cachedTokens'),
    completionTokens: count(field, 'completionTokens'),
    reasoningTokens: count(field, 'reasoningTokens'),
    countSource: source(field, 'countSource'),
    amountNusd: money(field, 'amountNusd'),
    clipped: bool(field, 'clipped'),
    absorbed: absorbed(field.absorbed),
    finishedAtMs: time(field, 'finishedAtMs'),
    queueMs: optionalDuration(field, 'queueMs'),
    firstTokenMs: optionalDuration(field, 'firstTokenMs'),
    durationMs: duration(field, 'durationMs'),
    endpoint: requiredText(field, 'endpoint'),
    clientRequestId: optionalText(field, 'clientRequestId'),
    ...(field.requestDigest === undefined ? {} : { requestDigest: requiredText(field, 'requestDigest') }),
    ...(field.engine === undefined ? {} : { engine: requiredText(field, 'engine') }),
    ...labels(field),
  };
}

/** Only for people: what is no text is left out rather than refused with the bill. */
function labels(field: Fields): Pick<UsageRecord, 'chatId' | 'endUser' | 'userAgent'> {
  const chatId = typeof field.chatId === 'string' ? optionalText(field, 'chatId') : null;
  const endUser = typeof field.endUser === 'string' ? optionalText(field, 'endUser') : null;
  const userAgent = typeof field.userAgent === 'string' ? optionalText(field, 'userAgent') : null;
  return {
    ...(chatId === null ? {} : { chatId }),
    ...(endUser === null ? {} : { endUser }),
    ...(userAgent === null ? {} : { userAgent }),
  };
}

type Fields = Record<string, unknown>;

/** Postgres's integer; bigint for money. */
const INT_MAX = 2_147_483_647;
const MONEY_MAX = 9_007_199_254_740_991n;
const TIME_MAX = Date.UTC(2200, 0, 1);
const TEXT_MAX = 4_096;

function intentFields(intent: Intent): Fields {
  return {
    requestId: intent.requestId,
    accountId: intent.accountId,
    keyId: intent.keyId,
    projectId: intent.projectId,
    userId: intent.userId,
    model: intent.model,
    leaseId: intent.leaseId,
    history: intent.history,
    heldNusd: String(intent.heldNusd),
    priceId: intent.priceId,
    prices: {
      inputNusd: String(intent.prices.inputNusd),
      cachedInputNusd: String(intent.prices.cachedInputNusd),
      outputNusd: String(intent.prices.outputNusd),
    },
    ...(intent.pricePercent === undefined ? {} : { pricePercent: intent.pricePercent }),
    admittedAtMs: intent.admittedAtMs,
    routerId: intent.routerId,
    workerUrl: intent.workerUrl,
    promptBytes: intent.promptBytes,
    stream: intent.stream,
  };
}

function readIntent(field: Fields): Intent {
  const prices = typeof field.prices === 'object' && field.prices !== null ? (field.prices as Fields) : fail('prices');
  return {
    requestId: id('req', field, 'requestId') as RequestId,
    accountId: id('acct', field, 'accountId') as AccountId,
    keyId: id('key', field, 'keyId') as KeyId,
    projectId: optionalText(field, 'projectId'),
    userId: optionalText(field, 'userId'),
    model: requiredText(field, 'model'),
    leaseId: id('lease', field, 'leaseId') as LeaseId,
    history: requiredText(field, 'history'),
    heldNusd: money(field, 'heldNusd'),
    priceId: id('price', field, 'priceId') as PriceId,
    prices: {
      inputNusd: money(prices, 'inputNusd'),
      cachedInputNusd: money(prices, 'cachedInputNusd'),
      outputNusd: money(prices, 'outputNusd'),
    },
    ...(field.pricePercent === undefined ? {} : { pricePercent: percent(field, 'pricePercent') }),
    admittedAtMs: time(field, 'admittedAtMs'),
    routerId: requiredText(field, 'routerId'),
    workerUrl: optionalText(field, 'workerUrl'),
    promptBytes: count(field, 'promptBytes'),
    stream: bool(field, 'stream'),
  };
}

function fail(name: string): never {
  throw new MalformedText(`${name} is missing or not valid`);
}

function reader(text: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new MalformedText('not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new MalformedText('not a JSON object');
  return value as Fields;
}

function money(field: Fields, name: string): bigint {
  const value = field[name];
  if (typeof value !== 'string' || !/^\d{1,16}$/.test(value)) return fail(name);
  const amount = BigInt(value);
  return amount <= MONEY_MAX ? amount : fail(name);
}

/** A balance never reaches Lua: it may be as large as Postgres's bigint. */
function balance(field: Fields, name: string): bigint {
  const value = field[name];
  return typeof value === 'string' && /^\d{1,18}$/.test(value) ? BigInt(value) : fail(name);
}

function count(field: Fields, name: string): number {
  const value = field[name];
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= INT_MAX ? value : fail(name);
}

function percent(field: Fields, name: string): number {
  const value = count(field, name);
  return value >= 1 && value <= 100 ? value : fail(name);
}

/** Durations may carry fractions of a millisecond and, from a stepped clock, be odd: they decide nothing. */
function duration(field: Fields, name: string): number {
  const value = field[name];
  if (typeof value !== 'number' || !Number.isFinite(value)) return fail(name);
  return Math.min(Math.max(Math.round(value), 0), INT_MAX);
}

function optionalDuration(field: Fields, name: string): number | null {
  return field[name] === null || field[name] === undefined ? null : duration(field, name);
}

function time(field: Fields, name: string): number {
  const value = field[name];
  return typeof value === 'number' && value >= 0 && value < TIME_MAX ? Math.floor(value) : fail(name);
}

function bool(field: Fields, name: string): boolean {
  const value = field[name];
  return typeof value === 'boolean' ? value : fail(name);
}

/** Postgres stores no NUL and no half of a surrogate pair. */
function requiredText(field: Fields, name: string): string {
  const value = field[name];
  if (typeof value !== 'string' || value === '') return fail(name);
  return value.replaceAll('\0', '').toWellFormed().slice(0, TEXT_MAX);
}

function optionalText(field: Fields, name: string): string | null {
  const value = field[name];
  return value === null || value === undefined || value === '' ? null : requiredText(field, name);
}

function word(field: Fields, name: string): string {
  const value = field[name];
  return typeof value === 'string' && /^[a-z_]{1,40}$/.test(value) ? value : fail(name);
}

function id<P extends string>(prefix: P, field: Fields, name: string): `${P}_${string}` {
  const value = field[name];
  return isId(prefix, value) ? value : fail(name);
}

function source(field: Fields, name: string): CountSource {
  const value = field[name];
  return value === 'engine' || value === 'heartbeat' || value === 'estimated' ? value : fail(name);
}

function absorbed(value: unknown): UsageRecord['absorbed'] {
  if (typeof value !== 'object' || value === null) return {};
  const result: UsageRecord['absorbed'] = {};
  for (const cause of ABSORBED_CAUSES) {
    const tokens = (value as Fields)[cause];
    if (typeof tokens === 'number' && Number.isFinite(tokens) && tokens > 0) result[cause] = Math.round(tokens);
  }
  return result;
}
