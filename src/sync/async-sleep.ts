/**
 * Async sleep: waiting for a shared word without blocking the thread, and giving up on a signal.
 *
 *     word still as seen ──sleepAsync──▶ notified, changed, time up       returns: look at the word again
 *                                  └───▶ signal aborted                   throws its reason
 *
 * A sleeper that gives up is still in the engine's list of waiters and may be woken in place of another
 * one: then it passes the wake-up on.
 */

import { notify, waitAbortable, waitAsync } from '../memory/atomics.ts';

/** How long a call waits at most. */
export interface WaitOptions {
  /** In ms, 0 and more; `Infinity` waits for ever. Default: the heap's `lockTimeout`. */
  readonly timeout?: number;
}

/** What is used of an `AbortSignal`. Declared here: a program may have neither the types of the DOM nor Node's. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** How long an async call waits at most, and what makes it give up. */
export interface AsyncWaitOptions extends WaitOptions {
  /** Its abort rejects the promise with the signal's reason; nothing is taken then. */
  readonly signal?: AbortSignalLike | undefined;
}

/**
 * Sleeps while the word holds `seen`, for `ms` at most. May return early.
 *
 * @throws the signal's reason when it is aborted
 */
export async function sleepAsync(
  words: Int32Array,
  index: number,
  seen: number,
  ms: number,
  signal?: AbortSignalLike,
): Promise<void> {
  signal?.throwIfAborted();
  if (signal === undefined) {
    await waitAsync(words, index, seen, ms);
    return;
  }
  const ended = await waitAbortable(words, index, seen, ms, signal, () => notify(words, index, 1));
  if (ended === 'aborted') throw signal.reason;
}
