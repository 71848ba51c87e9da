/**
 * Lock: what the spin lock and the parking lock share. They differ only in how they wait.
 *
 *     ┌ word (i32) ──────────────┬ nextHeld (u32) ─────────────────────┐
 *     │ contended 1 │ owner 31   │ address >>> 3 of the next held lock │
 *     └──────────────────────────┴─────────────────────────────────────┘
 *     ▲ address, 8-aligned, anywhere in the memory
 *
 *     word       0                  free
 *                owner              held, nobody sleeps
 *                owner, contended   held, a waiter may sleep: the release must wake one
 *                orphaned           as of a dead owner: who was to repair what it guards gave up
 *                poisoned           its owner died, and what it guards cannot be repaired
 *                lost               its owner was ended, and nobody can tell whether it still runs
 *                closed             what it guarded was destroyed
 *
 * One compare-and-swap takes the lock and names the owner, so a dead owner is always known. Who waits looks
 * at it every 50 ms at least. When the owner is gone the waiter takes the lock over, by one compare-and-swap
 * too, and repairs what it guards before anybody else can see it; should the waiter die at that, the next
 * one finds the lock in its hands, and repairs again.
 *
 * Around the swaps the thread's record is kept (see `thread.ts`): pending = lock, swap, push on the held
 * list, pending = 0. Whatever store a thread dies after, its record leads to every lock it holds.
 *
 * Cost uncontended: one compare-and-swap to take, one exchange to give back, 20 to 30 ns in all.
 */

import { exitProblem } from '#platform';
import {
  BlockingNotAllowedError,
  DeadlockError,
  HeapCorruptionError,
  hex,
  LockTimeoutError,
  NotOwnerError,
} from '../errors.ts';
import type { Address } from '../memory/address.ts';
import { atomicExchange, atomicLoad, atomicStore, compareExchange, notify } from '../memory/atomics.ts';
import { checkInteger } from '../memory/layout.ts';
import type { Memory } from '../memory/memory.ts';
import { type AsyncWaitOptions, sleepAsync } from './async-sleep.ts';
import { Thread } from './thread.ts';

/** Bytes of a lock in the buffer. */
export const LOCK_BYTES = 8;

/** The bit that a waiter sets before it sleeps. */
export const CONTENDED = 1 << 31;
const OWNER = ~CONTENDED;
// As owners: of slot 0, which no thread has.
const POISONED = 1 << 8;
/** Who inherited the lock gave up before what it guards was repaired: that is for the next one. */
const ORPHANED = 2 << 8;
const LOST = 3 << 8;
const CLOSED = 4 << 8;

/** What {@link Lock.lookAtOwner} answers when it took the lock over. */
export const INHERITED = -1;
const EVERYBODY = 0x7fffffff;

/** How long a waiter sleeps before it looks at the owner again, in ms. */
export const SLICE_MS = 50;
/** How long a thread that may not block spins before it gives up, in ms. */
export const UNBLOCKABLE_SPIN_MS = 100;
/** After how long a waiter gives up, in ms, unless told otherwise. */
export const DEFAULT_LOCK_TIMEOUT_MS = 10_000;

/** What a lock handle can be told. */
export interface LockOptions {
  /** After how many ms a waiter throws `LockTimeoutError`. Default 10,000. */
  readonly timeout?: number;
  /** Who takes it. Default: the calling thread, outside any heap. */
  readonly thread?: Thread;
  /**
   * Puts right what the lock guards, wherever in it a thread died. Called with the lock held, in the thread
   * that took it over, before `acquire` returns. When it throws HeapCorruptionError the lock is poisoned for
   * all; after any other error the next one who wants the lock repairs.
   */
  readonly repair?: (() => void) | undefined;
  /** The lock of what it lies in. Once that is poisoned, who would have to wait for this one throws instead. */
  readonly within?: Lock;
}

/** One thread's handle of a lock in shared bytes. The bytes start as zeros: free. */
export abstract class Lock {
  /** Where the lock's 8 bytes lie. */
  readonly address: Address;
  protected readonly i32: Int32Array;
  protected readonly index: number;
  protected readonly thread: Thread;
  /** After how many ms a waiter gives up, unless it says otherwise. */
  readonly timeout: number;
  readonly #unit: number;
  readonly #repair: (() => void) | undefined;
  readonly #within: Lock | undefined;

  /**
   * @param address where the lock's 8 bytes lie; a multiple of 8, not 0, which stands for no lock
   * @throws RangeError when misaligned or outside the memory
   */
  constructor(memory: Memory, address: Address, options: LockOptions = {}) {
    checkInteger('lock address', address, LOCK_BYTES, memory.byteLength - LOCK_BYTES);
    if (address % 8 !== 0) throw new RangeError(`lock address ${address} is not a multiple of 8`);
    const timeout = options.timeout ?? DEFAULT_LOCK_TIMEOUT_MS;
    if (!(timeout > 0)) throw new RangeError(`lock timeout must be above 0 ms, got ${timeout}`);
    this.address = address;
    this.i32 = memory.i32;
    this.index = address >>> 2;
    this.thread = options.thread ?? Thread.of(memory);
    this.timeout = timeout;
    this.#unit = address >>> 3;
    this.#repair = options.repair;
    this.#within = options.within;
  }

  /** The token of the thread that holds the lock, or 0. It may have changed when you look at it. */
  get owner(): number {
    return atomicLoad(this.i32, this.index) & OWNER;
  }

  /**
   * Takes the lock, waiting for it if need be. Not reentrant.
   *
   * @param timeout ms, 0 and more; the lock's own by default
   * @returns whether another thread held it (for statistics)
   * @throws DeadlockError when this thread holds it already
   * @throws LockTimeoutError naming the owner, when it was not had within the timeout
   * @throws BlockingNotAllowedError when this thread may not block and spinning did not get it
   * @throws HeapCorruptionError when its owner died and what it guards could not be repaired
   * @throws ReferenceError when it was {@link close}d
   */
  acquire(timeout: number = this.timeout): boolean {
    const thread = this.thread;
    const words = thread.words;
    words[thread.pending] = this.#unit;
    if (compareExchange(this.i32, this.index, 0, thread.token) !== 0) {
      this.#acquireContended(timeout);
      return true;
    }
    this.i32[this.index + 1] = words[thread.held]!;
    words[thread.held] = this.#unit;
    words[thread.pending] = 0;
    return false;
  }

  /**
   * Takes the lock if it is free, or its owner is gone. Returns whether it did.
   *
   * @throws HeapCorruptionError, ReferenceError as {@link acquire}
   */
  tryAcquire(): boolean {
    const thread = this.thread;
    const words = thread.words;
    words[thread.pending] = this.#unit;
    const seen = compareExchange(this.i32, this.index, 0, thread.token);
    if (seen === 0) {
      this.#push();
      return true;
    }
    const inherited = this.#inherit(seen);
    if (inherited) this.#push();
    words[thread.pending] = 0;
    if (inherited) this.#repairOrGiveUp();
    else this.#checkUsable(seen & OWNER);
    return inherited;
  }

  /**
   * Takes the lock without blocking the thread: for a page's main thread, and for code that must keep
   * its event loop turning. It queues behind its own thread instead of throwing `DeadlockError`.
   *
   * @throws LockTimeoutError as {@link acquire}
   * @throws the signal's reason when it is aborted: the lock is then not taken
   */
  async acquireAsync({ timeout = this.timeout, signal }: AsyncWaitOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    if (this.tryAcquire()) return;
    const began = performance.now();
    do {
      const seen = this.markContended();
      if (seen === 0) continue;
      const waited = performance.now() - began;
      if (waited >= timeout) throw this.#timeoutError(seen & OWNER, waited);
      await sleepAsync(this.i32, this.index, seen, Math.min(SLICE_MS, timeout - waited), signal);
    } while (!this.tryAcquire());
    // The swap replaced the mark that others may still sleep behind.
    atomicStore(this.i32, this.index, this.thread.token | CONTENDED);
  }

  /**
   * Gives the lock back and wakes a waiter if there may be one.
   *
   * @throws NotOwnerError when this thread does not hold it
   */
  release(): void {
    const thread = this.thread;
    const words = thread.words;
    if ((this.i32[this.index]! & OWNER) !== thread.token) this.#refuseRelease();
    this.#leaveRecord();
    if (atomicExchange(this.i32, this.index, 0) < 0) notify(this.i32, this.index, 1);
    words[thread.pending] = 0;
  }

  /** The lock is about to be given back. The caller clears `pending` then. */
  #leaveRecord(): void {
    const { words, held, pending } = this.thread;
    words[pending] = this.#unit;
    if (words[held] === this.#unit) words[held] = this.i32[this.index + 1]!;
    else this.#unlink();
  }

  /**
   * Waits until the word was taken. Called with the word held by somebody. Returns whether it was taken over
   * from a thread that is gone: what {@link lookAtOwner} answers with INHERITED.
   */
  protected abstract waitTurn(began: number, timeout: number): boolean;

  /** Sets the contended bit on a held word. Returns the word to sleep on, or 0 when it came free. */
  protected markContended(): number {
    for (;;) {
      const seen = atomicLoad(this.i32, this.index);
      if (seen <= 0) return seen;
      const marked = seen | CONTENDED;
      if (compareExchange(this.i32, this.index, seen, marked) === seen) return marked;
    }
  }

  /**
   * Takes the lock over when the owner that the waiter has seen is gone: then returns INHERITED. Otherwise
   * how long to sleep at most before the next look, in ms.
   *
   * @param began when the wait began, in ms
   * @throws LockTimeoutError when the wait has used up its `timeout`, HeapCorruptionError as `acquire`
   */
  protected lookAtOwner(began: number, timeout: number, seen: number): number {
    const owner = seen & OWNER;
    this.#checkUsable(owner);
    if (this.#inherit(seen)) return INHERITED;
    const waited = performance.now() - began;
    if (waited < timeout) return Math.min(SLICE_MS, timeout - waited);
    throw this.#timeoutError(owner, waited);
  }

  #timeoutError(owner: number, waited: number): LockTimeoutError {
    return new LockTimeoutError(this.address, owner, this.thread.nameOf(owner), waited);
  }

  /** Takes the lock over from the owner that was seen, if that one is gone. Others may sleep behind it. */
  #inherit(seen: number): boolean {
    const owner = seen & OWNER;
    if (owner !== ORPHANED && !this.thread.isGone(owner)) return false;
    return compareExchange(this.i32, this.index, seen, this.thread.token | CONTENDED) === seen;
  }

  /** Throws when a thread that may not block has spun long enough. */
  protected checkMayBlock(began: number): void {
    if (this.thread.mayBlock || performance.now() - began < UNBLOCKABLE_SPIN_MS) return;
    throw new BlockingNotAllowedError(this.address, 'acquireAsync()');
  }

  #acquireContended(timeout: number): void {
    const thread = this.thread;
    let inherited: boolean;
    try {
      const { owner } = this;
      if (owner === thread.token) throw new DeadlockError(this.address, thread.nameOf(thread.token));
      this.#checkUsable(owner);
      inherited = this.waitTurn(performance.now(), timeout);
    } catch (error) {
      thread.words[thread.pending] = 0;
      throw error;
    }
    this.#push();
    if (inherited) this.#repairOrGiveUp();
  }

  /** The lock was taken: it goes onto the thread's record. */
  #push(): void {
    const { words, held, pending } = this.thread;
    this.i32[this.index + 1] = words[held]!;
    words[held] = this.#unit;
    words[pending] = 0;
  }

  /** Requires: lock held. */
  #repairOrGiveUp(): void {
    try {
      this.#repair?.();
    } catch (error) {
      if (error instanceof HeapCorruptionError) this.poison();
      else this.#giveUp(ORPHANED);
      throw error;
    }
  }

  /**
   * Gives the lock up for good: what it guards cannot be repaired. Every later `acquire` of any thread throws
   * `HeapCorruptionError`. Requires: lock held.
   */
  poison(): void {
    this.#giveUp(POISONED);
  }

  /**
   * Gives the lock up for good: what it guards goes. Every later `acquire` of any thread throws
   * `ReferenceError`, for as long as the bytes are not used for something else. Requires: lock held.
   */
  close(): void {
    this.#giveUp(CLOSED);
  }

  /**
   * Checks that the lock can still be had, now or later, without taking it.
   *
   * @throws HeapCorruptionError when it was {@link poison}ed, or lost to a thread that may still run
   * @throws ReferenceError when it was {@link close}d
   */
  checkSound(): void {
    this.#checkUsable(this.owner);
  }

  #giveUp(word: number): void {
    this.#leaveRecord();
    atomicStore(this.i32, this.index, word);
    notify(this.i32, this.index, EVERYBODY);
    this.thread.words[this.thread.pending] = 0;
  }

  #checkUsable(owner: number): void {
    if (owner === CLOSED)
      throw new ReferenceError(`what the lock at ${hex(this.address)} guards was destroyed`);
    this.#within?.checkSound();
    if (owner !== POISONED && owner !== LOST) return;
    const reason =
      owner === POISONED
        ? 'a thread died with this lock in its hands, and what it guards could not be repaired'
        : `a thread was ended with this lock in its hands, and may still run: make a new heap. ${exitProblem() ?? ''}`;
    throw new HeapCorruptionError(this.address, reason.trimEnd());
  }

  /** Takes the lock out of the middle of the held list: it was not the last one taken. */
  #unlink(): void {
    const { words, held } = this.thread;
    // A list of held locks is short; a longer one than this is a broken one, and the word decides.
    let unit = words[held]!;
    for (let steps = 0; unit !== 0 && steps < 1 << 16; steps++) {
      const next = unit * 2 + 1;
      if (this.i32[next] === this.#unit) {
        this.i32[next] = this.i32[this.index + 1]!;
        return;
      }
      unit = this.i32[next]!;
    }
  }

  #refuseRelease(): never {
    const owner = this.owner;
    const name = owner === 0 ? 'nobody' : this.thread.nameOf(owner);
    throw new NotOwnerError(this.address, name);
  }
}

/** Poisons a lock for all if its owner is the one with a token, of which nobody can tell whether it has ended. */
export function loseLock(i32: Int32Array, index: number, token: number): void {
  for (const seen of [token, token | CONTENDED]) compareExchange(i32, index, seen, LOST);
  notify(i32, index, EVERYBODY);
}
