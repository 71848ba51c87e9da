/**
 * Buddy: blocks of powers of two, each aligned to its size, split into halves and merged with theirs.
 *
 *      start                                      first (aligned to the smallest block)      end
 *      ├─────────┬───────┬───────────┬───────────────┼─────┬──────────┬──────────────────────┤
 *      │ control │ heads │ order map │ ownership map │ 2^k │ 2^(k+1)  │ 2^(k+2) …            │
 *      └─────────┴───────┴───────────┴───────────────┴─────┴──────────┴──────────────────────┘
 *       64        32 u32  a byte      a word
 *                         for each smallest block
 *
 *      order byte   0        inside a block, not its start
 *                   k        a block of 2^k bytes, given out
 *                   k | 64   the same, aligned to more than the smallest block: it never shrinks
 *                   k | 128  a block of 2^k bytes, free: links in its first 8 bytes (next, prev)
 *
 * alloc   O(log n): the smallest free block that fits, halved until it fits just so
 * free    O(log n): the buddy's order byte says whether to merge; no list is searched
 * resize  in place both ways; growing takes the free halves above
 *
 * The buddy of a block at a is at a ^ 2^k: addresses are absolute, so a block of 2^k bytes is aligned to
 * 2^k whatever the region's start. The region is tiled by the largest aligned powers of two. Metadata:
 * 5 bytes for each smallest block, none in the blocks. Serves one thread: put `Locked` around it.
 *
 * Invariants: 1. blocks tile the region; 2. bytes inside blocks are 0; 3. no two free buddies; 4. the
 * list of order k, and bit k of the mask, hold just the free blocks of 2^k; 5. the counters match.
 *
 * Source: K. Knowlton, "A fast storage allocator", 1965; Knuth, TAOCP vol. 1, 2.5.
 */

import { AttachError, HeapCorruptionError, hex } from '../errors.ts';
import { type Address, alignUp, NULL, UNIT } from '../memory/address.ts';
import { checkInteger } from '../memory/layout.ts';
import type { Memory } from '../memory/memory.ts';
import type { Thread } from '../sync/thread.ts';
import {
  Algorithm,
  checkRegion,
  layControl,
  type OwnershipCodec,
  type Region,
  type RegionOptions,
  sealControl,
} from './algorithm.ts';
import { CONTROL_BYTES, checkControl, END, KIND_BUDDY, OWN, PARAM } from './control.ts';
import { freeWord, liveWord, withoutClass } from './ownership.ts';

const FREE_BIT = 0x80;
const ALIGNED_BIT = 0x40;
const ORDER_MASK = 0x1f;
const ORDERS = 32;
const HEADS_BYTES = ORDERS * 4;
const METADATA_BYTES = CONTROL_BYTES + HEADS_BYTES;
/** Bit k is set while the list of order k is not empty. */
const MASK = OWN;
/** How many smallest blocks the maps have room for. */
const MAP_COUNT = OWN + 1;

const LEAST_BLOCK = 16;
const DEFAULT_BLOCK = 32;
const LARGEST_BLOCK = 2 ** 31;

/** What a buddy allocator can be told. */
export interface BuddyOptions extends RegionOptions {
  /** Bytes of the smallest block: a power of two from 16 to 2^31. Default 32. */
  readonly minBlock?: number;
  /** Another way to say it: the smallest block is byteLength >> (freeLists - 1), at least 16. */
  readonly freeLists?: number;
  /** How far `extend` may go: the maps are made for so many bytes, as far as the memory reaches. Default: byteLength. */
  readonly reserveBytes?: number;
}

/** Powers of two: aligned, wasteful for odd sizes. Serves one thread: put `Locked` around it for many. */
export class BuddyAllocator extends Algorithm {
  /** Bytes of the smallest block. */
  readonly minBlock: number;
  readonly #minOrder: number;
  readonly #first: number;
  readonly #orderMap: number;
  readonly #ownershipMap: number;

  /**
   * Lays out an empty allocator.
   *
   * @throws RangeError when the region is misaligned, outside the memory or too small, or when an
   * option is out of range
   */
  static create(memory: Memory, options: BuddyOptions = {}): BuddyAllocator {
    const region = checkRegion(memory, options, METADATA_BYTES + LEAST_BLOCK);
    const minBlock = smallestBlock(options, region);
    checkInteger('reserveBytes', options.reserveBytes ?? 0, 0, Number.MAX_SAFE_INTEGER);
    const wanted = Math.max(options.reserveBytes ?? 0, region.end - region.start);
    const reserve = Math.min(wanted, memory.byteLength - region.start);
    // Rounded up: the last bytes may hold one more block when its share of the maps needs no padding.
    const count = Math.ceil((reserve - METADATA_BYTES) / (minBlock + 5));
    const first = alignUp(region.start + METADATA_BYTES + alignUp(count, 4) + 4 * count, minBlock);
    if (first + minBlock > region.end) {
      const maps = first - region.start;
      throw new RangeError(
        `a region of ${region.end - region.start} bytes is too small: its maps alone take ${maps}`,
      );
    }
    layControl(memory, region, Math.log2(minBlock), first, first);
    memory.u8.fill(0, region.start + CONTROL_BYTES, first);
    memory.u32[(region.start >>> 2) + MAP_COUNT] = count;
    const allocator = new BuddyAllocator(memory, region.start, options.thread, options.linkKey);
    allocator.#tile(region.end);
    sealControl(memory, region.start, KIND_BUDDY);
    return allocator;
  }

  /**
   * Adopts the allocator that `create` laid out at `start`.
   *
   * @throws AttachError when there is none
   */
  static attach(memory: Memory, start: number, thread?: Thread, linkKey?: number): BuddyAllocator {
    checkControl(memory, start, KIND_BUDDY);
    const word = start >>> 2;
    const order = memory.u32[word + PARAM]!;
    const count = memory.u32[word + MAP_COUNT]!;
    const mapEnd = start + METADATA_BYTES + alignUp(count, 4) + 4 * count;
    const allocator = new BuddyAllocator(memory, start, thread, linkKey);
    const { minBlock, first, end } = allocator;
    const aligned = first % minBlock === 0 && end % minBlock === 0;
    if (order < 4 || order > 31 || mapEnd > first || !aligned || end > first + count * minBlock) {
      throw new AttachError(`the buddy allocator at ${hex(start)} has maps that contradict its bounds`);
    }
    return allocator;
  }

  private constructor(memory: Memory, start: number, thread?: Thread, linkKey?: number) {
    super(memory, start, thread, linkKey);
    this.#minOrder = this.u32[this.word + PARAM]!;
    this.minBlock = bytesOf(this.#minOrder);
    this.#first = this.first;
    this.#orderMap = start + METADATA_BYTES;
    this.#ownershipMap = (this.#orderMap + alignUp(this.u32[this.word + MAP_COUNT]!, 4)) >>> 2;
  }

  override allocBlock(size: number, align: number): Address {
    const order = this.#orderFor(Math.max(size, align));
    if (order >= ORDERS) return NULL;
    const fitting = this.u32[this.word + MASK]! & (-1 << order);
    if (fitting === 0) return NULL;
    let have = 31 - Math.clz32(fitting & -fitting);
    const block = this.#head(have);
    this.#unlink(block, have);
    while (have > order) {
      have--;
      const upper = block + bytesOf(have);
      this.#setOrder(upper, have | FREE_BIT);
      this.#setOrder(block, have | FREE_BIT);
      this.#link(upper, have);
    }
    const own = this.#ownershipOf(block);
    this.i32[own] = liveWord(this.i32[own]!, this.owner);
    this.#setOrder(block, align > this.minBlock ? order | ALIGNED_BIT : order);
    return block as Address;
  }

  override freeBlock(address: Address): void {
    const order = this.#orderAt(address) & ORDER_MASK;
    const own = this.#ownershipOf(address);
    this.i32[own] = freeWord(this.i32[own]!);
    this.#setOrder(address, order | FREE_BIT);
    this.#merge(address, order);
  }

  /** Merges a free block that is in no list with its free buddies, and lists what comes out. */
  #merge(block: number, order: number): void {
    let lower = block;
    let merged = order;
    for (; merged < ORDERS - 1; merged++) {
      const buddy = (lower ^ (1 << merged)) >>> 0;
      if (buddy < this.#first || buddy + bytesOf(merged) > this.end) break;
      if (this.#orderAt(buddy) !== (merged | FREE_BIT)) break;
      this.#unlink(buddy, merged);
      const upper = Math.max(lower, buddy);
      lower = Math.min(lower, buddy);
      this.#setOrder(lower, (merged + 1) | FREE_BIT);
      this.#setOrder(upper, 0);
    }
    this.#link(lower, merged);
  }

  override resizeBlock(address: Address, size: number): boolean {
    const order = this.#orderFor(size);
    const aligned = this.#orderAt(address) & ALIGNED_BIT;
    const have = this.#orderAt(address) & ORDER_MASK;
    if (order === have || (order < have && aligned !== 0)) return true;
    if (order > have && !this.#canGrow(address, have, order)) return false;
    const own = this.#ownershipOf(address);
    this.i32[own] = withoutClass(this.i32[own]!);
    if (order > have) this.#grow(address, have, order, aligned);
    else this.#shrink(address, have, order);
    return true;
  }

  #canGrow(block: number, have: number, order: number): boolean {
    if (order >= ORDERS || block % bytesOf(order) !== 0 || block + bytesOf(order) > this.end) return false;
    for (let k = have; k < order; k++) {
      if (this.#orderAt(block + bytesOf(k)) !== (k | FREE_BIT)) return false;
    }
    return true;
  }

  #grow(block: number, have: number, order: number, aligned: number): void {
    for (let k = have; k < order; k++) this.#unlink(block + bytesOf(k), k);
    this.#setOrder(block, order | aligned);
    for (let k = have; k < order; k++) this.#setOrder(block + bytesOf(k), 0);
  }

  #shrink(block: number, have: number, order: number): void {
    for (let k = have - 1; k >= order; k--) {
      const upper = block + bytesOf(k);
      this.#setOrder(upper, k | FREE_BIT);
      this.#setOrder(block, k);
      this.#link(upper, k);
    }
  }

  /** Takes more bytes right above the region, as far as `reserveBytes` allows. */
  override extend(bytes: number): boolean {
    checkInteger('bytes', bytes, 0, Number.MAX_SAFE_INTEGER);
    const end = this.end + (bytes - (bytes % this.minBlock));
    const limit = this.#first + this.u32[this.word + MAP_COUNT]! * this.minBlock;
    if (end === this.end || end > this.memory.byteLength || end > limit) return false;
    this.#tile(end);
    return true;
  }

  /** Frees [end, to) as the largest aligned powers of two. */
  #tile(to: number): void {
    for (;;) {
      const block = this.end;
      let order = this.#minOrder;
      while (order < ORDERS - 1 && block % bytesOf(order + 1) === 0 && block + bytesOf(order + 1) <= to)
        order++;
      if (block + bytesOf(order) > to) return;
      this.#setOrder(block, order | FREE_BIT);
      this.u32[this.word + END] = (block + bytesOf(order)) / UNIT;
      this.#merge(block, order);
    }
  }

  override usableSize(address: Address): number {
    return bytesOf(this.#orderAt(address) & ORDER_MASK);
  }

  override keptAlign(address: Address): number {
    return (this.#orderAt(address) & ALIGNED_BIT) !== 0 ? this.usableSize(address) : UNIT;
  }

  override ownershipIndex(address: Address): number {
    if (address >>> 0 !== address || address % this.minBlock !== 0) return -1;
    if (address < this.#first || address >= this.end) return -1;
    const order = this.#orderAt(address);
    return order === 0 || (order & FREE_BIT) !== 0 ? -1 : this.#ownershipOf(address);
  }

  override ownershipCodec(): OwnershipCodec {
    const highest = this.#first + this.u32[this.word + MAP_COUNT]! * this.minBlock;
    const base = this.#ownershipMap - (this.#first >>> this.#minOrder);
    return { lowest: this.#first, highest, shift: this.#minOrder - 2, base };
  }

  override ownershipIndexAt(address: Address): number {
    return this.#ownershipOf(address);
  }

  override isFree(address: Address): boolean {
    return (this.#orderAt(address) & FREE_BIT) !== 0;
  }

  override firstBlock(): Address {
    return (this.end > this.#first ? this.#first : NULL) as Address;
  }

  override blockAfter(address: Address): Address {
    const byte = this.#orderAt(address);
    const order = byte & ORDER_MASK;
    const flags = byte - order;
    const next = address + bytesOf(order);
    const known = flags === 0 || flags === ALIGNED_BIT || flags === FREE_BIT;
    if (!known || order < this.#minOrder || next > this.end) {
      throw new HeapCorruptionError(address, `an order byte of ${byte} cannot be`);
    }
    return (next === this.end ? NULL : next) as Address;
  }

  override freeBytes(): number {
    let bytes = 0;
    for (let order = this.#minOrder; order < ORDERS; order++)
      bytes += this.#listLength(order) * bytesOf(order);
    return bytes;
  }

  override largestFree(): number {
    const mask = this.u32[this.word + MASK]!;
    return mask === 0 ? 0 : bytesOf(31 - Math.clz32(mask));
  }

  override verify(): void {
    const freeOf = new Array<number>(ORDERS).fill(0);
    let used = 0;
    let live = 0;
    for (let address = this.firstBlock(); address !== NULL; address = this.blockAfter(address)) {
      const order = this.#orderAt(address) & ORDER_MASK;
      if (address % bytesOf(order) !== 0)
        throw new HeapCorruptionError(address, `a block of order ${order} is misaligned`);
      this.#verifyInside(address, bytesOf(order));
      this.verifyOwnership(address);
      if (this.isFree(address)) {
        freeOf[order]!++;
        const buddy = (address ^ (1 << order)) >>> 0;
        const inside = buddy >= this.#first && buddy + bytesOf(order) <= this.end;
        if (inside && this.#orderAt(buddy) === (order | FREE_BIT))
          throw new HeapCorruptionError(address, 'two buddies are free');
      } else {
        used += bytesOf(order);
        live++;
      }
    }
    for (let order = 0; order < ORDERS; order++) this.#verifyList(order, freeOf[order]!);
    this.verifyCounters(used, live);
  }

  override rebuild(): void {
    const heads = this.#headIndex(0);
    this.u32.fill(0, heads, heads + ORDERS);
    this.u32[this.word + MASK] = 0;
    let used = 0;
    let live = 0;
    let next: Address;
    for (let block = this.firstBlock(); block !== NULL; block = next) {
      // Also checks the order byte.
      next = this.blockAfter(block);
      const order = this.#orderAt(block) & ORDER_MASK;
      const bytes = bytesOf(order);
      if (block % bytes !== 0)
        throw new HeapCorruptionError(block, `a block of order ${order} is misaligned`);
      const start = this.#orderMap + ((block - this.#first) >>> this.#minOrder);
      if (order > this.#minOrder) this.memory.u8.fill(0, start + 1, start + bytes / this.minBlock);
      if (this.settleOwnership(this.#ownershipOf(block), this.isFree(block))) {
        this.#mergeDown(block, order);
      } else {
        used += bytes;
        live++;
      }
    }
    for (let block = this.firstBlock(); block !== NULL; block = this.blockAfter(block)) {
      if (this.isFree(block)) this.#link(block, this.#orderAt(block) & ORDER_MASK);
    }
    this.settleCounters(used, live);
  }

  /** Merges a free block with free buddies below it: those above come later in the walk. */
  #mergeDown(block: number, order: number): void {
    this.#setOrder(block, order | FREE_BIT);
    let upper = block;
    for (let merged = order; merged < ORDERS - 1; merged++) {
      const buddy = (upper ^ (1 << merged)) >>> 0;
      if (buddy > upper || buddy < this.#first || this.#orderAt(buddy) !== (merged | FREE_BIT)) return;
      this.#setOrder(buddy, (merged + 1) | FREE_BIT);
      this.#setOrder(upper, 0);
      upper = buddy;
    }
  }

  #verifyInside(block: number, size: number): void {
    for (let inner = block + this.minBlock; inner < block + size; inner += this.minBlock) {
      if (this.#orderAt(inner) !== 0)
        throw new HeapCorruptionError(inner, 'an order byte inside a block is set');
    }
  }

  #verifyList(order: number, free: number): void {
    const listed = this.#listLength(order);
    if (listed !== free)
      throw new HeapCorruptionError(
        this.start,
        `${free} free blocks of order ${order}, ${listed} of them listed`,
      );
    const bit = (this.u32[this.word + MASK]! & (1 << order)) !== 0;
    if (bit !== listed > 0)
      throw new HeapCorruptionError(this.start, `the mask is wrong about order ${order}`);
  }

  /** How many blocks the list of an order holds; checks each and its links. */
  #listLength(order: number): number {
    let length = 0;
    let prev = 0;
    for (let block = this.#head(order); block !== 0; block = this.linkAt(block >>> 2) * UNIT) {
      const isFree = this.#isFreeOf(block, order);
      if (!isFree || this.linkAt((block >>> 2) + 1) * UNIT !== prev) {
        throw brokenList(isFree || prev === 0 ? block : prev, order);
      }
      prev = block;
      length++;
    }
    return length;
  }

  /** The order whose blocks hold `size` bytes; 32 when none does. */
  #orderFor(size: number): number {
    if (size <= this.minBlock) return this.#minOrder;
    return size > LARGEST_BLOCK ? ORDERS : 32 - Math.clz32(size - 1);
  }

  #orderAt(block: number): number {
    return this.memory.u8[this.#orderMap + ((block - this.#first) >>> this.#minOrder)]!;
  }

  #setOrder(block: number, order: number): void {
    this.memory.u8[this.#orderMap + ((block - this.#first) >>> this.#minOrder)] = order;
  }

  #ownershipOf(block: number): number {
    return this.#ownershipMap + ((block - this.#first) >>> this.#minOrder);
  }

  #headIndex(order: number): number {
    return this.word + CONTROL_BYTES / 4 + order;
  }

  #head(order: number): number {
    return this.u32[this.#headIndex(order)]! * UNIT;
  }

  #link(block: number, order: number): void {
    const { u32 } = this;
    const next = this.#head(order);
    this.setLink(block >>> 2, next / UNIT);
    this.setLink((block >>> 2) + 1, 0);
    if (next !== 0) this.setLink((next >>> 2) + 1, block / UNIT);
    u32[this.#headIndex(order)] = block / UNIT;
    u32[this.word + MASK]! |= 1 << order;
  }

  #unlink(block: number, order: number): void {
    const { u32 } = this;
    const unit = block / UNIT;
    const next = this.linkAt(unit * 2);
    const prev = this.linkAt(unit * 2 + 1);
    if (next !== 0 && this.linkAt(next * 2 + 1) !== unit) throw this.#strayLink(unit, next, order);
    const there = prev === 0 ? u32[this.#headIndex(order)] : this.linkAt(prev * 2);
    if (there !== unit) throw this.#strayLink(unit, prev, order);
    if (next !== 0) this.setLink(next * 2 + 1, prev);
    if (prev !== 0) this.setLink(prev * 2, next);
    else u32[this.#headIndex(order)] = next;
    if (prev === 0 && next === 0) u32[this.word + MASK]! &= ~(1 << order);
  }

  /** The error for a link to what does not link back: overwritten was the one, when it leads to no free block. */
  #strayLink(from: number, to: number, order: number): HeapCorruptionError {
    return brokenList((this.#isFreeOf(to * UNIT, order) ? to : from) * UNIT, order);
  }

  #isFreeOf(block: number, order: number): boolean {
    const inside = block >= this.#first && block < this.end && block % this.minBlock === 0;
    return inside && this.#orderAt(block) === (order | FREE_BIT);
  }
}

function smallestBlock(options: BuddyOptions, region: Region): number {
  if (options.freeLists !== undefined) {
    if (options.minBlock !== undefined) throw new RangeError('give minBlock or freeLists, not both');
    checkInteger('freeLists', options.freeLists, 1, ORDERS);
    const top = 2 ** Math.floor(Math.log2(region.end - region.start));
    return Math.max(LEAST_BLOCK, top / bytesOf(options.freeLists - 1));
  }
  const minBlock = options.minBlock ?? DEFAULT_BLOCK;
  checkInteger('minBlock', minBlock, LEAST_BLOCK, LARGEST_BLOCK);
  if (!Number.isInteger(Math.log2(minBlock)))
    throw new RangeError(`minBlock must be a power of two, got ${minBlock}`);
  return minBlock;
}

function brokenList(block: number, order: number): HeapCorruptionError {
  return new HeapCorruptionError(block, `a link of a free block of order ${order} was overwritten`);
}

/** Bytes of a block of order 0 to 31. `2 ** order` would call a library function. */
function bytesOf(order: number): number {
  return (1 << order) >>> 0;
}
