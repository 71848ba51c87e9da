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
 *   1. blocks tile [first, end - 8), each at least 24 bytes
 *   2. no two neighbours are free
 *   3. a block's "below free" bit tells the truth, and a free block's footer its size
 *   4. the index holds just the free blocks (each subclass says how)
 *   5. Σ usable bytes of the blocks given out = used, their count = allocations - frees
 *
 * Blocks and sizes are in 8-byte units here. Every change commits by one store of geometry (of spans: of
 * where they begin and end), and at each single store the headers tile the region: a split writes the upper
 * header before it shrinks the lower block, a merge enlarges the lower block. So `rebuild` can trust them.
 *
 * Source: D. Knuth, The Art of Computer Programming vol. 1, 2.5, algorithm C (boundary tags).
 */

import { HeapCorruptionError } from '../errors.ts';
import * as addresses from '../memory/address.ts';
import { type Address, alignDown, alignUp, naturalAlign } from '../memory/address.ts';
import { checkInteger } from '../memory/layout.ts';
import { Algorithm } from './algorithm.ts';
import * as blocks from './block.ts';
import * as control from './control.ts';
import * as ownership from './ownership.ts';

// V8 folds the constants of a module, but loads imported ones, functions too, at each use: a fifth of a pair.
const NULL = addresses.NULL;
const UNIT = addresses.UNIT;
const ALIGNED = blocks.ALIGNED;
const BELOW_FREE = blocks.BELOW_FREE;
const HEADER_BYTES = blocks.HEADER_BYTES;
const IS_FREE = blocks.IS_FREE;
const MIN_BLOCK = blocks.MIN_BLOCK;
const MIN_UNITS = blocks.MIN_UNITS;
const footerIndex = blocks.footerIndex;
const frontPadding = blocks.frontPadding;
const geometryIndex = blocks.geometryIndex;
const geometryOf = blocks.geometryOf;
const ownershipIndexOf = blocks.ownershipIndexOf;
const unitsFor = blocks.unitsFor;
const unitsIn = blocks.unitsIn;
const freeWord = ownership.freeWord;
const gapWord = ownership.gapWord;
const liveWord = ownership.liveWord;
const withoutClass = ownership.withoutClass;
const END = control.END;
const FIRST = control.FIRST;
const OWN = control.OWN;

/** Units of a span's end marker: a header of size 0. */
const END_MARKER = 1;

/** Index of the control word that says how many units are claimed. */
const CLAIMED = OWN + 1;

/** The ownership word of a gap between spans: in the hands of nobody, so that no free takes it. */
const GAP = gapWord();

/** Splitting and coalescing over an index of free blocks that a subclass keeps. */
export abstract class BoundaryTags extends Algorithm {
  // ── The index of free blocks, kept by the subclass ──────────────────────────────────────────────

  /** A free block of at least `units` whose payload can be aligned, or 0. It stays in the index. */
  protected abstract findFree(units: number, align: number): number;

  /** Puts a new free block into the index. `after` is the free block next below it, or 0 if unknown. */
  protected abstract linkFree(block: number, units: number, after: number): void;

  /** Takes a free block out of the index. */
  protected abstract unlinkFree(block: number, units: number): void;

  /**
   * A free block now starts and ends elsewhere, still between the same neighbours. Reads the links of
   * `from` before it writes those of `to`: they may overlap.
   */
  protected abstract relinkFree(from: number, fromUnits: number, to: number, toUnits: number): void;

  /** The free block after `block` in the index, in any order; the first one for 0; 0 at the end. */
  protected abstract nextFree(block: number): number;

  /** Bytes of the control block and what the subclass keeps behind it. */
  protected abstract readonly controlBytes: number;

  /** Makes the index empty, whatever it holds. */
  protected abstract clearIndex(): void;

  /** Checks the index against the number of free blocks. */
  protected abstract verifyIndex(count: number): void;

  // ── Allocate ────────────────────────────────────────────────────────────────────────────────────

  override allocBlock(size: number, align: number): Address {
    const need = unitsFor(size);
    const found = this.findFree(need, align);
    if (found === 0) return NULL;
    const { i32 } = this;
    const total = this.freeUnits(found);
    const padding = align <= UNIT ? 0 : frontPadding(found, align);
    const block = found + padding;
    if (padding !== 0) this.#splitFront(found, total, padding);
    const rest = total - padding - need;
    let taken = need;
    if (rest >= MIN_UNITS) {
      this.splitBack(found, total, padding, need);
    } else {
      if (padding === 0) this.unlinkFree(found, total);
      taken = total - padding;
      i32[geometryIndex(block + taken)]! &= ~BELOW_FREE;
    }
    const own = ownershipIndexOf(block);
    i32[own] = liveWord(i32[own]!, this.owner);
    i32[geometryIndex(block)] = geometryOf(
      taken,
      (padding !== 0 ? BELOW_FREE : 0) | (align > UNIT ? ALIGNED : 0),
    );
    return ((block + 1) * UNIT) as Address;
  }

  /** Leaves `padding` units as a free block of their own; the block above them is in no index yet. */
  #splitFront(lower: number, total: number, padding: number): void {
    this.#writeFree(lower + padding, total - padding, BELOW_FREE);
    this.i32[geometryIndex(lower)] = geometryOf(padding, IS_FREE);
    this.setLink(footerIndex(lower, padding), padding);
    this.relinkFree(lower, total, lower, padding);
  }

  /** Leaves what lies above `padding + need` units of a free block as a free block of its own. */
  protected splitBack(found: number, total: number, padding: number, need: number): void {
    const rest = found + padding + need;
    const restUnits = total - padding - need;
    if (padding === 0) this.relinkFree(found, total, rest, restUnits);
    this.#writeFree(rest, restUnits, 0);
    if (padding !== 0) this.linkFree(rest, restUnits, found);
  }

  // ── Free ────────────────────────────────────────────────────────────────────────────────────────

  override freeBlock(address: Address): void {
    const block = (address >>> 3) - 1;
    const { i32 } = this;
    const geometry = i32[geometryIndex(block)]!;
    const own = ownershipIndexOf(block);
    i32[own] = freeWord(i32[own]!);
    i32[geometryIndex(block)] = (geometry & ~ALIGNED) | IS_FREE;
    this.coalesce(block, unitsIn(geometry), (geometry & BELOW_FREE) !== 0);
  }

  /** Merges a free block that is in no index with its free neighbours, and puts it into the index. */
  protected coalesce(block: number, units: number, belowIsFree: boolean): void {
    const { i32 } = this;
    const above = block + units;
    const aboveIsFree = (i32[geometryIndex(above)]! & IS_FREE) !== 0;
    const aboveUnits = aboveIsFree ? this.freeUnits(above) : 0;
    let merged = units + aboveUnits;
    let start = block;
    if (belowIsFree) {
      const belowUnits = this.#belowUnits(block);
      start = block - belowUnits;
      merged += belowUnits;
      if (aboveIsFree) this.unlinkFree(above, aboveUnits);
      this.relinkFree(start, belowUnits, start, merged);
    } else if (aboveIsFree) {
      this.relinkFree(above, aboveUnits, block, merged);
    } else {
      this.linkFree(block, units, 0);
    }
    if (merged !== units) i32[geometryIndex(start)] = geometryOf(merged, IS_FREE);
    this.setLink(footerIndex(start, merged), merged);
    i32[geometryIndex(start + merged)]! |= BELOW_FREE;
  }

  /** The units of the free block at `block`, whose footer must agree: a write past the block below differs. */
  protected freeUnits(block: number): number {
    const geometry = this.i32[geometryIndex(block)]!;
    const units = unitsIn(geometry);
    const fits = units >= MIN_UNITS && units <= this.marker - block;
    if (!fits || (geometry & IS_FREE) === 0 || this.linkAt(footerIndex(block, units)) !== units) {
      throw corrupt(block, 'the header of a free block was overwritten');
    }
    return units;
  }

  /** The units of the free block below, from its footer. */
  #belowUnits(block: number): number {
    const units = this.linkAt(geometryIndex(block) - 1);
    const below = block - units;
    const fits = units >= MIN_UNITS && below >= this.firstUnit;
    if (!fits || this.i32[geometryIndex(below)] !== geometryOf(units, IS_FREE)) {
      throw corrupt(block - 0.5, `the footer of the free block below says ${units} units, its header not`);
    }
    return units;
  }

  // ── Resize ──────────────────────────────────────────────────────────────────────────────────────

  override resizeBlock(address: Address, size: number): boolean {
    const block = (address >>> 3) - 1;
    const need = unitsFor(size);
    const have = unitsIn(this.i32[geometryIndex(block)]!);
    if (need === have) return true;
    const above = block + have;
    const room = (this.i32[geometryIndex(above)]! & IS_FREE) !== 0 ? this.freeUnits(above) : 0;
    if (need > have + room) return false;
    const rest = have + room - need;
    if (room === 0 && rest < MIN_UNITS) return true;
    // The size is about to differ from the class's: a cache must not take the block for one of its own.
    const own = ownershipIndexOf(block);
    this.i32[own] = withoutClass(this.i32[own]!);
    this.#moveUpperEdge(block, above, room, need, rest);
    return true;
  }

  /** Ends `block` at `need` units; `rest` units above it are free, of which `room` were before. */
  #moveUpperEdge(block: number, above: number, room: number, need: number, rest: number): void {
    const { i32 } = this;
    const flags = i32[geometryIndex(block)]! & (BELOW_FREE | ALIGNED);
    if (rest < MIN_UNITS) {
      this.unlinkFree(above, room);
      i32[geometryIndex(block)] = geometryOf(need + rest, flags);
      i32[geometryIndex(block + need + rest)]! &= ~BELOW_FREE;
      return;
    }
    const upper = block + need;
    // Going up, the new header lies where the old links may be; going down, the new links where the old header may be.
    if (upper > above) this.relinkFree(above, room, upper, rest);
    this.#writeFree(upper, rest, 0);
    i32[geometryIndex(block)] = geometryOf(need, flags);
    if (room === 0) this.linkFree(upper, rest, 0);
    else if (upper < above) this.relinkFree(above, room, upper, rest);
    i32[geometryIndex(upper + rest)]! |= BELOW_FREE;
  }

  // ── Spans ───────────────────────────────────────────────────────────────────────────────────────

  /** Makes one free block of the bytes [first, end). Called by `create`. */
  protected layRegion(first: number, end: number): void {
    const block = first / UNIT;
    const marker = end / UNIT - END_MARKER;
    this.i32[this.word + CLAIMED] = (end - this.start) / UNIT;
    this.#writeEnd(marker, BELOW_FREE);
    this.#writeFree(block, marker - block, 0);
    this.linkFree(block, marker - block, 0);
  }

  /**
   * Takes the bytes right above the highest span; they merge with a free block at its end.
   *
   * @param bytes rounded down to a multiple of 8
   * @returns false, with nothing changed, when the memory ends before, or when so few bytes have no
   * free block below to merge with
   */
  override extend(bytes: number): boolean {
    return this.claim(this.end, bytes);
  }

  /**
   * Takes a span of the memory, anywhere outside the spans that it has. Spans that touch merge; between
   * others lies a gap: a block that is never free.
   *
   *      span            gap                          span
   *      ├─────────────┬──────────────────────────────┼──────────────┬─────┤
   *      │ blocks …    │ used, size up to the next    │ blocks …     │ end │
   *      └─────────────┴──────────────────────────────┴──────────────┴─────┘
   *                     ▲ where the span's end marker was
   *
   * Cost: O(1) above and below all spans, O(blocks) between them.
   *
   * @param start first byte, rounded up to a multiple of 8
   * @param bytes how many; the end is rounded down to a multiple of 8
   * @returns false, with nothing changed, when the bytes are not free to take or too few
   */
  claim(start: number, bytes: number): boolean {
    checkInteger('start', start, 0, Number.MAX_SAFE_INTEGER);
    checkInteger('bytes', bytes, 0, Number.MAX_SAFE_INTEGER);
    const top = alignDown(start + bytes, UNIT);
    // Unit 0 stands for no block, so none can start there.
    const bottom = Math.max(UNIT, alignUp(start, UNIT));
    if (top > this.memory.byteLength || bottom >= top) return false;
    if (bottom < this.start + this.controlBytes && top > this.start) return false;
    const low = bottom / UNIT;
    const high = top / UNIT;
    const isAbove = low > this.marker;
    const gap = isAbove ? this.marker : high <= this.firstUnit ? 0 : this.#gapAround(low, high);
    if (gap < 0) return false;
    const above = gap === 0 ? this.firstUnit : isAbove ? 0 : gap + this.#unitsAt(gap);
    return this.#addSpan(low, high, gap, above);
  }

  /** The gap that holds [low, high), or -1. */
  #gapAround(low: number, high: number): number {
    for (let block = this.firstUnit; block < this.marker; block += this.#unitsAt(block)) {
      const top = block + this.#unitsAt(block);
      if (this.#isGap(block) && low < top) return low > block && high <= top ? block : -1;
    }
    return -1;
  }

  /** Adds [low, high), with the end marker or gap at `gap` (0: none) below and a block at `above` (0: none). */
  #addSpan(low: number, high: number, gap: number, above: number): boolean {
    const { i32 } = this;
    const touchesBelow = gap !== 0 && low === gap + END_MARKER;
    const block = touchesBelow ? gap : low;
    const top = high === above ? high : high - END_MARKER;
    const gapFlags = gap === 0 ? 0 : i32[geometryIndex(gap)]! & BELOW_FREE;
    const belowFlags = touchesBelow ? gapFlags : 0;
    if (top - block < (belowFlags === 0 ? MIN_UNITS : 1)) return false;
    if (above === 0) this.#writeEnd(top, 0);
    else if (top !== above) this.#writeGap(top, above - top, 0);
    // Geometry first: the block may start as a gap, which is one while it is given out in nobody's hands.
    i32[geometryIndex(block)] = geometryOf(top - block, IS_FREE | belowFlags);
    const own = ownershipIndexOf(block);
    i32[own] = freeWord(i32[own]!);
    if (gap !== 0 && !touchesBelow) this.#writeGap(gap, low - gap, gapFlags);
    if (above === 0) i32[this.word + END] = high;
    if (gap === 0) i32[this.word + FIRST] = low;
    i32[this.word + CLAIMED]! += high - low;
    this.coalesce(block, top - block, belowFlags !== 0);
    return true;
  }

  /**
   * Gives the highest `bytes` bytes back to the memory: `claim` may take them again.
   *
   * @param bytes rounded down to a multiple of 8
   * @returns false, with nothing changed, unless they are all in one free block at the end
   */
  truncate(bytes: number): boolean {
    checkInteger('bytes', bytes, 0, Number.MAX_SAFE_INTEGER);
    const units = Math.floor(bytes / UNIT);
    const { i32 } = this;
    const marker = this.marker;
    if (units === 0 || (i32[geometryIndex(marker)]! & BELOW_FREE) === 0) return false;
    const have = this.#belowUnits(marker);
    const block = marker - have;
    const left = have - units;
    if (left !== 0 && left < MIN_UNITS) return false;
    if (left === 0) {
      this.unlinkFree(block, have);
    } else {
      this.relinkFree(block, have, block, left);
      // A block of its own first, however small, so that the end falls between two blocks.
      i32[ownershipIndexOf(block + left)] = 0;
      i32[geometryIndex(block + left)] = geometryOf(units, IS_FREE | BELOW_FREE);
      i32[geometryIndex(block)] = geometryOf(left, IS_FREE);
      this.setLink(footerIndex(block, left), left);
    }
    // Commits: what lies there now is overwritten by the marker.
    i32[this.word + END]! -= units;
    this.#writeEnd(block + left, left === 0 ? 0 : BELOW_FREE);
    i32[this.word + CLAIMED]! -= units;
    return true;
  }

  override get claimedBytes(): number {
    return this.i32[this.word + CLAIMED]! * UNIT;
  }

  /** Writes the header and footer of a free block. Its generation goes on from what lay there. */
  #writeFree(block: number, units: number, flags: number): void {
    const own = ownershipIndexOf(block);
    this.i32[own] = freeWord(this.i32[own]!);
    this.i32[geometryIndex(block)] = geometryOf(units, IS_FREE | flags);
    this.setLink(footerIndex(block, units), units);
  }

  #writeEnd(marker: number, flags: number): void {
    this.i32[ownershipIndexOf(marker)] = 0;
    this.i32[geometryIndex(marker)] = flags;
  }

  #writeGap(block: number, units: number, flags: number): void {
    this.i32[ownershipIndexOf(block)] = GAP;
    this.i32[geometryIndex(block)] = geometryOf(units, flags);
  }

  #isGap(block: number): boolean {
    return this.i32[ownershipIndexOf(block)] === GAP && (this.i32[geometryIndex(block)]! & IS_FREE) === 0;
  }

  /** The units of the block at `block`, checked to end within the spans. */
  #unitsAt(block: number): number {
    const units = unitsIn(this.i32[geometryIndex(block)]!);
    const isLarge = units >= MIN_UNITS || (units > END_MARKER && this.#isGap(block));
    if (!isLarge || units > this.marker - block) {
      throw new HeapCorruptionError(block * UNIT, `a block of ${units * UNIT} bytes cannot be`);
    }
    return units;
  }

  // ── Look-ups and walks ──────────────────────────────────────────────────────────────────────────

  /** Where the blocks start. */
  private get firstUnit(): number {
    return this.i32[this.word + FIRST]!;
  }

  /** The end marker of the highest span. */
  private get marker(): number {
    return this.i32[this.word + END]! - END_MARKER;
  }

  override usableSize(address: Address): number {
    return (unitsIn(this.i32[(address >>> 2) - 2]!) - 1) * UNIT;
  }

  override ownershipIndex(address: Address): number {
    if (address >>> 0 !== address || (address & 7) !== 0) return -1;
    const block = (address >>> 3) - 1;
    const marker = this.marker;
    if (block < this.firstUnit || block >= marker) return -1;
    const geometry = this.i32[geometryIndex(block)]!;
    const units = unitsIn(geometry);
    if ((geometry & IS_FREE) !== 0 || units < MIN_UNITS || units > marker - block) return -1;
    // The block above knows that this one is not free.
    if ((this.i32[geometryIndex(block + units)]! & BELOW_FREE) !== 0) return -1;
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
    return this.#blockFrom(this.firstUnit);
  }

  override blockAfter(address: Address): Address {
    const block = (address >>> 3) - 1;
    return this.#blockFrom(block + this.#unitsAt(block));
  }

  /** The payload of the first block at `block` or above that is no gap. */
  #blockFrom(block: number): Address {
    const marker = this.marker;
    let at = block;
    while (at < marker && this.#isGap(at)) at += this.#unitsAt(at);
    return (at >= marker ? NULL : (at + 1) * UNIT) as Address;
  }

  override freeBytes(): number {
    let units = 0;
    for (let block = this.nextFree(0); block !== 0; block = this.nextFree(block)) {
      units += unitsIn(this.i32[geometryIndex(block)]!) - 1;
    }
    return units * UNIT;
  }

  /** The free block that a list's head names, checked to lie in the spans; 0 for none. */
  protected headed(block: number): number {
    if (block !== 0 && !this.isInSpans(block))
      throw corrupt(block, 'the head of a free list was overwritten');
    return block;
  }

  /**
   * The error for a link of a free block to one that does not link back. Overwritten was the one, when it leads
   * to no free block, else the other.
   *
   * @param from the block with the link; 0 is a list's head
   */
  protected strayLink(from: number, to: number): HeapCorruptionError {
    const isFree = this.isInSpans(to) && (this.i32[geometryIndex(to)]! & IS_FREE) !== 0;
    if (isFree) return corrupt(to, 'a link of a free block does not lead back: it was overwritten');
    return corrupt(from === 0 ? to : from, 'a link of a free block leads to none: it was overwritten');
  }

  protected isInSpans(block: number): boolean {
    return block >= this.firstUnit && block < this.marker;
  }

  // ── Verify ──────────────────────────────────────────────────────────────────────────────────────

  override verify(): void {
    const { i32 } = this;
    let freeCount = 0;
    let used = 0;
    let liveCount = 0;
    let belowIsFree = false;
    const marker = this.marker;
    for (let block = this.firstUnit; block < marker; block += this.#unitsAt(block)) {
      const geometry = i32[geometryIndex(block)]!;
      const units = this.#unitsAt(block);
      const isFree = (geometry & IS_FREE) !== 0;
      if (isFree && belowIsFree)
        throw new HeapCorruptionError(block * UNIT, 'two neighbouring blocks are free');
      this.#verifyBelowBit(block, geometry, belowIsFree);
      this.verifyOwnership(((block + 1) * UNIT) as Address);
      if (isFree) {
        if (this.linkAt(footerIndex(block, units)) !== units) {
          throw new HeapCorruptionError(block * UNIT, 'the footer differs from the header');
        }
        freeCount++;
      } else if (!this.#isGap(block)) {
        used += (units - 1) * UNIT;
        liveCount++;
      }
      belowIsFree = isFree;
    }
    const end = i32[geometryIndex(marker)]!;
    if ((end & ~BELOW_FREE) !== 0)
      throw new HeapCorruptionError(marker * UNIT, 'the end marker was overwritten');
    this.#verifyBelowBit(marker, end, belowIsFree);
    this.verifyIndex(freeCount);
    this.verifyCounters(used, liveCount);
  }

  #verifyBelowBit(block: number, geometry: number, belowIsFree: boolean): void {
    if (((geometry & BELOW_FREE) !== 0) === belowIsFree) return;
    throw new HeapCorruptionError(
      block * UNIT,
      `"below free" is wrong: the block below is ${belowIsFree ? '' : 'not '}free`,
    );
  }

  // ── Rebuild ─────────────────────────────────────────────────────────────────────────────────────

  override rebuild(): void {
    const { i32, marker } = this;
    this.clearIndex();
    let used = 0;
    let live = 0;
    let claimed = this.controlBytes / UNIT + END_MARKER;
    let below = 0;
    let lastFree = 0;
    for (let block = this.firstUnit; block < marker; ) {
      let units = this.#settleFree(block, marker);
      if (units !== 0) {
        this.linkFree(block, units, lastFree);
        lastFree = block;
        claimed += units;
        below = BELOW_FREE;
      } else {
        const geometry = i32[geometryIndex(block)]!;
        const told = (geometry & ~BELOW_FREE) | below;
        if (told !== geometry) i32[geometryIndex(block)] = told;
        units = this.#unitsAt(block);
        const isGap = i32[ownershipIndexOf(block)] === GAP;
        claimed += isGap ? END_MARKER : units;
        used += isGap ? 0 : units - 1;
        live += isGap ? 0 : 1;
        below = 0;
      }
      block += units;
    }
    this.#writeEnd(marker, below);
    i32[this.word + CLAIMED] = claimed;
    this.settleCounters(used * UNIT, live);
  }

  /** Makes one free block of those that start at `block` in a row. Returns its units, 0 if there are none. */
  #settleFree(block: number, marker: number): number {
    const { i32 } = this;
    let end = block;
    while (end < marker) {
      const geometry = i32[geometryIndex(end)]!;
      if (!this.settleOwnership(ownershipIndexOf(end), (geometry & IS_FREE) !== 0)) break;
      const units = unitsIn(geometry);
      // What `claim` and `truncate` were about may be smaller than a block, behind a free one.
      if (units === 0 || units > marker - end)
        throw corrupt(end, `a block of ${units * UNIT} bytes cannot be`);
      end += units;
    }
    const free = end - block;
    if (free === 0) return 0;
    if (free < MIN_UNITS) throw corrupt(block, `a free block of ${free * UNIT} bytes cannot be`);
    i32[geometryIndex(block)] = geometryOf(free, IS_FREE);
    this.setLink(footerIndex(block, free), free);
    return free;
  }

  /** The fewest bytes that a region needs behind a control block of `controlBytes`. */
  protected static leastBytes(controlBytes: number): number {
    return controlBytes + MIN_BLOCK + HEADER_BYTES;
  }
}

/** The error for a block. Apart, so that the steps that throw it stay short enough for V8 to inline. */
export function corrupt(block: number, reason: string): HeapCorruptionError {
  return new HeapCorruptionError(block * UNIT, reason);
}
