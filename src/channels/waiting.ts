/**
 * Waiting: how a thread sleeps until there is room in a queue, or an item, and how others wake it.
 *
 *     event (i32) │ count of wake-ups 31 │ sleepers 1 │
 *
 *     sleeper   set `sleepers`    look at the queue again     sleep while the event is what was seen
 *     waker     change the queue  look at the event ──────▶   only with `sleepers`: count up, notify
 *
 * Each side writes one word and then reads the other's, all sequentially consistent: at least one of them
 * sees the other, so no wake-up is lost, and a waker whom nobody waits for pays one load. The waker clears
 * `sleepers`, and sets it again when it has woken as many as it meant to: there may be more. A sleeper
 * that dies leaves nothing behind.
 *
 * Sleeps last 50 ms at most, after which the sleeper looks again: a wake-up that went to a thread which
 * died, or which had given up, costs a slice. The async forms do the same by `waitAsync` (or a timer
 * that polls).
 *
 * Source: event counts, D. Reed and R. Kanodia, "Synchronization with eventcounts and sequencers", 1979.
 */

import {
  atomicLoad,
  atomicOr,
  compareExchange,
  notify,
  pause,
  wait,
  waitAbortable,
  waitAsync,
} from '../memory/atomics.ts';
import type { AbortSignalLike } from '../sync/async-sleep.ts';
import { SLICE_MS, UNBLOCKABLE_SPIN_MS } from '../sync/lock.ts';
import { backOff } from '../sync/spin-lock.ts';
import { timeoutOf } from '../sync/turn.ts';

/** The bit of an event word that says that somebody may sleep. */
const SLEEPERS = 1;
const ONE_EVENT = 2;

/**
 * How long a thread looks again and again before it sleeps, in ms: as long as a sleep and the wake-up cost both
 * sides. It halves whenever that was in vain, and is the longest again once it has served.
 */
const LONGEST_SPIN_MS = 0.1;
const SHORTEST_SPIN_MS = 0.005;
/** Between two looks, so that the other side keeps its cache lines and more than one item comes together. */
const LOOK_PAUSES = 8;

/** Lets timers and whatever else waits for the event loop have their turn. */
export function letOthersRun(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** How a wait ended. */
export type Waited = 'ready' | 'time is up' | 'gone';

/** What is waited for. */
export interface Condition {
  /** Whether it is worth another attempt. Reads the shared words atomically. */
  isReady(): boolean;
  /** Whether the bytes that the event lies in are still what they were. */
  isThere(): boolean;
  /** Whether a thread that has died holds up what is waited for. Asked after each slice. */
  isStuck(): boolean;
}

/** How long to wait, and what ends it before. */
export interface QueueWaitOptions {
  /** Milliseconds, 0 for not at all. Default: as long as it takes. */
  readonly timeout?: number;
  /** An abort throws its reason. The blocking forms only look at it before they begin. */
  readonly signal?: AbortSignalLike;
}

/** One thread's side of an event. */
export class Waiting {
  readonly #words: Int32Array;
  readonly #event: number;
  readonly #mayBlock: boolean;
  readonly #condition: Condition;
  readonly #refused: () => Error;
  #spinMs = LONGEST_SPIN_MS;

  /**
   * @param event index of the event word in `words`; it starts as 0
   * @param refused makes the error for a thread that may not block
   */
  constructor(
    words: Int32Array,
    event: number,
    mayBlock: boolean,
    condition: Condition,
    refused: () => Error,
  ) {
    this.#words = words;
    this.#event = event;
    this.#mayBlock = mayBlock;
    this.#condition = condition;
    this.#refused = refused;
  }

  /** Wakes up to `count` of those who sleep. Call it after the change that they wait for. */
  wake(count: number): void {
    if ((atomicLoad(this.#words, this.#event) & SLEEPERS) !== 0) this.wakeSleepers(count);
  }

  /** As {@link wake}, when the event is known to have sleepers. */
  wakeSleepers(count: number): void {
    const words = this.#words;
    const event = this.#event;
    // Before the notify: whoever announces himself from here on sets the bit again, and is not forgotten.
    let seen = atomicLoad(words, event);
    while ((seen & SLEEPERS) !== 0) {
      const found = compareExchange(words, event, seen, (seen + ONE_EVENT) & ~SLEEPERS);
      if (found === seen) break;
      seen = found;
    }
    if (notify(words, event, count) < count) return;
    // There may be more who sleep. What was changed while the bit was clear has woken none of them.
    atomicOr(words, event, SLEEPERS);
    if (this.#condition.isReady()) notify(words, event, 1);
  }

  /**
   * Blocks the thread until the condition is worth another attempt.
   *
   * @param deadline as `performance.now()` counts; Infinity for none
   * @throws BlockingNotAllowedError when this thread may not block and spinning did not serve
   */
  block(deadline: number): Waited {
    const condition = this.#condition;
    const now = performance.now();
    if (deadline <= now) return 'time is up';
    if (this.#spin(now + this.#spinMs)) {
      this.#spinMs = LONGEST_SPIN_MS;
      return 'ready';
    }
    this.#spinMs = Math.max(this.#spinMs / 2, SHORTEST_SPIN_MS);
    if (!this.#mayBlock) return this.#spinOn(deadline);
    for (;;) {
      const seen = this.#announce();
      if (condition.isReady()) return 'ready';
      const left = deadline - performance.now();
      if (left <= 0) return 'time is up';
      const woken = wait(this.#words, this.#event, seen, Math.min(left, SLICE_MS)) !== 'timed-out';
      if (!condition.isThere()) return 'gone';
      if (condition.isReady() || (!woken && condition.isStuck())) return 'ready';
    }
  }

  /**
   * As {@link block}, without blocking the thread.
   *
   * @throws the signal's reason when it is aborted; the wake-up that this one may have had goes on to another
   */
  async settle(deadline: number, signal: AbortSignalLike | undefined): Promise<Waited> {
    const condition = this.#condition;
    for (;;) {
      const seen = this.#announce();
      if (condition.isReady()) return 'ready';
      const left = deadline - performance.now();
      if (left <= 0) return 'time is up';
      await this.#sleep(seen, Math.min(left, SLICE_MS), signal);
      if (!condition.isThere()) return 'gone';
      if (signal?.aborted) {
        this.wake(1);
        throw signal.reason;
      }
      if (condition.isReady() || condition.isStuck()) return 'ready';
    }
  }

  /** Sets `sleepers`. Returns the word to sleep on. */
  #announce(): number {
    for (;;) {
      const seen = atomicLoad(this.#words, this.#event);
      const marked = seen | SLEEPERS;
      if (seen === marked || compareExchange(this.#words, this.#event, seen, marked) === seen) return marked;
    }
  }

  /** Whether the condition came before `end`. */
  #spin(end: number): boolean {
    const condition = this.#condition;
    do {
      for (let left = LOOK_PAUSES; left > 0; left--) pause();
      if (condition.isReady()) return true;
    } while (performance.now() < end);
    return false;
  }

  /** For a page's main thread. */
  #spinOn(deadline: number): Waited {
    const end = Math.min(deadline, performance.now() + UNBLOCKABLE_SPIN_MS);
    for (let round = 0; performance.now() < end; round++) {
      backOff(round);
      if (!this.#condition.isThere()) return 'gone';
      if (this.#condition.isReady()) return 'ready';
    }
    if (end === deadline) return 'time is up';
    throw this.#refused();
  }

  /** Ends at the latest after `ms`, or with an abort. Leaves no listener. */
  #sleep(seen: number, ms: number, signal: AbortSignalLike | undefined): Promise<unknown> {
    if (signal === undefined) return waitAsync(this.#words, this.#event, seen, ms);
    return waitAbortable(this.#words, this.#event, seen, ms, signal, () => {
      if (this.#condition.isThere()) this.wake(1);
    });
  }
}

/**
 * When to give up, as `performance.now()` counts.
 *
 * @throws RangeError when the timeout is no number of ms, 0 or more
 */
export function deadlineOf(options: QueueWaitOptions | undefined): number {
  const timeout = timeoutOf(options, Number.POSITIVE_INFINITY);
  return timeout === Number.POSITIVE_INFINITY ? timeout : performance.now() + timeout;
}
