/**
 * The contract of every allocator: what containers and users may rely on, whichever is below.
 *
 * Exhaustion is an answer (`NULL`, `false`); misuse is an error. Sizes are bytes, alignments powers of
 * two. An allocator by itself serves one thread at a time; `Locked` makes it safe for many.
 */

import type { Address } from '../memory/address.ts';
import type { BlockState } from './ownership.ts';

/** Something that gives out blocks of shared bytes and takes them back. */
export interface Allocator {
  /**
   * Gives out a block. Its bytes hold whatever was there.
   *
   * @param size bytes; 0 gives a unique block that can be freed like any other
   * @param align power of two, default 8
   * @returns the block's address, or `NULL` when there is no room
   * @throws RangeError when `size` is no integer from 0 to 2^53 - 1, or `align` no power of two
   */
  alloc(size: number, align?: number): Address;

  /** As {@link alloc}, with the first `size` bytes zeroed. */
  allocZeroed(size: number, align?: number): Address;

  /**
   * Gives a block another size: in place when it can, else by moving it. Keeps min(old, new) bytes.
   *
   * @param address a live block, or `NULL`, which makes this an `alloc`
   * @param align power of two; by default the alignment that the block was allocated with
   * @returns the block's address now, or `NULL` when there is no room: the old block is as it was
   * @throws RangeError as {@link alloc}
   * @throws InvalidFreeError when `address` is no live block
   */
  realloc(address: Address, size: number, align?: number): Address;

  /**
   * Gives a block another size in place or not at all.
   *
   * @returns whether it did; when not, the block is as it was
   * @throws RangeError, InvalidFreeError as {@link realloc}
   */
  resize(address: Address, size: number): boolean;

  /**
   * Takes a block back. `free(NULL)` does nothing.
   *
   * @throws InvalidFreeError on a double, foreign, interior or misaligned free; nothing has changed
   */
  free(address: Address): void;

  /**
   * The bytes that the block can hold: at least what was asked for.
   *
   * @throws InvalidFreeError when `address` is no live block
   */
  sizeOf(address: Address): number;

  /** What the allocator has given out and has left. May walk the free blocks. */
  stats(): AllocatorStats;

  /** All blocks, free ones included, in address order. */
  blocks(): IterableIterator<BlockInfo>;

  /**
   * Checks every invariant, in time linear in the number of blocks.
   *
   * @throws HeapCorruptionError naming the address where one is broken
   */
  verify(): void;
}

/** Counters of an allocator. `capacity` = `used` + `free` + `overhead`. */
export interface AllocatorStats {
  /** All bytes that the allocator manages, its own included. */
  capacity: number;
  /** Usable bytes in blocks that are given out. */
  used: number;
  /** Usable bytes in free blocks. */
  free: number;
  /** The largest size that `alloc` would serve now, at the default alignment. */
  largestFree: number;
  /** Blocks that are given out. */
  liveBlocks: number;
  /** Blocks given out since the start. */
  allocations: number;
  /** Blocks taken back since the start. */
  frees: number;
  /** Requests that got `NULL`. */
  failures: number;
  /** The most that `used` has been. */
  peakUsed: number;
  /** Bytes that can never be given out as things are: headers, maps, padding. */
  overhead: number;
  /** How often the lock was taken, where there is one. */
  lockAcquisitions?: number;
  /** How often another thread held the lock at that moment. */
  lockContended?: number;
}

/** One block, as `blocks()` shows it. */
export interface BlockInfo {
  /** The address that `alloc` gave, or would give. */
  address: Address;
  /** Usable bytes. */
  size: number;
  /** Who holds it. */
  state: BlockState;
  /** The thread slot that owns it; 0 when none does. */
  owner: number;
}
