/**
 * RwLock: a value in the heap that many threads read at a time, or one writes.
 *
 *     address ▶ ┌ 'RWLK' ┬ layout hash ┬ lock (8 bytes) ┬ flags ┬ bound ┬ … ┐ 64 bytes
 *               ├ reader words, one for each thread slot ───────────────────┤ 1 KiB
 *               ├ value … ──────────────────────────────────────────────────┘
 *
 *     flags     WRITING     a writer is in: should it die, who takes its lock over sets RECOVERED instead
 *               RECOVERED   a writer died in the middle: the value may be half changed. Readers and
 *                           writers are told until a writer has been told.
 *     bound, reader words, fairness: see sync/reader-writer-lock.ts
 *
 *     rwlock.read((config) => config.limit);          write((config) => { config.limit = 5; })
 *     using guard = rwlock.lockRead();                lockWrite(), tryRead(), tryWrite(), …Async()
 *
 * Worth its kilobyte where reading is frequent and takes long, or comes from several threads at once;
 * around a few loads a Mutex is as fast. A thread that reads may read again, but not write.
 */

import { BlockingNotAllowedError, NotOwnerError } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import type { Field } from '../structs/field.ts';
import type { FieldInit } from '../structs/inference.ts';
import { GUARD, INSPECT, type Inspector } from '../structs/place.ts';
import type { AsyncWaitOptions, WaitOptions } from '../sync/async-sleep.ts';
import { READERS_BYTES, ReaderWriterLock } from '../sync/reader-writer-lock.ts';
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
import type { FirstValue, LockState } from './mutex.ts';
import { makeBlock, openBlock, Primitive, registerOwningKind, settled } from './primitive.ts';
import type { ContainerStore } from './store.ts';

const LOCK = 8;
const FLAGS = 16;
const BOUND = 20;
const READERS = 64;
const VALUE = READERS + READERS_BYTES;
/** Readers of different slots must not share cache lines with each other or the lock. */
const ALIGN = 64;

const RECOVERED = 1;
const WRITING = 2;

const KIND = registerOwningKind('RWLK', VALUE);

const SOUND: LockState = Object.freeze({ recovered: false });
const AFTER_DEATH: LockState = Object.freeze({ recovered: true });

/** Types only: the field behind a handle. */
declare const guards: unique symbol;

/** What crosses to another thread, for its `RwLock.open`. */
export interface RwLockHandle<F extends Field = Field> extends Handle<'RwLock'> {
  readonly [guards]?: F;
}

/** A value that many threads read or one writes. */
export class RwLock<F extends Field = Field> extends Primitive {
  protected override readonly kind = 'RwLock';
  private readonly inner: ReaderWriterLock;
  private readonly contents: Contents;
  /** What `read` and `write` show. */
  private readonly shown: Shown;
  /** How many `read` are at work in this object, one inside the other. */
  private depth = 0;
  /** Index of the flags. */
  private readonly flags: number;

  private constructor(store: ContainerStore, address: Address, field: F) {
    super(store, address, KIND);
    const { i32 } = store.memory;
    // Not by `this.word`: the object may be closed by the time it is called.
    const flags = (address + FLAGS) >>> 2;
    this.flags = flags;
    const lock = store.lock((address + LOCK) as Address, () => {
      if ((i32[flags]! & WRITING) !== 0) i32[flags] = RECOVERED;
    });
    const bound = (address + BOUND) as Address;
    this.inner = new ReaderWriterLock(
      store.memory,
      lock,
      store.thread,
      bound,
      (address + READERS) as Address,
    );
    this.contents = new Contents(store, field, address + VALUE, 'RwLock');
    this.shown = this.contents.show();
    this.contents.hide(this.shown);
  }

  /**
   * Makes a lock around a value: `RwLock.create(heap, Config, { limit: 10 })`.
   *
   * @param field a struct or any other field
   * @param init the first value; zero by default
   * @throws OutOfMemoryError when there is no room
   * @throws TypeError when the field does not take `init`
   */
  static create<F extends Field>(store: ContainerStore, field: F, init?: FirstValue<F>): RwLock<F> {
    const hash = registerField(store, field, 'RwLock.create');
    const address = makeBlock(store, KIND, hash, VALUE + field.size, ALIGN);
    try {
      initContents(store, field, address + VALUE, init);
      return new RwLock(store, address, field);
    } catch (error) {
      store.free(address);
      throw error;
    }
  }

  /**
   * The lock behind another thread's `handle`.
   *
   * @param field checked where given; else the field that the lock was made for, by its name
   * @throws AttachError when the handle is of something else, of another field, or of what was destroyed
   */
  static open<F extends Field>(store: ContainerStore, handle: RwLockHandle<F>): RwLock<F>;
  static open<F extends Field>(store: ContainerStore, handle: RwLockHandle, field: F): RwLock<F>;
  static open<F extends Field>(store: ContainerStore, handle: RwLockHandle, field?: F): RwLock<F> {
    const address = openBlock(store, handle, KIND, wantedHash(field, 'RwLock.open'));
    return new RwLock(store, address, fieldOf(store, address, field));
  }

  /** The lock at an address. Throws as {@link RwLock.open}. */
  static at<F extends Field = Field>(store: ContainerStore, address: Address, field?: F): RwLock<F> {
    checkHeader(store, address, KIND, wantedHash(field, 'RwLock.at'));
    return new RwLock(store, address, fieldOf(store, address, field));
  }

  /** For the roots: `heap.roots.open('config', RwLock.type(Config))`. */
  static type<F extends Field>(field: F): { at(store: ContainerStore, address: Address): RwLock<F> } {
    return { at: (store, address) => RwLock.at(store, address, field) };
  }

  override get handle(): RwLockHandle<F> {
    return super.handle as RwLockHandle<F>;
  }

  // ── Reading ─────────────────────────────────────────────────────────────────────────────────────

  /**
   * Runs `fn` while no thread writes, and gives its result.
   *
   * @param fn gets a view, or a cell of a field that is no struct, to read only, and of no use afterwards
   * @throws DeadlockError when this thread writes
   * @throws LockTimeoutError naming the writer, when it did not end within the heap's `lockTimeout`
   * @throws BlockingNotAllowedError when this thread may not block
   * @throws TypeError when `fn` returns a promise
   */
  read<R>(fn: (value: Readonly<Access<F>>, state: LockState) => R): R {
    this.enterRead(this.store.lockTimeout);
    const { shown, contents } = this;
    if (this.depth++ === 0) contents.reshow(shown);
    let result: R;
    try {
      result = fn(shown as unknown as Access<F>, this.state());
    } finally {
      if (--this.depth === 0) contents.hide(shown);
      this.inner.leave();
    }
    return settled(result, 'read(fn)', 'readAsync(fn)');
  }

  /** As {@link read}; waits without blocking the thread, and for the promise that `fn` may return. */
  async readAsync<R>(
    fn: (value: Readonly<Access<F>>, state: LockState) => R | PromiseLike<R>,
    options?: AsyncWaitOptions,
  ): Promise<R> {
    const guard = await this.lockReadAsync(options);
    try {
      return await fn(guard.$shown as unknown as Access<F>, stateOf(guard));
    } finally {
      guard.unlock();
    }
  }

  /**
   * Keeps writers out until `guard.unlock()`.
   *
   * @throws as {@link read}
   */
  lockRead(options?: WaitOptions): ReadGuard<F> {
    this.enterRead(timeoutOf(options, this.store.lockTimeout));
    return this.readGuard();
  }

  /**
   * Keeps writers out unless one is in, or waits for readers to leave; then undefined.
   *
   * @throws HeapCorruptionError when nobody can have the lock any more
   */
  tryRead(): ReadGuard<F> | undefined {
    this.check();
    return this.inner.tryRead() ? this.readGuard() : undefined;
  }

  /**
   * As {@link lockRead}, without blocking the thread. It queues behind a writer in its own thread.
   *
   * @throws LockTimeoutError naming the writer
   * @throws the signal's reason when it is aborted first
   */
  async lockReadAsync(options?: AsyncWaitOptions): Promise<ReadGuard<F>> {
    this.check();
    const timeout = timeoutOf(options, this.store.lockTimeout);
    await this.inner.readAsync({ timeout, signal: options?.signal });
    this.checkReading();
    return this.readGuard();
  }

  // ── Writing ─────────────────────────────────────────────────────────────────────────────────────

  /**
   * Runs `fn` while no other thread reads or writes, and gives its result.
   *
   * @param fn gets a view, or a cell of a field that is no struct; of no use afterwards
   * @throws DeadlockError when this thread reads or writes
   * @throws LockTimeoutError naming the writer or a reader
   * @throws BlockingNotAllowedError when this thread may not block
   * @throws TypeError when `fn` returns a promise
   */
  write<R>(fn: (value: Access<F>, state: LockState) => R): R {
    this.enterWrite(this.store.lockTimeout);
    const { shown, contents } = this;
    contents.reshow(shown);
    let result: R;
    try {
      result = fn(shown as unknown as Access<F>, this.takeState());
    } finally {
      contents.hide(shown);
      this.endWrite();
    }
    return settled(result, 'write(fn)', 'writeAsync(fn)');
  }

  /** As {@link write}; waits without blocking the thread, and for the promise that `fn` may return. */
  async writeAsync<R>(
    fn: (value: Access<F>, state: LockState) => R | PromiseLike<R>,
    options?: AsyncWaitOptions,
  ): Promise<R> {
    const guard = await this.lockWriteAsync(options);
    try {
      return await fn(guard.$shown as unknown as Access<F>, stateOf(guard));
    } finally {
      guard.unlock();
    }
  }

  /**
   * Keeps everybody else out until `guard.unlock()`.
   *
   * @throws as {@link write}
   */
  lockWrite(options?: WaitOptions): WriteGuard<F> {
    this.enterWrite(timeoutOf(options, this.store.lockTimeout));
    return this.writeGuard();
  }

  /** Keeps everybody else out if nobody is in; else undefined, also when this thread itself is. */
  tryWrite(): WriteGuard<F> | undefined {
    this.check();
    return this.inner.tryWrite() ? this.writeGuard() : undefined;
  }

  /**
   * As {@link lockWrite}, without blocking the thread. It queues behind its own thread's readers and
   * writers; who waits for it with a read guard in his hands waits until the timeout.
   *
   * @throws LockTimeoutError naming the writer or a reader
   * @throws the signal's reason when it is aborted first
   */
  async lockWriteAsync(options?: AsyncWaitOptions): Promise<WriteGuard<F>> {
    this.check();
    const timeout = timeoutOf(options, this.store.lockTimeout);
    await this.inner.writeAsync({ timeout, signal: options?.signal });
    this.checkWriting();
    return this.writeGuard();
  }

  // ── Inside ──────────────────────────────────────────────────────────────────────────────────────

  private enterRead(timeout: number): void {
    this.check();
    if (!this.inner.enter()) this.readContended(timeout);
  }

  private readContended(timeout: number): void {
    try {
      this.inner.read(timeout);
    } catch (error) {
      throw this.translated(error, 'lockReadAsync()');
    }
    this.checkReading();
  }

  private enterWrite(timeout: number): void {
    this.check();
    try {
      this.inner.write(timeout);
    } catch (error) {
      throw this.translated(error, 'lockWriteAsync()');
    }
    this.checkWriting();
  }

  /** The error of a thread that may not block names the form to use. */
  private translated(error: unknown, asyncForm: string): unknown {
    if (!(error instanceof BlockingNotAllowedError)) return error;
    return new BlockingNotAllowedError(this.address + LOCK, asyncForm);
  }

  /** It may have been destroyed while this thread waited to read. */
  private checkReading(): void {
    if (this.i32[this.word] === this.kindWord) return;
    this.inner.leave();
    this.check();
  }

  /** It may have been destroyed while this thread waited to write. */
  private checkWriting(): void {
    if (this.i32[this.word] === this.kindWord) return;
    this.inner.endWrite();
    this.check();
  }

  private readGuard(): ReadGuard<F> {
    return new ReadGuard<F>(this.address, this.contents, this.state().recovered, () => this.inner.leave());
  }

  private writeGuard(): WriteGuard<F> {
    const { recovered } = this.takeState();
    return new WriteGuard<F>(this.address, this.contents, recovered, () => this.endWrite());
  }

  private state(): LockState {
    return (this.i32[this.flags]! & RECOVERED) === 0 ? SOUND : AFTER_DEATH;
  }

  /** Requires: this thread writes. */
  private takeState(): LockState {
    const state = this.state();
    this.i32[this.flags] = WRITING;
    return state;
  }

  private endWrite(): void {
    this.i32[this.flags] = 0;
    this.inner.endWrite();
  }

  protected override seize(): string | undefined {
    if (!this.inner.tryWrite()) return this.inner.holder ?? 'a thread that is gone by now';
    this.inner.close();
    return undefined;
  }

  protected override dropContents(): void {
    this.contents.drop();
  }

  protected override describe(): object {
    const { bound, address } = this.contents;
    if (this.inner.isPoisoned) return { poisoned: true };
    if (!this.inner.tryRead()) return { writing: true };
    try {
      return { writing: false, value: bound.json(address) };
    } finally {
      this.inner.leave();
    }
  }
}

function stateOf({ recovered }: { readonly recovered: boolean }): LockState {
  return recovered ? AFTER_DEATH : SOUND;
}

/** A lock that is held: `unlock()` it, or let `using` do so. */
abstract class RwGuard<F extends Field> {
  /** Comes first, so that posting the guard throws at once. */
  readonly $guard: symbol = GUARD;
  /** Gives the lock back unless that was done already. Only where `Symbol.dispose` is. */
  declare readonly [Symbol.dispose]: () => void;
  /** Whether a writer died in the middle: the value may be half changed. */
  readonly recovered: boolean;
  readonly $shown: Shown;
  /** The class's name. */
  protected abstract readonly kind: string;
  protected readonly contents: Contents;
  private readonly lock: Address;
  private leave: (() => void) | undefined;

  constructor(lock: Address, contents: Contents, recovered: boolean, leave: () => void) {
    this.lock = lock;
    this.contents = contents;
    this.recovered = recovered;
    this.leave = leave;
    this.$shown = contents.show();
  }

  /** Whether the lock is held by this guard. */
  get held(): boolean {
    return this.leave !== undefined;
  }

  /**
   * Gives the lock back.
   *
   * @throws NotOwnerError when that was done already
   */
  unlock(): void {
    this.check();
    const { leave } = this;
    this.leave = undefined;
    this.contents.hide(this.$shown);
    leave!();
  }

  /** Whether it is held, and the value then. */
  toJSON(): object {
    return describeGuard(this.contents, this.held);
  }

  [INSPECT](_depth: number, options: object, inspect: Inspector): string {
    return `${this.kind} ${inspect(this.toJSON(), options)}`;
  }

  protected get shownValue(): Guarded<F> {
    this.check();
    return this.contents.valueOf(this.$shown) as Guarded<F>;
  }

  protected check(): void {
    if (!this.held) throw new NotOwnerError(this.lock, 'whoever took it since this guard was unlocked');
  }
}

if (Symbol.dispose !== undefined) {
  Object.defineProperty(RwGuard.prototype, Symbol.dispose, {
    value(this: RwGuard<Field>) {
      if (this.held) this.unlock();
    },
  });
}

/** Keeps writers out while it is held. */
export class ReadGuard<F extends Field = Field> extends RwGuard<F> {
  protected override readonly kind = 'ReadGuard';

  /**
   * A view of the struct, or the value of any other field, to read only: the types say so, nothing else.
   *
   * @throws NotOwnerError after `unlock()`; a view got before shows nothing then
   */
  get value(): Readonly<Guarded<F>> {
    return this.shownValue;
  }
}

/** Keeps everybody else out while it is held. */
export class WriteGuard<F extends Field = Field> extends RwGuard<F> {
  protected override readonly kind = 'WriteGuard';

  /**
   * A view of the struct, or the value of any other field; setting it copies.
   *
   * @throws NotOwnerError after `unlock()`; a view got before shows nothing then
   */
  get value(): Guarded<F> {
    return this.shownValue;
  }

  set value(given: FieldInit<F>) {
    this.check();
    this.contents.bound.write(this.contents.address, given);
  }
}
