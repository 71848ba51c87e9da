/** Async sleepers, watched without a clock: what wakes them, and how often they sleep. */

import { expect, onTestFinished, vi } from 'vitest';
import { hasWaitAsync } from '../../src/memory/atomics.ts';

/** Longer than anything but a missing notify. */
const LONG_MS = 60_000;

type Sleep = (words: Int32Array, index: number, value: number, ms: number) => Sleeping;
type Sleeping = ReturnType<typeof Atomics.waitAsync>;

/** Puts `watch` in place of `Atomics.waitAsync` until the test ends. A runtime without it looks each millisecond. */
function watchSleeps(watch: (sleep: Sleep, ...args: Parameters<Sleep>) => Sleeping): void {
  if (!hasWaitAsync) return;
  const sleep = Atomics.waitAsync as Sleep;
  const spy = vi.spyOn(Atomics as { waitAsync: Sleep }, 'waitAsync');
  spy.mockImplementation((...args) => watch(sleep, ...args));
  onTestFinished(() => spy.mockRestore());
}

/**
 * From here on no slice ends a sleep. The test fails when one was not ended by a notify, after a minute. Returns
 * what resolves once there was a sleep.
 */
export function sleepUntilNotified(): () => Promise<void> {
  let missed = 0;
  let begun = 0;
  onTestFinished(() => expect(missed, 'sleeps that nobody ended').toBe(0));
  watchSleeps((sleep, words, index, value) => {
    const sleeping = sleep(words, index, value, LONG_MS);
    if (!sleeping.async) return sleeping;
    begun++;
    void sleeping.value.then((result) => {
      if (result === 'timed-out') missed++;
    });
    return sleeping;
  });
  return async () => {
    if (hasWaitAsync) await vi.waitUntil(() => begun > 0, { timeout: LONG_MS });
  };
}

/** The ms that each sleep of this thread lasts at most, in the order in which they begin, from here on. */
export function noteSleeps(): number[] {
  const noted: number[] = [];
  watchSleeps((sleep, words, index, value, ms) => {
    noted.push(ms);
    return sleep(words, index, value, ms);
  });
  const block = Atomics.wait as (...args: Parameters<Sleep>) => 'ok';
  const spy = vi.spyOn(Atomics as { wait: typeof block }, 'wait');
  spy.mockImplementation((words, index, value, ms) => {
    noted.push(ms);
    return block(words, index, value, ms);
  });
  onTestFinished(() => spy.mockRestore());
  return noted;
}
