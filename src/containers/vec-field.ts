/**
 * vec: a field that owns a vec, in 4 bytes.
 *
 *     field     │ address of a vec's block, 0 for a vec that was never filled │
 *
 * Reading gives a `SharedVec` whatever the field holds; its block is made by the first push. It borrows:
 * assigned to another field it is copied, and `SharedVec.take(view, 'list')` moves it out. Assigning a
 * `SharedVec` of one's own moves it in. Either builds the new vec first and links it by one store, then
 * drops what was there. A vec may be a list of
 * the struct that it stands in, when the field is a getter: `get children() { return vec(Node); }`.
 */

import { type Address, NULL } from '../memory/address.ts';
import { dropBlock } from '../structs/drop.ts';
import {
  type BoundField,
  checkField,
  Field,
  type init,
  show,
  type taken,
  type value,
} from '../structs/field.ts';
import type { FieldInit } from '../structs/inference.ts';
import type { StructStore } from '../structs/store.ts';
import { checkHeader } from './container.ts';
import { type Elements, elementsOf } from './elements.ts';
import { swapOwned } from './owning-cell.ts';
import { type ContainerStore, homeOf } from './store.ts';
import { SharedVec } from './vec.ts';
import { VEC } from './vec-storage.ts';

const AT_START: readonly number[] = Object.freeze([0]);

/** A field that owns a vec. */
export class VecField<E extends Field = Field> extends Field {
  declare readonly [value]: SharedVec<E>;
  declare readonly [init]: SharedVec<E> | Iterable<FieldInit<E>> | null;
  declare readonly [taken]: SharedVec<E>;
  override readonly kind = 'vec';
  override readonly size = 4;
  override readonly align = 4;
  /** What it is a list of. */
  readonly element: E;

  constructor(element: E) {
    super();
    this.element = element;
  }

  override get owning(): readonly number[] {
    return AT_START;
  }

  // Structs by name: a list of the struct itself has no end otherwise.
  override describe(): string {
    return this.spell();
  }

  override spell(): string {
    return `vec(${this.element.spell()})`;
  }

  override bind(anywhere: StructStore, path: string): BoundField {
    const store = homeOf(anywhere as ContainerStore);
    const { u32, byteLength } = store.memory;
    // Later: the element may be the struct that is being bound.
    let known: Elements<E> | undefined;
    const elementsHere = (): Elements<E> => {
      known ??= elementsOf(this.element, store);
      return known;
    };
    const read = (address: number): SharedVec<E> | undefined =>
      address > byteLength - 4 ? undefined : new SharedVec(store, elementsHere(), NULL, address);
    const write = (address: number, given: unknown): void => {
      // The view of a deleted struct has no cell: it writes nowhere.
      if (u32[address >>> 2] === undefined) return;
      if (given instanceof SharedVec && given.$isOwnedBy(address)) return;
      // Vecs look in the cell for their block.
      dropBlock(store, swapOwned(store, address, blockOf(store, elementsHere(), given, path)));
    };
    const take = (address: number): SharedVec<E> => {
      const elements = elementsHere();
      const block = u32[address >>> 2]! as Address;
      if (block !== NULL) checkHeader(store, block, VEC, elements.hash);
      swapOwned(store, address, NULL);
      return new SharedVec(store, elements, block, 0);
    };
    return {
      read,
      write,
      take,
      load: (address) => read(address)?.toArray(),
      json: (address) => read(address)?.toJSON(),
    };
  }
}

/** The block that holds what was given to a field; NULL for an empty vec. */
function blockOf(store: ContainerStore, elements: Elements, given: unknown, path: string): Address {
  if (given === null) return NULL;
  if (given instanceof SharedVec) {
    // What was read from a field is borrowed: a copy of a struct must not empty the one it is made of.
    if (given.$isOwned && given.elements.hash === elements.hash) return copyOf(store, elements, given);
    return given.$moveInto(elements, path);
  }
  if (typeof given !== 'object' || !(Symbol.iterator in given)) {
    throw new TypeError(
      `${path} takes an iterable of ${elements.name}, a SharedVec or null; got ${show(given)}`,
    );
  }
  return filled(store, elements, given as Iterable<unknown>);
}

/** A block with copies of another vec's elements, which share what those share. */
function copyOf(store: ContainerStore, elements: Elements, given: SharedVec): Address {
  return filled(store, elements, elements.Typed === undefined ? [...given] : given.asTypedArray());
}

function filled(store: ContainerStore, elements: Elements, values: Iterable<unknown>): Address {
  const made = new SharedVec(store, elements, NULL, 0);
  try {
    made.extend(values as Iterable<never>);
  } catch (error) {
    made.destroy();
    throw error;
  }
  return made.$giveUp();
}

/**
 * A field that owns a list of `element`: reads as a `SharedVec`, takes an array or iterable (which
 * replaces what was there), a `SharedVec` (which is moved in; copied when it is that of a field) or null. For a list of the struct itself, or
 * of one that is defined later, write it in a getter: `get children() { return vec(Node); }`.
 *
 * @throws TypeError when `element` is no field
 */
export function vec<E extends Field>(element: E): VecField<E> {
  checkField(element, 'vec takes a field');
  return new VecField(element);
}
