/**
 * Heap: one SharedArrayBuffer that the threads of a program allocate in.
 *
 *      0 ┌────────────────┐
 *        │ superblock     │  what this is, where its parts lie, the root list
 *        ├────────────────┤
 *        │ thread slots   │  who is at work, which locks they hold
 *        ├────────────────┤
 *        │ layouts        │  the structs that threads have defined
 *        ├────────────────┤
 *        │ allocator      │  transfer lists, lock, control block, then blocks end to end
 *        ├────────────────┤
 *        │ reserve        │  what `claim` takes from
 *        └────────────────┘  byteLength
 *
 * A Heap object is one thread's handle: all truth lies in the shared bytes. `create` lays them out, `attach`
 * checks and adopts them and takes a thread slot, once in a thread. Each thread uses its own handle.
 *
 * Lock order: root lock → allocator lock. User code (handlers, `make`, `scope`) runs under neither.
 */

import { onExit } from '#platform';
import type { Allocator, AllocatorStats, BlockInfo } from '../allocators/allocator.ts';
import type { CachedStats } from '../allocators/cached-blocks.ts';
import { KIND_THREAD_CACHED, kindAt } from '../allocators/control.ts';
import { Locked } from '../allocators/locked.ts';
import { ThreadCached } from '../allocators/thread-cached.ts';
import { DetachedError } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import * as addresses from '../memory/address.ts';
import { Memory } from '../memory/memory.ts';
import { type ArrayCells, dropOrFree, layTail, type UnknownBlock } from '../structs/drop.ts';
import type { AnyStructType, Init, View } from '../structs/inference.ts';
import { INSPECT } from '../structs/place.ts';
import { LayoutRegistry } from '../structs/registry.ts';
import type { StructStore } from '../structs/store.ts';
import { create, viewAt } from '../structs/struct.ts';
import { takeOut } from '../sync/deed.ts';
import type { Lock, LockOptions } from '../sync/lock.ts';
import { ParkLock } from '../sync/park-lock.ts';
import type { Thread } from '../sync/thread.ts';
import { Arena, SCOPE_BYTES, scoped } from './arena.ts';
import { attached, attachedTo } from './attached.ts';
import { deleteView } from './delete.ts';
import { type ExhaustedHandler, Exhaustion } from './exhaustion.ts';
import { bufferOf, GUARD, type HeapHandle } from './handle.ts';
import { type RestoreOptions, restoreImage, sourceOf, takeImage } from './image.ts';
import {
  algorithmOf,
  algorithmOptions,
  checkOptions,
  claimedBytes,
  type HeapOptions,
  isCached,
  memoryFor,
} from './options.ts';
import { drawHeap, inspectHeap } from './picture.ts';
import {
  checkTenant,
  drainDead,
  type ReapOptions,
  type ReapReport,
  type RecoveryParts,
  reapDead,
  reapedBefore,
  reapTenant,
  type SlotTenant,
  tenantOf,
} from './recovery.ts';
import { quietly, refusing } from './released.ts';
import { type Placed, Roots } from './roots.ts';
import { type ThreadInfo, ThreadSlots, threadInfos } from './slots.ts';
import {
  heapId,
  LAYOUT_BYTES,
  laySuperblock,
  placeParts,
  publishSuperblock,
  RECOVERY_LOCK,
  ROOT_LOCK,
  readSuperblock,
  type Superblock,
} from './superblock.ts';
import { type HeapCore, Tracker } from './tracking.ts';
import { type WatchableWorker, WatchedWorkers, type WatchOptions } from './watch.ts';

// V8 folds the constants of a module, but loads imported ones at each use.
const NULL = addresses.NULL;

/** The shared heap, as this thread sees it. Thread-safe; each thread attaches, and uses its own handle. */
export class Heap implements Allocator, StructStore {
  /** Comes first, so that posting the heap itself throws at once. */
  readonly $guard: symbol = GUARD;
  readonly memory: Memory;
  readonly buffer: SharedArrayBuffer;
  /** 16 hexadecimal digits; the same in every thread. */
  readonly id: string;
  /** The structs that threads have defined in this heap. */
  readonly layouts: LayoutRegistry;
  /** This thread's slot, 1 to maxThreads: the `owner` of what it allocates. */
  readonly threadSlot: number;
  /** As {@link detach}: `using heap = Heap.attach(handle)`. Only where `Symbol.dispose` is. */
  declare readonly [Symbol.dispose]: () => void;
  /** How lock words name this thread. */
  readonly thread: Thread;
  /** After how many ms a waiter gives up, unless it says otherwise. */
  readonly lockTimeout: number;
  readonly #forgetExit: () => void;
  /** What this thread allocates from: `#base`, or a tracker before it. */
  #allocator: HeapCore;
  #base: Locked | ThreadCached;
  /** The same, behind any cache. */
  #locked: Locked;
  #slots: ThreadSlots;
  #exhaustion: Exhaustion;
  #lockOptions: LockOptions;
  #watched: WatchedWorkers;
  readonly #roots: Roots<Heap>;

  private constructor(
    memory: Memory,
    parts: Superblock,
    slots: ThreadSlots,
    thread: Thread,
    allocator: Locked | ThreadCached,
    layouts: LayoutRegistry,
  ) {
    if (!(memory instanceof Memory))
      throw new TypeError('a heap is made by Heap.create() or Heap.attach(handle)');
    this.memory = memory;
    this.buffer = memory.buffer;
    this.id = parts.id;
    this.threadSlot = thread.slot;
    this.layouts = layouts;
    layouts.home = this;
    this.thread = thread;
    this.lockTimeout = parts.lockTimeout;
    this.#lockOptions = { thread, timeout: parts.lockTimeout };
    this.#slots = slots;
    this.#allocator = allocator;
    this.#base = allocator;
    this.#locked = allocator instanceof ThreadCached ? allocator.inner : allocator;
    this.#roots = new Roots<Heap>(this, this.lock(ROOT_LOCK), this.#locked.lock, thread, parts.lockTimeout);
    this.#exhaustion = new Exhaustion(() => drainDead(this.#recoveryParts()));
    this.#watched = new WatchedWorkers(slots, (tenant, options) => this.reap(tenant, options));
    this.#forgetExit = onExit(() => quietly(() => this.#leave()));
    attached().heaps.set(this.id, this);
  }

  // ── Make, attach, detach ────────────────────────────────────────────────────────────────────────

  /**
   * Makes a heap and attaches this thread to it.
   *
   * @throws RangeError, TypeError when an option is out of range
   */
  static create(options: HeapOptions = {}): Heap {
    const { maxThreads, lockTimeout } = checkOptions(options);
    const memory = memoryFor(options);
    const Wrapper = isCached(options) ? ThreadCached : Locked;
    const parts = placeParts(maxThreads, lockTimeout);
    const claimed = claimedBytes(options, memory, parts.allocator);

    laySuperblock(memory, parts);
    memory.u8.fill(0, parts.slots, parts.layouts);
    const layouts = LayoutRegistry.create(memory, parts.layouts, LAYOUT_BYTES);
    const slots = new ThreadSlots(memory, parts.slots, maxThreads);
    const thread = slots.take();
    const allocator = Wrapper.create(memory, {
      start: parts.allocator,
      byteLength: claimed - parts.allocator,
      allocator: algorithmOf(options),
      options: algorithmOptions(options, memory.byteLength - parts.allocator),
      lock: options.lock ?? 'park',
      lockTimeout,
      thread,
      peers: slots,
    });
    publishSuperblock(memory);
    return new Heap(memory, { ...parts, id: heapId(memory) }, slots, thread, allocator, layouts);
  }

  /**
   * Attaches this thread to a heap that another one made. Attaching twice gives the same handle.
   *
   * @param handle another thread's `heap.handle`, or the heap's buffer
   * @throws AttachError when it holds no heap, one of another version, or one that is cut short
   * @throws TooManyThreadsError when all thread slots are taken
   */
  static attach(handle: HeapHandle | SharedArrayBuffer): Heap {
    const memory = Memory.attach(bufferOf(handle));
    const parts = readSuperblock(memory);
    const known = attachedTo(memory, parts);
    if (known !== undefined) return known;
    const layouts = LayoutRegistry.attach(memory, parts.layouts);
    const slots = new ThreadSlots(memory, parts.slots, parts.maxThreads);
    const thread = slots.take();
    try {
      const cached = kindAt(memory, parts.allocator) === KIND_THREAD_CACHED;
      const Wrapper = cached ? ThreadCached : Locked;
      const allocator = Wrapper.attach(memory, parts.allocator, thread, parts.lockTimeout, slots);
      return new Heap(memory, parts, slots, thread, allocator, layouts);
    } catch (error) {
      slots.giveBack(thread);
      throw error;
    }
  }

  /**
   * Makes a heap of a {@link snapshot}, with an id of its own, and attaches this thread to it.
   *
   * @throws AttachError when the bytes are no snapshot, of another version, cut short or altered
   * @throws RangeError when `byteLength` is too small for what the old heap's allocator had claimed
   */
  static restore(snapshot: Uint8Array, options: RestoreOptions = {}): Heap {
    return Heap.attach(restoreImage(sourceOf(snapshot), options));
  }

  /**
   * The heap as bytes, for {@link Heap.restore} in any process: all that is in use, in as many bytes. Walks
   * all blocks. What small free blocks held before may be in it too.
   *
   * @throws BusyError while other threads are attached, or this one holds a lock
   */
  snapshot(): Uint8Array<ArrayBuffer> {
    this.recover();
    this.flush();
    return takeImage(this.memory, this.#slots, this.thread, this.#locked);
  }

  /** What to send to another thread, for its `Heap.attach`. */
  get handle(): HeapHandle {
    return { kind: 'sabheap', id: this.id, buffer: this.buffer };
  }

  /**
   * Ends this thread's part in the heap: its blocks stay, as nobody's (ORPHAN), its slot is free for
   * another. Every later use of this handle throws `DetachedError`, and so does a container opened with it
   * that needs a lock or a block. Detaching twice does nothing. A thread that ends by itself detaches by
   * itself. It reads no more and has no permits any more; with a lock in its hands it keeps the slot, for
   * `reap`. What its Rcs own stays, and nobody can drop it.
   */
  detach(): void {
    this.#forgetExit();
    this.#leave();
  }

  #leave(): void {
    const table = attached();
    if (table.heaps.get(this.id) !== this) return;
    table.heaps.delete(this.id);
    if (table.fallback === this) table.fallback = undefined;
    try {
      // With a lock in its hands the thread leaves its slot as it is: the record leads others to the lock.
      if (!this.#slots.isBusy(this.thread)) this.#giveBackSlot();
    } finally {
      this.#watched.forget();
      this.#watched = DETACHED;
      this.#roots.release(DETACHED);
      this.#allocator = DETACHED;
      this.#base = DETACHED;
      this.#locked = DETACHED;
      this.#slots = DETACHED;
      this.#exhaustion = DETACHED;
      this.#lockOptions = DETACHED;
      (this as { layouts: LayoutRegistry }).layouts = DETACHED;
    }
  }

  #giveBackSlot(): void {
    // An idle thread may have been drained.
    this.resume();
    this.#base.leave();
    this.#slots.giveBack(this.thread);
    this.thread.leave();
  }

  /** Makes this heap the one that `Heap.default()` gives in this thread. */
  static setDefault(heap: Heap): void {
    if (!(heap instanceof Heap)) throw new TypeError('setDefault wants a Heap');
    if (attached().heaps.get(heap.id) !== heap) throw new DetachedError();
    attached().fallback = heap;
  }

  /**
   * This thread's default heap.
   *
   * @throws ReferenceError when none was set
   */
  static default(): Heap {
    const heap = attached().fallback;
    if (heap === undefined)
      throw new ReferenceError('this thread has no default heap: call Heap.setDefault(heap) first');
    return heap;
  }

  /** Names for addresses: how threads meet. */
  get roots(): Roots<Heap> {
    return this.#roots;
  }

  // ── Allocator ───────────────────────────────────────────────────────────────────────────────────

  alloc(size: number, align?: number): Address {
    const address = this.#allocator.alloc(size, align);
    return address === NULL ? this.#exhausted(size, align) : address;
  }

  allocZeroed(size: number, align?: number): Address {
    const address = this.alloc(size, align);
    if (address !== NULL) this.memory.zero(address, size);
    return address;
  }

  realloc(address: Address, size: number, align?: number): Address {
    const moved = this.#allocator.realloc(address, size, align);
    if (moved !== NULL) return moved;
    const layout = { size, align: align ?? 8 };
    return this.#exhaustion.retry(layout, () => this.#allocator.realloc(address, size, align));
  }

  resize(address: Address, size: number): boolean {
    return this.#allocator.resize(address, size);
  }

  free(address: Address): void {
    this.#allocator.free(address);
  }

  sizeOf(address: Address): number {
    return this.#allocator.sizeOf(address);
  }

  /** The allocator's counters. `capacity` is what it has claimed of the buffer. */
  stats(): AllocatorStats & Partial<CachedStats> {
    return this.#allocator.stats();
  }

  blocks(): IterableIterator<BlockInfo> {
    return this.#allocator.blocks();
  }

  verify(): void {
    this.#allocator.verify();
  }

  // ── Room ────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Has `handler` called in this thread before a request is answered with `NULL`. It may free blocks,
   * `claim` more of the buffer, or give up; `true` has the request tried again (64 times at most).
   * Requests that the handler itself makes do not call it again.
   *
   * @returns a function that removes the handler
   */
  onExhausted(handler: ExhaustedHandler): () => void {
    return this.#exhaustion.add(handler);
  }

  #exhausted(size: number, align = 8): Address {
    return this.#exhaustion.retry({ size, align }, () => this.#allocator.alloc(size, align));
  }

  /**
   * Takes more of the reserved buffer for the allocator.
   *
   * @param bytes rounded down to a multiple of 8 (buddy: of the smallest block)
   * @returns false, with nothing changed, when not so much is left
   */
  claim(bytes: number): boolean {
    return this.#allocator.extend(bytes);
  }

  /**
   * An arena of its own for temporary blocks: `using arena = heap.arena(64 * KiB)`, or `release()` it.
   *
   * @throws OutOfMemoryError when there is no block of that size
   */
  arena(bytes: number): Arena {
    return new Arena(this, bytes);
  }

  /**
   * Runs `fn` with an arena that is released when it returns or throws.
   *
   * @param fn synchronous: a promise would outlive the arena
   * @param bytes how much can be allocated in it. Default 64 KiB
   * @throws TypeError when `fn` returns a promise
   */
  scope<R>(fn: (arena: Arena) => R, bytes: number = SCOPE_BYTES): R {
    return scoped(this.arena(bytes), fn);
  }

  // ── Structs ─────────────────────────────────────────────────────────────────────────────────────

  /**
   * Allocates a struct: `heap.new(Point, { x: 1 })`. Fields that `init` does not name are zero.
   *
   * @throws OutOfMemoryError when there is no room
   * @throws TypeError when `init` names a field that the struct does not have
   */
  new<T extends AnyStructType>(Type: T, init?: Init<T>): View<T> {
    return create(Type, this, init);
  }

  /** A view of the struct at `address`: `heap.at(Point, address)`. */
  at<T extends AnyStructType>(Type: T, address: Address): View<T> {
    return viewAt(Type, this, address);
  }

  /**
   * Frees the block that a view shows, and drops what the struct owns, however deep. The view shows
   * nothing any more: its address is `NULL`.
   *
   * @throws InvalidFreeError when the view's struct is no block of its own, or freed already
   * @throws TypeError for anything but a view of a struct in this heap
   */
  delete(view: Placed): void {
    deleteView(this, view);
  }

  // ── Threads ─────────────────────────────────────────────────────────────────────────────────────

  /**
   * Marks a block as belonging to no thread (SHARED): say it when an address goes to other threads by a
   * way that the heap does not see. Roots and `ref` fields say it themselves.
   *
   * @throws InvalidFreeError when `address` is no live block
   */
  share(address: Address): void {
    this.#allocator.sizeOf(address);
    this.#allocator.tryShare(address);
  }

  /** As {@link share}, answering false instead of throwing. */
  tryShare(address: Address): boolean {
    return this.#allocator.tryShare(address);
  }

  /** See `Locked.trySend`: a Box or a channel says it of what it hands off. */
  trySend(address: Address): boolean {
    return this.#locked.trySend(address);
  }

  /** See `Locked.tryReceive`. */
  tryReceive(address: Address, generation?: number): boolean {
    return this.#locked.tryReceive(address, generation);
  }

  /** Takes a block out of the cell that owns it: see sync/deed.ts. */
  takeOut(cell: number, flags?: number, after?: number): Address {
    return takeOut(this, cell, flags, after);
  }

  /** Notes which struct lies in a block of this thread: see structs/drop.ts. */
  layTail(address: Address, hash: number, array?: ArrayCells): void {
    layTail(this, address, hash, array);
  }

  /** See `Locked.tryAdopt`. */
  tryAdopt(address: Address): boolean {
    return this.#locked.tryAdopt(address);
  }

  /** How often the block at `address` was freed (modulo 256), or -1 when it is no live block. */
  generationOf(address: Address): number {
    return this.#locked.generationOf(address);
  }

  /**
   * A lock in 8 bytes of the heap that start as zeros. Every thread that uses it makes its own handle.
   * The lock word names this thread. When it dies with the lock in its hands, the next one has it and is not
   * told: what it guards is put right by `repair`, if given (see `LockOptions`). A `Mutex` tells.
   *
   * @param address a multiple of 8: a block of its own, or `view.address` plus an offset
   */
  lock(address: Address, repair?: () => void): Lock {
    const within = this.#locked.lock;
    return new ParkLock(this.memory, address, { ...this.#lockOptions, repair, within });
  }

  /**
   * Gives back what this thread keeps for its next allocations, and what lies between threads, so that
   * it coalesces. A hardened heap empties its quarantine. Others without thread caches have nothing to give.
   */
  flush(): void {
    this.#base.flush();
  }

  /**
   * Tells that this thread will do nothing for a while (a pool's worker between two tasks, whose event
   * loop may be frozen): a thread that runs out of room may take its cache back. Between `rest` and
   * `resume` this thread must not use the heap.
   */
  rest(): void {
    if (this.#base instanceof ThreadCached) this.#base.publish();
    this.#slots.rest(this.thread);
  }

  /** This thread goes on after `rest()`. Without a `rest()` before it does nothing. */
  resume(): void {
    if (this.#slots.resume(this.thread)) return;
    const allocator = this.#base;
    if (allocator instanceof ThreadCached) {
      // Whoever drains holds the allocator's lock until it is done, or dead.
      allocator.inner.acquire();
      allocator.inner.lock.release();
      allocator.discard(this.#slots.isDrained(this.thread));
    }
    this.#slots.resumeDrained(this.thread);
  }

  /**
   * Recovers what a dead thread left: its locks are had by others, its cache goes back to the allocator, what
   * it owned becomes nobody's or is dropped, its slot is free. Doing it again does nothing. Walks all blocks.
   *
   * The thread must be dead: the runtime has said so ('exit' of its Worker), not only been told to end it.
   * `heap.watch(worker)` sees to it.
   *
   * @param thread its id, as the runtime counts, or one of `heap.threads()`
   * @throws RangeError when the heap knows no such thread, or it is the calling one
   */
  reap(thread: number | SlotTenant, options: ReapOptions = {}): ReapReport {
    checkTenant(thread);
    const parts = this.#recoveryParts();
    const tenant = tenantOf(parts, thread);
    return tenant === undefined ? reapedBefore(thread) : reapTenant(parts, tenant, options.reclaim ?? false);
  }

  /** Reaps every thread that is known to be dead, and reports on each. Before a request fails their caches come back. */
  recover(options: ReapOptions = {}): ReapReport[] {
    return reapDead(this.#recoveryParts(), options.reclaim ?? false);
  }

  /**
   * Has a worker's thread reaped when it has ended, however it did. Keeps neither it nor the process alive.
   * In a browser call it before you send the worker anything: it posts a message, which the library answers
   * there, unseen by others, if the worker imports it statically. See `watchable`.
   *
   * @returns a function that stops it
   * @throws TypeError when it is no Worker, RangeError when it has ended
   */
  watch(worker: WatchableWorker, options: WatchOptions = {}): () => void {
    return this.#watched.add(worker, options);
  }

  #recoveryParts(): RecoveryParts {
    const drop = (address: Address): UnknownBlock[] => dropOrFree(this, address);
    const [slots, lock, allocator] = [this.#slots, this.lock(RECOVERY_LOCK), this.#base];
    return { slots, thread: this.thread, lock, allocator, drop };
  }

  /** The attached threads, with what each owns. Walks all blocks. */
  threads(): ThreadInfo[] {
    return threadInfos(this.#slots.taken(), this.blocks());
  }

  /**
   * Remembers from now on where this thread's blocks are allocated, for a report of what is still live.
   * For debugging: it takes a stack trace for each allocation. Tracking twice gives the same tracker.
   *
   *     const tracker = heap.track();
   *     …
   *     console.table(tracker.report()); // [{ site, blocks, bytes, addresses }]
   *     tracker.stop();
   */
  track(): Tracker {
    if (this.#allocator instanceof Tracker) return this.#allocator;
    const tracker = new Tracker(this.#base, this.threadSlot, () => {
      if (this.#allocator === tracker) this.#allocator = this.#base;
    });
    this.#allocator = tracker;
    return tracker;
  }

  // ── For people and tools ────────────────────────────────────────────────────────────────────────

  /** A picture of the heap in text: its blocks, counters, threads and roots. */
  describe(): string {
    return drawHeap(this);
  }

  /** What `JSON.stringify` shows: id, size and counters. */
  toJSON(): object {
    return {
      id: this.id,
      byteLength: this.memory.byteLength,
      threads: this.#slots.taken().length,
      ...this.stats(),
    };
  }
}

/** What a detached handle has in place of all that it gave up. */
const DETACHED = refusing<never>(() => new DetachedError());

Object.defineProperty(Heap.prototype, INSPECT, { value: inspectHeap });
if (Symbol.dispose !== undefined) {
  Object.defineProperty(Heap.prototype, Symbol.dispose, { value: Heap.prototype.detach });
}
