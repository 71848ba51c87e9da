/**
 * Owned struct: a struct in a block of its own, as Box and the fields `box(T)` and `union(A, B)` own it.
 *
 *     cell │ address ●─┼─▶ ┌ 'BOX_' ┬ layout hash ┬ struct ──────────┐
 *                          └────────┴─────────────┴──────────────────┘
 *                          0        4             8 ▲ payload, 8-aligned
 *
 * The hash says what the struct owns, so any thread can drop it.
 *
 * A struct is filled in before the one store that links it. What its own fields shall own is made empty,
 * linked, and filled in afterwards from a list, so neither filling nor loading a chain of a million
 * structs needs a stack.
 */

import { OutOfMemoryError } from '../errors.ts';
import { type Address, NULL } from '../memory/address.ts';
import { type Binding, openBinding } from '../structs/binding.ts';
import { dropBlock, dropOwned, kindWord, registerKind } from '../structs/drop.ts';
import type { AnyStructType } from '../structs/inference.ts';
import type { StructStore } from '../structs/store.ts';
import { assign, loadStruct, StructView } from '../structs/view.ts';
import { HEADER_BYTES, layHeader } from './container.ts';
import { swapOwned } from './owning-cell.ts';
import { type ContainerStore, homeOf } from './store.ts';

/** The kind word of an owned struct. */
export const BOX: number = registerKind(kindWord('BOX_'), 'Box', (dropper, address) => {
  const hash = dropper.store.memory.u32[(address >>> 2) + 1]!;
  dropper.pushOwned(dropper.owningOf(hash), address + HEADER_BYTES);
  dropper.free(address);
});

/** The type in the store's heap, its layout known to all threads. */
export function bindingIn(type: AnyStructType, store: StructStore): Binding {
  return store?.layouts?.bound[type?.id] ?? openBinding(type, store);
}

/**
 * A new owned struct, zeroed but for what `init` says. Nothing stays allocated when it throws.
 *
 * @throws OutOfMemoryError when there is no room
 * @throws TypeError when `init` names an unknown field or holds what a field does not take
 */
export function createOwned(store: ContainerStore, type: AnyStructType, init: unknown): Address {
  const binding = bindingIn(type, store);
  const block = layOwned(store, binding);
  if (init === undefined) return block;
  try {
    fill(binding, block + HEADER_BYTES, init);
  } catch (error) {
    freeOwned(store, type, block);
    throw error;
  }
  return block;
}

/** Frees an owned struct that may lie in an arena: what it owns lies in the heap. */
export function freeOwned(store: ContainerStore, type: AnyStructType, block: Address): void {
  const home = homeOf(store);
  if (store === home) {
    dropBlock(home, block);
    return;
  }
  dropOwned(home, bindingIn(type, store).type.owning, block + HEADER_BYTES);
  store.free(block);
}

function layOwned(store: ContainerStore, binding: Binding): Address {
  const block = store.allocZeroed(HEADER_BYTES + binding.size);
  if (block === NULL)
    throw new OutOfMemoryError(HEADER_BYTES + binding.size, `a Box of ${binding.type.name}`);
  layHeader(store, block, BOX, binding.type.hash);
  return block;
}

// Filling --------------------------------------------------------------------------------------------

interface Job {
  readonly binding: Binding;
  /** Where the struct lies. */
  readonly address: number;
  readonly init: unknown;
}

/** The struct that is being filled in, and those that it and others will own. */
interface Filling {
  start: number;
  end: number;
  /** Made with the first that waits: most structs are filled in at once. */
  waiting: Job[] | undefined;
}

let filling: Filling | undefined;

/**
 * Assigns `init` to a zeroed struct that nobody else sees yet, and to all that it comes to own.
 *
 * @throws TypeError, OutOfMemoryError; what the struct owns by then is the caller's to drop
 */
export function fill(binding: Binding, address: number, init: unknown): void {
  const outer = filling;
  const mine: Filling = { start: address, end: address + binding.size, waiting: undefined };
  filling = mine;
  try {
    assign(binding, address, init);
    for (let job = mine.waiting?.pop(); job !== undefined; job = mine.waiting?.pop()) {
      mine.start = job.address;
      mine.end = job.address + job.binding.size;
      assign(job.binding, job.address, job.init);
    }
  } finally {
    filling = outer;
  }
}

/**
 * Lets the owning cell at `cell` own a new struct: at once, or as soon as the struct that the cell is part
 * of is filled in. What it owned before is dropped.
 */
export function assignOwned(home: ContainerStore, cell: number, type: AnyStructType, init: unknown): void {
  const isPart = filling !== undefined && cell >= filling.start && cell < filling.end;
  // A struct in the making has nothing to drop and nobody who looks.
  if (!isPart || home.memory.u32[cell >>> 2] !== 0) {
    link(home, cell, createOwned(home, type, init));
    return;
  }
  const binding = bindingIn(type, home);
  const block = layOwned(home, binding);
  swapOwned(home, cell, block);
  filling!.waiting ??= [];
  filling!.waiting.push({ binding, address: block + HEADER_BYTES, init });
}

/** Whether `given` is a view that stands on what the owning cell holds already. */
export function isOwnValue(home: ContainerStore, cell: number, given: unknown): boolean {
  if (!(given instanceof StructView) || given.$row === undefined) return false;
  const { address } = (given as unknown as { $place: { address: number } }).$place;
  return home.memory.u32[cell >>> 2] === address - HEADER_BYTES;
}

// Cells ----------------------------------------------------------------------------------------------

/** Lets a cell own `block` (or nothing, for 0) and drops what it owned before. */
export function link(home: ContainerStore, cell: number, block: number): void {
  dropBlock(home, swapOwned(home, cell, block as Address));
}

// Loading --------------------------------------------------------------------------------------------

interface Copy {
  readonly binding: Binding;
  readonly address: number;
  readonly into: Record<string, unknown>;
}

interface Loading {
  readonly waiting: Copy[];
  /** Copies of structs that may have several owners, by address. */
  readonly shared: Map<number, Copy['into']>;
}

let loading: Loading | undefined;

/**
 * A plain object of the struct's fields, and of all that it owns.
 *
 * @param shared whether it may have several owners: then each gets the same copy, in circles too
 */
export function loadOwned(binding: Binding, address: number, shared: boolean = false): Copy['into'] {
  const known = shared ? loading?.shared.get(address) : undefined;
  if (known !== undefined) return known;
  const into: Copy['into'] = {};
  const waiting = loading?.waiting ?? [];
  waiting.push({ binding, address, into });
  if (loading !== undefined) {
    if (shared) loading.shared.set(address, into);
    return into;
  }
  loading = { waiting, shared: new Map(shared ? [[address, into]] : []) };
  try {
    for (let copy = waiting.pop(); copy !== undefined; copy = waiting.pop()) {
      loadStruct(copy.binding, copy.address, copy.into);
    }
  } finally {
    loading = undefined;
  }
  return into;
}
