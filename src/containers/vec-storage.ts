/**
 * Vec storage: the block of a vec, where its elements lie, and how that grows and shrinks.
 *
 *     address ▶ ┌ 'VEC_' ┬ element hash ┬ data ─┬ length ┬ capacity ┬ self ┐
 *               └────────┴──────────────┴──●────┴────────┴──────────┴──────┘ 24 bytes, all u32
 *                                          ▼
 *                                          │ element 0 │ element 1 │ … length │ (room) │ … capacity
 *
 * `data` is 0 as long as nothing is in it. `self` is the block's own address, 0 once destroyed: what an
 * object remembers of its block is right as long as that word says so. The vec of a struct's field has no
 * block until something is pushed; then the field's cell gets the block's address.
 *
 * Invariants
 * 1. length ≤ capacity, and the data block has room for capacity elements, at every single store.
 * 2. No two cells own the same block at any store: while elements are shifted, `length` leaves them out. A
 *    thread that is killed in between loses those, and nothing is freed twice. Elsewhere it leaves the vec as
 *    it was or as it shall be; but an element that was about to be taken out may be empty.
 * 3. The bytes of elements from `length` on own nothing. Blocks go in and out under the deed (owning-cell.ts).
 *
 * One thread at a time may change a vec: move it to that thread, or guard it with a Mutex. Whoever reads
 * while another thread changes it may see old elements or those of a block that was freed since, but no
 * byte outside of the memory. Stores are plain: `length` follows the element, `data` what was copied.
 */

import { AttachError, HeapCorruptionError, hex, OutOfMemoryError } from '../errors.ts';
import { ADDRESS_LIMIT, type Address, NULL } from '../memory/address.ts';
import type { Memory } from '../memory/memory.ts';
import { type Dropper, registerKind } from '../structs/drop.ts';
import type { Field } from '../structs/field.ts';
import { Container, checkHeader, layHeader, makeHandle } from './container.ts';
import type { Elements } from './elements.ts';
import { swapOwned } from './owning-cell.ts';
import type { ContainerStore } from './store.ts';
import type { VecHandle } from './vec.ts';

// Words from the block's start.
const DATA = 2;
const LENGTH = 3;
const CAPACITY = 4;
const SELF = 5;
const VEC_BYTES = 24;

export const VEC_NAME = 'SharedVec';
export const VEC: number = registerKind('VEC_', dropVec);

/** The least that a data block is made for, in bytes and in elements. */
const FIRST_BYTES = 32;
const FIRST_COUNT = 4;
/** Up to so many bytes the capacity doubles, then it grows by half. */
const DOUBLE_BELOW = 1 << 20;
/** From so many bytes growth in place is tried: below, blocks come from the thread's cache and stay of its sizes. */
const RESIZE_FROM = 16_384;
/** What no block's address is: nothing is known yet, or there is no block. */
const UNKNOWN = -1;

function dropVec(dropper: Dropper, address: number): void {
  const { memory, layouts } = dropper.store;
  const { u32 } = memory;
  const head = address >>> 2;
  const layout = layouts.find(u32[head + 1]!);
  const data = u32[head + DATA]!;
  u32[head + SELF] = 0;
  if (data !== NULL && layout !== undefined && layout.owning.length > 0) {
    checkExtent(memory, address, layout.size);
    const end = data + u32[head + LENGTH]! * layout.size;
    for (let element = data; element < end; element += layout.size) dropper.pushOwned(layout.owning, element);
  }
  if (data !== NULL) dropper.free(dropper.store.takeOut((head + DATA) * 4));
  dropper.free(address);
}

/** What a vec is apart from its elements' values. */
export abstract class VecStorage<E extends Field = Field> extends Container {
  /** The elements' field, in this heap. */
  readonly elements: Elements<E>;
  protected readonly u32: Uint32Array;
  /** Index of the word that tells whether `block` is right still. */
  protected self = 0;
  protected block: number = UNKNOWN;
  /** Index of the block's first word. */
  protected head = 0;
  /** The cell of the field that owns the block; 0 when none does. */
  private readonly cell: number;
  /** Whether there shall be a block, as soon as it is needed. */
  private live = true;

  /**
   * @param block a vec's, or NULL when there is none yet
   * @param cell of the field that owns it, or 0
   */
  constructor(store: ContainerStore, elements: Elements<E>, block: Address, cell: number) {
    super(store, block);
    this.elements = elements;
    this.u32 = store.memory.u32;
    this.cell = cell;
    if (block !== NULL) this.bind(block);
  }

  protected get kind(): typeof VEC_NAME {
    return VEC_NAME;
  }

  /** Where the vec lies; NULL once released or destroyed, and for the vec of a field that was never filled. */
  override get address(): Address {
    const isThere = this.live && (this.u32[this.self] === this.block || (this.cell !== 0 && this.reopen()));
    return isThere ? (this.block as Address) : NULL;
  }

  /** What to send to another thread, for `SharedVec.open`. Marks the blocks as shared. */
  override get handle(): VecHandle<E> {
    this.require();
    const block = this.block as Address;
    this.store.tryShare(block);
    return makeHandle(this.store, VEC_NAME, block);
  }

  /** How many elements there are. */
  get length(): number {
    return this.open() ? this.u32[this.head + LENGTH]! : 0;
  }

  /** How many elements have room without growth. */
  get capacity(): number {
    return this.open() ? this.u32[this.head + CAPACITY]! : 0;
  }

  /** Whether it was released, destroyed or moved. */
  protected get isClosed(): boolean {
    const { cell, block } = this;
    return !this.live || (cell === 0 && block !== UNKNOWN && this.u32[this.self] !== block);
  }

  override get $isOwned(): boolean {
    return this.cell !== 0;
  }

  /** Closes this object; the vec stays. Twice does no harm. */
  override release(): void {
    super.release();
    this.live = false;
    this.block = UNKNOWN;
  }

  /** Frees the vec with all that its elements own, for all threads. A field's vec is empty then. */
  destroy(): void {
    if (this.open()) {
      const { block, u32, head, elements } = this;
      checkExtent(this.store.memory, block, elements.stride);
      // Throws when it cannot be freed, before anything is changed.
      this.store.sizeOf(block as Address);
      const data = u32[head + DATA]!;
      // From here on the vec is this thread's own, and nobody's should it die.
      if (this.cell !== 0 && u32[this.cell >>> 2] === block) swapOwned(this.store, this.cell, NULL);
      else this.store.tryAdopt(block as Address);
      u32[head + SELF] = 0;
      const dropper = elements.dropper(data, elements.owning.length === 0 ? 0 : u32[head + LENGTH]!);
      this.store.free(swapOwned(this.store, (head + DATA) * 4, NULL));
      this.store.free(block as Address);
      dropper.run();
    }
    if (this.cell === 0) this.release();
  }

  /** Whether this object stands for a block, and knows it. */
  protected open(): boolean {
    return this.u32[this.self] === this.block || this.reopen();
  }

  /** Has a block made where there is none. */
  protected require(): void {
    if (!this.open()) this.make();
  }

  /** Looks for the block in the field's cell. */
  private reopen(): boolean {
    if (!this.live) throw new ReferenceError(`this ${VEC_NAME} was released, destroyed or moved`);
    const { cell, block } = this;
    if (cell === 0) {
      if (block === UNKNOWN) return false;
      throw new ReferenceError(`the ${VEC_NAME} at ${hex(block)} was destroyed`);
    }
    const found = this.u32[cell >>> 2]!;
    if (found === NULL) return false;
    checkVec(this.store, found as Address, this.elements.hash);
    this.bind(found);
    return true;
  }

  private bind(block: number): void {
    this.block = block;
    this.head = block >>> 2;
    this.self = this.head + SELF;
  }

  private make(): void {
    const { store, cell, u32 } = this;
    const block = createBlock(store, this.elements.hash);
    if (cell === 0) {
      this.bind(block);
      return;
    }
    // A handler that made room may have filled the field.
    if (u32[cell >>> 2] !== NULL) {
      store.free(block);
      this.require();
      return;
    }
    swapOwned(store, cell, block);
    this.bind(block);
  }

  /** Has room for one element more; returns the length then. There is a block. */
  protected roomForOne(): number {
    const { u32, head } = this;
    const length = u32[head + LENGTH]!;
    if (length < u32[head + CAPACITY]!) return length;
    this.grow(length + 1);
    return this.roomForOne();
  }

  /** Has room for `needed` elements. There is a block. */
  protected grow(needed: number): void {
    const { elements, u32, head } = this;
    const { stride } = elements;
    const capacity = u32[head + CAPACITY]!;
    if (capacity >= needed) return;
    const more = capacity * stride < DOUBLE_BELOW ? capacity * 2 : Math.floor(capacity * 1.5);
    const first = Math.max(FIRST_COUNT, Math.floor(FIRST_BYTES / stride));
    if (this.tryResize(Math.max(needed, more, first)) || this.tryResize(needed)) return;
    throw this.outOfRoom(needed);
  }

  protected outOfRoom(needed: number): OutOfMemoryError {
    const { stride, name } = this.elements;
    return new OutOfMemoryError(needed * stride, `a vec of ${needed} elements, ${name}`);
  }

  /** Makes room for exactly so many elements: in place, else elsewhere. False when there is none. */
  protected tryResize(capacity: number): boolean {
    const { store, elements, u32, block } = this;
    const bytes = capacity * elements.stride;
    if (bytes >= ADDRESS_LIMIT) return false;
    if (this.resizeInPlace(capacity, bytes)) return true;
    const moved = store.alloc(bytes);
    if (moved === NULL) return false;
    // A handler that made room may have changed the vec, or destroyed it.
    if (!this.open() || this.block !== block || u32[this.head + LENGTH]! > capacity) {
      store.free(moved);
      this.require();
      return u32[this.head + CAPACITY]! >= capacity;
    }
    this.moveData(moved, capacity);
    return true;
  }

  private resizeInPlace(capacity: number, bytes: number): boolean {
    const { store, u32, head } = this;
    const data = u32[head + DATA]! as Address;
    if (data === NULL || bytes < RESIZE_FROM) return false;
    const before = u32[head + CAPACITY]!;
    // Less room is said before it is given up, more once it is there.
    if (capacity < before) u32[head + CAPACITY] = capacity;
    const done = store.resize(data, bytes);
    u32[head + CAPACITY] = done ? capacity : before;
    return done;
  }

  private moveData(moved: Address, capacity: number): void {
    const { store, u32, head } = this;
    const { stride } = this.elements;
    const data = u32[head + DATA]!;
    const before = u32[head + CAPACITY]!;
    const room = Math.floor(store.sizeOf(moved) / stride);
    store.memory.u8.copyWithin(moved, data, data + u32[head + LENGTH]! * stride);
    if (capacity < before) u32[head + CAPACITY] = capacity;
    const left = swapOwned(store, (head + DATA) * 4, moved);
    u32[head + CAPACITY] = room;
    store.free(left);
  }

  /** Gives the data block back. The vec is empty. */
  protected freeData(): void {
    const { u32, head, store } = this;
    u32[head + CAPACITY] = 0;
    store.free(swapOwned(store, (head + DATA) * 4, NULL));
  }

  /**
   * Takes the block away from this object, which is of no use any more, and from the field that owned it.
   * NULL when there is none.
   */
  protected giveUp(): Address {
    const block = this.open() ? (this.block as Address) : NULL;
    if (this.cell !== 0) swapOwned(this.store, this.cell, NULL);
    else this.release();
    return block;
  }

  /** Whether what this object stands for is owned by the field with this cell. */
  protected isOwnedBy(cell: number): boolean {
    return this.cell === cell && cell !== 0;
  }
}

/** An empty vec without data. */
export function createBlock(store: ContainerStore, hash: number): Address {
  const block = store.allocZeroed(VEC_BYTES);
  if (block === NULL) throw new OutOfMemoryError(VEC_BYTES, 'the block of a vec');
  layHeader(store, block, VEC, hash);
  store.memory.u32[(block >>> 2) + SELF] = block;
  return block;
}

/**
 * Checks that a live vec of such elements lies at `address`.
 *
 * @throws RangeError, AttachError when none does
 */
export function checkVec(store: ContainerStore, address: Address, hash?: number): void {
  checkHeader(store, address, VEC, hash);
  if (store.memory.u32[(address >>> 2) + SELF] !== address) {
    throw new AttachError(`the vec at ${hex(address)} was destroyed`);
  }
}

/**
 * Checks that a vec's elements lie in the memory, before they are walked over.
 *
 * @param stride bytes of an element
 * @throws HeapCorruptionError when they do not
 */
export function checkExtent({ u32, byteLength }: Memory, address: number, stride: number): void {
  const head = address >>> 2;
  const length = u32[head + LENGTH]!;
  if (u32[head + DATA]! + length * stride <= byteLength) return;
  throw new HeapCorruptionError(address, `a vec has ${length} elements at ${hex(u32[head + DATA]!)}`);
}
