/**
 * Permits: the words of a semaphore. What each thread slot has taken is recorded, so that a dead thread's
 * permits can be given back.
 *
 *     start ▶ ┌ state ──────────────────┬ total ┬ changes ┬ sleepers ┬ taken, one u32 for each slot ┐
 *             │ 0│ available 23 │ slot 8│ u32   │ i32     │ i32      │ slot 0 … slot 255            │
 *             └──┴──────────────┴───────┴───────┴─────────┴──────────┴──────────────────────────────┘
 *
 *     state     {n, 0}      n permits are free
 *               {n, slot}   that slot's thread is at the records: all others leave the words alone
 *     changes   goes up, and is notified, when permits come free and `sleepers` is not 0
 *
 * Invariant: available + Σ taken = total, whenever the state names no slot. Whoever finds the state named
 * by a dead thread recomputes `available` from the records; that and clearing a dead slot's record is all
 * of recovery. A dead sleeper leaves `sleepers` too high: that costs notifies, nothing else.
 *
 * Cost: taking or giving back without waiting is a load, a swap and a store (35 to 50 ns). Whoever finds
 * permits takes them: there is no queue, and who wants many can be overtaken by those who want few.
 */

import { LockTimeoutError } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import { atomicAdd, atomicLoad, atomicStore, atomicSub, compareExchange, notify } from '../memory/atomics.ts';
import { checkInteger } from '../memory/layout.ts';
import type { Memory } from '../memory/memory.ts';
import type { Thread } from './thread.ts';
import { awaitTurn, awaitTurnAsync, DONE, type Turn } from './turn.ts';

/** The most permits that a semaphore can have. */
export const MOST_PERMITS = 2 ** 23 - 1;

// Indexes of words.
const STATE = 0;
const TOTAL = 1;
const CHANGES = 2;
const SLEEPERS = 3;
const TAKEN = 4;
const SLOTS = 256;
/** Bytes of the words. */
export const PERMITS_BYTES = (TAKEN + SLOTS) * 4;

const SLOT_BITS = 8;
const SLOT = SLOTS - 1;
const EVERYBODY = 0x7fffffff;
/** How long a thread sleeps that finds another one at the records, which takes it nanoseconds. */
const NAP_MS = 1;

/** Lays out the words in zeroed bytes that no other thread sees yet. */
export function layPermits(memory: Memory, start: Address, total: number): void {
  memory.i32[(start >>> 2) + TOTAL] = total;
  memory.i32[(start >>> 2) + STATE] = total << SLOT_BITS;
}

/** What a slot has taken, by the words at an address. */
export function permitsOf({ i32 }: Memory, start: Address, slot: number): number {
  return i32[(start >>> 2) + TAKEN + slot]!;
}

/** One thread's handle of the words. */
export class Permits {
  readonly i32: Int32Array;
  private readonly start: Address;
  private readonly base: number;
  private readonly thread: Thread;
  private readonly timeout: number;

  /** @param timeout for giving back, which waits only for who is at the records; ms */
  constructor(memory: Memory, start: Address, thread: Thread, timeout: number) {
    this.i32 = memory.i32;
    this.start = start;
    this.base = start >>> 2;
    this.thread = thread;
    this.timeout = timeout;
  }

  /** Permits that are free at the moment. */
  get available(): number {
    return atomicLoad(this.i32, this.base + STATE) >>> SLOT_BITS;
  }

  /** All permits, free or taken. */
  get total(): number {
    return atomicLoad(this.i32, this.base + TOTAL);
  }

  /** What this thread's slot has taken. */
  get held(): number {
    return this.takenBy(this.thread.slot);
  }

  /** What a slot has taken. */
  takenBy(slot: number): number {
    return atomicLoad(this.i32, this.base + TAKEN + slot);
  }

  /** The slots that have taken permits. */
  holders(): number[] {
    return Array.from({ length: SLOTS }, (_, slot) => slot).filter((slot) => this.takenBy(slot) > 0);
  }

  /** Takes `count` permits if so many are free. */
  tryTake(count: number): boolean {
    if (this.grab(count)) return true;
    const turn = new Taking(this, count, false);
    awaitTurn(turn, this.thread, this.timeout, 'acquireAsync()');
    return turn.done;
  }

  /**
   * Takes `count` permits, waiting for them.
   *
   * @throws LockTimeoutError, BlockingNotAllowedError as `awaitTurn`
   */
  take(count: number, timeout: number): void {
    if (this.grab(count)) return;
    atomicAdd(this.i32, this.base + SLEEPERS, 1);
    try {
      awaitTurn(new Taking(this, count, true), this.thread, timeout, 'acquireAsync()');
    } finally {
      atomicSub(this.i32, this.base + SLEEPERS, 1);
    }
  }

  /** As {@link take}, without blocking the thread. */
  async takeAsync(count: number, timeout: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.grab(count)) return;
    atomicAdd(this.i32, this.base + SLEEPERS, 1);
    try {
      await awaitTurnAsync(new Taking(this, count, true), timeout, signal);
    } finally {
      atomicSub(this.i32, this.base + SLEEPERS, 1);
    }
  }

  /**
   * Gives `count` permits back: this slot's own first, then those of others, lowest slot first.
   *
   * @throws RangeError when fewer are taken; nothing has changed
   */
  giveBack(count: number): void {
    const free = this.enter();
    const { i32, base } = this;
    const total = i32[base + TOTAL]!;
    if (count > total - free) {
      atomicStore(i32, base + STATE, free << SLOT_BITS);
      throw new RangeError(`release of ${count} permits, where ${total - free} of ${total} are taken`);
    }
    let left = this.uncharge(this.thread.slot, count);
    for (let slot = 0; left > 0 && slot < SLOTS; slot++) left = this.uncharge(slot, left);
    this.leave(free + count);
  }

  /**
   * Puts in `count` new permits.
   *
   * @throws RangeError when there would be too many
   */
  add(count: number): void {
    const free = this.enter();
    const { i32, base } = this;
    const total = i32[base + TOTAL]!;
    try {
      checkInteger('permits to add', count, 0, MOST_PERMITS - total);
    } catch (error) {
      atomicStore(i32, base + STATE, free << SLOT_BITS);
      throw error;
    }
    i32[base + TOTAL] = total + count;
    this.leave(free + count);
  }

  // ── The state word ──────────────────────────────────────────────────────────────────────────────

  /** Takes permits at the first try, or not. */
  private grab(count: number): boolean {
    const state = atomicLoad(this.i32, this.base + STATE);
    return (state & SLOT) === 0 && state >>> SLOT_BITS >= count && this.takeFrom(state, count);
  }

  /** Takes permits while the state is still as seen. Requires: it names no slot and has so many. */
  private takeFrom(state: number, count: number): boolean {
    const { i32, base, thread } = this;
    const rest = state - (count << SLOT_BITS);
    if (compareExchange(i32, base + STATE, state, rest | thread.slot) !== state) return false;
    i32[base + TAKEN + thread.slot] = i32[base + TAKEN + thread.slot]! + count;
    // Publishes: the record; pairs with the loads of the state before it is swapped.
    atomicStore(i32, base + STATE, rest);
    return true;
  }

  /** Takes permits, or says what to wait for: see `Turn.attempt`. */
  attemptTake(turn: Taking): number {
    const { i32, base } = this;
    const changes = atomicLoad(i32, base + CHANGES);
    for (;;) {
      const state = atomicLoad(i32, base + STATE);
      if ((state & SLOT) !== 0) return turn.wait(base + STATE, state, NAP_MS);
      if (state >>> SLOT_BITS < turn.count) {
        return turn.patient ? turn.wait(base + CHANGES, changes, undefined) : DONE;
      }
      turn.done = this.takeFrom(state, turn.count);
      if (turn.done) return DONE;
    }
  }

  /** Names this thread in the state, so that the records are its own. Returns how many permits are free. */
  private enter(): number {
    const { i32, base, thread } = this;
    const state = atomicLoad(i32, base + STATE);
    if ((state & SLOT) === 0 && compareExchange(i32, base + STATE, state, state | thread.slot) === state) {
      return state >>> SLOT_BITS;
    }
    const turn = new Entering(this);
    awaitTurn(turn, thread, this.timeout, 'acquireAsync()');
    return turn.free;
  }

  /** Tries to name this thread in the state: see `Turn.attempt`. */
  attemptEnter(turn: Entering): number {
    const { i32, base, thread } = this;
    for (;;) {
      const state = atomicLoad(i32, base + STATE);
      turn.seen = state;
      if ((state & SLOT) !== 0) return base + STATE;
      if (compareExchange(i32, base + STATE, state, state | thread.slot) !== state) continue;
      turn.free = state >>> SLOT_BITS;
      return DONE;
    }
  }

  private leave(free: number): void {
    const { i32, base } = this;
    // Publishes: the records; pairs with the load of the state in `attemptTake`.
    atomicStore(i32, base + STATE, free << SLOT_BITS);
    if (atomicLoad(i32, base + SLEEPERS) === 0) return;
    atomicAdd(i32, base + CHANGES, 1);
    notify(i32, base + CHANGES, EVERYBODY);
  }

  /** Takes up to `count` permits off a slot's record. Returns how many are still to be taken off others. */
  private uncharge(slot: number, count: number): number {
    const index = this.base + TAKEN + slot;
    const taken = Math.min(count, this.i32[index]!);
    this.i32[index] = this.i32[index]! - taken;
    return count - taken;
  }

  timedOut(waitedMs: number): LockTimeoutError {
    const busy = atomicLoad(this.i32, this.base + STATE) & SLOT;
    const slots = busy === 0 ? this.holders() : [busy];
    const names = slots.map((slot) => `thread slot ${slot} (${this.takenBy(slot)})`).join(', ');
    return new LockTimeoutError(this.start, slots[0] ?? 0, names, waitedMs, 'permits of the semaphore');
  }
}

/** Waits for permits. */
class Taking implements Turn {
  readonly i32: Int32Array;
  readonly count: number;
  /** Whether it waits for permits, not only for who is at the records. */
  readonly patient: boolean;
  seen = 0;
  nap: number | undefined = undefined;
  done = false;
  private readonly permits: Permits;

  constructor(permits: Permits, count: number, patient: boolean) {
    this.permits = permits;
    this.i32 = permits.i32;
    this.count = count;
    this.patient = patient;
  }

  attempt(): number {
    return this.permits.attemptTake(this);
  }

  wait(index: number, seen: number, nap: number | undefined): number {
    this.seen = seen;
    this.nap = nap;
    return index;
  }

  timedOut(waitedMs: number): Error {
    return this.permits.timedOut(waitedMs);
  }
}

/** Waits until nobody else is at the records. */
class Entering implements Turn {
  readonly i32: Int32Array;
  readonly nap = NAP_MS;
  seen = 0;
  /** The permits that were free then. */
  free = 0;
  private readonly permits: Permits;

  constructor(permits: Permits) {
    this.permits = permits;
    this.i32 = permits.i32;
  }

  attempt(): number {
    return this.permits.attemptEnter(this);
  }

  timedOut(waitedMs: number): Error {
    return this.permits.timedOut(waitedMs);
  }
}
