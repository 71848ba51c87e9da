/**
 * Queue block: what the blocks of channels and rings have in common, and how they are made and dropped.
 *
 *     address ▶ ┌ kind ┬ hash ┬ capacity ┬ … ┐ 128 ┌ tail ┐ 256 ┌ head ┐ 384 ┌ items ┬ room ┐
 *               └──────┴──────┴──────────┴───┘     └──────┘     └──────┘     └ events ──────┘
 *           512 ┌ state ┬ … ┐ ┌ value ┬ …
 *               └───────┴───┘ └───────┴──
 *
 * What tells of the cells comes first (a channel's states; a ring has none), then, on a line of its own,
 * their values without gaps: runs of them are copied.
 */

import '../containers/field-words.ts';
import { checkHeader, HEADER_BYTES, hashAt, layHeader } from '../containers/container.ts';
import type { ContainerStore } from '../containers/store.ts';
import { HeapCorruptionError, OutOfMemoryError } from '../errors.ts';
import { type Address, alignUp, NULL } from '../memory/address.ts';
import type { Dropper } from '../structs/drop.ts';
import { checkField, type Field } from '../structs/field.ts';
import { fieldWithHash, hashOfField, registerLayout } from '../structs/schema.ts';
import { type Shape, strideOf } from './item.ts';

// Offsets in bytes.
const HASH = 4;
const CAPACITY = HEADER_BYTES;
/** Where the next item goes: a position, and the highest bit once the queue is closed. */
export const TAIL = 128;
/** The position where the next item comes from. */
export const HEAD = 256;
/** The event that those sleep on who wait for an item. */
export const ITEMS = 384;
/** The event that those sleep on who wait for room. */
export const ROOM = 388;
/** Offset of the first state, or of the first value where there are none. */
export const ITEMS_START = 512;
const LINE_BYTES = 128;

/** What tells the blocks of one kind of queue. */
export interface QueueShape {
  readonly kind: number;
  /** In messages: 'a channel'. */
  readonly name: string;
  /** Bytes of a cell's state. */
  readonly stateBytes: number;
}

/** Offset of the first value. */
export function valuesStart(stateBytes: number, capacity: number): number {
  return alignUp(ITEMS_START + stateBytes * capacity, LINE_BYTES);
}

function byteLengthOf(field: Shape, stateBytes: number, capacity: number): number {
  return valuesStart(stateBytes, capacity) + capacity * strideOf(field);
}

/**
 * Lays out a queue's block, zeroed behind its header.
 *
 * @throws OutOfMemoryError when the store has no room
 */
export function createBlock(
  store: ContainerStore,
  shape: QueueShape,
  field: Field,
  capacity: number,
): Address {
  const hash = registerLayout(field, store);
  const byteLength = byteLengthOf(field, shape.stateBytes, capacity);
  const address = store.allocZeroed(byteLength, LINE_BYTES);
  if (address === NULL) throw new OutOfMemoryError(byteLength, `${shape.name} of ${capacity} items`);
  store.memory.u32[(address + CAPACITY) >>> 2] = capacity;
  layHeader(store, address, shape.kind, hash);
  return address;
}

/**
 * The field and the capacity of the queue at an address.
 *
 * @param given the field that it must carry; undefined to find it by what the heap has registered
 * @throws AttachError when something else lies there
 * @throws HeapCorruptionError when its capacity is no possible one
 */
export function openBlock(
  store: ContainerStore,
  shape: QueueShape,
  address: Address,
  given: Field | undefined,
): { readonly field: Field; readonly capacity: number } {
  if (given !== undefined) checkField(given, `${shape.name} carries a field`);
  checkHeader(store, address, shape.kind, given && hashOfField(given));
  const field = given ?? fieldWithHash(hashAt(store, address), store);
  const capacity = store.memory.u32[(address + CAPACITY) >>> 2]!;
  const byteLength = byteLengthOf(field, shape.stateBytes, capacity);
  if (capacity === 0 || byteLength > store.sizeOf(address)) {
    throw new HeapCorruptionError(address, `${shape.name} has a capacity of ${capacity}`);
  }
  return { field, capacity };
}

/** Has what is inside dropped, and clears the header: no object takes these bytes for its queue any more. */
export function dropItems(dropper: Dropper, address: number, stateBytes: number): void {
  const { memory, layouts } = dropper.store;
  const layout = layouts.find(memory.u32[(address + HASH) >>> 2]!);
  if (layout !== undefined && layout.owning.length > 0) {
    const stride = strideOf(layout);
    const capacity = memory.u32[(address + CAPACITY) >>> 2]!;
    const first = address + valuesStart(stateBytes, capacity);
    const end = first + capacity * stride;
    for (let value = first; value < end; value += stride) dropper.pushOwned(layout.owning, value);
  }
  memory.u32.fill(0, address >>> 2, (address + TAIL) >>> 2);
}
