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
 *
 * One compare-and-swap takes the lock and names the owner, so a dead owner is always known. Around it
 * the thread's record is kept (see `thread.ts`): pending = lock, swap, push on the held list,
 * pending = 0. Whatever store a thread dies after, its record leads to every lock it holds.
 *
 * Cost uncontended: one compare-and-swap to take, one exchange to give back, 20 to 30 ns in all.
 */

import { BlockingNotAllowedError, DeadlockError, LockTimeoutError, NotOwnerError } from '../errors.ts';
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
   */
  acquire(timeout: number = this.timeout): boolean {
    const thread = this.thread;
    const words = thread.words;
    words[thread.pending] = this.#unit;
    const contended = compareExchange(this.i32, this.index, 0, thread.token) !== 0;
    if (contended) this.#acquireContended(timeout);
    this.i32[this.index + 1] = words[thread.held]!;
    words[thread.held] = this.#unit;
    words[thread.pending] = 0;
    return contended;
  }

  /** Takes the lock if it is free. Returns whether it did. */
  tryAcquire(): boolean {
    const thread = this.thread;
    const words = thread.words;
    words[thread.pending] = this.#unit;
    const taken = compareExchange(this.i32, this.index, 0, thread.token) === 0;
    if (taken) this.#push();
    words[thread.pending] = 0;
    return taken;
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
      const slice = this.checkTimeout(began, timeout, seen);
      await sleepAsync(this.i32, this.index, seen, slice, signal);
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
    words[thread.pending] = this.#unit;
    if (words[thread.held] === this.#unit) words[thread.held] = this.i32[this.index + 1]!;
    else this.#unlink();
    if (atomicExchange(this.i32, this.index, 0) < 0) notify(this.i32, this.index, 1);
    words[thread.pending] = 0;
  }

  /** Waits until the word was taken. Called with the word held by somebody. */
  protected abstract waitTurn(began: number, timeout: number): void;

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
   * Throws when the wait that began at `began` has used up its `timeout` (both in ms). Returns how long to
   * sleep at most before the next look.
   */
  protected checkTimeout(began: number, timeout: number, seen: number): number {
    const waited = performance.now() - began;
    if (waited < timeout) return Math.min(SLICE_MS, timeout - waited);
    const owner = seen & OWNER;
    throw new LockTimeoutError(this.address, owner, this.thread.nameOf(owner), waited);
  }

  /** Throws when a thread that may not block has spun long enough. */
  protected checkMayBlock(began: number): void {
    if (this.thread.mayBlock || performance.now() - began < UNBLOCKABLE_SPIN_MS) return;
    throw new BlockingNotAllowedError(this.address, 'acquireAsync()');
  }

  #acquireContended(timeout: number): void {
    const thread = this.thread;
    try {
      if ((atomicLoad(this.i32, this.index) & OWNER) === thread.token) {
        throw new DeadlockError(this.address, thread.nameOf(thread.token));
      }
      this.waitTurn(performance.now(), timeout);
    } catch (error) {
      thread.words[thread.pending] = 0;
      throw error;
    }
  }

  #push(): void {
    const thread = this.thread;
    this.i32[this.index + 1] = thread.words[thread.held]!;
    thread.words[thread.held] = this.#unit;
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
