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
 * Invariants: 1. blocks tile [first, next); 2. used and the count of live blocks match the headers;
 * 3. with no live block left, next = first. Serves one thread: put `Locked` around it for many.
 */

import { AttachError, HeapCorruptionError, hex } from '../errors.ts';
import { type Address, alignUp, NULL, UNIT } from '../memory/address.ts';
import { checkInteger } from '../memory/layout.ts';
import type { Memory } from '../memory/memory.ts';
import type { Thread } from '../sync/thread.ts';
import { Algorithm, checkRegion, layControl, type RegionOptions, sealControl } from './algorithm.ts';
import { ALIGNED, geometryIndex, HEADER_BYTES, IS_FREE, ownershipIndexOf, sizeIn } from './block.ts';
import { ALLOCATIONS, CONTROL_BYTES, checkControl, END, FREES, KIND_BUMP, OWN, USED } from './control.ts';
import { freeWord, isHeld, liveWord, withoutClass } from './ownership.ts';

const NEXT = OWN;

/** A point in a bump allocator's life, to `rewind` to. */
export type Mark = number & { readonly __mark: unique symbol };

/** The fastest allocator there is, for memory that dies together. */
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
    if (allocator.#next < allocator.first || allocator.#next > allocator.end) {
      throw new AttachError(`the bump allocator at ${hex(start)} has its next pointer outside its region`);
    }
    return allocator;
  }

  /** Gives all blocks back at once, live or not. Their addresses are worth nothing any more. */
  reset(): void {
    const { f64, double } = this;
    f64[double + FREES] = f64[double + ALLOCATIONS]!;
    f64[double + USED] = 0;
    this.#setNext(this.first);
  }

  /** Notes how far the allocator has come. */
  mark(): Mark {
    return this.#next as Mark;
  }

  /**
   * Gives back all blocks that were allocated since `mark()`, in time linear in their number.
   *
   * @throws RangeError when `mark` lies above what is allocated now, or is no mark at all
   */
  rewind(mark: Mark): void {
    checkInteger('mark', mark, this.first, this.#next);
    let live = 0;
    let used = 0;
    let block: number = mark;
    while (block < this.#next) {
      const geometry = this.u32[geometryIndex(block)]!;
      const size = sizeIn(geometry);
      if (size < HEADER_BYTES || size > this.#next - block) throw new RangeError(`${hex(mark)} is no mark of this allocator`);
      if ((geometry & IS_FREE) === 0) {
        live++;
        used += size - HEADER_BYTES;
      }
      block += size;
    }
    const { f64, double } = this;
    f64[double + FREES]! += live;
    f64[double + USED]! -= used;
    this.#setNext(mark);
  }

  override allocBlock(size: number, align: number): Address {
    const bottom = this.#next;
    const address = alignUp(bottom + HEADER_BYTES, Math.max(align, UNIT));
    const block = address - HEADER_BYTES;
    const top = address + alignUp(size, UNIT);
    if (top > this.end) return NULL;
    const { u32, i32 } = this;
    if (block !== bottom) {
      i32[ownershipIndexOf(bottom)] = 0;
      u32[geometryIndex(bottom)] = (block - bottom) | IS_FREE;
    }
    const own = ownershipIndexOf(block);
    i32[own] = liveWord(i32[own]!, this.owner);
    u32[geometryIndex(block)] = (top - block) | (align > UNIT ? ALIGNED : 0);
    this.#setNext(top);
    return address as Address;
  }

  override freeBlock(address: Address): void {
    const block = address - HEADER_BYTES;
    const { i32, u32, f64, double } = this;
    const own = ownershipIndexOf(block);
    i32[own] = freeWord(i32[own]!);
    u32[geometryIndex(block)]! |= IS_FREE;
    if (f64[double + ALLOCATIONS] === f64[double + FREES]) this.#setNext(this.first);
  }

  override resizeBlock(address: Address, size: number): boolean {
    const block = address - HEADER_BYTES;
    const geometry = this.u32[geometryIndex(block)]!;
    const top = block + sizeIn(geometry);
    const wanted = address + alignUp(size, UNIT);
    if (top !== this.#next) return wanted <= top;
    if (wanted > this.end) return false;
    const own = ownershipIndexOf(block);
    this.i32[own] = withoutClass(this.i32[own]!);
    this.u32[geometryIndex(block)] = (wanted - block) | (geometry & ALIGNED);
    this.#setNext(wanted);
    return true;
  }

  override extend(bytes: number): boolean {
    const size = bytes - (bytes % UNIT);
    if (size === 0 || this.end + size > this.memory.byteLength) return false;
    this.u32[this.word + END] = (this.end + size) / UNIT;
    return true;
  }

  override usableSize(address: Address): number {
    return sizeIn(this.u32[geometryIndex(address - HEADER_BYTES)]!) - HEADER_BYTES;
  }

  override ownershipIndex(address: Address): number {
    if (address >>> 0 !== address || address % UNIT !== 0) return -1;
    const block = address - HEADER_BYTES;
    const next = this.#next;
    if (block < this.first || block >= next) return -1;
    const geometry = this.u32[geometryIndex(block)]!;
    const size = sizeIn(geometry);
    if ((geometry & IS_FREE) !== 0 || size < HEADER_BYTES || size > next - block) return -1;
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
    if (size < HEADER_BYTES || size > this.#next - block) {
      throw new HeapCorruptionError(block, `a block of ${size} bytes cannot be`);
    }
    return this.#payloadOrNull(block + size);
  }

  override largestFree(): number {
    return Math.max(0, this.end - this.#next - HEADER_BYTES);
  }

  override freeBytes(): number {
    return this.largestFree();
  }

  override verify(): void {
    const next = this.#next;
    if (next < this.first || next > this.end) throw new HeapCorruptionError(this.start, `next is ${hex(next)}, outside the region`);
    let used = 0;
    let live = 0;
    for (let address = this.firstBlock(); address !== NULL; address = this.blockAfter(address)) {
      if (this.isFree(address)) continue;
      if (!isHeld(this.ownershipAt(address))) throw new HeapCorruptionError(address, 'a block is given out, but nobody holds it');
      used += this.usableSize(address);
      live++;
    }
    if (live === 0 && next !== this.first) throw new HeapCorruptionError(this.start, 'no block is live, but next is not reset');
    this.verifyCounters(used, live);
  }

  get #next(): number {
    return this.u32[this.word + NEXT]! * UNIT;
  }

  #setNext(next: number): void {
    this.u32[this.word + NEXT] = next / UNIT;
  }

  #payloadOrNull(block: number): Address {
    return (block >= this.#next ? NULL : block + HEADER_BYTES) as Address;
  }
}
