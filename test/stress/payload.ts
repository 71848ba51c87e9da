/** Payloads that say how long they are and what they should hold, so that any thread can check them. */

import type { Memory } from '../../src/index.ts';

/**
 *      size u32 │ seed u32 │ seed + 2, seed + 3, … │ rest of 0 to 3 bytes
 *
 * @param size at least 8
 */
export function stampPayload(memory: Memory, address: number, size: number, seed: number): void {
  const { u32, u8 } = memory;
  const first = address >>> 2;
  const words = size >>> 2;
  u32[first] = size;
  u32[first + 1] = seed;
  for (let i = 2; i < words; i++) u32[first + i] = seed + i;
  for (let at = address + words * 4; at < address + size; at++) u8[at] = seed;
}

/** What is wrong with a stamped payload, or undefined. */
export function payloadFault(memory: Memory, address: number): string | undefined {
  const { u32, u8 } = memory;
  const first = address >>> 2;
  const size = u32[first]!;
  const seed = u32[first + 1]!;
  const words = size >>> 2;
  if (size < 8 || address + size > memory.byteLength) return `payload at ${address}: size ${size}`;
  for (let i = 2; i < words; i++) {
    if (u32[first + i] !== (seed + i) >>> 0)
      return `payload at ${address}: word ${i} of ${words} was overwritten`;
  }
  for (let at = address + words * 4; at < address + size; at++) {
    if (u8[at] !== (seed & 0xff))
      return `payload at ${address}: byte ${at - address} of ${size} was overwritten`;
  }
  return undefined;
}
