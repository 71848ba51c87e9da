/**
 * Condition: where threads wait, with a mutex given back meanwhile, until what the mutex guards has changed.
 *
 *     address ▶ ┌ 'COND' ┬ 0 ┬ sequence ┬ mutex ┐
 *               └────────┴───┴──────────┴───────┘
 *     sequence   goes up at each notify; waiters sleep on it
 *     mutex      address of the one that waiters give back: the first that was waited with, from then on
 *
 *     using guard = mutex.lock();
 *     condition.waitFor(guard, (queue) => queue.length > 0);
 *
 * A waiter reads the sequence while it still holds the mutex. Whoever changes the value has the mutex
 * later, and notifies later still: the waiter sleeps on a word that has changed, which is no sleep. So no
 * wake-up is lost (but for 2^32 notifies between two looks). Wake-ups may be spurious: a notify ends
 * every wait that is not quite asleep. Wait in a loop, or let `waitFor` do so.
 *
 * A waiter that dies leaves nothing behind: if it was the one that a notify woke, the others look within a
 * slice. A thread that dies with the mutex in its hands notifies nobody; who has it next is told.
 *
 * All in one file: between two words and their object a layer of its own would be ceremony.
 */

import { hex, LockTimeoutError } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import { atomicAdd, atomicLoad, compareExchange, notify } from '../memory/atomics.ts';
import { type Field, show } from '../structs/field.ts';
import type { AsyncWaitOptions, WaitOptions } from '../sync/async-sleep.ts';
import { awaitTurn, awaitTurnAsync, DONE, type Turn, timeoutOf } from '../sync/turn.ts';
import { checkHeader, type Handle } from './container.ts';
import type { Guarded } from './contents.ts';
import { MutexGuard } from './mutex.ts';
import { makeBlock, openBlock, Primitive, registerPlainKind } from './primitive.ts';
import type { ContainerStore } from './store.ts';

const SEQUENCE = 2;
const MUTEX = 3;
const BYTES = 16;
const EVERYBODY = 0x7fffffff;

const KIND = registerPlainKind('COND');

/** Threads wait here for a change of what a mutex guards. */
export class Condition extends Primitive {
  protected override readonly kind = 'Condition';

  private constructor(store: ContainerStore, address: Address) {
    super(store, address, KIND);
  }

  /** @throws OutOfMemoryError when there is no room */
  static create(store: ContainerStore): Condition {
    return new Condition(store, makeBlock(store, KIND, 0, BYTES));
  }

  /**
   * The condition behind another thread's `handle`.
   *
   * @throws AttachError when the handle is of something else, or of what was destroyed
   */
  static open(store: ContainerStore, handle: Handle): Condition {
    return new Condition(store, openBlock(store, handle, KIND));
  }

  /** The condition at an address; `heap.roots.open('changed', Condition)` calls it. Throws as {@link open}. */
  static at(store: ContainerStore, address: Address): Condition {
    checkHeader(store, address, KIND);
    return new Condition(store, address);
  }

  /**
   * Gives the guard's mutex back, sleeps until notified (or for no reason), and takes the mutex again. The
   * guard is held again however this ends, unless the mutex was not to be had.
   *
   * @param options `timeout` in ms counts up to the wake-up; the heap's `lockTimeout` by default
   * @throws LockTimeoutError when nobody notified in time, or the mutex was not had again
   * @throws ReferenceError when the condition was destroyed meanwhile, or the mutex: then it is not held
   * @throws NotOwnerError when the guard is not held
   * @throws TypeError when it is no guard, or one of another mutex than others wait with
   * @throws BlockingNotAllowedError when this thread may not block
   */
  wait(guard: MutexGuard<Field>, options?: WaitOptions): void {
    const timeout = timeoutOf(options, this.store.lockTimeout);
    const turn = this.prepare(guard);
    guard.$suspend();
    try {
      awaitTurn(turn, this.store.thread, timeout, 'waitAsync()');
    } finally {
      guard.$resume();
    }
  }

  /**
   * As {@link wait}, without blocking the thread. While it waits the guard is not held.
   *
   * @throws the signal's reason when it is aborted; the guard is held again
   */
  async waitAsync(guard: MutexGuard<Field>, options?: AsyncWaitOptions): Promise<void> {
    const timeout = timeoutOf(options, this.store.lockTimeout);
    const turn = this.prepare(guard);
    options?.signal?.throwIfAborted();
    guard.$suspend();
    try {
      await awaitTurnAsync(turn, timeout, options?.signal);
    } finally {
      await guard.$resumeAsync();
    }
  }

  /**
   * Waits until `predicate` holds, which is asked under the mutex.
   *
   * @param predicate gets what the mutex guards
   * @throws as {@link wait}; the timeout counts for the whole
   */
  waitFor<F extends Field>(
    guard: MutexGuard<F>,
    predicate: (value: Guarded<F>) => boolean,
    options?: WaitOptions,
  ): void {
    const ends = performance.now() + timeoutOf(options, this.store.lockTimeout);
    while (!predicate(guard.value)) {
      this.wait(guard, { timeout: Math.max(0, ends - performance.now()) });
    }
  }

  /** As {@link waitFor}, without blocking the thread; rejects as {@link waitAsync}. */
  async waitForAsync<F extends Field>(
    guard: MutexGuard<F>,
    predicate: (value: Guarded<F>) => boolean,
    options?: AsyncWaitOptions,
  ): Promise<void> {
    const ends = performance.now() + timeoutOf(options, this.store.lockTimeout);
    while (!predicate(guard.value)) {
      const timeout = Math.max(0, ends - performance.now());
      await this.waitAsync(guard, { timeout, signal: options?.signal });
    }
  }

  /** Wakes a waiter if there is one. Best called with the mutex held or right after. */
  notifyOne(): void {
    this.wake(1);
  }

  /** Wakes all waiters. */
  notifyAll(): void {
    this.wake(EVERYBODY);
  }

  private wake(count: number): void {
    this.check();
    const index = this.word + SEQUENCE;
    // Publishes: the notify; pairs with the load in `Waiting.attempt`.
    atomicAdd(this.i32, index, 1);
    notify(this.i32, index, count);
  }

  /** Checks the guard. The turn has the sequence as it is now, with the mutex held. */
  private prepare(guard: MutexGuard<Field>): Waiting {
    this.check();
    if (!(guard instanceof MutexGuard))
      throw new TypeError(`wait takes a guard of a Mutex, got ${show(guard)}`);
    guard.$check();
    if (guard.$memory !== this.store.memory)
      throw new TypeError('wait takes a guard of a Mutex in the same heap');
    const index = this.word + MUTEX;
    const bound = compareExchange(this.i32, index, 0, guard.mutex | 0) >>> 0;
    if (bound !== 0 && bound !== guard.mutex) {
      throw new TypeError(
        `the condition belongs to the mutex at ${hex(bound)}: it cannot be waited for with that at ${hex(guard.mutex)}`,
      );
    }
    return new Waiting(this.i32, this.word + SEQUENCE, () => this.checkExists());
  }

  private checkExists(): void {
    if (!this.exists) throw this.destroyed();
  }

  /** Nobody can tell who waits: they hold nothing, and find that it is gone. */
  protected override seize(): undefined {
    return undefined;
  }

  protected override describe(): object {
    return { mutex: this.i32[this.word + MUTEX]! >>> 0 || null };
  }
}

/** Waits until the sequence is another. */
class Waiting implements Turn {
  readonly i32: Int32Array;
  readonly seen: number;
  private readonly index: number;
  private readonly checkExists: () => void;

  constructor(i32: Int32Array, index: number, checkExists: () => void) {
    this.i32 = i32;
    this.index = index;
    this.checkExists = checkExists;
    this.seen = atomicLoad(i32, index);
  }

  attempt(): number {
    this.checkExists();
    return atomicLoad(this.i32, this.index) === this.seen ? this.index : DONE;
  }

  timedOut(waitedMs: number): Error {
    const condition = (this.index - SEQUENCE) * 4;
    return new LockTimeoutError(condition, 0, '', waitedMs, 'a notify of the condition');
  }
}
