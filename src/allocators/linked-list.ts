/**
 * First fit over one free list in address order, with immediate coalescing.
 *
 *      control block           free block             free block
 *      ┌ head ─┐    ┌──────────────────────┐   ┌──────────────────────┐
 *      │ block ├───▶│ … │ next │ prev │ …  ├──▶│ … │ next │ prev │ …  ├──▶ 0
 *      └───────┘ 0◀─┤                      │◀──┤                      │
 *                   └──────────────────────┘   └──────────────────────┘
 *                   lower addresses              higher addresses
 *
 * alloc    takes the lowest free block that fits: O(free blocks)
 * free     O(1) when a neighbour is free (tags find it, the merged block keeps the neighbour's place);
 *          else the list is walked from the low end for the place: O(free blocks)
 * resize   in place both ways, growing into a free block above
 *
 * Index invariant (4): the list runs in address order, `prev` mirrors `next`, and it holds each free
 * block once. Metadata: 8 bytes a block. Serves one thread: put `Locked` around it for many.
 *
 * Source: Knuth, The Art of Computer Programming vol. 1, 2.5, algorithms A and C.
 */

import { HeapCorruptionError } from '../errors.ts';
import { UNIT } from '../memory/address.ts';
import type { Memory } from '../memory/memory.ts';
import type { Thread } from '../sync/thread.ts';
import { checkRegion, layControl, type RegionOptions, sealControl } from './algorithm.ts';
import * as blocks from './block.ts';
import { corrupt } from './boundary-tags.ts';
import { CONTROL_BYTES, checkControl, KIND_LINKED_LIST, OWN } from './control.ts';
import { Runs } from './runs.ts';

// V8 folds the constants of a module, but loads imported ones, functions too, at each use.
const frontPadding = blocks.frontPadding;
const geometryIndex = blocks.geometryIndex;
const IS_FREE = blocks.IS_FREE;
const nextIndex = blocks.nextIndex;
const prevIndex = blocks.prevIndex;
const unitsIn = blocks.unitsIn;

const HEAD = OWN;

/** A first-fit free list, for few free blocks. Serves one thread: put `Locked` around it for many. */
export class LinkedListAllocator extends Runs {
  /**
   * Lays out an empty allocator.
   *
   * @throws RangeError when the region is misaligned, outside the memory, or below 96 bytes
   */
  static create(memory: Memory, options: RegionOptions = {}): LinkedListAllocator {
    const region = checkRegion(memory, options, Runs.leastBytes(CONTROL_BYTES));
    const first = region.start + CONTROL_BYTES;
    layControl(memory, region, 0, first, region.end);
    const allocator = new LinkedListAllocator(memory, region.start, options.thread, options.linkKey);
    allocator.layRegion(first, region.end);
    sealControl(memory, region.start, KIND_LINKED_LIST);
    return allocator;
  }

  /**
   * Adopts the allocator that `create` laid out at `start`.
   *
   * @throws AttachError when there is none
   */
  static attach(memory: Memory, start: number, thread?: Thread, linkKey?: number): LinkedListAllocator {
    checkControl(memory, start, KIND_LINKED_LIST);
    return new LinkedListAllocator(memory, start, thread, linkKey);
  }

  protected override get controlBytes(): number {
    return CONTROL_BYTES;
  }

  protected override findFree(units: number, align: number): number {
    for (let block = this.nextFree(0); block !== 0; block = this.nextFree(block)) {
      const padding = align <= UNIT ? 0 : frontPadding(block, align);
      if (unitsIn(this.i32[geometryIndex(block)]!) >= padding + units) return block;
    }
    return 0;
  }

  protected override linkFree(block: number, _units: number, after: number): void {
    let prev = after;
    let next = this.nextFree(prev);
    while (next !== 0 && next < block) {
      prev = next;
      next = this.nextFree(next);
    }
    if (next !== 0 && this.linkAt(prevIndex(next)) !== prev) throw this.strayLink(prev, next);
    this.#join(prev, block);
    this.#join(block, next);
  }

  protected override unlinkFree(block: number): void {
    const prev = this.#prevFree(block);
    this.#join(prev, this.#mirroredNext(block));
  }

  protected override relinkFree(from: number, _fromUnits: number, to: number): void {
    if (from === to) return;
    const prev = this.#prevFree(from);
    const next = this.#mirroredNext(from);
    this.#join(prev, to);
    this.#join(to, next);
  }

  protected override clearIndex(): void {
    this.i32[this.word + HEAD] = 0;
  }

  protected override nextFree(block: number): number {
    const next = block === 0 ? this.i32[this.word + HEAD]! : this.linkAt(nextIndex(block));
    if (next === 0) return 0;
    if (next <= block) throw corrupt(block, 'the free list runs backwards');
    if (!this.isInSpans(next)) throw this.strayLink(block, next);
    return next;
  }

  /** As `nextFree`, for who is about to write there: that block must link back. */
  #mirroredNext(block: number): number {
    const next = this.nextFree(block);
    if (next !== 0 && this.linkAt(prevIndex(next)) !== block) throw this.strayLink(block, next);
    return next;
  }

  override largestFree(): number {
    let largest = 1;
    for (let block = this.nextFree(0); block !== 0; block = this.nextFree(block)) {
      largest = Math.max(largest, unitsIn(this.i32[geometryIndex(block)]!));
    }
    return (largest - 1) * UNIT;
  }

  protected override verifyIndex(count: number): void {
    let seen = 0;
    for (let block = this.#mirroredNext(0); block !== 0; block = this.#mirroredNext(block)) {
      if ((this.i32[geometryIndex(block)]! & IS_FREE) === 0)
        throw corrupt(block, 'a block in the free list is not free');
      seen++;
    }
    if (seen !== count)
      throw new HeapCorruptionError(this.start, `${count} free blocks, ${seen} of them in the free list`);
  }

  /** The free block next below, 0 for the lowest one. */
  #prevFree(block: number): number {
    const prev = this.linkAt(prevIndex(block));
    const there = prev === 0 ? this.i32[this.word + HEAD] : this.linkAt(nextIndex(prev));
    if (there !== block) throw this.strayLink(block, prev);
    return prev;
  }

  /** Makes two free blocks neighbours in the list; 0 stands for either end. */
  #join(prev: number, next: number): void {
    if (prev === 0) this.i32[this.word + HEAD] = next;
    else this.setLink(nextIndex(prev), next);
    if (next !== 0) this.setLink(prevIndex(next), prev);
  }
}
