/** Scenario: a few threads, what they share, and what must hold when all have ended. Types only. */

import type { Memory } from '../../../src/memory/memory.ts';

/** Plain accesses that may race, and why that does no harm. */
export interface AllowedRace {
  readonly reason: string;
  /** Functions as `Class.method`. */
  readonly between: readonly string[];
  /** The other side; default: the same functions. */
  readonly and?: readonly string[];
}

/** Written as any code that uses the library; the build makes it explorable. */
// biome-ignore lint/suspicious/noExplicitAny: a scenario's world is its own business
export interface Scenario<W = any> {
  /** Bytes of the buffer that the threads share. */
  readonly bytes: number;
  /** Lays out the bytes, once: every schedule begins with a copy. */
  readonly lay?: (memory: Memory) => void;
  /** What the threads note outside of shared bytes; made for each schedule. */
  readonly world: () => W;
  /** Called in thread 1, 2, …: opens what it needs, in one step, and returns what the thread then does. */
  readonly threads: readonly ((memory: Memory, world: W) => () => void)[];
  /** Called when all threads have ended: throws if something is wrong. */
  readonly check?: (memory: Memory, world: W) => void;
  /** Whether sleeps may end by themselves: where threads die. */
  readonly maySleepOut?: boolean;
  readonly races?: readonly AllowedRace[];
  /** The same, where thread 1 dies while the others are at work. */
  readonly amid?: Scenario;
}
