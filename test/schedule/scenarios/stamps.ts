/** Stamps: every byte of a block says who wrote it. */

import type { Address } from '../../../src/memory/address.ts';
import type { Memory } from '../../../src/memory/memory.ts';

/** Fills a block with a thread's stamp. */
export function stamp(memory: Memory, address: Address, size: number, value: number): void {
  memory.u8.fill(value, address, address + size);
}

/** Throws unless all of a block is as its holder left it. */
export function expectStamp(memory: Memory, address: Address, size: number, value: number): void {
  const found = memory.u8.slice(address, address + size);
  const at = found.findIndex((byte) => byte !== value);
  if (at >= 0)
    throw new Error(`the block at ${address} was overwritten at ${at}: ${found[at]}, not ${value}`);
}
