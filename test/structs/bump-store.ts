/** A store that only ever allocates upwards and notes what it was told: enough of a heap for structs. */

import { type Address, alignUp, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { LayoutRegistry } from '../../src/structs/registry.ts';
import type { StructStore } from '../../src/structs/store.ts';

const REGISTRY = 64;
const REGISTRY_BYTES = 4096;
/** Where a store's first block lies. */
export const FIRST_BLOCK = REGISTRY + REGISTRY_BYTES;

export class BumpStore implements StructStore {
  readonly memory: Memory;
  readonly layouts: LayoutRegistry;
  /** Blocks that are live: address → size. */
  readonly blocks = new Map<number, number>();
  /** Blocks that were marked as shared. */
  readonly shared = new Set<number>();
  next = FIRST_BLOCK;

  constructor(memory: Memory, layouts: LayoutRegistry) {
    this.memory = memory;
    this.layouts = layouts;
    layouts.home = this;
  }

  static create(byteLength = 1 << 20): BumpStore {
    const memory = Memory.create(byteLength);
    return new BumpStore(memory, LayoutRegistry.create(memory, REGISTRY, REGISTRY_BYTES));
  }

  /** Another thread's handle of the same bytes, which allocates in its upper half. */
  attach(): BumpStore {
    const memory = Memory.attach(this.memory.buffer);
    const other = new BumpStore(memory, LayoutRegistry.attach(memory, REGISTRY));
    other.next = alignUp(memory.byteLength / 2, 8);
    return other;
  }

  allocZeroed(size: number, align = 8): Address {
    const address = alignUp(this.next, align);
    if (address + size > this.memory.byteLength) return NULL;
    this.next = address + Math.max(8, alignUp(size, 8));
    this.blocks.set(address, size);
    this.memory.u8.fill(0, address, address + size);
    return address as Address;
  }

  free(address: Address): void {
    if (!this.blocks.delete(address)) throw new Error(`free of ${address}, which is no block`);
  }

  tryShare(address: Address): boolean {
    if (!this.blocks.has(address)) return false;
    this.shared.add(address);
    return true;
  }

  takeOut(cell: number): Address {
    const block = this.memory.u32[cell >>> 2]!;
    this.memory.u32[cell >>> 2] = 0;
    return block as Address;
  }
}
