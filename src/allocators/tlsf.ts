/**
 * TLSF: two-level segregated fit. Free blocks lie in bins by size; two levels of bitmaps find a bin that
 * fits without a search, so alloc and free take a bounded number of steps, however many blocks there are.
 *
 *      control 64
 *      ┌ row mask u32 ┬ bitmap of row 0 … 24 (u32 each) ┬ head of bin 0 … 799, u32 each ┐
 *      └──────────────┴─────────────────────────────────┴───────────────────────────────┘
 *       bit r: row r    bit c: bin r · 32 + c             doubly linked, newest first
 *       is not empty    is not empty
 *
 *      bin of a size   below 256    row 0, one bin for every 8 bytes
 *                      otherwise    row log2(size) - 7, 32 bins to a doubling (widths of 3 % at most)
 *
 * alloc    good fit: the own bin's first few blocks, then the head of the next bin that is not empty,
 *          where every block fits: O(1). Before exhaustion is the answer, all of the own bin
 * free     O(1): boundary tags find the neighbours, bitmaps and links are patched
 * resize   in place both ways, growing into a free block above
 *
 * Index invariant (4): bin b lists just the free blocks whose size falls into b; a bit is set while its
 * bin (row) is not empty. Metadata: 8 bytes a block. Serves one thread: put `Locked` around it for many.
 *
 * Source: M. Masmano et al., "TLSF: a new dynamic memory allocator for real-time systems", ECRTS 2004.
 */

import { HeapCorruptionError } from '../errors.ts';
import * as addresses from '../memory/address.ts';
import type { Memory } from '../memory/memory.ts';
import type { Thread } from '../sync/thread.ts';
import { checkRegion, layControl, type RegionOptions, sealControl } from './algorithm.ts';
import * as blocks from './block.ts';
import { CONTROL_BYTES, checkControl, KIND_TLSF } from './control.ts';
import { Runs } from './runs.ts';

// V8 folds the constants of a module, but loads imported ones, functions too, at each use.
const UNIT = addresses.UNIT;
const frontPadding = blocks.frontPadding;
const geometryIndex = blocks.geometryIndex;
const IS_FREE = blocks.IS_FREE;
const MIN_UNITS = blocks.MIN_UNITS;
const nextIndex = blocks.nextIndex;
const prevIndex = blocks.prevIndex;
const unitsIn = blocks.unitsIn;

const ROW_BITS = 5;
const BINS_PER_ROW = 1 << ROW_BITS;
const ROWS = 25;
const BINS = ROWS * BINS_PER_ROW;
/** One more than the most units that a block can have. */
const LARGEST_UNITS = 2 ** 29;

// Indexes of 32-bit words behind the control block.
const ROW_MASK = CONTROL_BYTES / 4;
const BITMAPS = ROW_MASK + 1;
const HEADS = BITMAPS + ROWS;
const INDEX_BYTES = addresses.alignUp((1 + ROWS + BINS) * 4, UNIT);

/** How many blocks of the own bin are tried before the next bin is taken. */
const TRIES = 8;

/** The general-purpose allocator: O(1), little fragmentation. Serves one thread: put `Locked` around it for many. */
export class TlsfAllocator extends Runs {
  /**
   * Lays out an empty allocator.
   *
   * @throws RangeError when the region is misaligned, outside the memory, or below 3,400 bytes
   */
  static create(memory: Memory, options: RegionOptions = {}): TlsfAllocator {
    const controlBytes = CONTROL_BYTES + INDEX_BYTES;
    const region = checkRegion(memory, options, Runs.leastBytes(controlBytes));
    const first = region.start + controlBytes;
    layControl(memory, region, 0, first, region.end);
    memory.u8.fill(0, region.start + CONTROL_BYTES, first);
    const allocator = new TlsfAllocator(memory, region.start, options.thread, options.linkKey);
    allocator.layRegion(first, region.end);
    sealControl(memory, region.start, KIND_TLSF);
    return allocator;
  }

  /**
   * Adopts the allocator that `create` laid out at `start`.
   *
   * @throws AttachError when there is none
   */
  static attach(memory: Memory, start: number, thread?: Thread, linkKey?: number): TlsfAllocator {
    checkControl(memory, start, KIND_TLSF);
    return new TlsfAllocator(memory, start, thread, linkKey);
  }

  protected override get controlBytes(): number {
    return CONTROL_BYTES + INDEX_BYTES;
  }

  // ── Find ────────────────────────────────────────────────────────────────────────────────────────

  protected override findFree(units: number, align: number): number {
    if (align > UNIT) return this.#findAligned(units, align);
    const bin = binOf(units);
    return (
      this.#fitIn(bin, units, TRIES) ||
      this.#headFrom(bin + 1) ||
      this.#fitIn(bin, units, this.claimedBytes / UNIT)
    );
  }

  /** A block of at least `units` among the first `limit` of a bin, or 0. */
  #fitIn(bin: number, units: number, limit: number): number {
    let block = this.#head(bin);
    for (let tries = 0; block !== 0 && tries < limit; tries++) {
      if (unitsIn(this.i32[geometryIndex(block)]!) >= units) return block;
      block = this.#next(block);
    }
    return 0;
  }

  /** The first block of the lowest bin from `bin` on that is not empty, or 0. */
  #headFrom(bin: number): number {
    const filled = this.#filledFrom(bin);
    return filled < 0 ? 0 : this.#head(filled);
  }

  /** The lowest bin from `bin` on that is not empty, or -1. */
  #filledFrom(bin: number): number {
    if (bin >= BINS) return -1;
    const { i32, word } = this;
    let row = bin >>> ROW_BITS;
    let bins = i32[word + BITMAPS + row]! & (-1 << (bin & (BINS_PER_ROW - 1)));
    if (bins === 0) {
      const rows = i32[word + ROW_MASK]! & (-2 << row);
      if (rows === 0) return -1;
      row = lowestBit(rows);
      bins = i32[word + BITMAPS + row]!;
    }
    return (row << ROW_BITS) + lowestBit(bins);
  }

  /**
   * A block whose payload can be aligned: one that is surely long enough, else one that happens to be,
   * which takes a look at every block of the bins that may hold it.
   */
  #findAligned(units: number, align: number): number {
    const sure = units + align / UNIT + MIN_UNITS;
    const block = sure < LARGEST_UNITS ? this.#headFrom(binOf(sure) + 1) : 0;
    if (block !== 0) return block;
    for (let bin = this.#filledFrom(binOf(units)); bin >= 0; bin = this.#filledFrom(bin + 1)) {
      for (let at = this.#head(bin); at !== 0; at = this.#next(at)) {
        if (unitsIn(this.i32[geometryIndex(at)]!) >= frontPadding(at, align) + units) return at;
      }
    }
    return 0;
  }

  // ── Link ────────────────────────────────────────────────────────────────────────────────────────

  protected override linkFree(block: number, units: number): void {
    const { i32, word } = this;
    const bin = binOf(units);
    const next = this.#head(bin);
    this.setLink(nextIndex(block), next);
    this.setLink(prevIndex(block), 0);
    i32[word + HEADS + bin] = block;
    if (next !== 0) {
      this.setLink(prevIndex(next), block);
      return;
    }
    const row = bin >>> ROW_BITS;
    i32[word + BITMAPS + row]! |= 1 << (bin & (BINS_PER_ROW - 1));
    i32[word + ROW_MASK]! |= 1 << row;
  }

  protected override unlinkFree(block: number, units: number): void {
    const { i32, word } = this;
    const bin = binOf(units);
    const next = this.#next(block);
    const prev = this.#prev(block, bin);
    if (next !== 0) this.setLink(prevIndex(next), prev);
    if (prev !== 0) {
      this.setLink(nextIndex(prev), next);
      return;
    }
    i32[word + HEADS + bin] = next;
    if (next !== 0) return;
    const row = bin >>> ROW_BITS;
    const bins = i32[word + BITMAPS + row]! & ~(1 << (bin & (BINS_PER_ROW - 1)));
    i32[word + BITMAPS + row] = bins;
    if (bins === 0) i32[word + ROW_MASK]! &= ~(1 << row);
  }

  protected override relinkFree(from: number, fromUnits: number, to: number, toUnits: number): void {
    if (binOf(fromUnits) === binOf(toUnits)) {
      if (from !== to) this.#moveLinks(from, to, binOf(toUnits));
      return;
    }
    this.unlinkFree(from, fromUnits);
    this.linkFree(to, toUnits);
  }

  /** A free block starts elsewhere, but stays in its bin: its neighbours there are told. */
  #moveLinks(from: number, to: number, bin: number): void {
    const next = this.#next(from);
    const prev = this.#prev(from, bin);
    this.setLink(nextIndex(to), next);
    this.setLink(prevIndex(to), prev);
    if (next !== 0) this.setLink(prevIndex(next), to);
    if (prev !== 0) this.setLink(nextIndex(prev), to);
    else this.i32[this.word + HEADS + bin] = to;
  }

  #head(bin: number): number {
    return this.headed(this.i32[this.word + HEADS + bin]!);
  }

  /**
   * The next block in the bin, 0 at the end. It must link back: so no walk runs in a circle, and no link that
   * was overwritten leads astray.
   */
  #next(block: number): number {
    const next = this.linkAt(nextIndex(block));
    if (next !== 0 && this.linkAt(prevIndex(next)) !== block) throw this.strayLink(block, next);
    return next;
  }

  /** The block before in the bin, 0 for the first one. What leads on from there must agree. */
  #prev(block: number, bin: number): number {
    const prev = this.linkAt(prevIndex(block));
    const there = prev === 0 ? this.i32[this.word + HEADS + bin] : this.linkAt(nextIndex(prev));
    if (there !== block) throw this.strayLink(block, prev);
    return prev;
  }

  protected override clearIndex(): void {
    this.i32.fill(0, this.word + ROW_MASK, this.word + HEADS + BINS);
  }

  // ── Look ────────────────────────────────────────────────────────────────────────────────────────

  protected override nextFree(block: number): number {
    if (block === 0) return this.#headFrom(0);
    return this.#next(block) || this.#headFrom(binOf(this.freeUnits(block)) + 1);
  }

  override largestFree(): number {
    const rows = this.i32[this.word + ROW_MASK]!;
    if (rows === 0) return 0;
    const row = 31 - Math.clz32(rows);
    const bin = (row << ROW_BITS) + 31 - Math.clz32(this.i32[this.word + BITMAPS + row]!);
    let largest = 1;
    for (let block = this.#head(bin); block !== 0; block = this.#next(block)) {
      largest = Math.max(largest, unitsIn(this.i32[geometryIndex(block)]!));
    }
    return (largest - 1) * UNIT;
  }

  protected override verifyIndex(count: number): void {
    let seen = 0;
    for (let bin = 0; bin < BINS; bin++) {
      const bit = (this.i32[this.word + BITMAPS + (bin >>> ROW_BITS)]! >>> (bin & (BINS_PER_ROW - 1))) & 1;
      let prev = 0;
      for (let block = this.#head(bin); block !== 0; block = this.#next(block)) {
        this.#verifyListed(block, bin, prev);
        if (++seen > count)
          throw new HeapCorruptionError(block * UNIT, `a bin lists more than the ${count} free blocks`);
        prev = block;
      }
      if ((bit === 1) !== (prev !== 0))
        throw new HeapCorruptionError(this.start, `the bitmap is wrong about bin ${bin}`);
    }
    if (seen !== count)
      throw new HeapCorruptionError(this.start, `${count} free blocks, ${seen} of them in bins`);
    for (let row = 0; row < ROWS; row++) {
      const bit = (this.i32[this.word + ROW_MASK]! >>> row) & 1;
      if ((bit === 1) !== (this.i32[this.word + BITMAPS + row] !== 0)) {
        throw new HeapCorruptionError(this.start, `the row mask is wrong about row ${row}`);
      }
    }
  }

  #verifyListed(block: number, bin: number, prev: number): void {
    const geometry = this.i32[geometryIndex(block)]!;
    const at = block * UNIT;
    if ((geometry & IS_FREE) === 0) throw new HeapCorruptionError(at, 'a block in a bin is not free');
    if (binOf(unitsIn(geometry)) !== bin)
      throw new HeapCorruptionError(at, 'a free block lies in the wrong bin');
    if (this.linkAt(prevIndex(block)) !== prev)
      throw new HeapCorruptionError(at, 'a link of a free block does not lead back: it was overwritten');
  }
}

/** The bin that a free block of so many units lies in. */
function binOf(units: number): number {
  if (units < BINS_PER_ROW) return units;
  const log = 31 - Math.clz32(units);
  return ((log - ROW_BITS + 1) << ROW_BITS) + ((units >>> (log - ROW_BITS)) & (BINS_PER_ROW - 1));
}

function lowestBit(mask: number): number {
  return 31 - Math.clz32(mask & -mask);
}
