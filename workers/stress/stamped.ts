/**
 * Stamped blocks: every word of a block says which block it is, so that a write by anybody else shows.
 *
 *      ┌ size u32 ┬ stamp u32 ┬ stamp ┬ … ┐      stamp: size xor address
 *      └──────────┴───────────┴───────┴───┘
 */

import { type Address, atomic, type Heap, NULL, struct, u32 } from '../../src/index.ts';

/** Where threads exchange blocks. */
export const Slot = struct('Slot', { block: atomic(u32) });

/** Allocates a block of `size` bytes, a multiple of 4 and at least 4, and stamps it. */
export function allocStamped(heap: Heap, size: number): Address {
  const address = heap.alloc(size);
  if (address === NULL) return NULL;
  const { u32: words } = heap.memory;
  const first = address >>> 2;
  words[first] = size;
  for (let word = first + size / 4 - 1; word > first; word--) words[word] = (size ^ address) >>> 0;
  return address;
}

/** Checks every word of a stamped block, then frees it. `NULL` is nothing. */
export function freeStamped(heap: Heap, address: number): void {
  if (address === NULL) return;
  const { u32: words } = heap.memory;
  const first = address >>> 2;
  const size = words[first] as number;
  if (size > heap.sizeOf(address as Address))
    throw new Error(`block ${address} was overwritten: its size is ${size}`);
  for (let word = first + size / 4 - 1; word > first; word--) {
    if (words[word] !== (size ^ address) >>> 0)
      throw new Error(`block ${address} was overwritten at ${word * 4}`);
  }
  heap.free(address as Address);
}
