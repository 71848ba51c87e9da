/**
 * Mutex: a value in the heap and the lock without which nobody gets at it.
 *
 *     address ▶ ┌ 'MUTX' ┬ layout hash ┬ lock (8 bytes) ┬ flags ┬ (unused) ┬ value …
 *               └────────┴─────────────┴────────────────┴───────┴──────────┴─────────
 *               0        4             8                16      20         24
 *
 *     flags     RECOVERED   the owner died with the lock in its hands: the value may be half changed.
 *                           The next locker is told so, once.
 *
 *     mutex.with((account) => { account.balance += 5; });              released when it returns or throws
 *     using guard = mutex.lock(); guard.value.balance += 5;            or guard.unlock()
 *     using guard = await mutex.lockAsync({ timeout: 100, signal });   where the thread may not block
 *
 * Cost: `with` on a free mutex one swap, one exchange and a few plain stores; no garbage.
 */

import { BlockingNotAllowedError, hex, NotOwnerError } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import type { Memory } from '../memory/memory.ts';
import type { Field } from '../structs/field.ts';
import type { AnyStructType, FieldInit, Init } from '../structs/inference.ts';
import { GUARD, INSPECT, type Inspector } from '../structs/place.ts';
import type { AsyncWaitOptions, WaitOptions } from '../sync/async-sleep.ts';
import { LOCK_BYTES, type Lock } from '../sync/lock.ts';
import { timeoutOf } from '../sync/turn.ts';
import { checkHeader, type Handle } from './container.ts';
import {
  type Access,
  Contents,
  describeGuard,
  fieldOf,
  type Guarded,
  initContents,
  registerField,
  type Shown,
  wantedHash,
} from './contents.ts';
import { makeBlock, openBlock, Primitive, registerOwningKind, settled } from './primitive.ts';
import type { ContainerStore } from './store.ts';

const LOCK = 8;
const FLAGS = LOCK + LOCK_BYTES;
const VALUE = 24;

const RECOVERED = 1;

const KIND = registerOwningKind('MUTX', VALUE);

/** Types only: the field behind a handle. */
declare const guards: unique symbol;

/** What crosses to another thread, for its `Mutex.open`. */
export interface MutexHandle<F extends Field = Field> extends Handle<'Mutex'> {
  readonly [guards]?: F;
}

/** What a lock can start with. */
export type FirstValue<F extends Field> = F extends AnyStructType ? Init<F> : FieldInit<F>;

/** What a section is told besides the value. */
export interface LockState {
  /** True once after the owner of the lock died with it in its hands: the value may be half changed. */
  readonly recovered: boolean;
}

const SOUND: LockState = Object.freeze({ recovered: false });
const AFTER_DEATH: LockState = Object.freeze({ recovered: true });

/** A value that one thread at a time gets at. Not reentrant. */
export class Mutex<F extends Field = Field> extends Primitive {
  protected override readonly kind = 'Mutex';
  private readonly lockWord: Lock;
  private readonly contents: Contents;
  /** What `with` shows. */
  private readonly shown: Shown;

  private constructor(store: ContainerStore, address: Address, field: F) {
    super(store, address, KIND);
    const { i32 } = store.memory;
    // Not by `this.word`: the object may be closed by the time it is called.
    const flags = (address + FLAGS) >>> 2;
    this.lockWord = store.lock((address + LOCK) as Address, () => {
      i32[flags] = RECOVERED;
    });
    this.contents = new Contents(store, field, address + VALUE, 'Mutex');
    this.shown = this.contents.show();
    this.contents.hide(this.shown);
  }

  /**
   * Makes a mutex around a value: `Mutex.create(heap, Account, { balance: 0 })`.
   *
   * @param field a struct or any other field
   * @param init the first value; zero by default
   * @throws OutOfMemoryError when there is no room
   * @throws TypeError when the field does not take `init`
   */
  static create<F extends Field>(store: ContainerStore, field: F, init?: FirstValue<F>): Mutex<F> {
    const hash = registerField(store, field, 'Mutex.create');
    const address = makeBlock(store, KIND, hash, VALUE + field.size);
    try {
      initContents(store, field, address + VALUE, init);
      return new Mutex(store, address, field);
    } catch (error) {
      store.free(address);
      throw error;
    }
  }

  /**
   * The mutex behind another thread's `mutex.handle`.
   *
   * @param field checked where given; else the field that the mutex was made for, by its name
   * @throws AttachError when the handle is of something else, of another field, or of what was destroyed
   */
  static open<F extends Field>(store: ContainerStore, handle: MutexHandle<F>): Mutex<F>;
  static open<F extends Field>(store: ContainerStore, handle: MutexHandle, field: F): Mutex<F>;
  static open<F extends Field>(store: ContainerStore, handle: MutexHandle, field?: F): Mutex<F> {
    const address = openBlock(store, handle, KIND, wantedHash(field, 'Mutex.open'));
    return new Mutex(store, address, fieldOf(store, address, field));
  }

  /** The mutex at an address. Throws as {@link Mutex.open}. */
  static at<F extends Field = Field>(store: ContainerStore, address: Address, field?: F): Mutex<F> {
    checkHeader(store, address, KIND, wantedHash(field, 'Mutex.at'));
    return new Mutex(store, address, fieldOf(store, address, field));
  }

  /** For the roots: `heap.roots.open('account', Mutex.type(Account))`. */
  static type<F extends Field>(field: F): { at(store: ContainerStore, address: Address): Mutex<F> } {
    return { at: (store, address) => Mutex.at(store, address, field) };
  }

  override get handle(): MutexHandle<F> {
    return super.handle as MutexHandle<F>;
  }

  /**
   * Whether a thread holds it at the moment. One that is gone holds nothing.
   *
   * @throws HeapCorruptionError when nobody can have it any more
   */
  get locked(): boolean {
    this.check();
    this.lockWord.checkSound();
    const { owner } = this.lockWord;
    return owner !== 0 && !this.store.thread.isGone(owner);
  }

  /**
   * Runs `fn` under the lock and gives its result. The lock is released also when it throws; what `fn`
   * had changed by then stays changed.
   *
   * @param fn gets a view of the struct, or a cell `{ value }` of any other field, that is of no use
   *   afterwards, and whether the last owner died in the middle
   * @throws DeadlockError when this thread holds the lock
   * @throws LockTimeoutError naming the owner, when it was not had within the heap's `lockTimeout`
   * @throws BlockingNotAllowedError when this thread may not block
   * @throws TypeError when `fn` returns a promise
   */
  with<R>(fn: (value: Access<F>, state: LockState) => R): R {
    this.acquire();
    const { shown, contents } = this;
    contents.reshow(shown);
    let result: R;
    try {
      result = fn(shown as unknown as Access<F>, this.takeState());
    } finally {
      contents.hide(shown);
      this.lockWord.release();
    }
    return settled(result, 'with(fn)', 'withAsync(fn)');
  }

  /** As {@link with}; waits without blocking the thread, and for the promise that `fn` may return. */
  async withAsync<R>(
    fn: (value: Access<F>, state: LockState) => R | PromiseLike<R>,
    options?: AsyncWaitOptions,
  ): Promise<R> {
    const guard = await this.lockAsync(options);
    try {
      return await fn(guard.$shown as unknown as Access<F>, guard.recovered ? AFTER_DEATH : SOUND);
    } finally {
      guard.unlock();
    }
  }

  /**
   * Takes the lock until `guard.unlock()`.
   *
   * @throws as {@link with}
   */
  lock(options?: WaitOptions): MutexGuard<F> {
    this.acquire(timeoutOf(options, this.lockWord.timeout));
    return this.guard();
  }

  /** Takes the lock if it is free; else undefined, also when this thread itself holds it. */
  tryLock(): MutexGuard<F> | undefined {
    this.check();
    return this.lockWord.tryAcquire() ? this.guard() : undefined;
  }

  /**
   * As {@link lock}, without blocking the thread. It queues behind other holders in its own thread.
   *
   * @throws LockTimeoutError naming the owner
   * @throws the signal's reason when it is aborted first
   */
  async lockAsync(options?: AsyncWaitOptions): Promise<MutexGuard<F>> {
    this.check();
    const timeout = timeoutOf(options, this.lockWord.timeout);
    await this.lockWord.acquireAsync({ timeout, signal: options?.signal });
    this.checkAgain();
    return this.guard();
  }

  private acquire(timeout?: number): void {
    this.check();
    try {
      if (this.lockWord.acquire(timeout)) this.checkAgain();
    } catch (error) {
      if (!(error instanceof BlockingNotAllowedError)) throw error;
      throw new BlockingNotAllowedError(this.lockWord.address, 'lockAsync()');
    }
  }

  /** It may have been destroyed while this thread waited. */
  private checkAgain(): void {
    try {
      this.check();
    } catch (error) {
      this.lockWord.release();
      throw error;
    }
  }

  private guard(): MutexGuard<F> {
    const { store, address, contents, lockWord } = this;
    return new MutexGuard<F>(store.memory, address, contents, lockWord, this.takeState().recovered);
  }

  /** Requires: lock held. */
  private takeState(): LockState {
    return takeRecovered(this.i32, this.word + (FLAGS >>> 2)) ? AFTER_DEATH : SOUND;
  }

  protected override seize(): string | undefined {
    const { lockWord, store } = this;
    if (!lockWord.tryAcquire()) return store.thread.nameOf(lockWord.owner);
    lockWord.close();
    return undefined;
  }

  protected override dropContents(): void {
    this.contents.drop();
  }

  protected override describe(): object {
    const { bound, address } = this.contents;
    if (this.lockWord.isPoisoned) return { poisoned: true };
    if (!this.lockWord.tryAcquire()) return { locked: true };
    try {
      return { locked: false, value: bound.json(address) };
    } finally {
      this.lockWord.release();
    }
  }
}

/** Whether the last owner died, told once. Requires: lock held. */
function takeRecovered(i32: Int32Array, flags: number): boolean {
  if (i32[flags] === 0) return false;
  i32[flags] = 0;
  return true;
}

/** A lock that is held: `unlock()` it, or let `using` do so. */
export class MutexGuard<F extends Field = Field> {
  /** Comes first, so that posting the guard throws at once. */
  readonly $guard: symbol = GUARD;
  /** Gives the lock back unless that was done already. Only where `Symbol.dispose` is. */
  declare readonly [Symbol.dispose]: () => void;
  private afterDeath: boolean;
  /** Where the mutex lies, and in which memory. */
  readonly mutex: Address;
  readonly $memory: Memory;
  /** Whether the lock is held by this guard. */
  held = true;
  readonly $shown: Shown;
  private readonly contents: Contents;
  private readonly lock: Lock;

  /** Use `mutex.lock()`. */
  constructor(memory: Memory, mutex: Address, contents: Contents, lock: Lock, recovered: boolean) {
    this.$memory = memory;
    this.mutex = mutex;
    this.contents = contents;
    this.lock = lock;
    this.afterDeath = recovered;
    this.$shown = contents.show();
  }

  /**
   * Whether an owner before this one died with the lock in its hands: the value may be half changed. It may
   * turn true where a condition takes the lock again.
   */
  get recovered(): boolean {
    return this.afterDeath;
  }

  /**
   * A view of the struct, or the value of any other field; setting it copies.
   *
   * @throws NotOwnerError after `unlock()`; a view got before shows nothing then
   */
  get value(): Guarded<F> {
    this.$check();
    return this.contents.valueOf(this.$shown) as Guarded<F>;
  }

  set value(given: FieldInit<F>) {
    this.$check();
    this.contents.bound.write(this.contents.address, given);
  }

  /**
   * Gives the lock back.
   *
   * @throws NotOwnerError when that was done already
   */
  unlock(): void {
    this.$suspend();
  }

  /** Whether it is held, and the value then. */
  toJSON(): object {
    return describeGuard(this.contents, this.held);
  }

  [INSPECT](_depth: number, options: object, inspect: Inspector): string {
    return `MutexGuard ${inspect(this.toJSON(), options)}`;
  }

  /** For conditions: gives the lock back, to be taken again. */
  $suspend(): void {
    this.$check();
    this.held = false;
    this.contents.hide(this.$shown);
    this.lock.release();
  }

  $resume(): void {
    this.checkExists();
    this.lock.acquire();
    this.resumed();
  }

  async $resumeAsync(): Promise<void> {
    this.checkExists();
    await this.lock.acquireAsync();
    this.resumed();
  }

  /** The mutex may have been destroyed while its lock was not held. */
  private checkExists(): void {
    if (this.$memory.u32[this.mutex >>> 2] === KIND) return;
    throw new ReferenceError(`the Mutex at ${hex(this.mutex)} was destroyed`);
  }

  private resumed(): void {
    try {
      this.checkExists();
    } catch (error) {
      this.lock.release();
      throw error;
    }
    this.contents.reshow(this.$shown);
    this.held = true;
    if (takeRecovered(this.$memory.i32, (this.mutex + FLAGS) >>> 2)) this.afterDeath = true;
  }

  /** Throws unless held. */
  $check(): void {
    if (!this.held)
      throw new NotOwnerError(this.lock.address, 'whoever took it since this guard was unlocked');
  }
}

if (Symbol.dispose !== undefined) {
  Object.defineProperty(MutexGuard.prototype, Symbol.dispose, {
    value(this: MutexGuard) {
      if (this.held) this.unlock();
    },
  });
}
