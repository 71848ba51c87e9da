/**
 * Bump: a next pointer that only goes up.
 *
 *      first                          next                         end
 *      ├───┬────────┬───┬───────┬───────┼─────────────────────────────┤
 *      │ h │ block  │ h │ freed │ …     │ never given out             │
 *      └───┴────────┴───┴───────┴───────┴─────────────────────────────┘
 *       8-byte headers (geometry, ownership); alignment padding is a free block
 *
 * alloc    O(1): the store of `next` commits
 * free     reclaims nothing by itself, but when the last live block goes, all goes: O(1)
 * resize   the topmost block both ways; any other only within its size
 * reset    gives all back at once: O(1); `mark` and `rewind` give back what came after: O(blocks)
 *
 * Invariants: 1. blocks tile [first, next) at each single store; 2. used and the count of live blocks match
 * the headers; 3. with no live block left, next = first. Serves one thread: put `Locked` around it for many.
 */

import { AttachError, HeapCorruptionError, hex } from '../errors.ts';
import { type Address, NULL, naturalAlign, UNIT } from '../memory/address.ts';
import { checkInteger } from '../memory/layout.ts';
import type { Memory } from '../memory/memory.ts';
import type { Thread } from '../sync/thread.ts';
import { Algorithm, checkRegion, layControl, type RegionOptions, sealControl } from './algorithm.ts';
import * as blocks from './block.ts';
import {
  ALLOCATIONS,
  CONTROL_BYTES,
  checkControl,
  END,
  FIRST,
  FREES,
  KIND_BUMP,
  OWN,
  USED,
} from './control.ts';
import * as ownership from './ownership.ts';

// V8 folds the constants of a module, but loads imported ones, functions too, at each use.
const ALIGNED = blocks.ALIGNED;
const geometryIndex = blocks.geometryIndex;
const geometryOf = blocks.geometryOf;
const HEADER_BYTES = blocks.HEADER_BYTES;
const IS_FREE = blocks.IS_FREE;
const ownershipIndexOf = blocks.ownershipIndexOf;
const unitsIn = blocks.unitsIn;
const freeWord = ownership.freeWord;
const liveWord = ownership.liveWord;
const withoutClass = ownership.withoutClass;

const NEXT = OWN;

/** A point in a bump allocator's life, to `rewind` to. */
export type Mark = number & { readonly __mark: unique symbol };

/** The simplest allocator: for memory that dies together. Serves one thread: put `Locked` around it for many. */
export class BumpAllocator extends Algorithm {
  /**
   * Lays out an empty allocator.
   *
   * @throws RangeError when the region is misaligned, outside the memory, or below 80 bytes
   */
  static create(memory: Memory, options: RegionOptions = {}): BumpAllocator {
    const region = checkRegion(memory, options, CONTROL_BYTES + 2 * HEADER_BYTES);
    const first = region.start + CONTROL_BYTES;
    layControl(memory, region, 0, first, region.end);
    memory.u32[(region.start >>> 2) + NEXT] = first / UNIT;
    sealControl(memory, region.start, KIND_BUMP);
    return new BumpAllocator(memory, region.start, options.thread);
  }

  /**
   * Adopts the allocator that `create` laid out at `start`.
   *
   * @throws AttachError when there is none
   */
  static attach(memory: Memory, start: number, thread?: Thread): BumpAllocator {
    checkControl(memory, start, KIND_BUMP);
    const allocator = new BumpAllocator(memory, start, thread);
    const next = allocator.next;
    if (allocator.first !== start + CONTROL_BYTES || next < allocator.firstUnit || next > allocator.endUnit) {
      throw new AttachError(`the bump allocator at ${hex(start)} has its next pointer outside its region`);
    }
    return allocator;
  }

  /** Gives all blocks back at once, live or not. Their addresses are worth nothing any more. */
  reset(): void {
    const { f64, double } = this;
    f64[double + FREES] = f64[double + ALLOCATIONS]!;
    f64[double + USED] = 0;
    this.#setNext(this.firstUnit);
  }

  /** Notes how far the allocator has come. Worth nothing after a reset, by hand or by the last free. */
  mark(): Mark {
    return (this.next * UNIT) as Mark;
  }

  /**
   * Gives back all blocks that were allocated since `mark()`, in time linear in their number.
   *
   * @throws RangeError when `mark` lies above what is allocated now, or is no mark at all
   */
  rewind(mark: Mark): void {
    checkInteger('mark', mark, this.first, this.next * UNIT);
    let live = 0;
    let used = 0;
    for (let block = mark / UNIT; block < this.next; ) {
      const geometry = this.i32[geometryIndex(block)]!;
      const units = unitsIn(geometry);
      if (!Number.isInteger(block) || units === 0 || units > this.next - block) {
        throw new RangeError(`${hex(mark)} is no mark of this allocator`);
      }
      if ((geometry & IS_FREE) === 0) {
        live++;
        used += (units - 1) * UNIT;
      }
      block += units;
    }
    const { f64, double } = this;
    f64[double + FREES]! += live;
    f64[double + USED]! -= used;
    this.#setNext(f64[double + ALLOCATIONS] === f64[double + FREES] ? this.firstUnit : mark / UNIT);
  }

  override allocBlock(size: number, align: number): Address {
    const bottom = this.next;
    const step = align / UNIT;
    const over = step > 1 ? (bottom + 1) % step : 0;
    const block = over === 0 ? bottom : bottom + step - over;
    const top = block + 1 + ((size + 7) >>> 3);
    // An empty block at the very end would have the address of what lies above the region.
    if (top > this.endUnit || block + 1 === this.endUnit) return NULL;
    const { i32 } = this;
    if (block !== bottom) this.#pad(bottom, block);
    const own = ownershipIndexOf(block);
    i32[own] = liveWord(i32[own]!, this.owner);
    i32[geometryIndex(block)] = geometryOf(top - block, align > UNIT ? ALIGNED : 0);
    this.#setNext(top);
    return ((block + 1) * UNIT) as Address;
  }

  override freeBlock(address: Address): void {
    const block = (address >>> 3) - 1;
    const { i32, f64, double } = this;
    const own = ownershipIndexOf(block);
    i32[own] = freeWord(i32[own]!);
    i32[geometryIndex(block)]! |= IS_FREE;
    if (f64[double + ALLOCATIONS] === f64[double + FREES]) this.#setNext(this.firstUnit);
  }

  override resizeBlock(address: Address, size: number): boolean {
    const block = (address >>> 3) - 1;
    const geometry = this.i32[geometryIndex(block)]!;
    const top = block + unitsIn(geometry);
    const wanted = block + 1 + ((size + 7) >>> 3);
    if (top !== this.next) return wanted <= top;
    if (wanted > this.endUnit) return false;
    const own = ownershipIndexOf(block);
    this.i32[own] = withoutClass(this.i32[own]!);
    // What comes or goes is a free block of its own in between, so that the blocks always tile up to `next`.
    if (wanted !== top) this.#pad(Math.min(wanted, top), Math.max(wanted, top));
    if (wanted > top) this.#setNext(wanted);
    this.i32[geometryIndex(block)] = geometryOf(wanted - block, geometry & ALIGNED);
    if (wanted < top) this.#setNext(wanted);
    return true;
  }

  override extend(bytes: number): boolean {
    checkInteger('bytes', bytes, 0, Number.MAX_SAFE_INTEGER);
    const units = Math.floor(bytes / UNIT);
    if (units === 0 || this.end + units * UNIT > this.memory.byteLength) return false;
    this.i32[this.word + END]! += units;
    return true;
  }

  override usableSize(address: Address): number {
    return (unitsIn(this.i32[(address >>> 2) - 2]!) - 1) * UNIT;
  }

  override ownershipIndex(address: Address): number {
    if (address >>> 0 !== address || (address & 7) !== 0) return -1;
    const block = (address >>> 3) - 1;
    const next = this.next;
    if (block < this.firstUnit || block >= next) return -1;
    const geometry = this.i32[geometryIndex(block)]!;
    const units = unitsIn(geometry);
    if ((geometry & IS_FREE) !== 0 || units === 0 || units > next - block) return -1;
    return ownershipIndexOf(block);
  }

  override ownershipIndexAt(address: Address): number {
    return (address >>> 2) - 1;
  }

  override isFree(address: Address): boolean {
    return (this.i32[(address >>> 2) - 2]! & IS_FREE) !== 0;
  }

  override keptAlign(address: Address): number {
    return (this.i32[(address >>> 2) - 2]! & ALIGNED) !== 0 ? naturalAlign(address) : UNIT;
  }

  override firstBlock(): Address {
    return this.#payloadOrNull(this.firstUnit);
  }

  override blockAfter(address: Address): Address {
    const block = (address >>> 3) - 1;
    const units = unitsIn(this.i32[geometryIndex(block)]!);
    if (units === 0 || units > this.next - block) {
      throw new HeapCorruptionError(block * UNIT, `a block of ${units * UNIT} bytes cannot be`);
    }
    return this.#payloadOrNull(block + units);
  }

  override largestFree(): number {
    return Math.max(0, this.endUnit - this.next - 1) * UNIT;
  }

  override freeBytes(): number {
    return this.largestFree();
  }

  override verify(): void {
    const next = this.next;
    if (next < this.firstUnit || next > this.endUnit) {
      throw new HeapCorruptionError(this.start, `next is ${hex(next * UNIT)}, outside the region`);
    }
    let used = 0;
    let live = 0;
    for (let address = this.firstBlock(); address !== NULL; address = this.blockAfter(address)) {
      this.verifyOwnership(address);
      if (this.isFree(address)) continue;
      used += this.usableSize(address);
      live++;
    }
    if (live === 0 && next !== this.firstUnit)
      throw new HeapCorruptionError(this.start, 'no block is live, but next is not reset');
    this.verifyCounters(used, live);
  }

  override rebuild(): void {
    const { next } = this;
    if (next < this.firstUnit || next > this.endUnit) {
      throw new HeapCorruptionError(this.start, `next is ${hex(next * UNIT)}, outside the region`);
    }
    let used = 0;
    let live = 0;
    for (let address = this.firstBlock(); address !== NULL; address = this.blockAfter(address)) {
      const block = (address >>> 3) - 1;
      if (this.settleOwnership(ownershipIndexOf(block), this.isFree(address))) {
        this.i32[geometryIndex(block)]! |= IS_FREE;
        continue;
      }
      used += this.usableSize(address);
      live++;
    }
    if (live === 0) this.#setNext(this.firstUnit);
    this.settleCounters(used, live);
  }

  /** Makes a free block of [from, to). */
  #pad(from: number, to: number): void {
    this.i32[ownershipIndexOf(from)] = 0;
    this.i32[geometryIndex(from)] = geometryOf(to - from, IS_FREE);
  }

  // In 8-byte units: small integers up to 4 GiB.

  private get firstUnit(): number {
    return this.i32[this.word + FIRST]!;
  }

  private get endUnit(): number {
    return this.i32[this.word + END]!;
  }

  private get next(): number {
    return this.i32[this.word + NEXT]!;
  }

  #setNext(next: number): void {
    this.i32[this.word + NEXT] = next;
  }

  #payloadOrNull(block: number): Address {
    return (block >= this.next ? NULL : (block + 1) * UNIT) as Address;
  }
}
