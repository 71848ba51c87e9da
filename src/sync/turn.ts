/**
 * Turn: the waiting that semaphores, barriers, conditions and writers share. What is waited for is a
 * `Turn`, an object that tries once; how the waiting is done, asleep or with the event loop turning, is
 * here.
 *
 *     attempt() ─── DONE ──▶ return
 *        ▲ └── index ──▶ spin a few times, then sleep while i32[index] is still `seen`
 *        └──────────────────────┘  for 50 ms at most: a lost wake-up costs a slice, never for ever
 *
 * A turn notes `seen` before it looks at what it waits for: a change in between ends the sleep at once.
 */

import { BlockingNotAllowedError, show } from '../errors.ts';
import { wait } from '../memory/atomics.ts';
import { type AbortSignalLike, type AsyncWaitOptions, sleepAsync } from './async-sleep.ts';
import { SLICE_MS, UNBLOCKABLE_SPIN_MS } from './lock.ts';
import { backOff } from './spin-lock.ts';
import type { Thread } from './thread.ts';

/** What `attempt` returns when there is nothing to wait for any more. */
export const DONE = -1;

/** Rounds of doubling pauses before the first sleep: some microseconds. */
export const SPIN_ROUNDS = 6;

/** Something that a thread waits for. */
export interface Turn {
  /** The words that it sleeps on. */
  readonly i32: Int32Array;
  /** What the word at the index that `attempt` returned held before it failed. */
  readonly seen: number;
  /** Longest sleep in ms, where that is less than 50. */
  readonly nap?: number | undefined;
  /** Rounds of doubling pauses before the first sleep, where that is not 6 (some microseconds). */
  readonly spins?: number;
  /** Tries. Returns `DONE`, or the index of the word to sleep on. */
  attempt(): number;
  /** The error for a wait that took too long. */
  timedOut(waitedMs: number): Error;
}

/**
 * Waits for a turn.
 *
 * @param timeout ms
 * @param asyncForm what to use where this thread may not block, for the message
 * @throws what `turn.timedOut` makes, when it did not come within the timeout
 * @throws BlockingNotAllowedError when this thread may not block and spinning did not help
 */
export function awaitTurn(turn: Turn, thread: Thread, timeout: number, asyncForm: string): void {
  const began = performance.now();
  const spins = turn.spins ?? SPIN_ROUNDS;
  for (let round = 0; ; round++) {
    const index = turn.attempt();
    if (index === DONE) return;
    if (round < spins) {
      backOff(round);
      continue;
    }
    const slice = sliceOf(turn, began, timeout);
    if (thread.mayBlock) wait(turn.i32, index, turn.seen, slice);
    else if (performance.now() - began < UNBLOCKABLE_SPIN_MS) backOff(round);
    else throw new BlockingNotAllowedError(index * 4, asyncForm);
  }
}

/**
 * As {@link awaitTurn}, without blocking the thread.
 *
 * @throws the signal's reason when it is aborted
 */
export async function awaitTurnAsync(turn: Turn, timeout: number, signal?: AbortSignalLike): Promise<void> {
  signal?.throwIfAborted();
  const began = performance.now();
  for (let index = turn.attempt(); index !== DONE; index = turn.attempt()) {
    await sleepAsync(turn.i32, index, turn.seen, sliceOf(turn, began, timeout), signal);
  }
}

function sliceOf(turn: Turn, began: number, timeout: number): number {
  const waited = performance.now() - began;
  if (waited >= timeout) throw turn.timedOut(waited);
  return Math.min(timeout - waited, turn.nap ?? SLICE_MS);
}

/**
 * The timeout that a caller gave, in ms, or `otherwise`.
 *
 * @throws RangeError when it is negative or no number
 */
export function timeoutOf(options: AsyncWaitOptions | undefined, otherwise: number): number {
  const timeout = options?.timeout;
  if (timeout === undefined) return otherwise;
  if (typeof timeout === 'number' && timeout >= 0) return timeout;
  throw new RangeError(`timeout must be a number of ms, 0 or more, got ${show(timeout)}`);
}
