/**
 * Spin lock with back-off: tries again and again, pausing twice as long each time, then napping.
 *
 * The right lock for sections of a few hundred nanoseconds when threads do not outnumber cores. It
 * never makes a system call to release. With more threads than cores the holder may be off the
 * processor for a whole time slice, so after a while the waiters nap instead of burning that slice.
 *
 * Source: test-and-test-and-set with exponential back-off, T. Anderson, "The performance of spin lock
 * alternatives for shared-memory multiprocessors", 1990.
 */

import { atomicLoad, compareExchange, pause, wait } from '../memory/atomics.ts';
import { INHERITED, Lock } from './lock.ts';

/** Rounds of doubling pauses; the last pauses 2^10 times, some tens of microseconds. */
const SPIN_ROUNDS = 10;
const NAP_MS = 0.05;
const LONGEST_NAP_MS = 1;

/** A lock that spins, then naps. Thread-safe; each thread makes its own handle. */
export class SpinLock extends Lock {
  protected override waitTurn(began: number, timeout: number): boolean {
    const { i32, index, thread } = this;
    let nap = NAP_MS;
    for (let round = 0; ; round++) {
      backOff(round);
      const seen = atomicLoad(i32, index);
      if (seen === 0) {
        if (compareExchange(i32, index, 0, thread.token) === 0) return false;
      } else if (round > SPIN_ROUNDS) {
        if (this.lookAtOwner(began, timeout, seen) === INHERITED) return true;
        this.checkMayBlock(began);
        if (thread.mayBlock) {
          // Nobody notifies: the word's change is seen when the nap is over.
          wait(i32, index, seen, nap);
          nap = Math.min(nap * 2, LONGEST_NAP_MS);
        }
      }
    }
  }
}

/** Pauses 2^round times, up to 2^10. */
export function backOff(round: number): void {
  for (let left = 1 << Math.min(round, SPIN_ROUNDS); left > 0; left--) pause();
}
