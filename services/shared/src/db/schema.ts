/**
 * The tables as TypeScript sees them (`migrations/*.sql` is the truth). int8 and numeric are bigint, timestamps are
 * Dates, days (`date`) are texts `YYYY-MM-DD`.
 */
import type { ColumnType, Generated } from 'kysely';

export type LeaseState = 'open' | 'quarantined' | 'closed';
export type QuarantineWhy = 'history' | 'era' | 'missing' | 'replaced' | 'restart' | 'closed';

/** Where an account's money can be; the columns of `balances` and the words of `entries.bucket_kind`. */
export const MONEY_BUCKETS = [
  'available',
  'leased',
  'quarantined',
  'posted',
  'credited',
  'receivable',
  'uncollected',
] as const;
export type MoneyBucket = (typeof MONEY_BUCKETS)[number];

export const TRANSACTION_KINDS = [
  'credit_grant',
  'credit_adjust',
  'refund',
  'lease_grant',
  'lease_return',
  'lease_quarantine',
  'lease_release',
  'settlement',
  'settlement_final',
] as const;
export type TransactionKind = (typeof TRANSACTION_KINDS)[number];

/** JSON columns: written as text, read as the parsed value. */
type Json<T> = ColumnType<T, string, string>;

export interface Schema {
  meta: { key: string; value: string };
  accounts: {
    id: string;
    name: string;
    email: string | null;
    status: 'active' | 'frozen';
    plan: string;
    weight: number;
    rpm: number | null;
    tpm: number | null;
    concurrency: number | null;
    created_at: Generated<Date>;
  };
  account_model_limits: {
    account_id: string;
    model: string;
    rpm: number | null;
    tpm: number | null;
    concurrency: number | null;
  };
  api_keys: {
    id: string;
    account_id: string;
    project_id: string | null;
    user_id: string | null;
    kind: 'api' | 'pat' | 'service';
    name: string;
    digest: string;
    prefix: string;
    last4: string;
    models: string[] | null;
    scopes: string[];
    allow_grammars: boolean;
    rpm: number | null;
    tpm: number | null;
    concurrency: number | null;
    cap_day_nusd: bigint | null;
    cap_month_nusd: bigint | null;
    expires_at: Date | null;
    revoked_at: Date | null;
    rotated_from: string | null;
    tags: Generated<string[]>;
    allowed_ips: string[] | null;
    created_by: string | null;
    created_at: Generated<Date>;
    last_used_at: Date | null;
  };
  /** Read and written by `body-store.ts`. */
  body_retention: { account_id: string; enabled: boolean };
  models: {
    id: string;
    owned_by: string;
    max_model_len: number;
    default_max_tokens: number | null;
    template_tokens: number;
    template_tokens_per_message: number;
    enabled: boolean;
    created_at: Generated<Date>;
  };
  prices: {
    id: string;
    model: string;
    input_nusd: bigint;
    cached_input_nusd: bigint;
    output_nusd: bigint;
    valid_from: Date;
    created_at: Generated<Date>;
  };
  balances: { account_id: string; version: Generated<bigint> } & Record<MoneyBucket, Generated<bigint>>;
  transactions: {
    id: Generated<bigint>;
    kind: TransactionKind;
    idem_key: string;
    account_id: string;
    reason: string | null;
    actor: string | null;
    created_at: Generated<Date>;
  };
  entries: { transaction_id: bigint; bucket_kind: MoneyBucket; account_id: string; amount_nusd: bigint };
  leases: {
    id: string;
    seq: bigint;
    account_id: string;
    bucket: number;
    history: string;
    era: string;
    granted: bigint;
    returned: Generated<bigint>;
    released: Generated<bigint>;
    settled: Generated<bigint>;
    overdrawn: Generated<bigint>;
    exp_ms: bigint;
    state: Generated<LeaseState>;
    quarantine_why: QuarantineWhy | null;
    quarantined_at: Date | null;
    created_at: Generated<Date>;
    closed_at: Date | null;
  };
  settlements: {
    request_id: string;
    account_id: string;
    lease_id: string;
    state: 'estimated' | 'final';
    revision: number;
    amount_nusd: bigint;
    key_id: string;
    model: string;
    price_id: string;
    prompt_tokens: number;
    cached_tokens: number;
    completion_tokens: number;
    outcome: string;
    admitted_at: Date;
    finished_at: Date;
    stream_id: string | null;
    history: string;
    posted_at: Generated<Date>;
  };
  key_spend: { key_id: string; day: string; amount_nusd: bigint };
  dead_letters: {
    id: Generated<bigint>;
    source: string;
    text: string;
    error: string;
    created_at: Generated<Date>;
  };
  request_log: {
    request_id: string;
    admitted_at: Date;
    account_id: string;
    key_id: string;
    project_id: string | null;
    user_id: string | null;
    model: string;
    endpoint: string;
    stream: boolean;
    final: boolean;
    outcome: string;
    status: number;
    finish_reason: string | null;
    prompt_tokens: number;
    cached_tokens: number;
    completion_tokens: number;
    reasoning_tokens: number;
    count_source: string;
    amount_nusd: bigint;
    held_nusd: bigint;
    price_id: string;
    clipped: boolean;
    absorbed: Json<Record<string, number> | null>;
    worker_url: string | null;
    router_id: string;
    finished_at: Date;
    queue_ms: number | null;
    first_token_ms: number | null;
    duration_ms: number;
    client_request_id: string | null;
    chat_id: string | null;
    end_user: string | null;
    user_agent: string | null;
    logged_at: Generated<Date>;
    refused: Generated<boolean>;
    code: string | null;
  };
  usage_hourly: UsageRollup & { hour: Date };
  usage_daily: UsageRollup & { day: string };
  balance_checkpoints: { account_id: string; transaction_id: bigint; version: bigint } & Record<MoneyBucket, bigint>;
  reconciliations: {
    id: Generated<bigint>;
    created_at: Generated<Date>;
    drift_nusd: bigint;
    findings: Json<unknown>;
  };
}

interface UsageRollup {
  account_id: string;
  key_id: string;
  model: string;
  requests: bigint;
  prompt_tokens: bigint;
  cached_tokens: bigint;
  completion_tokens: bigint;
  amount_nusd: bigint;
}
