/**
 * Semaphore: a number of permits that threads take and give back. For what may be used by a few at a time.
 *
 *     address ▶ ┌ 'SEMA' ┬ 0 ┬ permits: lock, counts, one record a slot ┐
 *               └────────┴───┴───────────────────────────────────────────┘
 *               0        4   8                           (sync/permits.ts)
 *
 *     semaphore.with(() => …);                                   one permit, given back in any case
 *     semaphore.acquire(2); … semaphore.release(2);              acquireAsync where the thread may not block
 *
 * Who has taken what is recorded for each thread. What a thread has that died, or left the heap, is given
 * back by the next one that finds too few, or waits. Another thread may give back what one has taken:
 * a release takes off the caller's own record first, then off others', lowest slot first. More than is
 * taken cannot be released; `add` puts in new permits (a semaphore that starts with 0 counts events so).
 */

import type { Address } from '../memory/address.ts';
import { checkInteger } from '../memory/layout.ts';
import type { AsyncWaitOptions, WaitOptions } from '../sync/async-sleep.ts';
import { layPermits, MOST_PERMITS, PERMITS_BYTES, Permits } from '../sync/permits.ts';
import { timeoutOf } from '../sync/turn.ts';
import { checkHeader, type Handle, HEADER_BYTES } from './container.ts';
import { makeBlock, openBlock, Primitive, registerPlainKind, settled } from './primitive.ts';
import type { ContainerStore } from './store.ts';

const KIND = registerPlainKind('SEMA');

/** A number of permits, shared by all threads. */
export class Semaphore extends Primitive {
  protected override readonly kind = 'Semaphore';
  private readonly permits: Permits;

  private constructor(store: ContainerStore, address: Address) {
    super(store, address, KIND);
    const start = (address + HEADER_BYTES) as Address;
    const lock = store.lock(start, () => permits.recount());
    const { i32, word, kindWord } = this;
    const permits = new Permits(store.memory, start, store.thread, lock, () => i32[word] === kindWord);
    this.permits = permits;
  }

  /**
   * Makes a semaphore.
   *
   * @param permits 0 to 8,388,607
   * @throws RangeError when it is no such integer
   * @throws OutOfMemoryError when there is no room
   */
  static create(store: ContainerStore, permits: number): Semaphore {
    checkInteger('permits', permits, 0, MOST_PERMITS);
    const address = makeBlock(store, KIND, 0, HEADER_BYTES + PERMITS_BYTES);
    layPermits(store.memory, (address + HEADER_BYTES) as Address, permits);
    return new Semaphore(store, address);
  }

  /**
   * The semaphore behind another thread's `handle`.
   *
   * @throws AttachError when the handle is of something else, or of what was destroyed
   */
  static open(store: ContainerStore, handle: Handle): Semaphore {
    return new Semaphore(store, openBlock(store, handle, KIND));
  }

  /** The semaphore at an address; `heap.roots.open('slots', Semaphore)` calls it. Throws as {@link open}. */
  static at(store: ContainerStore, address: Address): Semaphore {
    checkHeader(store, address, KIND);
    return new Semaphore(store, address);
  }

  /** Permits that are free at the moment. */
  get available(): number {
    this.check();
    return this.permits.available;
  }

  /** All permits, free or taken. */
  get total(): number {
    this.check();
    return this.permits.total;
  }

  /** Permits that this thread has taken. */
  get held(): number {
    this.check();
    return this.permits.held;
  }

  /**
   * Takes permits, waiting until so many are free at a time. There is no queue: who wants many can be
   * overtaken by those who want few.
   *
   * @param count how many, 1 to the total
   * @throws RangeError for any other count
   * @throws LockTimeoutError naming the threads that have taken permits
   * @throws ReferenceError once it was destroyed, or this object closed, also while this thread waits: nothing is taken then
   * @throws BlockingNotAllowedError when this thread may not block
   */
  acquire(count = 1, options?: WaitOptions): void {
    this.checkCount(count);
    this.permits.take(count, timeoutOf(options, this.store.lockTimeout));
    this.checkAgain(count);
  }

  /** Takes permits if so many are free. Returns whether it did. */
  tryAcquire(count = 1): boolean {
    this.checkCount(count);
    return this.permits.tryTake(count);
  }

  /**
   * As {@link acquire}, without blocking the thread.
   *
   * @throws the signal's reason when it is aborted first: nothing is taken then
   */
  async acquireAsync(count = 1, options?: AsyncWaitOptions): Promise<void> {
    this.checkCount(count);
    const timeout = timeoutOf(options, this.store.lockTimeout);
    await this.permits.takeAsync(count, timeout, options?.signal);
    this.checkAgain(count);
  }

  /**
   * Gives permits back: see the head of this file for those that other threads have taken. (What closes
   * this thread's object is `close()`.)
   *
   * @param count how many, 1 and more
   * @throws RangeError when fewer are taken; nothing has changed
   */
  override release(count = 1): void {
    this.check();
    checkInteger('permits', count, 1, MOST_PERMITS);
    this.permits.giveBack(count);
  }

  /**
   * Puts in new permits.
   *
   * @throws RangeError when there would be more than 8,388,607
   */
  add(count: number): void {
    this.check();
    checkInteger('permits', count, 0, MOST_PERMITS);
    this.permits.add(count);
  }

  /**
   * Runs `fn` with permits taken, and gives its result.
   *
   * @throws as {@link acquire}
   * @throws TypeError when `fn` returns a promise
   */
  with<R>(fn: () => R, count = 1): R {
    this.acquire(count);
    let result: R;
    try {
      result = fn();
    } finally {
      this.permits.giveBack(count);
    }
    return settled(result, 'with(fn)', 'withAsync(fn)');
  }

  /** As {@link with}; waits without blocking the thread, and for the promise that `fn` may return. */
  async withAsync<R>(fn: () => R | PromiseLike<R>, count = 1, options?: AsyncWaitOptions): Promise<R> {
    await this.acquireAsync(count, options);
    try {
      return await fn();
    } finally {
      this.permits.giveBack(count);
    }
  }

  /** It may have been destroyed, or this object closed, while this thread waited. */
  private checkAgain(count: number): void {
    if (this.i32[this.word] === this.kindWord) return;
    if (this.permits.areThere()) this.permits.giveBack(count);
    this.check();
  }

  private checkCount(count: number): void {
    this.check();
    if (count !== 1) checkInteger('permits', count, 1, this.permits.total);
  }

  protected override seize(): string | undefined {
    const [slot] = this.permits.holders();
    return slot === undefined ? undefined : `thread slot ${slot} (${this.permits.takenBy(slot)} permits)`;
  }

  protected override describe(): object {
    return { available: this.permits.available, total: this.permits.total };
  }
}
