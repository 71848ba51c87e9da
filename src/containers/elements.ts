/**
 * Elements: a field as the element of a container in one heap: how its bytes are read, written, moved.
 *
 *     data │ element │ element │ element │          stride = the field's size, a multiple of its alignment
 *
 * Writing a value may run the caller's code (a getter of an object that is assigned, an iterable, a
 * handler that makes room), and that code may change the very container. So such a value is staged:
 * written to a block of its own first, whose bytes are then moved by straight code. What fails in between
 * leaves the container as it was.
 */

import { OutOfMemoryError } from '../errors.ts';
import { type Address, NULL } from '../memory/address.ts';
import type { ViewConstructor } from '../memory/memory.ts';
import { typedArrayOf } from '../structs/array-field.ts';
import { Dropper, dropBlock, registerKind } from '../structs/drop.ts';
import type { BoundField, Field } from '../structs/field.ts';
import { registerLayout } from '../structs/schema.ts';
import { clearDeed, noteMove } from '../sync/deed.ts';
import { HEADER_BYTES, layHeader } from './container.ts';
import { swapOwned } from './owning-cell.ts';
import { type ContainerStore, homeOf } from './store.ts';

const STAGED = registerKind('STGD', (dropper, address) => {
  const hash = dropper.store.memory.u32[(address >>> 2) + 1]!;
  dropper.pushOwned(dropper.owningOf(hash), address + HEADER_BYTES);
  dropper.free(address);
});

const known = new WeakMap<ContainerStore, WeakMap<Field, Elements>>();

/**
 * A field as the element of containers in a heap: for all of them the same object, so that the engine
 * sees its closures as constants.
 *
 * @throws as the constructor
 */
export function elementsOf<E extends Field>(field: E, store: ContainerStore): Elements<E> {
  const home = homeOf(store);
  let ofHome = known.get(home);
  if (ofHome === undefined) {
    ofHome = new WeakMap();
    known.set(home, ofHome);
  }
  let elements = ofHome.get(field);
  if (elements === undefined) {
    elements = new Elements<Field>(field, home);
    ofHome.set(field, elements);
  }
  return elements as Elements<E>;
}

/** A field as the element of a container. */
export class Elements<E extends Field = Field> {
  readonly field: E;
  /** Where lies what the elements own. */
  readonly home: ContainerStore;
  /** As messages and inspectors name it. */
  readonly name: string;
  /** The layout hash. */
  readonly hash: number;
  /** Bytes from one element to the next. */
  readonly stride: number;
  /** Offsets of what an element owns. */
  readonly owning: readonly number[];
  /** The typed array of such elements, if there is one. */
  readonly Typed: ViewConstructor | undefined;
  readonly bound: BoundField;
  /** Those of `bound`. */
  readonly read: BoundField['read'];
  readonly write: BoundField['write'];
  /** Whether elements can be moved as 32-bit words. */
  private readonly words: boolean;

  /**
   * Makes the field known to all threads.
   *
   * @throws TypeError when a struct's layout cannot be resolved
   * @throws OutOfMemoryError when the heap has no room to register it
   */
  constructor(field: E, store: ContainerStore) {
    this.field = field;
    this.home = homeOf(store);
    this.name = field.spell().replaceAll('"', '');
    this.hash = registerLayout(field, this.home);
    this.bound = field.bind(this.home, this.name);
    this.read = this.bound.read;
    this.write = this.bound.write;
    this.stride = field.size;
    this.owning = field.owning;
    this.Typed = typedArrayOf(field);
    this.words = field.size % 4 === 0 && field.align >= 4;
  }

  /** A copy that shares no bytes with the heap. */
  load(address: number): unknown {
    const { read, load = read } = this.bound;
    return load(address);
  }

  /**
   * A block that holds the value behind kind and hash: the caller moves its bytes on and frees it.
   *
   * @throws OutOfMemoryError, or what writing throws
   */
  stage(given: unknown): Address {
    const { home, stride, owning, name } = this;
    const block = home.allocZeroed(HEADER_BYTES + stride);
    if (block === NULL) throw new OutOfMemoryError(stride, `an element, ${name}`);
    if (owning.length > 0) layHeader(home, block, STAGED, this.hash);
    try {
      this.bound.write(block + HEADER_BYTES, given);
    } catch (error) {
      this.unstage(block);
      throw error;
    }
    return block;
  }

  /** Drops and frees what was staged, when it cannot be moved on. */
  unstage(block: Address): void {
    if (this.owning.length > 0) dropBlock(this.home, block);
    else this.home.free(block);
  }

  /** Moves what was staged to `address`, by the store of `length` at `word`, and frees the block. */
  moveStaged(staged: Address, address: number, word: number, length: number): void {
    const { home } = this;
    const { u32 } = home.memory;
    noteMove(home.thread, staged, word, length);
    this.copy(staged + HEADER_BYTES, address);
    // Publishes: the element. Pairs with the loads of the length by readers.
    u32[word >>> 2] = length;
    u32[staged >>> 2] = 0;
    clearDeed(home.thread);
    home.free(staged);
  }

  /** Copies the bytes of one element. */
  copy(from: number, to: number): void {
    const { stride } = this;
    if (!this.words) {
      this.home.memory.u8.copyWithin(to, from, from + stride);
      return;
    }
    const { u32 } = this.home.memory;
    const source = from >>> 2;
    const target = to >>> 2;
    for (let index = 0, count = stride >>> 2; index < count; index++) {
      u32[target + index] = u32[source + index]!;
    }
  }

  /** Notes what the elements from `start` own, to be dropped by `run()`. Their cells become 0. */
  dropper(start: number, count: number): Dropper {
    const { owning, stride, home } = this;
    const dropper = new Dropper(home);
    for (let index = 0; index < count; index++) {
      for (const offset of owning) dropper.push(swapOwned(home, start + index * stride + offset, NULL));
    }
    return dropper;
  }

  /**
   * Moves what was staged to the place of an element, what each cell owns by one store.
   *
   * @returns what drops what the element owned
   */
  replace(staged: Address, address: number): Dropper {
    const { home, owning, stride } = this;
    const from = staged + HEADER_BYTES;
    const dropper = owning.length === 1 && stride === 4 ? new Dropper(home) : this.dropper(address, 1);
    const owned = owning.map((offset) => home.takeOut(from + offset));
    if (stride !== 4 || owning.length === 0) this.copy(from, address);
    owning.forEach((offset, i) => {
      dropper.push(swapOwned(home, address + offset, owned[i]!));
    });
    return dropper;
  }
}
