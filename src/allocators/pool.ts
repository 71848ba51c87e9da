/**
 * Pool: blocks of one size, given out and taken back in O(1).
 *
 *      start                                     first                                     end
 *      ├─────────┬──────────┬───────────────┬──────┼─────────┬─────────┬─────────┬───────────┤
 *      │ control │ free map │ ownership map │ pad  │ block 0 │ block 1 │ block 2 │ …         │
 *      └─────────┴──────────┴───────────────┴──────┴─────────┴─────────┴─────────┴───────────┘
 *       64        a byte     a word for each block
 *
 *      free map     0 free, 1 given out
 *      free block   its first word is the unit of the next free block, 0 at the end
 *
 * Blocks from `fresh` on have never been given out and are in no list, so that `create` touches no
 * block. All blocks are aligned to the largest power of two that divides the block size (4,096 at most).
 * `resize` works within the block size, `extend` never. Metadata: 5 bytes a block. Serves one thread:
 * put `Locked` around it for many.
 *
 * Invariants: 1. the list and the blocks from `fresh` on are just the free blocks; 2. the counters match.
 */

import { AttachError, HeapCorruptionError, hex } from '../errors.ts';
import { type Address, alignUp, NULL, naturalAlign, UNIT } from '../memory/address.ts';
import { checkInteger } from '../memory/layout.ts';
import type { Memory } from '../memory/memory.ts';
import type { Thread } from '../sync/thread.ts';
import {
  Algorithm,
  checkRegion,
  layControl,
  type OwnershipCodec,
  type RegionOptions,
  sealControl,
} from './algorithm.ts';
import { CONTROL_BYTES, checkControl, KIND_POOL, OWN, PARAM, USED } from './control.ts';
import * as ownership from './ownership.ts';

// V8 folds the constants of a module, but loads imported ones, functions too, at each use.
const freeWord = ownership.freeWord;
const liveWord = ownership.liveWord;
const withoutClass = ownership.withoutClass;

const HEAD = OWN;
const FRESH = OWN + 1;
const PAGE = 4096;
const GIVEN_OUT = 1;

/** What a pool can be told. */
export interface PoolOptions extends RegionOptions {
  /** Bytes of each block, 1 to 2^31; rounded up to a multiple of 8. */
  readonly blockSize: number;
}

/** For many things of one size. Serves one thread: put `Locked` around it for many. */
export class PoolAllocator extends Algorithm {
  /** Bytes of each block. */
  readonly blockSize: number;
  /** How many blocks there are. */
  readonly capacity: number;
  readonly #first: number;
  readonly #freeMap: number;
  readonly #ownershipMap: number;

  /**
   * Lays out an empty pool with as many blocks as the region holds.
   *
   * @throws RangeError when the region is misaligned, outside the memory or too small for one block
   */
  static create(memory: Memory, options: PoolOptions): PoolAllocator {
    checkInteger('blockSize', options.blockSize, 1, 2 ** 31);
    const blockSize = alignUp(options.blockSize, UNIT);
    const region = checkRegion(memory, options, CONTROL_BYTES + UNIT + blockSize);
    const bytes = region.end - region.start - CONTROL_BYTES;
    let count = Math.floor(bytes / (blockSize + 5));
    while (count > 0 && firstBlockOf(region.start, count, blockSize) + count * blockSize > region.end)
      count--;
    if (count === 0)
      throw new RangeError(
        `a region of ${bytes + CONTROL_BYTES} bytes is too small for a block of ${blockSize}`,
      );
    const first = firstBlockOf(region.start, count, blockSize);
    layControl(memory, region, blockSize, first, first + count * blockSize);
    memory.u8.fill(0, region.start + CONTROL_BYTES, first);
    sealControl(memory, region.start, KIND_POOL);
    return new PoolAllocator(memory, region.start, options.thread, options.linkKey);
  }

  /**
   * Adopts the pool that `create` laid out at `start`.
   *
   * @throws AttachError when there is none
   */
  static attach(memory: Memory, start: number, thread?: Thread, linkKey?: number): PoolAllocator {
    checkControl(memory, start, KIND_POOL);
    const pool = new PoolAllocator(memory, start, thread, linkKey);
    const { blockSize, capacity } = pool;
    const whole = blockSize >= UNIT && blockSize % UNIT === 0 && Number.isInteger(capacity);
    if (!whole || firstBlockOf(start, capacity, blockSize) > pool.#first) {
      throw new AttachError(`the pool at ${hex(start)} has a block size that contradicts its bounds`);
    }
    return pool;
  }

  private constructor(memory: Memory, start: number, thread?: Thread, linkKey?: number) {
    super(memory, start, thread, linkKey);
    this.blockSize = this.u32[this.word + PARAM]!;
    this.capacity = (this.end - this.first) / this.blockSize;
    this.#first = this.first;
    this.#freeMap = start + CONTROL_BYTES;
    this.#ownershipMap = (this.#freeMap + alignUp(this.capacity, 4)) >>> 2;
  }

  override allocBlock(size: number, align: number): Address {
    if (size > this.blockSize || align > Math.min(PAGE, naturalAlign(this.blockSize))) return NULL;
    const { u32, i32, word } = this;
    const listed = u32[word + HEAD]! * UNIT;
    const fresh = u32[word + FRESH]!;
    if (listed === 0 && fresh === this.capacity) return NULL;
    const block = listed === 0 ? this.#first + fresh * this.blockSize : listed;
    const index = (block - this.#first) / this.blockSize;
    if (!this.#isFreeAt(block))
      throw new HeapCorruptionError(block, 'the head of the free list was overwritten');
    if (listed === 0) u32[word + FRESH] = fresh + 1;
    else u32[word + HEAD] = this.#after(block);
    i32[this.#ownershipMap + index] = liveWord(i32[this.#ownershipMap + index]!, this.owner);
    this.memory.u8[this.#freeMap + index] = GIVEN_OUT;
    return block as Address;
  }

  override freeBlock(address: Address): void {
    const { u32, i32, word } = this;
    const index = (address - this.#first) / this.blockSize;
    i32[this.#ownershipMap + index] = freeWord(i32[this.#ownershipMap + index]!);
    this.memory.u8[this.#freeMap + index] = 0;
    this.setLink(address >>> 2, u32[word + HEAD]!);
    u32[word + HEAD] = address / UNIT;
  }

  override resizeBlock(address: Address, size: number): boolean {
    if (size > this.blockSize) return false;
    const own = this.ownershipIndex(address);
    this.i32[own] = withoutClass(this.i32[own]!);
    return true;
  }

  override extend(bytes: number): boolean {
    checkInteger('bytes', bytes, 0, Number.MAX_SAFE_INTEGER);
    return false;
  }

  override usableSize(): number {
    return this.blockSize;
  }

  override ownershipIndex(address: Address): number {
    if (address >>> 0 !== address || address < this.#first || address >= this.end) return -1;
    const index = (address - this.#first) / this.blockSize;
    if (index >>> 0 !== index || this.memory.u8[this.#freeMap + index] !== GIVEN_OUT) return -1;
    return this.#ownershipMap + index;
  }

  override ownershipCodec(): OwnershipCodec {
    return { lowest: 0, highest: 0, shift: 0, base: 0 };
  }

  override ownershipIndexAt(address: Address): number {
    return this.#ownershipMap + (address - this.#first) / this.blockSize;
  }

  override isFree(address: Address): boolean {
    return this.memory.u8[this.#freeMap + (address - this.#first) / this.blockSize] === 0;
  }

  override firstBlock(): Address {
    return this.#first as Address;
  }

  override blockAfter(address: Address): Address {
    const next = address + this.blockSize;
    return (next === this.end ? NULL : next) as Address;
  }

  override freeBytes(): number {
    const { f64, double } = this;
    return this.capacity * this.blockSize - f64[double + USED]!;
  }

  override largestFree(): number {
    return this.freeBytes() > 0 ? this.blockSize : 0;
  }

  override verify(): void {
    const fresh = this.u32[this.word + FRESH]!;
    let free = 0;
    for (let block = this.#first as Address; block !== NULL; block = this.blockAfter(block)) {
      const index = (block - this.#first) / this.blockSize;
      const byte = this.memory.u8[this.#freeMap + index]!;
      if (byte > GIVEN_OUT) throw new HeapCorruptionError(block, `a free-map byte of ${byte} cannot be`);
      if (byte !== 0 && index >= fresh)
        throw new HeapCorruptionError(block, 'a block is given out that never was');
      this.verifyOwnership(block);
      if (byte === 0) free++;
    }
    this.#verifyList(free - (this.capacity - fresh));
    this.verifyCounters((this.capacity - free) * this.blockSize, this.capacity - free);
  }

  override rebuild(): void {
    const { u32, word, capacity } = this;
    const { u8 } = this.memory;
    let head = 0;
    let fresh = 0;
    let live = 0;
    // Downwards: the highest block that is given out ends the list, and the lowest free one heads it.
    for (let index = capacity - 1; index >= 0; index--) {
      const block = this.#first + index * this.blockSize;
      const byte = u8[this.#freeMap + index]!;
      if (byte > GIVEN_OUT) throw new HeapCorruptionError(block, `a free-map byte of ${byte} cannot be`);
      if (!this.settleOwnership(this.#ownershipMap + index, byte === 0)) {
        if (fresh === 0) fresh = index + 1;
        live++;
        continue;
      }
      u8[this.#freeMap + index] = 0;
      if (index >= fresh) continue;
      this.setLink(block >>> 2, head);
      head = block / UNIT;
    }
    u32[word + HEAD] = head;
    u32[word + FRESH] = fresh;
    this.settleCounters(live * this.blockSize, live);
  }

  /** The unit of the free block after one in the list, 0 at the end. */
  #after(block: number): number {
    const next = this.linkAt(block >>> 2);
    if (next !== 0 && !this.#isFreeAt(next * UNIT)) {
      throw new HeapCorruptionError(block, 'the link of a free block leads to none: it was overwritten');
    }
    return next;
  }

  #isFreeAt(block: number): boolean {
    const index = (block - this.#first) / this.blockSize;
    return index >= 0 && index < this.capacity && this.memory.u8[this.#freeMap + index] === 0;
  }

  #verifyList(expected: number): void {
    let listed = 0;
    for (let block = this.u32[this.word + HEAD]! * UNIT; block !== 0; block = this.#after(block) * UNIT) {
      if (!this.#isFreeAt(block) || ++listed > expected) {
        throw new HeapCorruptionError(block, 'the free list is broken');
      }
    }
    if (listed !== expected)
      throw new HeapCorruptionError(this.start, `${expected} blocks should be listed as free, ${listed} are`);
  }
}

function firstBlockOf(start: number, count: number, blockSize: number): number {
  return alignUp(
    start + CONTROL_BYTES + alignUp(count, 4) + 4 * count,
    Math.min(PAGE, naturalAlign(blockSize)),
  );
}
