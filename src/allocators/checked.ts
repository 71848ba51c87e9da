/**
 * Checked: canaries, poison and a quarantine around any algorithm, to find bugs. Addresses stay as they are;
 * blocks are 8 bytes longer (see guard.ts), and `sizeOf` is just what was asked for.
 *
 *      start     64      128          │            │ first
 *      ├─────────┼───────┼────────────┼────────────┼──────────────────────┐
 *      │ control │ own   │ quarantine │ start bits │ the algorithm …      │
 *      └─────────┴───────┴────────────┴────────────┴──────────────────────┘
 *                                      a bit for each unit of the reserve
 *
 * alloc   writes the guard, then the start bit: from then on the block is the user's
 * free    wants the start bit, which no interior or foreign address has, and a whole guard; then the block
 *         is poisoned and goes to the quarantine. Who leaves that is looked at, zeroed, and freed
 * NULL    only once the quarantine is empty
 *
 * Invariants: 1. the start bits set are those of the held blocks; 2. each of these has a whole guard;
 * 3. each QUARANTINE block is poisoned all over, and in the quarantine; 4. the counters are right.
 *
 * Encoded with a secret of the allocator's own, by a mask of its own for each word, are the sizes in guards,
 * the quarantine's places, and the free links and footers of the algorithm (see free-link.ts). Serves one
 * thread: put `Locked` around it for many. No thread cache: what makes checks exact is that each free takes
 * the lock.
 *
 * Source: hardened_malloc of D. Micay.
 */

import { AttachError, HeapCorruptionError, hex, InvalidFreeError } from '../errors.ts';
import { type Address, alignUp, NULL, UNIT } from '../memory/address.ts';
import { checkInteger } from '../memory/layout.ts';
import type { Memory } from '../memory/memory.ts';
import type { Thread } from '../sync/thread.ts';
import {
  Algorithm,
  checkAlgorithm,
  checkRegion,
  layControl,
  type OwnershipCodec,
  type RegionOptions,
  sealControl,
} from './algorithm.ts';
import {
  ALLOCATIONS,
  CONTROL_BYTES,
  checkControl,
  FAILURES,
  FIRST,
  FREES,
  KIND_CHECKED,
  PARAM,
  USED,
} from './control.ts';
import { linkKeyFrom } from './free-link.ts';
import { GUARD_BYTES, Guard } from './guard.ts';
import { type AlgorithmClass, attachAlgorithm } from './kinds.ts';
import { handWord, isHeld, QUARANTINE, stateOf, unownedWord } from './ownership.ts';
import { placeBytes, Quarantine } from './quarantine.ts';

const OWN_BYTES = 64;
// Indexes of 32-bit words from the control block's start.
const SECRET = CONTROL_BYTES / 4;
/** Units that the start bits are for. */
const RESERVE = SECRET + 1;
/** The unit of the block whose guard is being moved, or 0. */
const RESIZING = SECRET + 2;
const QUARANTINE_STATE = SECRET + 4;

const DEFAULT_KEPT = 256;
const MOST_KEPT = 2 ** 16;
/** The quarantine keeps at most this share of the region. */
const KEPT_SHARE = 16;

/** What a checked allocator can be told. */
export interface CheckedOptions<A extends Algorithm = Algorithm, O extends RegionOptions = RegionOptions>
  extends RegionOptions {
  /** The algorithm to check. */
  readonly allocator: AlgorithmClass<A, O>;
  /** Its own options. */
  readonly options?: Omit<O, keyof RegionOptions>;
  /** How many freed blocks are kept back, 0 to 65,536. Default 256; never more than 1/16 of the region's bytes. */
  readonly quarantine?: number;
  /** Makes canaries and the order of reuse the same in every run: an integer below 2^32. Default: random. */
  readonly seed?: number;
  /** How far the region may grow, in bytes from `start`. Default: not at all. */
  readonly reserveBytes?: number;
}

/** Any algorithm, with what finds bugs around it. Serves one thread: put `Locked` around it for many. */
export class Checked<A extends Algorithm = Algorithm> extends Algorithm {
  /** The algorithm. What is allocated from it directly is unknown here. */
  readonly inner: A;
  private readonly guard: Guard;
  private readonly quarantine: Quarantine;
  /** Index of the first word of start bits. */
  private readonly bits: number;
  /** The unit of the first bit. */
  private readonly firstUnit: number;
  /** How many units have a bit. */
  private readonly unitCount: number;

  /**
   * Lays out the checks and the algorithm.
   *
   * @throws RangeError when the region is misaligned, outside the memory or too small, or an option is out of range
   */
  static create<A extends Algorithm, O extends RegionOptions>(
    memory: Memory,
    options: CheckedOptions<A, O>,
  ): Checked<A> {
    const { quarantine = DEFAULT_KEPT, seed = Math.floor(Math.random() * 2 ** 32) } = options;
    checkInteger('quarantine', quarantine, 0, MOST_KEPT);
    checkInteger('seed', seed, 0, 2 ** 32 - 1);
    checkInteger('reserveBytes', options.reserveBytes ?? 0, 0, Number.MAX_SAFE_INTEGER);
    const region = checkRegion(memory, options, CONTROL_BYTES + OWN_BYTES);
    const wanted = Math.max(options.reserveBytes ?? 0, region.end - region.start);
    const reserve = Math.floor(Math.min(wanted, memory.byteLength - region.start) / UNIT);
    const first = firstByte(region.start, quarantine, reserve);
    if (first > region.end)
      throw new RangeError(`the region is too small: the checks alone need ${first - region.start}`);
    checkAlgorithm(options.allocator);
    const inner = options.allocator.create(memory, {
      ...(options.options as O),
      start: first,
      byteLength: region.end - first,
      linkKey: linkKeyFrom(seed),
      ...(options.thread === undefined ? {} : { thread: options.thread }),
    });
    layControl(memory, region, quarantine, first, region.end);
    memory.u8.fill(0, region.start + CONTROL_BYTES, first);
    const word = region.start >>> 2;
    memory.u32[word + SECRET] = seed;
    memory.u32[word + RESERVE] = reserve;
    const checked = new Checked(inner, region.start);
    checked.quarantine.clear(seed);
    sealControl(memory, region.start, KIND_CHECKED);
    return checked;
  }

  /**
   * Adopts the allocator that `create` laid out at `start`, reading its algorithm from the bytes.
   *
   * @throws AttachError when there is none
   */
  static attach(memory: Memory, start: number, thread?: Thread): Checked {
    checkControl(memory, start, KIND_CHECKED);
    const word = start >>> 2;
    const kept = memory.u32[word + PARAM]!;
    const first = firstByte(start, kept, memory.u32[word + RESERVE]!);
    if (kept > MOST_KEPT || memory.u32[word + FIRST]! * UNIT !== first) {
      throw new AttachError(`the checked allocator at ${hex(start)} has a header that contradicts itself`);
    }
    const linkKey = linkKeyFrom(memory.u32[word + SECRET]!);
    return new Checked(attachAlgorithm(memory, first, thread, linkKey), start);
  }

  private constructor(inner: A, start: number) {
    super(inner.memory, start, inner.thread);
    const { memory, word } = this;
    const secret = memory.i32[word + SECRET]!;
    const kept = memory.u32[word + PARAM]!;
    const places = word + (CONTROL_BYTES + OWN_BYTES) / 4;
    const keptBytes = alignUp(Math.floor((inner.end - start) / KEPT_SHARE), UNIT);
    this.inner = inner;
    this.guard = new Guard(memory, secret);
    this.quarantine = new Quarantine(memory, word + QUARANTINE_STATE, places, kept, keptBytes, secret);
    this.bits = places + placeBytes(kept) / 4;
    this.firstUnit = this.first / UNIT;
    this.unitCount = memory.u32[word + RESERVE]! - (this.first - start) / UNIT;
  }

  // ── Allocate and free ───────────────────────────────────────────────────────────────────────────

  override allocate(size: number, align: number): Address {
    const { inner, f64, double } = this;
    let address = inner.allocate(size + GUARD_BYTES, align);
    if (address === NULL && size < inner.claimedBytes && this.quarantine.bytes > 0) {
      this.flush();
      address = inner.allocate(size + GUARD_BYTES, align);
    }
    if (address === NULL || !this.hasBit(address)) {
      if (address !== NULL) inner.free(address);
      f64[double + FAILURES]! += 1;
      return NULL;
    }
    if (this.isStart(address)) throw new HeapCorruptionError(address, 'a live block was among the free ones');
    // What was there last are the algorithm's links.
    this.i32.fill(0, address >>> 2, (address >>> 2) + 2);
    this.guard.write(address, size, inner.usableSize(address));
    this.flipBit(address);
    f64[double + ALLOCATIONS]! += 1;
    this.countUsed(size);
    return address;
  }

  /** @throws HeapCorruptionError when its guard or header was overwritten, before anything changes */
  override takeBack(address: Address): void {
    const index = this.heldIndex(address);
    this.guard.check(address, this.inner.usableSize(address));
    this.i32[index] = handWord(this.i32[index]!, this.owner);
  }

  /**
   * Keeps a block in HAND(me) back. Requires: lock held.
   *
   * @throws HeapCorruptionError when another block, which leaves the quarantine for it, was written to
   */
  override release(address: Address): void {
    const { inner, i32, f64, double } = this;
    const usable = inner.usableSize(address);
    const index = inner.ownershipIndexAt(address);
    f64[double + USED]! -= Math.max(0, this.guard.sizeAt(address, usable));
    f64[double + FREES]! += 1;
    // Nobody's from here on: a thread's death does not concern it.
    i32[index] = unownedWord(i32[index]!, QUARANTINE);
    if (this.isStart(address)) this.flipBit(address);
    if (!this.quarantine.takes(usable)) {
      this.giveBack(address, usable);
      return;
    }
    this.guard.poison(address, usable);
    this.quarantine.put(address, usable);
    this.evict(false);
  }

  /** Empties the quarantine. Requires: lock held. */
  override flush(): void {
    this.evict(true);
  }

  /** Lets all blocks go, or as many as are too many. */
  private evict(all: boolean): void {
    const { quarantine, inner } = this;
    let fault = 0;
    while (all || quarantine.isOverfull) {
      const address = quarantine.takeOldest();
      if (address === NULL) break;
      const index = address < this.first ? -1 : inner.ownershipIndex(address);
      if (index < 0 || stateOf(this.i32[index]!) !== QUARANTINE) {
        throw new HeapCorruptionError(
          address,
          'a place of the quarantine, or the header of a block in it, was overwritten',
        );
      }
      const usable = inner.usableSize(address);
      quarantine.removed(usable);
      const overwritten = this.guard.poisonFault(address, usable);
      // What was written to is kept for ever, for whoever looks for the cause.
      if (overwritten === 0) this.giveBack(address, usable);
      else fault = overwritten;
    }
    if (fault !== 0) throw writtenAfterFree(fault);
  }

  /** Zeroes a block that nobody has, and frees it. */
  private giveBack(address: Address, usable: number): void {
    this.memory.zero(address, usable);
    const index = this.inner.ownershipIndexAt(address);
    this.i32[index] = handWord(this.i32[index]!, this.owner);
    this.inner.release(address);
  }

  override allocBlock(size: number, align: number): Address {
    return this.inner.allocBlock(size, align);
  }

  override freeBlock(address: Address): void {
    this.inner.freeBlock(address);
  }

  // ── Resize and look ─────────────────────────────────────────────────────────────────────────────

  override resizeInPlace(address: Address, size: number): boolean {
    const { inner, i32, word } = this;
    const before = this.guard.check(address, inner.usableSize(address));
    if (size < before) this.memory.u8.fill(0, address + size, address + before);
    i32[word + RESIZING] = address >>> 3;
    const done = inner.resizeInPlace(address, size + GUARD_BYTES);
    if (done) {
      this.guard.write(address, size, inner.usableSize(address));
      this.countUsed(size - before);
    }
    i32[word + RESIZING] = 0;
    return done;
  }

  override resizeBlock(address: Address, size: number): boolean {
    return this.inner.resizeBlock(address, size);
  }

  /** What was asked for, for a block that is given out; all its bytes for others. */
  override usableSize(address: Address): number {
    const usable = this.inner.usableSize(address);
    if (!this.isStart(address)) return usable;
    const size = this.guard.sizeAt(address, usable);
    return size < 0 ? usable - GUARD_BYTES : size;
  }

  /** @throws HeapCorruptionError when the block's guard or header was overwritten */
  override sizeOf(address: Address): number {
    this.heldIndex(address);
    const usable = this.inner.usableSize(address);
    const size = this.guard.sizeAt(address, usable);
    return size < 0 ? this.guard.check(address, usable) : size;
  }

  override heldIndex(address: Address): number {
    const index = this.ownershipIndex(address);
    if (index >= 0 && isHeld(this.i32[index]!)) return index;
    if (this.isStart(address)) throw headerOverwritten(address);
    throw this.notHeld(address, index);
  }

  protected override notHeld(address: Address, index: number): InvalidFreeError {
    const freed = this.inner.ownershipIndex(address);
    if (freed >= 0 && stateOf(this.i32[freed]!) === QUARANTINE) {
      return new InvalidFreeError(address, 'it was freed already, and is in quarantine');
    }
    return super.notHeld(address, index);
  }

  override ownershipIndex(address: Address): number {
    return this.isStart(address) ? this.inner.ownershipIndex(address) : -1;
  }

  override ownershipIndexAt(address: Address): number {
    return this.inner.ownershipIndexAt(address);
  }

  /** Caches would take blocks past the checks: the formula holds for none. */
  override ownershipCodec(): OwnershipCodec {
    return { lowest: 0, highest: 0, shift: 0, base: 0 };
  }

  override isFree(address: Address): boolean {
    return this.inner.isFree(address);
  }

  override keptAlign(address: Address): number {
    return this.inner.keptAlign(address);
  }

  override firstBlock(): Address {
    return this.inner.firstBlock();
  }

  override blockAfter(address: Address): Address {
    return this.inner.blockAfter(address);
  }

  /** Takes more bytes right above, as far as `reserveBytes` allows. */
  override extend(bytes: number): boolean {
    checkInteger('bytes', bytes, 0, Number.MAX_SAFE_INTEGER);
    const end = (this.firstUnit + this.unitCount) * UNIT;
    return this.inner.end + bytes <= end && this.inner.extend(bytes);
  }

  override get end(): number {
    return this.inner.end;
  }

  override get claimedBytes(): number {
    return this.inner.claimedBytes + this.inner.start - this.start;
  }

  override freeBytes(): number {
    return this.inner.freeBytes() + this.quarantine.bytes;
  }

  override largestFree(): number {
    return Math.max(0, this.inner.largestFree() - GUARD_BYTES);
  }

  // ── Start bits ──────────────────────────────────────────────────────────────────────────────────

  /** Whether a block that is given out starts at `address`. Needs no lock for a block that the caller holds. */
  private isStart(address: Address): boolean {
    if (address >>> 0 !== address || (address & 7) !== 0 || !this.hasBit(address)) return false;
    const bit = (address >>> 3) - this.firstUnit;
    return (this.i32[this.bits + (bit >>> 5)]! & (1 << (bit & 31))) !== 0;
  }

  private hasBit(address: Address): boolean {
    return ((address >>> 3) - this.firstUnit) >>> 0 < this.unitCount;
  }

  /** Requires: lock held. */
  private flipBit(address: Address): void {
    const bit = (address >>> 3) - this.firstUnit;
    this.i32[this.bits + (bit >>> 5)]! ^= 1 << (bit & 31);
  }

  // ── Repair and verify ──────────────────────────────────────────────────────────────────────────────────────

  /**
   * Besides what the algorithm does: a block without a start bit was not the user's yet, or not any more, and
   * goes back, as all the quarantine does; the guard that was being moved is whole again.
   */
  override rebuild(): void {
    const { inner, i32, word } = this;
    inner.rebuild();
    this.quarantine.clear();
    const unused: Address[] = [];
    const live = new Set<number>();
    let used = 0;
    for (let address = inner.firstBlock(); address !== NULL; address = inner.blockAfter(address)) {
      if (inner.isFree(address)) continue;
      if (!isHeld(inner.ownershipAt(address)) || !this.isStart(address)) {
        unused.push(address);
        continue;
      }
      const usable = inner.usableSize(address);
      if (i32[word + RESIZING] === address >>> 3) this.settleGuard(address, usable);
      used += this.usableSize(address);
      live.add((address >>> 3) - this.firstUnit);
    }
    i32[word + RESIZING] = 0;
    this.clearBitsBut(live);
    for (const address of unused) this.giveBack(address, inner.usableSize(address));
    this.settleCounters(used, live.size);
  }

  /**
   * Lays the guard of a block whose resize was cut short where it was, or at the block's end where size and seal do
   * not stand. In the first case the header of what was to be cut off may lie on the canary.
   */
  private settleGuard(address: Address, usable: number): void {
    const size = this.guard.sizeAt(address, usable);
    this.guard.write(address, size < 0 ? usable - GUARD_BYTES : size, usable);
  }

  /** Clears one start bit after the other: whoever goes on after a death must still find those of live blocks. */
  private clearBitsBut(live: ReadonlySet<number>): void {
    for (let at = 0; at < Math.ceil(this.unitCount / 32); at++) {
      for (let word = this.i32[this.bits + at]!; word !== 0; word &= word - 1) {
        const bit = at * 32 + 31 - Math.clz32(word & -word);
        if (!live.has(bit)) this.flipBit(((this.firstUnit + bit) * UNIT) as Address);
      }
    }
  }

  override verify(): void {
    const { inner, guard } = this;
    inner.verify();
    let used = 0;
    let live = 0;
    let kept = 0;
    for (let address = inner.firstBlock(); address !== NULL; address = inner.blockAfter(address)) {
      if (inner.isFree(address)) continue;
      const usable = inner.usableSize(address);
      const word = inner.ownershipAt(address);
      const held = isHeld(word);
      if (held !== this.isStart(address)) throw headerOverwritten(address);
      if (held) {
        used += guard.check(address, usable);
        live++;
      } else if (stateOf(word) === QUARANTINE) {
        const fault = guard.poisonFault(address, usable);
        if (fault !== 0) throw writtenAfterFree(fault);
        kept++;
      }
    }
    this.verifyBits(live);
    if (kept !== this.quarantine.count()) {
      throw new HeapCorruptionError(
        this.start,
        `the quarantine should have ${kept} blocks, it has ${this.quarantine.count()}`,
      );
    }
    this.verifyCounters(used, live);
  }

  private verifyBits(live: number): void {
    let starts = 0;
    for (let at = 0; at < Math.ceil(this.unitCount / 32); at++) {
      for (let word = this.i32[this.bits + at]!; word !== 0; word &= word - 1) starts++;
    }
    if (starts !== live) {
      throw new HeapCorruptionError(this.bits * 4, `${starts} start bits are set for ${live} live blocks`);
    }
  }
}

/** Where the algorithm lies: `kept` places and the bits of `reserve` units before it. */
function firstByte(start: number, kept: number, reserve: number): number {
  return alignUp(
    start + CONTROL_BYTES + OWN_BYTES + placeBytes(kept) + Math.ceil(reserve / 32) * 4,
    OWN_BYTES,
  );
}

function headerOverwritten(address: Address): HeapCorruptionError {
  return new HeapCorruptionError(address, 'the header of a block that is given out was overwritten');
}

function writtenAfterFree(fault: number): HeapCorruptionError {
  return new HeapCorruptionError(fault, 'a block was written to after it was freed');
}
