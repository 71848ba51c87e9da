/**
 * Parking lock: spins for a moment, then sleeps until the holder wakes it. The default.
 *
 *     free ──acquire──▶ owner ──a waiter is about to sleep──▶ owner, contended
 *      ▲                  │                                      │
 *      └────release───────┴──────────release, notify one─────────┘
 *
 * A woken waiter takes the word with the contended bit set, since others may still sleep. Sleeps last
 * at most 50 ms at a time, after which the waiter looks at the owner again: a lost wake-up or a dead
 * owner costs a slice, never for ever.
 *
 * Source: mutex2 of U. Drepper, "Futexes are tricky", 2011, with the owner in place of the 1.
 */

import { atomicLoad, compareExchange, wait } from '../memory/atomics.ts';
import { CONTENDED, INHERITED, Lock } from './lock.ts';
import { backOff } from './spin-lock.ts';

/** Rounds of doubling pauses before the first sleep: about ten microseconds, what a sleep and a wake-up cost. */
const SPIN_ROUNDS = 8;

/** A lock that spins, then sleeps. Thread-safe; each thread makes its own handle. */
export class ParkLock extends Lock {
  protected override waitTurn(began: number, timeout: number): boolean {
    const { i32, index, thread } = this;
    for (let round = 0; round < SPIN_ROUNDS; round++) {
      backOff(round);
      const seen = atomicLoad(i32, index);
      if (seen === 0 && compareExchange(i32, index, 0, thread.token) === 0) return false;
      if (seen < 0) break;
    }
    return this.#park(began, timeout);
  }

  #park(began: number, timeout: number): boolean {
    const { i32, index, thread } = this;
    for (let round = 0; ; round++) {
      const seen = thread.mayBlock ? this.markContended() : atomicLoad(i32, index);
      if (seen === 0) {
        if (compareExchange(i32, index, 0, thread.token | CONTENDED) === 0) return false;
        continue;
      }
      const slice = this.lookAtOwner(began, timeout, seen);
      if (slice === INHERITED) return true;
      this.checkMayBlock(began);
      if (thread.mayBlock) wait(i32, index, seen, slice);
      else backOff(round);
    }
  }
}
