/**
 * Runs: many blocks at once, for caches. Blocks that lie in a row leave the allocator as one, and come back
 * as one, so that the lock is held for a run and not for each of its blocks.
 *
 *      out    takeMany (lock)        layMany                      cutMany (lock)
 *             ├──────────────────┤   ├──────┼ ─ ─ ─┼ ─ ─ ─┤       ├──────┼──────┼──────┤
 *             one block            headers inside of it are laid   the lowest one shrinks
 *
 *      back   joinMany                                            releaseMany (lock)
 *             ├──────┼──────┼──────┤  the lowest and Σ units      ├────────────────────┤
 *
 *      runs   … │ lowest block │ units │ …     private, from one call to the next
 *
 * What takes time, the headers of neighbours, is read and written without the lock: inside a block, or of
 * blocks, that this thread holds. At each single store the headers tile the region, so a thread that dies
 * between two calls leaves blocks in HAND, longer ones perhaps.
 */

import * as addresses from '../memory/address.ts';
import * as blocks from './block.ts';
import { BoundaryTags } from './boundary-tags.ts';
import * as control from './control.ts';
import * as ownership from './ownership.ts';

// V8 folds the constants of a module, but loads imported ones, functions too, at each use.
const UNIT = addresses.UNIT;
const BELOW_FREE = blocks.BELOW_FREE;
const geometryIndex = blocks.geometryIndex;
const geometryOf = blocks.geometryOf;
const IS_FREE = blocks.IS_FREE;
const MIN_UNITS = blocks.MIN_UNITS;
const ownershipIndexOf = blocks.ownershipIndexOf;
const unitsFor = blocks.unitsFor;
const unitsIn = blocks.unitsIn;
const freeWord = ownership.freeWord;
const generationOf = ownership.generationOf;
const withoutClass = ownership.withoutClass;
const withoutGeneration = ownership.withoutGeneration;
const ALLOCATIONS = control.ALLOCATIONS;
const FAILURES = control.FAILURES;
const FREES = control.FREES;
const USED = control.USED;

/** Boundary tags whose blocks come and go in runs. */
export abstract class Runs extends BoundaryTags {
  /** Units of a block that `takeMany` takes. */
  private runNeed = 0;
  /** Blocks that `joinMany` has made runs of. */
  private runBlocks = 0;

  override takeMany(size: number, count: number, bits: number): number {
    const { i32, runs } = this;
    const need = unitsFor(size);
    let got = 0;
    let units = 0;
    this.runCount = 0;
    this.runNeed = need;
    while (got < count) {
      const found = this.findFree(need, UNIT);
      if (found === 0) break;
      const total = this.freeUnits(found);
      const blocks = Math.min(count - got, (total / need) | 0);
      const taken = this.#takeBottom(found, total, blocks * need);
      const own = ownershipIndexOf(found);
      i32[own] = bits | generationOf(i32[own]!);
      // Commits: from here on it is one block in hands.
      i32[geometryIndex(found)] = geometryOf(taken, 0);
      runs[this.runCount++] = found;
      runs[this.runCount++] = taken;
      units += taken - 1;
      got += blocks;
    }
    this.f64[this.double + ALLOCATIONS]! += this.runCount / 2;
    if (got < count) this.f64[this.double + FAILURES]! += 1;
    this.countUsed(units * UNIT);
    return got;
  }

  /** Takes `need` units from the bottom of a free block, or all where no block could be left. Returns how many. */
  #takeBottom(found: number, total: number, need: number): number {
    if (total - need >= MIN_UNITS) {
      this.splitBack(found, total, 0, need);
      return need;
    }
    this.unlinkFree(found, total);
    this.i32[geometryIndex(found + total)]! &= ~BELOW_FREE;
    return total;
  }

  override layMany(count: number, bits: number, entries: Int32Array, at: number): boolean {
    const { i32, runs, runNeed } = this;
    // Downwards: caches are emptied from the top, so that blocks in a row come in ascending order.
    let to = at + count - 1;
    let isCut = false;
    for (let run = 0; run < this.runCount; run += 2) {
      const first = runs[run]!;
      const blocks = (runs[run + 1]! / runNeed) | 0;
      const units = runs[run + 1]! - (blocks - 1) * runNeed;
      const last = first + (blocks - 1) * runNeed;
      for (let block = first; block <= last; block += runNeed, to--) {
        entries[to] = block + 1;
        if (block === first) continue;
        const own = ownershipIndexOf(block);
        i32[own] = bits | generationOf(i32[own]!);
        i32[geometryIndex(block)] = geometryOf(block === last ? units : runNeed, 0);
        isCut = true;
      }
    }
    return isCut;
  }

  override cutMany(): void {
    const { i32, runs, runNeed } = this;
    let cuts = 0;
    for (let run = 0; run < this.runCount; run += 2) {
      const blocks = (runs[run + 1]! / runNeed) | 0;
      if (blocks === 1) continue;
      const index = geometryIndex(runs[run]!);
      i32[index] = geometryOf(runNeed, i32[index]! & BELOW_FREE);
      cuts += blocks - 1;
    }
    this.f64[this.double + ALLOCATIONS]! += cuts;
    this.f64[this.double + USED]! -= cuts * UNIT;
  }

  override joinMany(entries: Int32Array, from: number, to: number, bits: number): number {
    const { i32, runs } = this;
    let blocks = 0;
    let count = 0;
    let low = 0;
    let high = 0;
    for (let at = from; at < to; at++) {
      const block = entries[at]! - 1;
      const own = ownershipIndexOf(block);
      const word = i32[own]!;
      if (withoutGeneration(word) !== bits) continue;
      // Not the entry's any more: a second entry of the same block is left out.
      i32[own] = withoutClass(word);
      blocks++;
      const end = block + unitsIn(i32[geometryIndex(block)]!);
      if (end === low) {
        low = block;
      } else if (block === high) {
        high = end;
      } else {
        runs[count] = block;
        runs[count + 1] = end - block;
        count += 2;
        low = block;
        high = end;
        continue;
      }
      runs[count - 2] = low;
      runs[count - 1] = high - low;
    }
    this.runCount = count;
    this.runBlocks = blocks;
    return to - from - blocks;
  }

  override releaseMany(): void {
    const { i32, f64, double, runs } = this;
    let freed = 0;
    for (let run = 0; run < this.runCount; run += 2) {
      const block = runs[run]!;
      const units = runs[run + 1]!;
      const own = ownershipIndexOf(block);
      const below = i32[geometryIndex(block)]! & BELOW_FREE;
      i32[own] = freeWord(i32[own]!);
      i32[geometryIndex(block)] = geometryOf(units, IS_FREE | below);
      this.coalesce(block, units, below !== 0);
      freed += units;
    }
    f64[double + USED]! -= (freed - this.runBlocks) * UNIT;
    f64[double + FREES]! += this.runBlocks;
  }
}
