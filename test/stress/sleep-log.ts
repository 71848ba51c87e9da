/**
 * Sleep log: counts how the waits of this thread end. A wait that ends by its timeout although the word
 * it waited for is free (0) was not woken when it should have been: a lost wake-up.
 */

export interface SleepLog {
  sleeps: number;
  lost: number;
}

/** Puts itself in place of `Atomics.wait` for the rest of this thread's life. */
export function logSleeps(): SleepLog {
  const log: SleepLog = { sleeps: 0, lost: 0 };
  const wait = Atomics.wait as (words: Int32Array, index: number, value: number, timeout?: number) => string;
  Object.defineProperty(Atomics, 'wait', {
    configurable: true,
    value(words: Int32Array, index: number, value: number, timeout?: number): string {
      const result = wait(words, index, value, timeout);
      if (result !== 'not-equal') log.sleeps++;
      if (result === 'timed-out' && Atomics.load(words, index) === 0) log.lost++;
      return result;
    },
  });
  return log;
}
