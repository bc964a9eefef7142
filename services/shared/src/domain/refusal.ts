/** A request that was refused, or ended with nothing to bill: told by routers through `tg:refusals`. */
export interface Refusal {
  requestId: string;
  atMs: number;
  accountId: string;
  keyId: string;
  projectId: string | null;
  userId: string | null;
  model: string;
  endpoint: string;
  stream: boolean;
  outcome: string;
  status: number;
  code: string | null;
  queueMs: number | null;
  durationMs: number;
  workerUrl: string | null;
  routerId: string;
  clientRequestId: string | null;
  /** Absent from routers of an older version. */
  userAgent?: string | null;
}
