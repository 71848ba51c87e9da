/**
 * Permits: the words of a semaphore. What each thread has taken is recorded, so that a dead thread's
 * permits can be given back.
 *
 *     start ▶ ┌ lock (8 bytes) ┬ available ┬ total ┬ changes ┬ sleepers ┬ bound ┬ 0 ┐
 *             │ see lock.ts    │ i32       │ i32   │ i32     │ i32      │ i32   │   │
 *             ├ records, one for each thread slot ─┬────────────────────┬───────────┤ 2 KiB
 *             │ taken i32, generation i32          │ taken, generation  │ …         │
 *             └────────────────────────────────────┴────────────────────┴───────────┘
 *
 *     lock         all other words are changed by who holds it, but for `sleepers`
 *     changes      goes up, and is notified, when permits come free and `sleepers` is not 0
 *     bound        the highest slot that ever took permits
 *     generation   which tenant of the slot the record is of: a tenant that is gone has nothing any more
 *
 * Invariant: available + Σ taken = total, whenever the lock is free. When its owner died, who takes it over
 * counts `available` anew. Who finds too few permits gives back those of threads that are gone first, and
 * looks for them with each slice that it waits. A dead sleeper leaves `sleepers` too high: that costs
 * notifies, nothing else.
 *
 * Cost: taking or giving back without waiting is the lock's (25 to 35 ns). Whoever finds permits takes
 * them: there is no queue, and who wants many can be overtaken by those who want few.
 */

import { LockTimeoutError } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import { atomicAdd, atomicLoad, atomicSub, notify } from '../memory/atomics.ts';
import { checkInteger } from '../memory/layout.ts';
import type { Memory } from '../memory/memory.ts';
import type { AbortSignalLike } from './async-sleep.ts';
import type { Lock } from './lock.ts';
import { Thread } from './thread.ts';
import { awaitTurn, awaitTurnAsync, DONE, type Turn } from './turn.ts';

/** The most permits that a semaphore can have. */
export const MOST_PERMITS = 2 ** 23 - 1;

// Indexes of words.
const AVAILABLE = 2;
const TOTAL = 3;
const CHANGES = 4;
const SLEEPERS = 5;
const BOUND = 6;
const RECORDS = 8;
const SLOTS = 256;
// Indexes from a record's start.
const TAKEN = 0;
const GENERATION = 1;
const RECORD_WORDS = 2;
/** Bytes of the words. */
export const PERMITS_BYTES = (RECORDS + SLOTS * RECORD_WORDS) * 4;

const EVERYBODY = 0x7fffffff;

/** Lays out the words in zeroed bytes that no other thread sees yet. */
export function layPermits(memory: Memory, start: Address, total: number): void {
  memory.i32[(start >>> 2) + TOTAL] = total;
  memory.i32[(start >>> 2) + AVAILABLE] = total;
}

/** One thread's handle of the words. */
export class Permits {
  readonly i32: Int32Array;
  private readonly start: Address;
  private readonly base: number;
  private readonly thread: Thread;
  private readonly lock: Lock;
  /** Index of this thread's record. */
  private readonly mine: number;
  /** Whether the words are still those of permits. */
  readonly areThere: () => boolean;

  /**
   * @param lock at `start`; its repair calls {@link recount}
   * @param areThere whether the words are still those of permits. Who waits asks before it looks again: once they
   *   are not, it stops waiting, takes nothing and writes nothing
   */
  constructor(memory: Memory, start: Address, thread: Thread, lock: Lock, areThere = () => true) {
    this.i32 = memory.i32;
    this.start = start;
    this.base = start >>> 2;
    this.thread = thread;
    this.lock = lock;
    this.areThere = areThere;
    this.mine = this.recordOf(thread.slot);
  }

  /** Permits that are free at the moment. */
  get available(): number {
    return atomicLoad(this.i32, this.base + AVAILABLE);
  }

  /** All permits, free or taken. */
  get total(): number {
    return atomicLoad(this.i32, this.base + TOTAL);
  }

  /** What this thread has taken. */
  get held(): number {
    return this.isMine() ? this.takenBy(this.thread.slot) : 0;
  }

  /** What a slot has taken. */
  takenBy(slot: number): number {
    return atomicLoad(this.i32, this.recordOf(slot) + TAKEN);
  }

  /** The slots whose threads have taken permits, and are not gone. */
  holders(): number[] {
    return Array.from({ length: this.i32[this.base + BOUND]! + 1 }, (_, slot) => slot).filter(
      (slot) => this.takenBy(slot) > 0 && !this.isGone(slot),
    );
  }

  /** Takes `count` permits if so many are free. */
  tryTake(count: number): boolean {
    this.lock.acquire();
    try {
      return this.charge(count);
    } finally {
      this.lock.release();
    }
  }

  /**
   * Takes `count` permits, waiting for them.
   *
   * @throws LockTimeoutError, BlockingNotAllowedError as `awaitTurn`
   */
  take(count: number, timeout: number): void {
    if (this.tryTake(count)) return;
    atomicAdd(this.i32, this.base + SLEEPERS, 1);
    try {
      awaitTurn(new Taking(this, count), this.thread, timeout, 'acquireAsync()');
    } finally {
      this.sleepsNoMore();
    }
  }

  /** As {@link take}, without blocking the thread. */
  async takeAsync(count: number, timeout: number, signal?: AbortSignalLike): Promise<void> {
    signal?.throwIfAborted();
    if (this.tryTake(count)) return;
    atomicAdd(this.i32, this.base + SLEEPERS, 1);
    try {
      await awaitTurnAsync(new Taking(this, count), timeout, signal);
    } finally {
      this.sleepsNoMore();
    }
  }

  private sleepsNoMore(): void {
    if (this.areThere()) atomicSub(this.i32, this.base + SLEEPERS, 1);
  }

  /** Takes permits, or says what to wait for: see `Turn.attempt`. */
  attemptTake(turn: Taking): number {
    if (!this.areThere()) return DONE;
    turn.seen = atomicLoad(this.i32, this.base + CHANGES);
    return this.tryTake(turn.count) ? DONE : this.base + CHANGES;
  }

  /**
   * Gives `count` permits back: this thread's own first, then those of others, lowest slot first.
   *
   * @throws RangeError when fewer are taken; nothing has changed
   */
  giveBack(count: number): void {
    const { i32, base, lock } = this;
    lock.acquire();
    const free = i32[base + AVAILABLE]!;
    const total = i32[base + TOTAL]!;
    if (count > total - free) {
      lock.release();
      throw new RangeError(`release of ${count} permits, where ${total - free} of ${total} are taken`);
    }
    let left = this.isMine() ? this.uncharge(this.mine, count) : count;
    for (let slot = 0; left > 0 && slot < SLOTS; slot++) left = this.uncharge(this.recordOf(slot), left);
    this.leave(free + count);
  }

  /**
   * Puts in `count` new permits.
   *
   * @throws RangeError when there would be too many
   */
  add(count: number): void {
    const { i32, base, lock } = this;
    lock.acquire();
    const total = i32[base + TOTAL]!;
    try {
      checkInteger('permits to add', count, 0, MOST_PERMITS - total);
    } catch (error) {
      lock.release();
      throw error;
    }
    i32[base + TOTAL] = total + count;
    this.leave(i32[base + AVAILABLE]! + count);
  }

  timedOut(waitedMs: number): LockTimeoutError {
    const slots = this.holders();
    const names = slots.map((slot) => `thread slot ${slot} (${this.takenBy(slot)})`).join(', ');
    return new LockTimeoutError(this.start, slots[0] ?? 0, names, waitedMs, 'permits of the semaphore');
  }

  // ── Under the lock ──────────────────────────────────────────────────────────────────────────────

  /** Counts what is free by what is not, wherever in its section a thread died. Requires: lock held. */
  recount(): void {
    const { i32, base } = this;
    let free = i32[base + TOTAL]!;
    for (let slot = 0; slot < SLOTS; slot++) free -= i32[this.recordOf(slot) + TAKEN]!;
    i32[base + AVAILABLE] = free;
  }

  /** Puts permits on this thread's record if so many are free. Requires: lock held. */
  private charge(count: number): boolean {
    const { i32, base, mine } = this;
    let free = i32[base + AVAILABLE]!;
    if (free < count) {
      free = this.reclaim();
      if (free < count) return false;
    }
    if (!this.isMine()) free += this.startRecord();
    i32[mine + TAKEN] = i32[mine + TAKEN]! + count;
    i32[base + AVAILABLE] = free - count;
    return true;
  }

  /** Gives back what threads that are gone had taken. Returns what is free then. Requires: lock held. */
  private reclaim(): number {
    const { i32, base } = this;
    const bound = i32[base + BOUND]!;
    let free = i32[base + AVAILABLE]!;
    for (let slot = 1; slot <= bound; slot++) {
      const record = this.recordOf(slot);
      const taken = i32[record + TAKEN]!;
      if (taken === 0 || !this.isGone(slot)) continue;
      i32[record + TAKEN] = 0;
      free += taken;
      i32[base + AVAILABLE] = free;
    }
    return free;
  }

  /** Makes the slot's record this thread's own. Returns what its last tenant had. Requires: lock held. */
  private startRecord(): number {
    const { i32, base, mine, thread } = this;
    const taken = i32[mine + TAKEN]!;
    i32[mine + TAKEN] = 0;
    i32[mine + GENERATION] = thread.generation;
    if (i32[base + BOUND]! < thread.slot) i32[base + BOUND] = thread.slot;
    return taken;
  }

  /** Takes up to `count` permits off a record. Returns how many are still to be taken off others. */
  private uncharge(record: number, count: number): number {
    const taken = Math.min(count, this.i32[record + TAKEN]!);
    this.i32[record + TAKEN] = this.i32[record + TAKEN]! - taken;
    return count - taken;
  }

  /** Ends a section that put permits in. */
  private leave(free: number): void {
    const { i32, base, lock } = this;
    i32[base + AVAILABLE] = free;
    const wakes = i32[base + SLEEPERS] !== 0;
    if (wakes) atomicAdd(i32, base + CHANGES, 1);
    lock.release();
    if (wakes) notify(i32, base + CHANGES, EVERYBODY);
  }

  private isMine(): boolean {
    return this.i32[this.mine + GENERATION] === this.thread.generation;
  }

  private isGone(slot: number): boolean {
    return this.thread.isGone(Thread.tokenOf(slot, this.i32[this.recordOf(slot) + GENERATION]!));
  }

  private recordOf(slot: number): number {
    return this.base + RECORDS + slot * RECORD_WORDS;
  }
}

/** Waits for permits. */
class Taking implements Turn {
  readonly i32: Int32Array;
  readonly count: number;
  seen = 0;
  private readonly permits: Permits;

  constructor(permits: Permits, count: number) {
    this.permits = permits;
    this.i32 = permits.i32;
    this.count = count;
  }

  attempt(): number {
    return this.permits.attemptTake(this);
  }

  timedOut(waitedMs: number): Error {
    return this.permits.timedOut(waitedMs);
  }
}
