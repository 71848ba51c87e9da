/** Scenarios: what the workers of a stress run do together, each with checks that hold whoever died wherever. */

import type { Heap } from '../../src/index.ts';

/** What a worker knows while it plays its part. */
export interface Hand {
  readonly heap: Heap;
  /** An integer from 0 below `limit`. */
  random(limit: number): number;
  /** Called in the middle of a change: a worker that was told to end may do so here. */
  halfway(): void;
}

/** One worker's part in a scenario. */
export interface Part {
  /** One operation or a few. */
  step(): void;
  /** Takes what is not to be given back, in the middle of a change if it can: the worker ends now. */
  hold?(): void;
  /** Drops what it kept. */
  leave(): void;
}

/** Something that workers use together. */
export interface Scenario<H extends object = object> {
  /** Makes it. Returns what the workers need to find it, cloneable. */
  create(heap: Heap): H;
  join(hand: Hand, handle: H): Part;
  /**
   * Checks it when all workers have left, and frees it.
   *
   * @param deaths how many workers have died
   * @throws Error that says what is not as it has to be
   */
  finish(heap: Heap, handle: H, deaths: number): void;
}

/** Throws unless `condition` holds. */
export function expect(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new Error(message());
}

/** 32 bits that tell one number from another. */
export function stampOf(number: number): number {
  return (Math.imul(number ^ (number >>> 15), 0x2c1b3c6d) ^ 0x5ab4ea9) >>> 0;
}

/** A text that belongs to one number, of some 5 to 100 characters. */
export function textOf(number: number): string {
  return `${number}:${'·'.repeat(stampOf(number) % 32)}`;
}

/** Xorshift32, G. Marsaglia. */
export function randomFrom(seed: number): (limit: number) => number {
  let state = stampOf(seed) || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}
