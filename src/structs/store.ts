/**
 * What the structs layer sees of a heap: its memory, four of its calls and its layout registry.
 *
 *     heap   implements  StructStore
 *     arena  implements  StructStore      with the memory and the registry of its heap
 *
 * Stores that share a registry share one memory and one registry home (see `LayoutRegistry.home`).
 */

import type { Address } from '../memory/address.ts';
import type { Memory } from '../memory/memory.ts';
import type { ArrayCells } from './drop.ts';
import { show } from './field.ts';
import type { LayoutRegistry } from './registry.ts';

/** Where structs live. */
export interface StructStore {
  /** The heap's id: a handle of one heap is refused by another. */
  readonly id?: string;
  readonly memory: Memory;
  /** This thread's handle of the registry in the shared bytes. A plain property: hot paths read it. */
  readonly layouts: LayoutRegistry;
  /** A zeroed block of `size` bytes, or NULL when exhausted. */
  allocZeroed(size: number, align?: number): Address;
  /** Gives a block back. */
  free(address: Address): void;
  /**
   * Marks a block as shared, because its address is about to lie in shared bytes. False when the
   * address is no block's start (an element of an array, say): then nothing is marked.
   */
  tryShare(address: Address): boolean;
  /** Takes a block out of the cell that owns it: see `takeOut` in sync/deed.ts. */
  takeOut(cell: number, flags?: number, after?: number): Address;
  /** Notes which struct lies in a block, where recovery is to find that: see structs/drop.ts. */
  layTail?(address: Address, hash: number, array?: ArrayCells): void;
}

/** Throws unless `store` is a heap or an arena, or has at least what structs need of one. */
export function checkStore(store: unknown): asserts store is StructStore {
  if ((store as Partial<StructStore> | null | undefined)?.layouts !== undefined) return;
  throw new TypeError(`a heap is wanted, to begin with; got ${show(store)}`);
}
