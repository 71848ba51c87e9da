/**
 * Arena: a bump allocator in a block of the heap, all of it given back at once.
 *
 *      heap block
 *      ┌ bump control 64 ┬ blocks … ┬ next ─────────────┐
 *      └─────────────────┴──────────┴───────────────────┘
 *
 * Belongs to the thread that made it: no lock. What is allocated in it dies with it, and with `reset` and
 * `rewind`. To hand something to another thread, allocate it in the heap.
 *
 * What structs in it own (strings, boxes, vecs) lies in the heap, and does not die with it: all goes back at once,
 * without a look at what it was, and what lay there last cannot be told from what lies there now. Assign `''` or
 * `null` first, as to any field. Of a dead thread's arena that stays behind, whoever reaps it.
 */

import type { Allocator, AllocatorStats, BlockInfo } from '../allocators/allocator.ts';
import { BumpAllocator, type Mark } from '../allocators/bump.ts';
import { CONTROL_BYTES } from '../allocators/control.ts';
import { OutOfMemoryError } from '../errors.ts';
import { type Address, KiB, NULL } from '../memory/address.ts';
import { checkInteger } from '../memory/layout.ts';
import type { Memory } from '../memory/memory.ts';
import type { AnyStructType, Init, View } from '../structs/inference.ts';
import { INSPECT, type Inspector } from '../structs/place.ts';
import type { LayoutRegistry } from '../structs/registry.ts';
import type { StructStore } from '../structs/store.ts';
import { create } from '../structs/struct.ts';
import type { Lock } from '../sync/lock.ts';
import type { Thread } from '../sync/thread.ts';
import { refusing } from './released.ts';

/** What `heap.scope(fn)` has room for, in bytes. */
export const SCOPE_BYTES: number = 64 * KiB;

/** What an arena needs of its heap. */
export interface ArenaParent extends StructStore {
  readonly id: string;
  readonly thread: Thread;
  readonly lockTimeout: number;
  alloc(size: number, align?: number): Address;
  lock(address: Address, repair?: () => void): Lock;
}

/** Temporary blocks of one thread, given back together. */
export class Arena implements Allocator, StructStore {
  readonly memory: Memory;
  readonly layouts: LayoutRegistry;
  /** The heap's. */
  readonly id: string;
  readonly thread: Thread;
  /** The heap's, in ms. */
  readonly lockTimeout: number;
  /** As {@link release}: `using arena = heap.arena(bytes)`. Only where `Symbol.dispose` is. */
  declare readonly [Symbol.dispose]: () => void;
  readonly #parent: ArenaParent;
  #bump: BumpAllocator;

  /**
   * @param bytes how much can be allocated in it
   * @throws OutOfMemoryError when the heap has no such block
   */
  constructor(parent: ArenaParent, bytes: number) {
    checkInteger('bytes', bytes, 0, parent.memory.byteLength);
    const byteLength = bytes + CONTROL_BYTES + 16;
    const block = parent.alloc(byteLength);
    if (block === NULL) throw new OutOfMemoryError(byteLength, 'an arena needs one block');
    this.memory = parent.memory;
    this.layouts = parent.layouts;
    this.id = parent.id;
    this.thread = parent.thread;
    this.lockTimeout = parent.lockTimeout;
    this.#parent = parent;
    this.#bump = BumpAllocator.create(parent.memory, { start: block, byteLength, thread: parent.thread });
  }

  /** A struct in the arena. See `Heap.new`. What it owns lies in the heap, and is not dropped with the arena. */
  new<T extends AnyStructType>(Type: T, init?: Init<T>): View<T> {
    return create(Type, this, init);
  }

  alloc(size: number, align?: number): Address {
    return this.#bump.alloc(size, align);
  }

  allocZeroed(size: number, align?: number): Address {
    return this.#bump.allocZeroed(size, align);
  }

  realloc(address: Address, size: number, align?: number): Address {
    return this.#bump.realloc(address, size, align);
  }

  resize(address: Address, size: number): boolean {
    return this.#bump.resize(address, size);
  }

  free(address: Address): void {
    this.#bump.free(address);
  }

  sizeOf(address: Address): number {
    return this.#bump.sizeOf(address);
  }

  stats(): AllocatorStats {
    return this.#bump.stats();
  }

  blocks(): IterableIterator<BlockInfo> {
    return this.#bump.blocks();
  }

  verify(): void {
    this.#bump.verify();
  }

  /** An arena's blocks are the arena's: they cannot be shared. Always false. */
  tryShare(_address: Address): boolean {
    return false;
  }

  /** As {@link tryShare}: always false. */
  trySend(_address: Address): boolean {
    return false;
  }

  /** As {@link tryShare}: always false. */
  tryReceive(_address: Address, _generation?: number): boolean {
    return false;
  }

  /** As {@link tryShare}: always false. */
  tryAdopt(_address: Address): boolean {
    return false;
  }

  /** As the heap's: what a cell owns lies there. */
  takeOut(cell: number, flags?: number, after?: number): Address {
    return this.#parent.takeOut(cell, flags, after);
  }

  /** How often the block at `address` was freed: an arena's blocks are not told apart, so 0; -1 for no block. */
  generationOf(address: Address): number {
    return this.#bump.ownershipIndex(address) < 0 ? -1 : 0;
  }

  /** See `Heap.lock`. */
  lock(address: Address, repair?: () => void): Lock {
    return this.#parent.lock(address, repair);
  }

  /** Gives all blocks back; the arena stays. */
  reset(): void {
    this.#bump.reset();
  }

  /** Notes how far the arena has come. */
  mark(): Mark {
    return this.#bump.mark();
  }

  /** Gives back what was allocated since `mark()`. */
  rewind(mark: Mark): void {
    this.#bump.rewind(mark);
  }

  /** Gives the arena's own block back to the heap. The arena is of no use any more; twice does no harm. */
  release(): void {
    const bump = this.#bump;
    if (bump === RELEASED) return;
    this.#bump = RELEASED;
    this.#parent.free(bump.start);
  }

  /** What `JSON.stringify` shows: bytes used, and in all; null once released. */
  toJSON(): object | null {
    if (this.#bump === RELEASED) return null;
    const { used, capacity } = this.stats();
    return { used, capacity };
  }

  [INSPECT](_depth: number, options: object, inspect: Inspector): string {
    const shown = this.toJSON();
    return shown === null ? 'Arena (released)' : `Arena ${inspect(shown, options)}`;
  }
}

/** Stands in for the allocator of a released arena. */
const RELEASED = refusing<BumpAllocator>(() => new ReferenceError('the arena was released'));

/** Runs `fn` with an arena, which is released when it returns or throws. See `Heap.scope`. */
export function scoped<R>(arena: Arena, fn: (arena: Arena) => R): R {
  try {
    const result = fn(arena);
    if (typeof (result as { then?: unknown } | null | undefined)?.then === 'function') {
      throw new TypeError(
        'scope(fn) wants a synchronous function: for async code use `using arena = heap.arena(bytes)`',
      );
    }
    return result;
  } finally {
    arena.release();
  }
}

if (Symbol.dispose !== undefined) {
  Object.defineProperty(Arena.prototype, Symbol.dispose, { value: Arena.prototype.release });
}
