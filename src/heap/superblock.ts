/**
 * The superblock: the first bytes of every heap, which say that it is one and where its parts lie.
 *
 *       0        4         8            16           24      28           32
 *      ┌────────┬─────────┬────────────┬────────────┬───────┬────────────┬─────────────┐
 *      │ magic  │ version │ heap id 64 │ byteLength │ state │ maxThreads │ lockTimeout │
 *      │ "SABH" │ u32     │ random     │ f64        │ u32   │ u32        │ f64, ms     │
 *      └────────┴─────────┴────────────┴────────────┴───────┴────────────┴─────────────┘
 *       40      44        48           52           56                 64
 *      ┌───────┬─────────┬────────────┬────────────┬──────────────────┬─────────┬──────────┐
 *      │ slots │ layouts │ allocator  │ (unused)   │ root lock        │ root    │ root     │
 *      │ units │ units   │ units      │            │ word, nextHeld   │ list u32│ change   │
 *      └───────┴─────────┴────────────┴────────────┴──────────────────┴─────────┴──────────┘
 *       72                80                                                      128 bytes
 *      ┌─────────────────┬ ─ ─
 *      │ recovery lock   │
 *      │ word, nextHeld  │
 *      └─────────────────┴ ─ ─
 *      then: thread slots, layout registry, allocator
 *
 *      state   0 being laid out, 1 ready
 *
 * All but the root words and the locks is written once, by `create`; `state` is stored last.
 */

import { AttachError } from '../errors.ts';
import { type Address, KiB, UNIT } from '../memory/address.ts';
import { atomicLoad, atomicStore } from '../memory/atomics.ts';
import type { Memory } from '../memory/memory.ts';
import { SLOT_BYTES } from './slots.ts';

/** Bytes of the superblock. */
export const SUPERBLOCK_BYTES = 128;

/** Bytes of the layout registry. */
export const LAYOUT_BYTES = 4 * KiB;

/** "SABH", read as a little-endian word. */
const MAGIC = 0x48424153;
/** Goes up with every change of the layout of shared bytes. */
export const LAYOUT_VERSION = 2;

// Indexes of 32-bit words.
const VERSION = 1;
const ID = 2;
const STATE = 6;
const MAX_THREADS = 7;
const SLOTS = 10;
const LAYOUTS = 11;
const ALLOCATOR = 12;
// Indexes of f64 elements.
const BYTE_LENGTH = 2;
const LOCK_TIMEOUT = 4;

const READY = 1;

/** Where the lock of the roots lies. */
export const ROOT_LOCK = 56 as Address;
/** Where the lock lies that lets one thread at a time recover dead ones. */
export const RECOVERY_LOCK = 72 as Address;
/** Index of the word with the address of the first root entry. */
export const ROOT_LIST = 16;
/** Index of the word that changes, and is notified, whenever a root does. */
export const ROOT_CHANGE = 17;

/** What a superblock says. */
export interface Superblock {
  /** 16 hexadecimal digits, random for each heap. */
  readonly id: string;
  readonly maxThreads: number;
  readonly lockTimeout: number;
  /** First byte of the thread slots. */
  readonly slots: number;
  /** First byte of the layout registry. */
  readonly layouts: number;
  /** First byte of the allocator. */
  readonly allocator: number;
}

/** Where the parts of a new heap lie: one behind the other. */
export function placeParts(maxThreads: number, lockTimeout: number): Omit<Superblock, 'id'> {
  const slots = SUPERBLOCK_BYTES;
  const layouts = slots + maxThreads * SLOT_BYTES;
  return { maxThreads, lockTimeout, slots, layouts, allocator: layouts + LAYOUT_BYTES };
}

/** Writes all but the state: the heap is not to be attached yet. */
export function laySuperblock(memory: Memory, parts: Omit<Superblock, 'id'>): void {
  const { u32, f64 } = memory;
  memory.u8.fill(0, 0, SUPERBLOCK_BYTES);
  u32[VERSION] = LAYOUT_VERSION;
  renewSuperblock(memory);
  u32[MAX_THREADS] = parts.maxThreads;
  f64[LOCK_TIMEOUT] = parts.lockTimeout;
  u32[SLOTS] = parts.slots / UNIT;
  u32[LAYOUTS] = parts.layouts / UNIT;
  u32[ALLOCATOR] = parts.allocator / UNIT;
  u32[0] = MAGIC;
}

/** Says that the heap is one of its own, in this memory: after `laySuperblock`, or when its bytes were copied. */
export function renewSuperblock({ u32, f64, byteLength }: Memory): void {
  u32[ID] = Math.random() * 2 ** 32;
  u32[ID + 1] = Math.random() * 2 ** 32;
  f64[BYTE_LENGTH] = byteLength;
}

/** Publishes: the heap is laid out; pairs with the load in `readSuperblock`. */
export function publishSuperblock(memory: Memory): void {
  atomicStore(memory.i32, STATE, READY);
}

/**
 * Reads and checks the superblock.
 *
 * @throws AttachError when the buffer is no heap, of another version, cut short, or half laid out
 */
export function readSuperblock(memory: Memory): Superblock {
  const { u32, f64, byteLength } = memory;
  if (byteLength < SUPERBLOCK_BYTES || u32[0] !== MAGIC)
    throw new AttachError('the buffer is no sabheap heap: its first word differs');
  if (u32[VERSION] !== LAYOUT_VERSION) {
    throw new AttachError(
      `the heap has layout version ${u32[VERSION]}, this library reads version ${LAYOUT_VERSION}`,
    );
  }
  if (f64[BYTE_LENGTH] !== byteLength) {
    throw new AttachError(`the heap was made with ${f64[BYTE_LENGTH]} bytes, the buffer has ${byteLength}`);
  }
  if (atomicLoad(memory.i32, STATE) !== READY)
    throw new AttachError('the heap is not laid out yet, or its creator died while it was');
  const parts = {
    id: heapId(memory),
    maxThreads: u32[MAX_THREADS]!,
    lockTimeout: f64[LOCK_TIMEOUT]!,
    slots: u32[SLOTS]! * UNIT,
    layouts: u32[LAYOUTS]! * UNIT,
    allocator: u32[ALLOCATOR]! * UNIT,
  };
  const slotsEnd = parts.slots + parts.maxThreads * SLOT_BYTES;
  const ordered =
    SUPERBLOCK_BYTES <= parts.slots && slotsEnd <= parts.layouts && parts.layouts < parts.allocator;
  const threads = parts.maxThreads >= 1 && parts.maxThreads <= 255;
  if (!ordered || !threads || parts.allocator >= byteLength || !(parts.lockTimeout > 0)) {
    throw new AttachError('the superblock contradicts itself: the heap was overwritten');
  }
  return parts;
}

/** The heap's id, without any check. */
export function heapId(memory: Memory): string {
  const high = memory.u32[ID + 1]!.toString(16).padStart(8, '0');
  return high + memory.u32[ID]!.toString(16).padStart(8, '0');
}
