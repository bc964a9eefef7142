/**
 * Workers that left the fleet a short while ago. Their counters are still shown, so that a rate over their last minutes is
 * right, and then forgotten: a fleet that grows and shrinks for weeks must not grow what is kept of it.
 */
export const KEPT_MS = 600_000;

export class Departed {
  /** By when they left (monotonic), those that left first in front. */
  private readonly sinceMs = new Map<string, number>();

  left(url: string, nowMs: number): void {
    this.sinceMs.delete(url);
    this.sinceMs.set(url, nowMs);
  }

  /** It is there again. */
  cameBack(url: string): void {
    this.sinceMs.delete(url);
  }

  /** Those that have been away for too long; each is told once. */
  forgotten(nowMs: number): string[] {
    const urls: string[] = [];
    for (const [url, leftMs] of this.sinceMs) {
      if (nowMs - leftMs < KEPT_MS) break;
      urls.push(url);
      this.sinceMs.delete(url);
    }
    return urls;
  }

  get size(): number {
    return this.sinceMs.size;
  }
}
