/** Async sleepers, watched without a clock: what wakes them, and how often they sleep. */

import { onTestFinished, vi } from 'vitest';
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

/** From here on no slice ends a sleep: the sleepers of this test are notified, or reject after a minute. */
export function sleepUntilNotified(): void {
  watchSleeps((sleep, words, index, value) => {
    const sleeping = sleep(words, index, value, LONG_MS);
    if (!sleeping.async) return sleeping;
    const woken = sleeping.value.then((result) => {
      if (result === 'timed-out') throw new Error('a sleeper was not notified');
      return result;
    });
    return { async: true, value: woken };
  });
}

/** The ms that each sleep of this test lasts at most, from here on, as they begin. */
export function noteSleeps(): number[] {
  const noted: number[] = [];
  watchSleeps((sleep, words, index, value, ms) => {
    noted.push(ms);
    return sleep(words, index, value, ms);
  });
  return noted;
}
