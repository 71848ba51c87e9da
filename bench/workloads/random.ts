/** Random numbers that are the same in every run: xorshift32, a few instructions each. */

export class Random {
  #state: number;

  constructor(seed: number) {
    // Neighbouring seeds are spread; 0 would stay 0.
    this.#state = (Math.imul(seed + 1, 0x9e3779b1) ^ 0x5bd1e995) | 1;
  }

  /** 32 random bits. */
  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state >>> 0;
  }

  /** From 0 to limit - 1. */
  below(limit: number): number {
    return (this.next() * 2 ** -32 * limit) >>> 0;
  }
}
