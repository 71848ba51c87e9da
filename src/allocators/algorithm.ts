/**
 * Algorithm: what the single-threaded allocators share. A subclass knows where blocks lie and how to
 * find room; this class checks what callers give, keeps the counters, and moves what must move.
 *
 *     alloc ── check ──▶ allocate ── allocBlock (the algorithm) ── count
 *     free  ── takeBack (check, HAND) ──▶ release ── count ── freeBlock (the algorithm)
 *
 * `Locked` calls these steps with its lock around them. Methods marked "Requires: lock held" change
 * shared structures; the others read only words that the caller's own block keeps still.
 *
 * The ownership word of a block is found by one formula for every allocator:
 *
 *     index = ((address >>> 2) >>> shift) + base
 *
 *     with headers   shift 0, base -1: the word just below the payload
 *     with a map     shift = log2(smallest block) - 2, base: where the map's word of address 0 would be
 */

import { HeapCorruptionError, hex, InvalidFreeError, show } from '../errors.ts';
import * as addresses from '../memory/address.ts';
import { ADDRESS_LIMIT, type Address, alignDown } from '../memory/address.ts';
import * as layouts from '../memory/layout.ts';
import { checkAlign, checkInteger, checkSize } from '../memory/layout.ts';
import type { Memory } from '../memory/memory.ts';
import { Thread } from '../sync/thread.ts';
import type { Allocator, AllocatorStats, BlockInfo } from './allocator.ts';
import * as control from './control.ts';
import { encodedLinks } from './free-link.ts';
import * as ownership from './ownership.ts';

// V8 folds the constants of a module, but loads imported ones, functions too, at each use. Taken one by one, since
// a bundler that sees a whole module destructured keeps all of it.
const NULL = addresses.NULL;
const UNIT = addresses.UNIT;
const FREE = ownership.FREE;
const freeWord = ownership.freeWord;
const generationOf = ownership.generationOf;
const handWord = ownership.handWord;
const isHeld = ownership.isHeld;
const ownerBits = ownership.ownerBits;
const STATE_NAMES = ownership.STATE_NAMES;
const slotOf = ownership.slotOf;
const stateOf = ownership.stateOf;
const withoutClass = ownership.withoutClass;
const withoutGeneration = ownership.withoutGeneration;
const DEFAULT_ALIGN = layouts.DEFAULT_ALIGN;
const ALLOCATIONS = control.ALLOCATIONS;
const FAILURES = control.FAILURES;
const FREES = control.FREES;
const PEAK = control.PEAK;
const USED = control.USED;

/** Larger requests cannot fit below 4 GiB with any header: exhaustion without looking. */
const LARGEST_REQUEST = ADDRESS_LIMIT - 64;

/** Where an allocator lies, and who uses this handle of it. */
export interface RegionOptions {
  /** First byte of the region, a multiple of 8. Default 0. */
  readonly start?: number;
  /** Bytes of the region, its metadata included; rounded down to a multiple of 8. Default: all that follows. */
  readonly byteLength?: number;
  /** The calling thread. Default: known by its thread id. */
  readonly thread?: Thread;
  /** What free links are encoded with: see free-link.ts. `attach` must be told the same. Default 0: they are plain. */
  readonly linkKey?: number;
}

/** Where ownership words lie, for a caller that cannot afford to ask: see the formula above. */
export interface OwnershipCodec {
  /** The lowest address that a block can have. */
  readonly lowest: number;
  /** One past the highest; 0 when the formula does not hold. */
  readonly highest: number;
  readonly shift: number;
  readonly base: number;
}

/** Words for as many runs as a cache has blocks. */
const RUN_WORDS = 512;

/** How many numbers {@link Algorithm.measure} writes. */
export const MEASURES = 8;

/** The shared part of every algorithm. One handle serves one thread. */
export abstract class Algorithm implements Allocator {
  readonly memory: Memory;
  /** Where the control block lies. */
  readonly start: Address;
  /** Who holds what this handle allocates. */
  readonly thread: Thread;
  // `declare`: V8 checks the type of a field that starts out undefined at each use.
  /** The slot bits that this handle writes into ownership words. */
  declare readonly owner: number;
  declare protected readonly i32: Int32Array;
  declare protected readonly u32: Uint32Array;
  declare protected readonly f64: Float64Array;
  /** Index of the control block's first 32-bit word. */
  declare protected readonly word: number;
  /** Index of the control block's first f64. */
  declare protected readonly double: number;

  /** What the calls for many hand to each other: see there. */
  protected readonly runs = new Int32Array(RUN_WORDS);
  protected runCount = 0;

  protected constructor(memory: Memory, start: number, thread: Thread = Thread.of(memory), linkKey = 0) {
    this.memory = memory;
    this.start = start as Address;
    this.thread = thread;
    this.owner = ownerBits(thread.slot, thread.generation);
    this.i32 = memory.i32;
    this.u32 = memory.u32;
    this.f64 = memory.f64;
    this.word = start >>> 2;
    this.double = start >>> 3;
    if (linkKey !== 0) Object.assign(this, encodedLinks(memory.i32, linkKey));
  }

  // ── What an algorithm is ────────────────────────────────────────────────────────────────────────

  /** Takes room for a block, writes its ownership, then commits it. Requires: lock held. */
  abstract allocBlock(size: number, align: number): Address;

  /** Gives the room of a block in HAND(me) back. Requires: lock held. */
  abstract freeBlock(address: Address): void;

  /** Changes a block's size in place, or answers false. Requires: lock held. */
  abstract resizeBlock(address: Address, size: number): boolean;

  /** Usable bytes of the block at `address`, free or not. */
  abstract usableSize(address: Address): number;

  /**
   * Index in `i32` of the ownership word of the block at `address`, or -1 when no block that is given
   * out starts there. Needs no lock for a block that the caller holds.
   */
  abstract ownershipIndex(address: Address): number;

  /** Whether the block at `address`, which a walk found, is free. */
  abstract isFree(address: Address): boolean;

  /** The formula that gives the index of an ownership word. By default: in the word below the payload. */
  ownershipCodec(): OwnershipCodec {
    return { lowest: this.first, highest: this.end, shift: 0, base: -1 };
  }

  /** Index in `i32` of the ownership word of the block at `address`, which a walk found. */
  abstract ownershipIndexAt(address: Address): number;

  /** The ownership word of the block at `address`, which a walk found. */
  ownershipAt(address: Address): number {
    return this.i32[this.ownershipIndexAt(address)]!;
  }

  /** The first block in address order, or `NULL`. Requires: lock held. */
  abstract firstBlock(): Address;

  /** The block above, or `NULL`. Requires: lock held. */
  abstract blockAfter(address: Address): Address;

  /** Takes `bytes` more bytes right above the region. Returns whether it could. Requires: lock held. */
  abstract extend(bytes: number): boolean;

  abstract verify(): void;

  /**
   * Makes whole what a thread left half done that died with the lock. The headers (or maps) are the truth:
   * at each single store they tile the region. One walk over them settles each block whose two words
   * disagree, and rebuilds whatever is derived: index, tags, counters. `peakUsed` and the failures stay.
   * Changes nothing for who holds a block. Idempotent, also when it is cut short itself. Requires: lock held.
   *
   * @throws HeapCorruptionError naming the address where the headers do not tile: what cannot be repaired
   */
  abstract rebuild(): void;

  /** Σ usable bytes of the free blocks. Requires: lock held. */
  abstract freeBytes(): number;

  /** The largest size that `alloc` would serve. Requires: lock held. */
  abstract largestFree(): number;

  /** Makes what is freed but kept back free at last. Requires: lock held. */
  flush(): void {}

  /** The alignment that the block keeps when it moves: at least what it was given out with. */
  keptAlign(_address: Address): number {
    return DEFAULT_ALIGN;
  }

  // ── The public contract ─────────────────────────────────────────────────────────────────────────

  alloc(size: number, align: number = DEFAULT_ALIGN): Address {
    checkLayout(size, align);
    return this.allocate(size, align);
  }

  allocZeroed(size: number, align: number = DEFAULT_ALIGN): Address {
    const address = this.alloc(size, align);
    if (address !== NULL) this.memory.zero(address, size);
    return address;
  }

  realloc(address: Address, size: number, align?: number): Address {
    return moveOrResize(this, this, address, size, align);
  }

  resize(address: Address, size: number): boolean {
    checkLayout(size, DEFAULT_ALIGN);
    this.heldIndex(address);
    return this.resizeInPlace(address, size);
  }

  free(address: Address): void {
    if (address === NULL) return;
    this.takeBack(address);
    this.release(address);
  }

  sizeOf(address: Address): number {
    this.heldIndex(address);
    return this.usableSize(address);
  }

  stats(): AllocatorStats {
    const numbers = new Float64Array(MEASURES);
    this.measure(numbers);
    return statsFrom(numbers);
  }

  *blocks(): IterableIterator<BlockInfo> {
    for (let address = this.firstBlock(); address !== NULL; address = this.blockAfter(address)) {
      yield this.describeBlock(address);
    }
  }

  // ── The steps between check and algorithm ───────────────────────────────────────────────────────

  /** Allocates and counts. Requires: lock held, layout checked. */
  allocate(size: number, align: number): Address {
    const address = size > LARGEST_REQUEST || align > LARGEST_REQUEST ? NULL : this.allocBlock(size, align);
    const { f64, double } = this;
    if (address === NULL) {
      f64[double + FAILURES]! += 1;
      return NULL;
    }
    f64[double + ALLOCATIONS]! += 1;
    this.countUsed(this.usableSize(address));
    return address;
  }

  /**
   * Moves a block from the user's hands to this thread's: HAND(me). Requires: lock held.
   *
   * @throws InvalidFreeError when it is not the user's
   */
  takeBack(address: Address): void {
    const index = this.heldIndex(address);
    this.i32[index] = handWord(this.i32[index]!, this.owner);
  }

  /** Frees a block in HAND(me) and counts. Requires: lock held. */
  release(address: Address): void {
    const { f64, double } = this;
    f64[double + USED]! -= this.usableSize(address);
    f64[double + FREES]! += 1;
    this.freeBlock(address);
  }

  // ── Many at once, for caches: entries are units ─────────────────────────────────────────────────

  /**
   * Allocates up to `count` blocks of a size, and counts. Requires: lock held.
   *
   * @param bits what their ownership words are to be, but for the generation
   * @returns how many there are; `layMany` writes them into entries
   */
  takeMany(size: number, count: number, bits: number): number {
    const { runs } = this;
    let got = 0;
    for (; got < count; got++) {
      const address = this.allocate(size, DEFAULT_ALIGN);
      if (address === NULL) break;
      const index = this.ownershipIndexAt(address);
      this.i32[index] = bits | generationOf(this.i32[index]!);
      runs[got] = address / UNIT;
    }
    return got;
  }

  /**
   * Writes entries for what `takeMany` took, the last one first: caches are emptied from the top, and
   * blocks that lie in a row then come in ascending order. Returns whether `cutMany` is to be called.
   * Needs no lock.
   */
  layMany(count: number, _bits: number, entries: Int32Array, at: number): boolean {
    const { runs } = this;
    for (let i = 0; i < count; i++) entries[at + count - 1 - i] = runs[i]!;
    return false;
  }

  /** Makes blocks of their own of what `layMany` laid. Requires: lock held. */
  cutMany(): void {}

  /**
   * Makes ready what `releaseMany` will free: the blocks of the entries from `from` to `to`, but for those
   * whose ownership word differs from `bits` in more than the generation: they are another thread's, or
   * in the cache twice. Needs no lock.
   *
   * @returns how many it left out
   */
  joinMany(entries: Int32Array, from: number, to: number, bits: number): number {
    const { runs } = this;
    let count = 0;
    for (let at = from; at < to; at++) {
      const index = this.ownershipIndexAt((entries[at]! * UNIT) as Address);
      const word = this.i32[index]!;
      if (withoutGeneration(word) !== bits) continue;
      // Not the entry's any more: a second entry of the same block is left out.
      this.i32[index] = withoutClass(word);
      runs[count++] = entries[at]!;
    }
    this.runCount = count;
    return to - from - count;
  }

  /** Frees what `joinMany` made ready, and counts. Requires: lock held. */
  releaseMany(): void {
    for (let i = 0; i < this.runCount; i++) this.release((this.runs[i]! * UNIT) as Address);
  }

  // ── Resize and look ─────────────────────────────────────────────────────────────────────────────

  /** Resizes a block that the user holds and counts. Requires: lock held. */
  resizeInPlace(address: Address, size: number): boolean {
    if (size > LARGEST_REQUEST) return false;
    const before = this.usableSize(address);
    if (!this.resizeBlock(address, size)) return false;
    this.countUsed(this.usableSize(address) - before);
    return true;
  }

  /** The ownership index of a block that the user holds, or an error that says why it is none. */
  heldIndex(address: Address): number {
    const index = this.ownershipIndex(address);
    if (index >= 0 && isHeld(this.i32[index]!)) return index;
    throw this.notHeld(address, index);
  }

  /** What is known of a block that a walk found. Requires: lock held. */
  describeBlock(address: Address): BlockInfo {
    const word = this.ownershipAt(address);
    const free = this.isFree(address);
    return {
      address,
      size: this.usableSize(address),
      state: free ? 'free' : STATE_NAMES[stateOf(word)]!,
      owner: free ? 0 : slotOf(word),
    };
  }

  /** Writes capacity, used, free, largestFree, allocations, frees, failures, peak. Requires: lock held. */
  measure(out: Float64Array): void {
    const { f64, double } = this;
    out[0] = this.claimedBytes;
    out[1] = f64[double + USED]!;
    out[2] = this.freeBytes();
    out[3] = this.largestFree();
    out[4] = f64[double + ALLOCATIONS]!;
    out[5] = f64[double + FREES]!;
    out[6] = f64[double + FAILURES]!;
    out[7] = f64[double + PEAK]!;
  }

  /** The free link in the word at `index`: see free-link.ts. Garbage when that lies outside the memory. */
  protected linkAt(index: number): number {
    return this.i32[index]!;
  }

  /** Writes a free link. */
  protected setLink(index: number, units: number): void {
    this.i32[index] = units;
  }

  /** Where the blocks start. */
  protected get first(): number {
    return this.u32[this.word + control.FIRST]! * UNIT;
  }

  /** Where the managed bytes end. */
  get end(): number {
    return this.u32[this.word + control.END]! * UNIT;
  }

  /** Compares the ownership word of a block that a walk found with what its header or map says. */
  protected verifyOwnership(address: Address): void {
    const free = this.isFree(address);
    if (free === (stateOf(this.ownershipAt(address)) === FREE)) return;
    const reason = free ? 'a free block is in hands' : 'a block is given out, but nobody holds it';
    throw new HeapCorruptionError(address, reason);
  }

  /** Compares what a walk found with the counters. Requires: lock held. */
  protected verifyCounters(used: number, liveBlocks: number): void {
    const { f64, double } = this;
    const counted = f64[double + ALLOCATIONS]! - f64[double + FREES]!;
    if (f64[double + USED] !== used || counted !== liveBlocks) {
      const claim = `${f64[double + USED]} bytes in ${counted} blocks`;
      throw new HeapCorruptionError(
        this.start,
        `the counters say ${claim} are given out, the blocks ${used} in ${liveBlocks}`,
      );
    }
  }

  /**
   * Whether a block that a rebuild found is free, which makes its ownership word agree. It is when either
   * word says so: an alloc that was not committed leaves it free in hands, a free that was begun leaves
   * it given out to nobody.
   */
  protected settleOwnership(index: number, isFree: boolean): boolean {
    const word = this.i32[index]!;
    if (stateOf(word) === FREE) return true;
    if (isFree) this.i32[index] = freeWord(word);
    return isFree;
  }

  /** Makes the counters agree with what a walk found. Requires: lock held. */
  protected settleCounters(used: number, liveBlocks: number): void {
    const { f64, double } = this;
    const missing = liveBlocks - (f64[double + ALLOCATIONS]! - f64[double + FREES]!);
    if (missing > 0) f64[double + ALLOCATIONS]! += missing;
    else f64[double + FREES]! -= missing;
    f64[double + USED] = 0;
    this.countUsed(used);
  }

  /** All bytes that the allocator manages, its own included. */
  get claimedBytes(): number {
    return this.end - this.start;
  }

  /** Adds to `used` (bytes, may be negative) and keeps the peak. Requires: lock held. */
  protected countUsed(bytes: number): void {
    const { f64, double } = this;
    const used = f64[double + USED]! + bytes;
    f64[double + USED] = used;
    if (used > f64[double + PEAK]!) f64[double + PEAK] = used;
  }

  protected notHeld(address: Address, index: number): InvalidFreeError {
    if (address >>> 0 !== address)
      return new InvalidFreeError(address, 'an address is an integer from 0 to 2^32 - 1');
    if (address % UNIT !== 0) return new InvalidFreeError(address, 'it is not a multiple of 8');
    const first = this.first;
    if (address < first || address >= this.end) {
      return new InvalidFreeError(
        address,
        `this allocator's blocks lie from ${hex(first)} to ${hex(this.end)}`,
      );
    }
    if (index < 0) return new InvalidFreeError(address, 'no block starts there, or it is free already');
    return new InvalidFreeError(address, `the block is ${STATE_NAMES[stateOf(this.i32[index]!)]} already`);
  }
}

/**
 * Throws unless size and alignment are ones that may be asked for.
 *
 * @throws RangeError naming what was given
 */
export function checkLayout(size: number, align: number): void {
  if (typeof size === 'number' && size >>> 0 === size && align === DEFAULT_ALIGN) return;
  checkSize(size);
  checkAlign(align);
}

/** Turns what `measure` wrote into stats. */
export function statsFrom(numbers: Float64Array): AllocatorStats {
  const [capacity, used, free, largestFree, allocations, frees, failures, peakUsed] =
    numbers as unknown as number[];
  return {
    capacity: capacity!,
    used: used!,
    free: free!,
    largestFree: largestFree!,
    liveBlocks: allocations! - frees!,
    allocations: allocations!,
    frees: frees!,
    failures: failures!,
    peakUsed: peakUsed!,
    overhead: capacity! - used! - free!,
  };
}

/**
 * `realloc` for any allocator: in place when it can, else allocate, copy, free. `core` tells which
 * alignment a moved block keeps.
 */
export function moveOrResize(
  allocator: Allocator & { readonly memory: Memory },
  core: { keptAlign(address: Address): number },
  address: Address,
  size: number,
  align?: number,
): Address {
  if (address === NULL) return allocator.alloc(size, align);
  checkLayout(size, align === undefined ? DEFAULT_ALIGN : align);
  const before = allocator.sizeOf(address);
  if ((align === undefined || address % align === 0) && allocator.resize(address, size)) return address;
  const moved = allocator.alloc(size, align ?? core.keptAlign(address));
  if (moved === NULL) return NULL;
  allocator.memory.u8.copyWithin(moved, address, address + Math.min(before, size));
  allocator.free(address);
  return moved;
}

/** A region's bounds after checks: both multiples of 8, inside the memory. */
export interface Region {
  readonly start: number;
  readonly end: number;
}

/**
 * Checks where an allocator is to lie.
 *
 * @param least bytes that it needs at least, metadata included
 * @throws RangeError when the region is misaligned, outside the memory or too small
 */
export function checkRegion(memory: Memory, options: RegionOptions, least: number): Region {
  if (memory?.u32 === undefined) {
    throw new TypeError(`an allocator lies in a Memory, from Memory.create(bytes); got ${show(memory)}`);
  }
  const start = options.start ?? 0;
  checkInteger('start', start, 0, memory.byteLength);
  if (start % UNIT !== 0) throw new RangeError(`start must be a multiple of 8, got ${start}`);
  const byteLength = options.byteLength ?? memory.byteLength - start;
  checkInteger('byteLength', byteLength, 0, memory.byteLength - start);
  const end = start + alignDown(byteLength, UNIT);
  if (end - start < least) {
    throw new RangeError(
      `a region of ${byteLength} bytes is too small: this allocator needs at least ${least}`,
    );
  }
  return { start, end };
}

/** Throws unless a wrapper was told, by its class, which algorithm to put itself around. */
export function checkAlgorithm(given: unknown): void {
  if (typeof (given as { create?: unknown } | undefined)?.create === 'function') return;
  throw new TypeError(`options.allocator must be a class, such as TlsfAllocator; got ${show(given)}`);
}

/** Lays out a control block with zeroed counters. The caller writes the tag last, with `sealControl`. */
export function layControl(memory: Memory, region: Region, param: number, first: number, end: number): void {
  const word = region.start >>> 2;
  memory.u8.fill(0, region.start, region.start + control.CONTROL_BYTES);
  memory.u32[word + control.PARAM] = param;
  memory.u32[word + control.FIRST] = first / UNIT;
  memory.u32[word + control.END] = end / UNIT;
}

/** Publishes: the tag says that all else is laid out; pairs with the check in `attach`. */
export function sealControl(memory: Memory, start: number, kind: number): void {
  memory.u32[start >>> 2] = control.tagOf(kind);
}
