/** Pseudo-random choices, the same for the same seed. */
export class SeededRandom {
  #state: number;

  constructor(seed: string) {
    this.#state = 0x811c9dc5; // FNV-1a, so that similar seeds lead to different sequences.
    for (const char of seed) this.#state = Math.imul(this.#state ^ char.charCodeAt(0), 0x01000193);
  }

  /** From 0 to below 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number from 0 to below `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  /** True in one of this many cases. */
  oneIn(cases: number): boolean {
    return this.below(cases) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** Up to `most` items of a list, with repetitions. */
  someOf<T>(list: readonly T[], most: number): T[] {
    return Array.from({ length: this.below(most + 1) }, () => this.pick(list));
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** A copy with up to three changed bytes, in one of three cases truncated. */
  corrupt(bytes: Buffer): Buffer {
    const copy = Buffer.from(bytes);
    for (let i = this.below(4); i > 0 && copy.length > 0; i -= 1) {
      copy[this.below(copy.length)] = this.below(256);
    }
    return this.oneIn(3) ? copy.subarray(0, this.below(copy.length + 1)) : copy;
  }
}
