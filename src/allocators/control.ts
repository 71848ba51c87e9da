/**
 * The control block that every allocator starts with: what it is, where its blocks lie, its counters.
 *
 *      0        4          8         12       16      24       32            40      48         56
 *     ┌────────┬──────────┬─────────┬────────┬───────┬────────┬─────────────┬───────┬──────────┬────────┐
 *     │ tag    │ param    │ first   │ end    │ used  │ peak   │ allocations │ frees │ failures │ own    │
 *     │ u32    │ u32      │ units   │ units  │ f64   │ f64    │ f64         │ f64   │ f64      │ 2 × u32│
 *     └────────┴──────────┴─────────┴────────┴───────┴────────┴─────────────┴───────┴──────────┴────────┘
 *     ▲ start                                                                                   64 bytes
 *
 *     tag     0x5ABA_0000 | version << 8 | kind; written last by `create`
 *     param   what the algorithm was made with (buddy: log2 of the smallest block, …)
 *     first   where the blocks start, in 8-byte units; the control block and maps usually lie below
 *     end     where the managed bytes end, in 8-byte units
 *
 * Written under the allocator's lock. `tag` and `param` never change after `create`.
 */

import { AttachError, hex } from '../errors.ts';
import type { Memory } from '../memory/memory.ts';

/** Bytes of a control block; the algorithm's own words may follow it. */
export const CONTROL_BYTES = 64;

// Indexes of 32-bit words from the control block's start, where the tag is.
export const PARAM = 1;
export const FIRST = 2;
export const END = 3;
/** Two words whose meaning the algorithm defines. */
export const OWN = 14;

// Indexes of f64 elements from the control block's start.
export const USED = 2;
export const PEAK = 3;
export const ALLOCATIONS = 4;
export const FREES = 5;
export const FAILURES = 6;

/** What kind of allocator a control block belongs to. */
export const KIND_BUMP = 1;
export const KIND_LINKED_LIST = 2;
export const KIND_BUDDY = 3;
export const KIND_POOL = 4;
export const KIND_HYBRID = 5;
export const KIND_LOCKED = 6;
export const KIND_TLSF = 7;
export const KIND_THREAD_CACHED = 8;
export const KIND_CHECKED = 9;

const KIND_NAMES = [
  '',
  'BumpAllocator',
  'LinkedListAllocator',
  'BuddyAllocator',
  'PoolAllocator',
  'HybridAllocator',
  'Locked',
  'TlsfAllocator',
  'ThreadCached',
  'Checked',
];

const MAGIC = 0x5aba_0000;
const VERSION = 1;

/** The tag of a kind in this version of the layout. */
export function tagOf(kind: number): number {
  return MAGIC | (VERSION << 8) | kind;
}

/**
 * Reads the kind of the allocator at `start`.
 *
 * @throws AttachError when there is none, or one of another version
 */
export function kindAt(memory: Memory, start: number): number {
  if (start >>> 0 !== start || start % 8 !== 0 || start > memory.byteLength - CONTROL_BYTES) {
    throw new AttachError(
      `no allocator can start at ${hex(start)}: it wants a multiple of 8 inside the memory`,
    );
  }
  const tag = memory.u32[start >>> 2]!;
  const kind = tag & 0xff;
  if (tag === 0)
    throw new AttachError(`the allocator at ${hex(start)} was never initialised: call create() first`);
  if (tag >>> 16 !== MAGIC >>> 16 || KIND_NAMES[kind] === undefined || kind === 0) {
    throw new AttachError(`no allocator starts at ${hex(start)}: the word there is ${hex(tag)}`);
  }
  if (((tag >>> 8) & 0xff) !== VERSION) {
    throw new AttachError(
      `the allocator at ${hex(start)} has layout version ${(tag >>> 8) & 0xff}, this library reads ${VERSION}`,
    );
  }
  return kind;
}

/**
 * Checks that an allocator of `kind` starts at `start` and that its bounds lie in the memory.
 *
 * @throws AttachError when not
 */
export function checkControl(memory: Memory, start: number, kind: number): void {
  const found = kindAt(memory, start);
  if (found !== kind) {
    throw new AttachError(`a ${KIND_NAMES[found]} starts at ${hex(start)}, not a ${KIND_NAMES[kind]}`);
  }
  const word = start >>> 2;
  const first = memory.u32[word + FIRST]! * 8;
  const end = memory.u32[word + END]! * 8;
  const inControl = first >= start && first < start + CONTROL_BYTES;
  if (inControl || end < first || end > memory.byteLength) {
    throw new AttachError(
      `the ${KIND_NAMES[kind]} at ${hex(start)} claims ${hex(first)} to ${hex(end)}, outside the memory`,
    );
  }
}
