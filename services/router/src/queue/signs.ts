/** What a client hears while its request waits for a worker: comments in a stream, blank lines before a plain answer. */
import type { Place } from './waiting-room.ts';

export interface SignOptions {
  /** Monotonic: the request's first header. */
  startedMs: number;
  /** The early 200: before it nothing is told, unless the client `wantsUpdates`. */
  earlyAnswerMs: number;
  pingMs: number;
  wantsUpdates: boolean;
  /** `blank_lines`: of contracts that hold their clients so. */
  form: 'comments' | 'blank_lines';
}

export class QueueSigns {
  private readonly options: SignOptions;
  private lastMs = Number.NEGATIVE_INFINITY;

  constructor(options: SignOptions) {
    this.options = options;
  }

  /** Bytes for the client, '' when it is not told now; the first of them commit the status. */
  tell(place: Place, nowMs: number): string {
    const { startedMs, earlyAnswerMs, pingMs, wantsUpdates, form } = this.options;
    const asked = wantsUpdates && form === 'comments';
    if (!asked && nowMs - startedMs < earlyAnswerMs) return '';
    if (!asked && nowMs - this.lastMs < pingMs) return '';
    this.lastMs = nowMs;
    return form === 'comments' ? queueComment(place) : '\n';
  }
}

export function queueComment({ position, etaMs }: Place): string {
  return `: queued position=${position}${etaMs === null ? '' : ` eta_ms=${Math.round(etaMs)}`}\n\n`;
}
