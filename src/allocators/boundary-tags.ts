/**
 * Boundary tags: blocks that tile a region from end to end, split on alloc and coalesced on free, each
 * in O(1). What differs between first fit and segregated fit, the index of the free blocks, is left to
 * subclasses.
 *
 *      first                                                          end
 *      ├──────────────┬─────────┬───────────────┬──────────────┬───────┤
 *      │ block        │ block   │ free block    │ block        │ end   │
 *      └──────────────┴─────────┴───────────────┴──────────────┴───────┘
 *                                                               8 bytes, size 0
 *
 * Invariants, checked by `verify()`:
 *   1. blocks tile [first, end - 8), each a multiple of 8 and at least 24 bytes
 *   2. no two neighbours are free
 *   3. a block's "below free" bit tells the truth, and a free block's footer its size
 *   4. the index holds just the free blocks (each subclass says how)
 *   5. Σ usable bytes of the blocks given out = used, their count = allocations - frees
 *
 * Every change commits by one store of geometry, and at each single store the headers tile the region:
 * a split writes the upper header before it shrinks the lower block, a merge enlarges the lower block.
 *
 * Source: D. Knuth, The Art of Computer Programming vol. 1, 2.5, algorithm C (boundary tags).
 */

import { HeapCorruptionError } from '../errors.ts';
import { type Address, NULL, UNIT } from '../memory/address.ts';
import { Algorithm } from './algorithm.ts';
import {
  ALIGNED,
  BELOW_FREE,
  blockSizeFor,
  footerIndex,
  frontPadding,
  geometryIndex,
  HEADER_BYTES,
  IS_FREE,
  MIN_BLOCK,
  ownershipIndexOf,
  sizeIn,
} from './block.ts';
import * as control from './control.ts';
import { freeWord, liveWord, withoutClass } from './ownership.ts';

/** The bytes of a region's end marker: a header of size 0. */
export const END_MARKER = HEADER_BYTES;

/** Splitting and coalescing over an index of free blocks that a subclass keeps. */
export abstract class BoundaryTags extends Algorithm {
  // ── The index of free blocks, kept by the subclass ──────────────────────────────────────────────

  /** A free block of at least `size` bytes whose payload can be aligned, or 0. It stays in the index. */
  protected abstract findFree(size: number, align: number): number;

  /** Puts a new free block into the index. `after` is the free block next below it, or 0 if unknown. */
  protected abstract linkFree(block: number, size: number, after: number): void;

  /** Takes a free block out of the index. */
  protected abstract unlinkFree(block: number, size: number): void;

  /**
   * A free block now starts and ends elsewhere, still between the same neighbours. Reads the links of
   * `from` before it writes those of `to`: they may overlap.
   */
  protected abstract relinkFree(from: number, fromSize: number, to: number, toSize: number): void;

  /** Checks the index against the `count` free blocks, whose sizes sum to `bytes`. */
  protected abstract verifyIndex(count: number, bytes: number): void;

  // ── Allocate ────────────────────────────────────────────────────────────────────────────────────

  override allocBlock(size: number, align: number): Address {
    const need = blockSizeFor(size);
    const found = this.findFree(need, align);
    if (found === 0) return NULL;
    const { u32 } = this;
    const total = sizeIn(u32[geometryIndex(found)]!);
    const padding = align <= UNIT ? 0 : frontPadding(found, align);
    const block = found + padding;
    if (padding !== 0) this.#splitFront(found, total, padding);
    const rest = total - padding - need;
    if (rest >= MIN_BLOCK) this.#splitBack(found, total, padding, need);
    else if (padding === 0) this.unlinkFree(found, total);

    const taken = rest >= MIN_BLOCK ? need : total - padding;
    if (rest < MIN_BLOCK) u32[geometryIndex(block + taken)]! &= ~BELOW_FREE;
    const own = ownershipIndexOf(block);
    this.i32[own] = liveWord(this.i32[own]!, this.owner);
    const flags = (padding !== 0 ? BELOW_FREE : 0) | (align > UNIT ? ALIGNED : 0);
    u32[geometryIndex(block)] = taken | flags;
    return (block + HEADER_BYTES) as Address;
  }

  /** Leaves `padding` bytes as a free block of their own; the block above them is in no index yet. */
  #splitFront(lower: number, total: number, padding: number): void {
    this.#writeFree(lower + padding, total - padding, BELOW_FREE);
    this.u32[geometryIndex(lower)] = padding | IS_FREE;
    this.u32[footerIndex(lower, padding)] = padding;
    this.relinkFree(lower, total, lower, padding);
  }

  /** Leaves what lies above `padding + need` bytes of a free block as a free block of its own. */
  #splitBack(found: number, total: number, padding: number, need: number): void {
    const block = found + padding;
    const rest = block + need;
    const restSize = total - padding - need;
    if (padding === 0) this.relinkFree(found, total, rest, restSize);
    this.#writeFree(rest, restSize, 0);
    if (padding !== 0) this.linkFree(rest, restSize, found);
  }

  // ── Free ────────────────────────────────────────────────────────────────────────────────────────

  override freeBlock(address: Address): void {
    const block = address - HEADER_BYTES;
    const { u32 } = this;
    const geometry = u32[geometryIndex(block)]!;
    const size = sizeIn(geometry);
    const own = ownershipIndexOf(block);
    this.i32[own] = freeWord(this.i32[own]!);
    u32[geometryIndex(block)] = size | IS_FREE | (geometry & BELOW_FREE);
    this.#coalesce(block, size, (geometry & BELOW_FREE) !== 0, 0);
  }

  /** Merges a free block that is in no index with its free neighbours, and puts it into the index. */
  #coalesce(block: number, size: number, belowIsFree: boolean, after: number): void {
    const { u32 } = this;
    const above = block + size;
    const aboveGeometry = u32[geometryIndex(above)]!;
    const aboveIsFree = (aboveGeometry & IS_FREE) !== 0;
    const aboveSize = sizeIn(aboveGeometry);
    let merged = size;
    let start = block;
    if (belowIsFree) {
      const belowSize = this.#belowSize(block);
      start = block - belowSize;
      merged += belowSize;
      if (aboveIsFree) {
        this.unlinkFree(above, aboveSize);
        merged += aboveSize;
      }
      this.relinkFree(start, belowSize, start, merged);
    } else if (aboveIsFree) {
      merged += aboveSize;
      this.relinkFree(above, aboveSize, block, merged);
    } else {
      this.linkFree(block, size, after);
    }
    if (merged !== size) u32[geometryIndex(start)] = merged | IS_FREE;
    u32[footerIndex(start, merged)] = merged;
    u32[geometryIndex(start + merged)]! |= BELOW_FREE;
  }

  /** The size of the free block below, from its footer. */
  #belowSize(block: number): number {
    const size = this.u32[geometryIndex(block) - 1]!;
    const below = block - size;
    if (size < MIN_BLOCK || below < this.first || this.u32[geometryIndex(below)] !== ((size | IS_FREE) >>> 0)) {
      throw new HeapCorruptionError(block - 4, `the footer of the free block below says ${size}, its header not`);
    }
    return size;
  }

  // ── Resize ──────────────────────────────────────────────────────────────────────────────────────

  override resizeBlock(address: Address, size: number): boolean {
    const block = address - HEADER_BYTES;
    const need = blockSizeFor(size);
    const have = sizeIn(this.u32[geometryIndex(block)]!);
    if (need === have) return true;
    const above = block + have;
    const aboveGeometry = this.u32[geometryIndex(above)]!;
    const room = (aboveGeometry & IS_FREE) !== 0 ? sizeIn(aboveGeometry) : 0;
    if (need > have + room) return false;
    const rest = have + room - need;
    if (room === 0 && rest < MIN_BLOCK) return true;
    // The size is about to differ from the class's: a cache must not take the block for one of its own.
    const own = ownershipIndexOf(block);
    this.i32[own] = withoutClass(this.i32[own]!);
    this.#moveUpperEdge(block, above, room, need, rest);
    return true;
  }

  /** Ends `block` at `need` bytes; `rest` bytes above it are free, of which `room` were before. */
  #moveUpperEdge(block: number, above: number, room: number, need: number, rest: number): void {
    const { u32 } = this;
    const flags = u32[geometryIndex(block)]! & (BELOW_FREE | ALIGNED);
    if (rest < MIN_BLOCK) {
      this.unlinkFree(above, room);
      const all = need + rest;
      u32[geometryIndex(block)] = all | flags;
      u32[geometryIndex(block + all)]! &= ~BELOW_FREE;
      return;
    }
    const upper = block + need;
    if (room === 0) this.linkFree(upper, rest, 0);
    else this.relinkFree(above, room, upper, rest);
    this.#writeFree(upper, rest, 0);
    u32[geometryIndex(block)] = need | flags;
    u32[geometryIndex(upper + rest)]! |= BELOW_FREE;
  }

  // ── The region ──────────────────────────────────────────────────────────────────────────────────

  /** Makes one free block of [first, end). Called by `create`. */
  protected layRegion(first: number, end: number): void {
    const size = end - first - END_MARKER;
    this.#writeEnd(end - END_MARKER, BELOW_FREE);
    this.#writeFree(first, size, 0);
    this.linkFree(first, size, 0);
  }

  /**
   * Takes more bytes right above the region; they merge with a free block at its end.
   *
   * @param bytes rounded down to a multiple of 8
   * @returns false, with nothing changed, when the memory ends before, or when so few bytes have no
   * free block below to merge with
   */
  override extend(bytes: number): boolean {
    const size = bytes - (bytes % UNIT);
    const { u32 } = this;
    const end = this.end;
    const marker = end - END_MARKER;
    const belowIsFree = (u32[geometryIndex(marker)]! & BELOW_FREE) !== 0;
    if (size === 0 || end + size > this.memory.byteLength || (size < MIN_BLOCK && !belowIsFree)) return false;
    this.#writeEnd(marker + size, BELOW_FREE);
    const own = ownershipIndexOf(marker);
    this.i32[own] = 0;
    u32[geometryIndex(marker)] = size | IS_FREE | (belowIsFree ? BELOW_FREE : 0);
    u32[this.word + control.END] = (end + size) / UNIT;
    this.#coalesce(marker, size, belowIsFree, 0);
    return true;
  }

  /** Writes the header and footer of a free block. Its generation goes on from what lay there. */
  #writeFree(block: number, size: number, flags: number): void {
    const own = ownershipIndexOf(block);
    this.i32[own] = freeWord(this.i32[own]!);
    this.u32[geometryIndex(block)] = size | IS_FREE | flags;
    this.u32[footerIndex(block, size)] = size;
  }

  #writeEnd(marker: number, flags: number): void {
    this.i32[ownershipIndexOf(marker)] = 0;
    this.u32[geometryIndex(marker)] = flags;
  }

  // ── Look-ups and walks ──────────────────────────────────────────────────────────────────────────

  override usableSize(address: Address): number {
    return sizeIn(this.u32[geometryIndex(address - HEADER_BYTES)]!) - HEADER_BYTES;
  }

  override ownershipIndex(address: Address): number {
    if (address >>> 0 !== address || address % UNIT !== 0) return -1;
    const block = address - HEADER_BYTES;
    const end = this.end;
    if (block < this.first || block >= end - END_MARKER) return -1;
    const geometry = this.u32[geometryIndex(block)]!;
    const size = sizeIn(geometry);
    if ((geometry & IS_FREE) !== 0 || size < MIN_BLOCK || size > end - END_MARKER - block) return -1;
    // The block above knows that this one is not free.
    if ((this.u32[geometryIndex(block + size)]! & BELOW_FREE) !== 0) return -1;
    return ownershipIndexOf(block);
  }

  override ownershipAt(address: Address): number {
    return this.i32[ownershipIndexOf(address - HEADER_BYTES)]!;
  }

  override isFree(address: Address): boolean {
    return (this.u32[geometryIndex(address - HEADER_BYTES)]! & IS_FREE) !== 0;
  }

  override isOverAligned(address: Address): boolean {
    return (this.u32[geometryIndex(address - HEADER_BYTES)]! & ALIGNED) !== 0;
  }

  override firstBlock(): Address {
    return this.#payloadOrNull(this.first);
  }

  override blockAfter(address: Address): Address {
    const block = address - HEADER_BYTES;
    const size = sizeIn(this.u32[geometryIndex(block)]!);
    if (size < MIN_BLOCK || size > this.end - END_MARKER - block) {
      throw new HeapCorruptionError(block, `a block of ${size} bytes cannot be`);
    }
    return this.#payloadOrNull(block + size);
  }

  #payloadOrNull(block: number): Address {
    return (block >= this.end - END_MARKER ? NULL : block + HEADER_BYTES) as Address;
  }

  override freeBytes(): number {
    let bytes = 0;
    for (let block = this.nextFree(0); block !== 0; block = this.nextFree(block)) {
      bytes += sizeIn(this.u32[geometryIndex(block)]!) - HEADER_BYTES;
    }
    return bytes;
  }

  /** The free block after `block` in the index, in any order; the first one for 0; 0 at the end. */
  protected abstract nextFree(block: number): number;

  /** The free block that a link names, checked to lie in the region; 0 for none. */
  protected linked(link: number): number {
    const block = link * UNIT;
    if (block !== 0 && (block < this.first || block >= this.end)) {
      throw new HeapCorruptionError(block, 'a free-list link leads out of the region');
    }
    return block;
  }

  // ── Verify ──────────────────────────────────────────────────────────────────────────────────────

  override verify(): void {
    const { u32 } = this;
    let freeCount = 0;
    let freeTotal = 0;
    let used = 0;
    let liveCount = 0;
    let belowIsFree = false;
    for (let address = this.firstBlock(); address !== NULL; address = this.blockAfter(address)) {
      const block = address - HEADER_BYTES;
      const geometry = u32[geometryIndex(block)]!;
      const size = sizeIn(geometry);
      const isFree = (geometry & IS_FREE) !== 0;
      if (isFree && belowIsFree) throw new HeapCorruptionError(block, 'two neighbouring blocks are free');
      this.#verifyBelowBit(block, geometry, belowIsFree);
      if (isFree) {
        if (u32[footerIndex(block, size)] !== size) throw new HeapCorruptionError(block, 'the footer differs from the header');
        freeCount++;
        freeTotal += size;
      } else {
        used += size - HEADER_BYTES;
        liveCount++;
      }
      belowIsFree = isFree;
    }
    const marker = this.end - END_MARKER;
    this.#verifyBelowBit(marker, u32[geometryIndex(marker)]!, belowIsFree);
    this.verifyIndex(freeCount, freeTotal);
    this.verifyCounters(used, liveCount);
  }

  #verifyBelowBit(block: number, geometry: number, belowIsFree: boolean): void {
    if (((geometry & BELOW_FREE) !== 0) === belowIsFree) return;
    throw new HeapCorruptionError(block, `"below free" is wrong: the block below is ${belowIsFree ? '' : 'not '}free`);
  }

  /** The fewest bytes that a region needs behind a control block of `controlBytes`. */
  protected static leastBytes(controlBytes: number): number {
    return controlBytes + MIN_BLOCK + END_MARKER;
  }
}
