/**
 * How often each of many hashes is there. A Map does the same; it is changed for each block of each prompt, twice a
 * request, and costs three to four times as much (13 us of a 32 kB request against 4).
 *
 * Open addressing with linear probing: a hash lies at its own place or behind it without a gap, so that an empty place ends
 * a search. What goes leaves no mark: those behind it move up (Knuth, The Art of Computer Programming 6.4, algorithm R).
 */
export class HashCounts {
  /** How many different hashes are there. */
  size = 0;
  private hashes: Int32Array;
  /** 0: the place is empty. */
  private counts: Int32Array;
  private mask: number;

  /** `places`: a power of two. */
  constructor(places = 64) {
    this.hashes = new Int32Array(places);
    this.counts = new Int32Array(places);
    this.mask = places - 1;
  }

  /** One more of this hash, an integer whose 32 low bits are well mixed and tell it apart; answers how many there are now. */
  add(hash: number): number {
    const at = this.placeOf(hash | 0);
    if (this.counts[at] !== 0) return ++this.counts[at]!;
    this.hashes[at] = hash;
    this.counts[at] = 1;
    // Half full: a search looks at two places or so.
    if (++this.size * 2 > this.mask) this.grow();
    return 1;
  }

  /** One less; answers how many are left. */
  remove(hash: number): number {
    const at = this.placeOf(hash | 0);
    if (this.counts[at] === 0) return 0;
    const left = --this.counts[at]!;
    if (left === 0) this.close(at);
    return left;
  }

  private placeOf(hash: number): number {
    const { hashes, counts, mask } = this;
    let at = hash & mask;
    while (counts[at] !== 0 && hashes[at] !== hash) at = (at + 1) & mask;
    return at;
  }

  /** Those behind an empty place that would not be found any more move into it. */
  private close(from: number): void {
    const { hashes, counts, mask } = this;
    this.size--;
    let gap = from;
    for (let at = (gap + 1) & mask; counts[at] !== 0; at = (at + 1) & mask) {
      const own = hashes[at]! & mask;
      // Its own place lies behind the gap: it is found from there.
      if (((at - own) & mask) < ((at - gap) & mask)) continue;
      hashes[gap] = hashes[at]!;
      counts[gap] = counts[at]!;
      counts[at] = 0;
      gap = at;
    }
  }

  private grow(): void {
    const { hashes, counts } = this;
    const places = counts.length * 2;
    this.hashes = new Int32Array(places);
    this.counts = new Int32Array(places);
    this.mask = places - 1;
    for (let i = 0; i < counts.length; i++) {
      if (counts[i] === 0) continue;
      const at = this.placeOf(hashes[i]!);
      this.hashes[at] = hashes[i]!;
      this.counts[at] = counts[i]!;
    }
  }
}
