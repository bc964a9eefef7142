/** What a client hears while its request waits for a worker: comments in a stream, blank lines before a plain answer. */
import type { ClientSide } from '../relay/client-side.ts';
import type { Place } from './waiting-room.ts';

export interface SignOptions {
  /** Monotonic: the request's first header. */
  startedMs: number;
  /** The early 200: before it nothing is told, unless the client `wantsUpdates`. */
  earlyAnswerMs: number;
  pingMs: number;
  wantsUpdates: boolean;
  /** `blank_lines`: of contracts that hold their clients so. `none`: the answer has no place for it. */
  form: 'comments' | 'blank_lines' | 'none';
}

export class QueueSigns {
  private readonly client: Pick<ClientSide, 'headersSent' | 'start' | 'write'>;
  private readonly begin: () => void;
  private readonly options: SignOptions;
  private lastMs = Number.NEGATIVE_INFINITY;

  /** `begin` sends status and headers. */
  constructor(client: Pick<ClientSide, 'headersSent' | 'start' | 'write'>, begin: () => void, options: SignOptions) {
    this.client = client;
    this.begin = begin;
    this.options = options;
  }

  tell(place: Place, nowMs: number): void {
    const { startedMs, earlyAnswerMs, pingMs, wantsUpdates, form } = this.options;
    if (form === 'none') return;
    const asked = wantsUpdates && form === 'comments';
    if (!asked && nowMs - startedMs < earlyAnswerMs) return;
    if (!asked && nowMs - this.lastMs < pingMs) return;
    this.lastMs = nowMs;
    if (!this.client.headersSent) this.begin();
    this.client.write(form === 'comments' ? queueComment(place) : '\n');
  }
}

export function queueComment({ position, etaMs }: Place): string {
  return `: queued position=${position}${etaMs === null ? '' : ` eta_ms=${Math.round(etaMs)}`}\n\n`;
}
