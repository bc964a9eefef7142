/**
 * Who is next: requests that wait for a worker, in fair order. Pure: no clock, no I/O, no worker in here.
 *
 * Every account has a deficit counter in units of work divided by its plan's weight (start-time fair queueing, the fine
 * limit of deficit round-robin): the account that has been given least comes first, so that over any time in which two
 * accounts wait, what they are given differs by at most one request of each and the credit. An account that comes back
 * has no debt, and of the time that it was away no more than that credit: a long prompt of one that asks for little does
 * not put it behind one that asks for everything. What is sent without waiting counts too.
 *
 * Lanes before accounts: an answer that lost its worker in the middle, then interactive, then batch. A request that
 * has waited for `batchPatienceMs` moves up to interactive, so that no lane starves.
 */
export type Lane = 'resumed' | 'interactive' | 'batch';

export interface Waiting {
  readonly account: string;
  /** Share of the account in relation to others; at least 0.001. */
  readonly weight: number;
  /** Work that it will be, in tokens of uncached prompt (an output token counts as `OUTPUT_TOKENS_WORK`). */
  readonly work: number;
  readonly lane: Lane;
  /** Monotonic. */
  readonly sinceMs: number;
  /** Within its account it stands behind those that come so much later: it costs the workers more. */
  readonly yieldsMs?: number;
}

/** Work of one token by kind, per token of uncached prompt (routing notes 6.6). */
export const CACHED_TOKEN_WORK = 0.1;
export const OUTPUT_TOKEN_WORK = 2;

const LEAST_WEIGHT = 0.001;
const MAX_IDLE_FLOWS = 10_000;
const RANK: Record<Lane, 0 | 1 | 2> = { resumed: 0, interactive: 1, batch: 2 };

interface Flow<T> {
  /** Where its next request starts in virtual time, if that is later than now. */
  finish: number;
  /** By rank of the lane; first come first. */
  readonly lanes: [T[], T[], T[]];
  waiting: number;
}

/** A place in the order while it is being walked. */
interface Cursor<T> {
  flow: Flow<T>;
  entries: readonly T[];
  at: number;
  start: number;
}

export class FairQueue<T extends Waiting> {
  private readonly flows = new Map<string, Flow<T>>();
  private readonly batchPatienceMs: number;
  private readonly credit: number;
  /** Where the request that was served started furthest. */
  private virtual = 0;
  private count = 0;
  private batchCount = 0;

  /** `credit`: work for a weight of 1 that an account may be behind the others and still catch up. */
  constructor(batchPatienceMs: number, credit = 0) {
    this.batchPatienceMs = batchPatienceMs;
    this.credit = credit;
  }

  get size(): number {
    return this.count;
  }

  sizeOf(account: string): number {
    return this.flows.get(account)?.waiting ?? 0;
  }

  /** How the account stands: `under` its share has half of its credit left, or more; `over` it has none. */
  standing(account: string): 'under' | 'level' | 'over' {
    const finish = this.flows.get(account)?.finish ?? Number.NEGATIVE_INFINITY;
    if (finish <= this.virtual - this.credit / 2) return 'under';
    return finish <= this.virtual ? 'level' : 'over';
  }

  /** Entries of the lanes before batch, over all accounts and of one. Batch waits apart: it takes nobody's place. */
  get sizeBeforeBatch(): number {
    return this.count - this.batchCount;
  }

  sizeBeforeBatchOf(account: string): number {
    const flow = this.flows.get(account);
    return flow === undefined ? 0 : flow.waiting - flow.lanes[2].length;
  }

  push(entry: T): void {
    const flow = this.flow(entry.account);
    const lane = flow.lanes[RANK[entry.lane]];
    let place = lane.length;
    while (place > 0 && turnMs(lane[place - 1]!) > turnMs(entry)) place--;
    lane.splice(place, 0, entry);
    flow.waiting++;
    this.count++;
    if (entry.lane === 'batch') this.batchCount++;
  }

  /** Takes an entry out of the line; false when it is not in it. Costs its account nothing. */
  remove(entry: T): boolean {
    const flow = this.flows.get(entry.account);
    const lane = flow?.lanes[RANK[entry.lane]];
    const at = lane?.indexOf(entry) ?? -1;
    if (flow === undefined || at === -1) return false;
    lane!.splice(at, 1);
    flow.waiting--;
    this.count--;
    if (entry.lane === 'batch') this.batchCount--;
    return true;
  }

  /** Counts work that was served, waited for or not. */
  charge({ account, weight, work }: Pick<T, 'account' | 'weight' | 'work'>): void {
    const flow = this.flow(account);
    const start = this.startOf(flow);
    flow.finish = start + work / Math.max(LEAST_WEIGHT, weight);
    this.virtual = Math.max(this.virtual, start);
    if (this.flows.size > MAX_IDLE_FLOWS + this.count) this.forgetIdle();
  }

  /** The work was another than thought when it was charged. */
  correct(account: string, weight: number, more: number): void {
    const flow = this.flows.get(account);
    if (flow !== undefined) flow.finish += more / Math.max(LEAST_WEIGHT, weight);
  }

  /**
   * Offers entries in fair order, at most `limit`; whatever `bind` takes leaves the line and is charged. Returns how
   * many were bound. An entry that is not taken (it waits for a worker of its own) holds up nobody; 'stop' ends the turn.
   */
  serve(bind: (entry: T) => boolean | 'stop', nowMs: number, limit: number): number {
    let bound = 0;
    let offered = 0;
    for (const rank of [0, 1, 2]) {
      for (const { entry, flow, start } of this.walk(rank, nowMs)) {
        if (offered++ >= limit) return bound;
        const taken = bind(entry);
        if (taken === 'stop') return bound;
        if (!taken) continue;
        bound++;
        this.remove(entry);
        flow.finish = start + entry.work / Math.max(LEAST_WEIGHT, entry.weight);
        this.virtual = Math.max(this.virtual, start);
      }
    }
    return bound;
  }

  /** How many stand before one more of this account, about: the others get in what their weights give them. Without batch. */
  ahead(account: string, weight: number): number {
    const own = this.sizeBeforeBatchOf(account);
    let ahead = own;
    for (const [name, flow] of this.flows) {
      const other = flow.lanes[0][0] ?? flow.lanes[1][0];
      if (name === account || other === undefined) continue;
      const waiting = flow.waiting - flow.lanes[2].length;
      ahead += Math.min(waiting, Math.ceil(((own + 1) * other.weight) / Math.max(LEAST_WEIGHT, weight)));
    }
    return ahead;
  }

  /** All entries in the order in which they would be served if any worker did for any of them. */
  order(nowMs: number): T[] {
    const entries: T[] = [];
    for (const rank of [0, 1, 2]) for (const { entry } of this.walk(rank, nowMs, true)) entries.push(entry);
    return entries;
  }

  /**
   * The entries of one lane in fair order. After each the flow's place is read again: it has moved on if the entry was
   * bound. `assumed`: as if every entry were bound.
   */
  private *walk(rank: number, nowMs: number, assumed = false): Generator<{ entry: T; flow: Flow<T>; start: number }> {
    const cursors: Cursor<T>[] = [];
    for (const flow of this.flows.values()) {
      if (flow.waiting === 0) continue;
      const entries = this.laneOf(flow, rank, nowMs);
      if (entries.length > 0) cursors.push({ flow, entries, at: 0, start: this.startOf(flow) });
    }
    while (cursors.length > 0) {
      let least = 0;
      for (let i = 1; i < cursors.length; i++) if (isBefore(cursors[i]!, cursors[least]!)) least = i;
      const cursor = cursors[least]!;
      const entry = cursor.entries[cursor.at]!;
      const { flow, start } = cursor;
      yield { entry, flow, start };
      cursor.at++;
      if (assumed) cursor.start = start + entry.work / Math.max(LEAST_WEIGHT, entry.weight);
      else cursor.start = Math.max(start, flow.finish);
      if (cursor.at === cursor.entries.length) cursors.splice(least, 1);
    }
  }

  /** A copy, since entries leave while it is walked. Batch that has waited long stands among the interactive. */
  private laneOf(flow: Flow<T>, rank: number, nowMs: number): T[] {
    const patient = (entry: T) => nowMs - entry.sinceMs < this.batchPatienceMs;
    const batch = flow.lanes[2];
    if (rank === 2) return batch.filter(patient);
    if (rank === 0 || batch.length === 0) return flow.lanes[rank as 0 | 1].slice();
    const late = batch.filter((entry) => !patient(entry));
    return late.length === 0
      ? flow.lanes[1].slice()
      : [...flow.lanes[1], ...late].sort((a, b) => turnMs(a) - turnMs(b));
  }

  private startOf({ finish }: Flow<T>): number {
    return Math.max(this.virtual - this.credit, finish);
  }

  private flow(account: string): Flow<T> {
    let flow = this.flows.get(account);
    if (flow === undefined) {
      flow = { finish: 0, lanes: [[], [], []], waiting: 0 };
      this.flows.set(account, flow);
    }
    return flow;
  }

  /** Accounts that wait for nothing and owe nothing are as good as unknown. */
  private forgetIdle(): void {
    for (const [account, flow] of this.flows) {
      if (flow.waiting === 0 && flow.finish <= this.virtual - this.credit) this.flows.delete(account);
    }
    // Still too many: those that were charged long ago go, and start level when they come back.
    for (const [account, flow] of this.flows) {
      if (this.flows.size <= MAX_IDLE_FLOWS / 2) break;
      if (flow.waiting === 0) this.flows.delete(account);
    }
  }
}

/** When its turn among those of its account has come. */
function turnMs({ sinceMs, yieldsMs = 0 }: Waiting): number {
  return sinceMs + yieldsMs;
}

/** Level accounts: whoever has waited longer. */
function isBefore<T extends Waiting>(a: Cursor<T>, b: Cursor<T>): boolean {
  if (a.start !== b.start) return a.start < b.start;
  return a.entries[a.at]!.sinceMs < b.entries[b.at]!.sinceMs;
}
