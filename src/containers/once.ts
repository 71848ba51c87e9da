/**
 * Once: something that is done one time, however many threads ask for it.
 *
 *     address ▶ ┌ 'ONCE' ┬ 0 ┬ lock (8 bytes) ┬ done ┐
 *               └────────┴───┴────────────────┴──────┘
 *     done      0 not yet: whoever has the lock runs; 1 done: nobody looks at the lock any more
 *
 *     once.run(() => buildTable(heap));
 *
 * When the function throws, the lock comes free with `done` still 0, and the next in line runs its own; so
 * too when the runner dies and the next one takes its lock over. What the dead one had done by then stays.
 * All in one file: it is a lock and a word.
 */

import { BlockingNotAllowedError } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import { atomicLoad, atomicStore } from '../memory/atomics.ts';
import type { AsyncWaitOptions, WaitOptions } from '../sync/async-sleep.ts';
import type { Lock } from '../sync/lock.ts';
import { timeoutOf } from '../sync/turn.ts';
import { checkHeader, type Handle } from './container.ts';
import { makeBlock, openBlock, Primitive, registerPlainKind, settled } from './primitive.ts';
import type { ContainerStore } from './store.ts';

const LOCK = 8;
const DONE_WORD = 4;
const BYTES = 24;

const KIND = registerPlainKind('ONCE');

/** Runs something exactly once over all threads. */
export class Once extends Primitive {
  protected override readonly kind = 'Once';
  private readonly lock: Lock;

  private constructor(store: ContainerStore, address: Address) {
    super(store, address, KIND);
    this.lock = store.lock((address + LOCK) as Address);
  }

  /** @throws OutOfMemoryError when there is no room */
  static create(store: ContainerStore): Once {
    return new Once(store, makeBlock(store, KIND, 0, BYTES));
  }

  /**
   * The same behind another thread's `handle`.
   *
   * @throws AttachError when the handle is of something else, or of what was destroyed
   */
  static open(store: ContainerStore, handle: Handle): Once {
    return new Once(store, openBlock(store, handle, KIND));
  }

  /** The same at an address; `heap.roots.open('start', Once)` calls it. Throws as {@link open}. */
  static at(store: ContainerStore, address: Address): Once {
    checkHeader(store, address, KIND);
    return new Once(store, address);
  }

  /** Whether it is done: what the runner wrote before can be read then. */
  get done(): boolean {
    this.check();
    return atomicLoad(this.i32, this.word + DONE_WORD) !== 0;
  }

  /**
   * Runs `fn`, unless that was done by any thread; waits while another one is at it.
   *
   * @returns whether it was this call that ran it
   * @throws what `fn` throws; then it is not done, and the next in line runs its own
   * @throws DeadlockError when `fn` itself asks for it
   * @throws LockTimeoutError naming the runner, when it took longer than the timeout
   * @throws BlockingNotAllowedError when another thread is at it and this one may not wait
   * @throws TypeError when `fn` returns a promise; it is not done then
   */
  run(fn: () => unknown, options?: WaitOptions): boolean {
    if (this.done) return false;
    this.acquire(timeoutOf(options, this.store.lockTimeout));
    try {
      if (this.done) return false;
      settled(fn(), 'run(fn)', 'runAsync(fn)');
      this.finish();
      return true;
    } finally {
      this.lock.release();
    }
  }

  /**
   * As {@link run}; waits without blocking the thread, and for the promise that `fn` may return. A `fn`
   * that asks for it itself waits until the timeout.
   *
   * @throws the signal's reason when it is aborted before `fn` is called
   */
  async runAsync(fn: () => unknown, options?: AsyncWaitOptions): Promise<boolean> {
    if (this.done) return false;
    const timeout = timeoutOf(options, this.store.lockTimeout);
    await this.lock.acquireAsync({ timeout, signal: options?.signal });
    try {
      if (this.done) return false;
      await fn();
      this.finish();
      return true;
    } finally {
      this.lock.release();
    }
  }

  private acquire(timeout: number): void {
    try {
      this.lock.acquire(timeout);
    } catch (error) {
      if (!(error instanceof BlockingNotAllowedError)) throw error;
      throw new BlockingNotAllowedError(this.lock.address, 'runAsync()');
    }
  }

  private finish(): void {
    // Not by `this.word`: the object may be closed by now.
    if (!this.exists) throw this.destroyed();
    // Publishes: all that the runner has written; pairs with the load in `done`.
    atomicStore(this.i32, this.base + DONE_WORD, 1);
  }

  protected override seize(): string | undefined {
    if (!this.lock.tryAcquire()) return this.store.thread.nameOf(this.lock.owner);
    this.lock.close();
    return undefined;
  }

  protected override describe(): object {
    return { done: this.done };
  }
}
