/**
 * Guard: what stands behind the user's bytes of a checked block, and what its bytes are once it is freed.
 *
 *      address                size            usable - 8       usable
 *      ├──────────────────────┼───────────────┼───────┬────────┤
 *      │ user bytes           │ canary 0…64   │ size  │ seal   │       while it is given out
 *      ├──────────────────────┴───────────────┴───────┴────────┤
 *      │ poison                                                │       while it is in quarantine
 *      └───────────────────────────────────────────────────────┘
 *
 *      key      a hash of secret and address
 *      canary   the key's bytes, none of them 0, up to where the size starts but 64 at most
 *      size     what was asked for, in bytes, xor the key
 *      seal     a hash of key, size and usable size, which the block's header says: a checksum of both
 *
 * A write past the user's bytes meets the canary or the size first. It goes unseen only when it writes what
 * stood there. Guards are written under the allocator's lock and stand still while the block is given out.
 */

import { HeapCorruptionError, hex } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import type { Memory } from '../memory/memory.ts';
import { fmix32 } from './fmix32.ts';

/** How much longer than asked for a guarded block is, at least. */
export const GUARD_BYTES = 8;
const LONGEST_CANARY = 64;

/** As an address it is misaligned, as a count far too large. */
const POISON_BYTE = 0xd5;
const POISON = 0xd5d5d5d5 | 0;
const NO_ZERO_BYTE = 0x01010101;
/** From here on a builtin beats a loop. */
const LONG = 512;

/** Writes and checks guards and poison. Usable sizes are multiples of 4, 8 at least. */
export class Guard {
  private readonly u8: Uint8Array;
  private readonly i32: Int32Array;
  private readonly secret: number;

  constructor(memory: Memory, secret: number) {
    this.u8 = memory.u8;
    this.i32 = memory.i32;
    this.secret = secret;
  }

  /** Guards `size` bytes of a block of `usable`. */
  write(address: Address, size: number, usable: number): void {
    const { u8, i32 } = this;
    const key = this.keyOf(address);
    const last = address + usable - GUARD_BYTES;
    const end = Math.min(last, address + size + LONGEST_CANARY);
    for (let at = address + size; at < end; at++) u8[at] = canaryByte(key, at);
    i32[last >>> 2] = size ^ key;
    i32[(last >>> 2) + 1] = sealOf(key, size, usable);
  }

  /** The size that the guard says, or -1 when size and seal do not fit each other, the address and `usable`. */
  sizeAt(address: Address, usable: number): number {
    const { i32 } = this;
    const key = this.keyOf(address);
    const last = (address + usable - GUARD_BYTES) >>> 2;
    const size = (i32[last]! ^ key) >>> 0;
    return size <= usable - GUARD_BYTES && i32[last + 1] === sealOf(key, size, usable) ? size : -1;
  }

  /**
   * The size that the guard says, after a look at all of it.
   *
   * @throws HeapCorruptionError naming the first byte that was overwritten
   */
  check(address: Address, usable: number): number {
    const size = this.sizeAt(address, usable);
    const last = address + usable - GUARD_BYTES;
    if (size < 0) {
      throw new HeapCorruptionError(
        last,
        `the guard of the block at ${hex(address)} was overwritten: a write past its end, or into its header`,
      );
    }
    const { u8 } = this;
    const key = this.keyOf(address);
    const end = Math.min(last, address + size + LONGEST_CANARY);
    for (let at = address + size; at < end; at++) {
      if (u8[at] !== canaryByte(key, at)) throw overrun(at, address, size);
    }
    return size;
  }

  /** Overwrites a freed block. */
  poison(address: Address, usable: number): void {
    if (usable >= LONG) {
      this.u8.fill(POISON_BYTE, address, address + usable);
      return;
    }
    const end = (address + usable) >>> 2;
    for (let word = address >>> 2; word < end; word++) this.i32[word] = POISON;
  }

  /** The address of the first 4 bytes of a poisoned block that were overwritten, or 0. */
  poisonFault(address: Address, usable: number): number {
    const end = (address + usable) >>> 2;
    for (let word = address >>> 2; word < end; word++) if (this.i32[word] !== POISON) return word * 4;
    return 0;
  }

  private keyOf(address: Address): number {
    return fmix32((address >>> 3) ^ this.secret);
  }
}

function canaryByte(key: number, at: number): number {
  return ((key | NO_ZERO_BYTE) >>> ((at & 3) << 3)) & 0xff;
}

function sealOf(key: number, size: number, usable: number): number {
  return fmix32((key + Math.imul(size, 0x9e3779b1)) ^ usable);
}

function overrun(at: number, address: Address, size: number): HeapCorruptionError {
  const past = at - address - size + 1;
  return new HeapCorruptionError(
    at,
    `byte ${past} past the end of the block of ${size} bytes at ${hex(address)}`,
  );
}
