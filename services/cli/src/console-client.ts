/** The console's admin API (docs/internals.md section 6) as typed calls. */
import type { AccountView } from '@tollgate/shared/contracts/console/accounts';
import type { Page } from '@tollgate/shared/contracts/console/common';
import type { ChangedCreditsView, CreditsView } from '@tollgate/shared/contracts/console/credits';
import type { CreatedKey, KeyView, RevokedKey, RotatedKey } from '@tollgate/shared/contracts/console/keys';
import type { ModelView } from '@tollgate/shared/contracts/console/models';
import type { AuditVerified } from '@tollgate/shared/contracts/console/platform';
import type { ReceiptsPage } from '@tollgate/shared/contracts/console/receipts';
import type { UsageLine } from '@tollgate/shared/contracts/console/usage';
import type { DrainedWorker, WorkerView } from '@tollgate/shared/contracts/console/workers';
import type { Invoice } from '@tollgate/shared/contracts/receipt';
import type { ConsoleAccess } from './config.ts';
import { CliError } from './output.ts';

/** Fields as the API takes them; absent ones are left out. */
export interface NewKey {
  accountId?: string;
  name?: string;
  creditUsd?: string;
  rpm?: number;
  tpm?: number;
  concurrency?: number;
  models?: string[];
  kind?: string;
  expiresAt?: string;
  allowGrammars?: boolean;
}

export interface NewModel {
  id: string;
  maxModelLen: number;
  ownedBy?: string;
  defaultMaxTokens?: number | null;
  templateTokens?: number;
  templateTokensPerMessage?: number;
  price: { inputUsd: string; cachedInputUsd?: string; outputUsd: string };
}

export interface PageQuery {
  limit?: number;
  cursor?: string;
}

export interface ConsoleClient {
  createKey(body: NewKey): Promise<CreatedKey>;
  getKey(keyId: string): Promise<KeyView>;
  listKeys(query: PageQuery & { accountId?: string }): Promise<Page<KeyView>>;
  rotateKey(keyId: string, overlapMs: number | undefined): Promise<RotatedKey>;
  revokeKey(keyId: string): Promise<RevokedKey>;
  getAccount(accountId: string): Promise<AccountView>;
  /** By part of the name or e-mail. */
  findAccounts(search: string): Promise<Page<AccountView>>;
  addCredits(
    accountId: string,
    body: { usd: string; reason: string; idempotencyKey?: string },
  ): Promise<ChangedCreditsView>;
  showCredits(accountId: string): Promise<CreditsView>;
  listUsage(accountId: string, query: PageQuery): Promise<Page<UsageLine>>;
  listWorkers(): Promise<{ data: WorkerView[] }>;
  setDraining(url: string, draining: boolean): Promise<DrainedWorker>;
  listModels(): Promise<Page<ModelView>>;
  /** A stretch of an account's chain of receipts. */
  listReceipts(accountId: string, after: string): Promise<ReceiptsPage>;
  invoice(accountId: string, month: string): Promise<Invoice>;
  receiptKeys(): Promise<{ keys: Record<string, unknown>[] }>;
  createModel(body: NewModel): Promise<ModelView>;
  /** A stretch of the audit log's chain, recomputed by the console. */
  verifyAudit(query: { after?: number; hash?: string; limit: number }): Promise<AuditVerified>;
}

/** How long a call may take: credits wait for the keeper, nothing takes longer. */
const CALL_LIMIT_MS = 30_000;

/** A client for one console. Every call throws `CliError` with the API's own code, or `console_unreachable`. */
export function createConsoleClient({ consoleUrl, adminToken }: ConsoleAccess): ConsoleClient {
  async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
    let response: Response;
    try {
      response = await fetch(`${consoleUrl}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${adminToken}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(CALL_LIMIT_MS),
      });
    } catch (error) {
      const late = error instanceof Error && error.name === 'TimeoutError';
      throw new CliError(
        'console_unreachable',
        late
          ? `the console at ${consoleUrl} did not answer within ${CALL_LIMIT_MS / 1000} s`
          : `the console at ${consoleUrl} cannot be reached: is it running (npm start)?`,
      );
    }
    const text = await response.text();
    const parsed = parseJson(text);
    if (response.ok) return parsed as T;
    const failure = (parsed as { error?: { code?: string; message?: string; param?: string | null } } | null)?.error;
    const where = failure?.param ? ` (${failure.param})` : '';
    throw new CliError(
      failure?.code ?? 'console_error',
      failure?.message ? `${failure.message}${where}` : `the console answered ${response.status}`,
    );
  }

  const id = encodeURIComponent;
  return {
    createKey: (body) => call('POST', '/api/keys', body),
    getKey: (keyId) => call('GET', `/api/keys/${id(keyId)}`),
    listKeys: (query) => call('GET', `/api/keys${queryText(query)}`),
    rotateKey: (keyId, overlapMs) =>
      call('POST', `/api/keys/${id(keyId)}/rotate`, overlapMs === undefined ? {} : { overlapMs }),
    revokeKey: (keyId) => call('POST', `/api/keys/${id(keyId)}/revoke`, {}),
    getAccount: (accountId) => call('GET', `/api/accounts/${id(accountId)}`),
    findAccounts: (search) => call('GET', `/api/accounts${queryText({ search })}`),
    addCredits: (accountId, body) => call('POST', `/api/accounts/${id(accountId)}/credits`, body),
    showCredits: (accountId) => call('GET', `/api/accounts/${id(accountId)}/credits`),
    listUsage: (accountId, query) => call('GET', `/api/accounts/${id(accountId)}/usage${queryText(query)}`),
    listWorkers: () => call('GET', '/api/workers'),
    setDraining: (url, draining) => call('POST', `/api/workers/${draining ? 'drain' : 'undrain'}`, { url }),
    listModels: () => call('GET', '/api/models?limit=1000'),
    listReceipts: (accountId, after) =>
      call('GET', `/api/accounts/${id(accountId)}/receipts${queryText({ after, limit: 1000 })}`),
    invoice: (accountId, month) => call('GET', `/api/accounts/${id(accountId)}/invoice${queryText({ month })}`),
    receiptKeys: () => call('GET', '/.well-known/jwks.json'),
    createModel: (body) => call('POST', '/api/models', body),
    verifyAudit: (query) => call('GET', `/api/audit/verify${queryText(query)}`),
  };
}

function queryText(query: object): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
