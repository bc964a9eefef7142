/** The Postgres side in memory: what MONEY.md section 1 says about leases, for one account. */

export interface LeaseRow {
  leaseId: `lease_${string}`;
  seq: bigint;
  history: string;
  era: string;
  granted: bigint;
  returned: bigint;
  settled: bigint;
  expMs: number;
  state: 'open' | 'quarantined' | 'closed';
}

export interface Posting {
  requestId: string;
  leaseId: string;
  amountNusd: bigint;
}

export class Ledger {
  credited = 0n;
  available = 0n;
  posted = 0n;
  uncollected = 0n;
  readonly leases: LeaseRow[] = [];
  readonly settlements = new Map<string, bigint>();
  /** Postings that their lease could not pay. */
  readonly short: Posting[] = [];

  credit(amount: bigint): void {
    this.credited += amount;
    this.available += amount;
  }

  open(): LeaseRow | undefined {
    return this.leases.find((lease) => lease.state === 'open');
  }

  rest(lease: LeaseRow): bigint {
    return lease.granted - lease.returned - lease.settled;
  }

  openLease(history: string, era: string, amount: bigint, expMs: number): LeaseRow {
    const seq = BigInt(this.leases.length + 1);
    const lease: LeaseRow = {
      leaseId: `lease_${seq}`,
      seq,
      history,
      era,
      granted: 0n,
      returned: 0n,
      settled: 0n,
      expMs,
      state: 'open',
    };
    this.leases.push(lease);
    this.grant(lease, amount);
    return lease;
  }

  grant(lease: LeaseRow, amount: bigint): void {
    if (amount > this.available) throw new Error('the keeper granted more than is available');
    this.available -= amount;
    lease.granted += amount;
  }

  /** Books the difference to a cumulative total. */
  bookReturned(lease: LeaseRow, returned: bigint): void {
    const more = returned - lease.returned;
    if (more <= 0n) return;
    lease.returned = returned;
    this.available += more;
  }

  post(posting: Posting): void {
    if (this.settlements.has(posting.requestId)) return;
    this.settlements.set(posting.requestId, posting.amountNusd);
    this.posted += posting.amountNusd;
    const lease = this.leases.find((each) => each.leaseId === posting.leaseId);
    let due = posting.amountNusd;
    const fromLease = lease ? least(this.rest(lease), due) : 0n;
    if (lease) lease.settled += fromLease;
    due -= fromLease;
    if (due === 0n) return;
    this.short.push(posting);
    const fromAvailable = least(this.available, due);
    this.available -= fromAvailable;
    this.uncollected += due - fromAvailable;
  }

  /** Everything of a dead lease except `reserve` is available again. */
  release(lease: LeaseRow, reserve: bigint): void {
    const free = this.rest(lease) - reserve;
    if (free > 0n) this.bookReturned(lease, lease.returned + free);
    if (this.rest(lease) === 0n) lease.state = 'closed';
  }

  /** Null, or which identity does not hold. */
  fault(): string | null {
    const leased = this.leases.reduce((sum, lease) => sum + this.rest(lease), 0n);
    if (this.available + leased + this.posted !== this.credited + this.uncollected) return 'the ledger does not add up';
    if (this.available < 0n || this.leases.some((lease) => this.rest(lease) < 0n)) return 'a balance is below zero';
    return null;
  }
}

export const least = (a: bigint, b: bigint): bigint => (a > b ? b : a);
