/**
 * ThreadCached: per-thread caches of blocks by size class before any locked allocator. The fast paths of
 * alloc and free, which are all that this file has besides `create` and `attach`, take no lock, call no
 * atomic operation and make no garbage. See thread-cache.ts for the rest.
 *
 *      thread A        thread B          one for each class                  one
 *      ┌────────┐      ┌────────┐  batch  ┌────────────────┐  batch  ┌──────────────────┐
 *      │ cache  │      │ cache  │◀───────▶│ transfer list  │◀───────▶│ locked allocator │
 *      └────────┘      └────────┘         └────────────────┘         └──────────────────┘
 *       private: HAND(slot)                shared: TRANSFER           FREE
 *
 *      start                      start + 128
 *      ├──────────────┬───────────┼────────────────────────┬────────────────────────┐
 *      │ control 64   │ epoch u32 │ 49 transfer lists      │ Locked …               │
 *      └──────────────┴───────────┴────────────────────────┴────────────────────────┘
 *
 * alloc   takes the newest entry of the class, looks whether its ownership word says HAND(me) of that class,
 *         and flips it to LIVE; notes unit and class as the latest
 * free    reads state and class from the ownership word, writes HAND(me) with the next generation, and
 *         puts the block into its class
 *
 * What a pair takes is one load waiting for another, not instructions. So the class of the latest block is
 * predicted, and checked against the word beside the chain; and an entry that holds the unit is not written.
 *
 * Source: the design of TCMalloc's thread caches, S. Ghemawat and P. Menage.
 */

import { AttachError, hex } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import * as addresses from '../memory/address.ts';
import * as layouts from '../memory/layout.ts';
import type { Memory } from '../memory/memory.ts';
import type { Thread } from '../sync/thread.ts';
import { type Algorithm, checkRegion, layControl, type RegionOptions, sealControl } from './algorithm.ts';
import type { Peers } from './cached-blocks.ts';
import { CONTROL_BYTES, checkControl, FIRST, KIND_THREAD_CACHED } from './control.ts';
import { Locked, type LockedOptions } from './locked.ts';
import { LIVE, ORPHAN } from './ownership.ts';
import * as classes from './size-class.ts';
import * as cache from './thread-cache.ts';
import { ThreadCache } from './thread-cache.ts';

// V8 folds the constants of a module, but loads imported ones at each use: the fast paths have copies.
const UNIT = addresses.UNIT;
const DEFAULT_ALIGN = layouts.DEFAULT_ALIGN;
const LARGEST_CLASS = classes.LARGEST_CLASS;
const SHIFTED_CLASS_OF = classes.SHIFTED_CLASS_OF;
const CLASS_MASK = cache.CLASS_MASK;
const FIRST_ENTRY = cache.FIRST_ENTRY;
const HAND_TO_LIVE = cache.HAND_TO_LIVE;
const HEADER_BYTES = cache.HEADER_BYTES;
const LATEST = cache.LATEST;
const LATEST_BASE = cache.LATEST_BASE;
const LISTS_BYTES = cache.LISTS_BYTES;
const GENERATION_MASK = 0xff;
const FIRST_HELD = LIVE;
const HELD_STATES = ORPHAN - LIVE;

/** More would keep large blocks apart that the allocator could merge: 64 KiB costs 2 % of a full heap. */
const LARGEST_BATCH_BYTES = 12288;
const LEAST_BATCH_BYTES = 512;
/** A batch is at most this share of the capacity: small heaps keep small caches. */
const BATCH_SHARE = 1024;

/** What a cached allocator can be told: as `Locked`, which it wraps. */
export interface ThreadCachedOptions<A extends Algorithm = Algorithm, O extends RegionOptions = RegionOptions>
  extends LockedOptions<A, O> {
  /** The other threads, where a heap knows them. */
  readonly peers?: Peers;
}

/** Thread-safe, and fast: a cache for each thread before a locked allocator. */
export class ThreadCached<A extends Algorithm = Algorithm> extends ThreadCache<A> {
  /**
   * Lays out the lists, the lock and the algorithm.
   *
   * @throws RangeError when the region is misaligned, outside the memory or too small
   */
  static create<A extends Algorithm, O extends RegionOptions>(
    memory: Memory,
    options: ThreadCachedOptions<A, O>,
  ): ThreadCached<A> {
    const region = checkRegion(memory, options, HEADER_BYTES + LISTS_BYTES);
    const first = region.start + HEADER_BYTES + LISTS_BYTES;
    const inner = Locked.create<A, O>(memory, { ...options, start: first, byteLength: region.end - first });
    const share = Math.floor((region.end - first) / BATCH_SHARE);
    const batchBytes = Math.min(LARGEST_BATCH_BYTES, Math.max(LEAST_BATCH_BYTES, share));
    layControl(memory, region, batchBytes, first, region.end);
    memory.u8.fill(0, region.start + CONTROL_BYTES, first);
    sealControl(memory, region.start, KIND_THREAD_CACHED);
    return before(inner, region.start, options.lockTimeout, options.peers);
  }

  /**
   * Adopts the allocator that `create` laid out at `start`, with an empty cache for this thread.
   *
   * @throws AttachError when there is none
   */
  static attach(
    memory: Memory,
    start: number,
    thread?: Thread,
    lockTimeout?: number,
    peers?: Peers,
  ): ThreadCached {
    checkControl(memory, start, KIND_THREAD_CACHED);
    const first = start + HEADER_BYTES + LISTS_BYTES;
    if (memory.u32[(start >>> 2) + FIRST]! * UNIT !== first) {
      throw new AttachError(`the cached allocator at ${hex(start)} has a header that contradicts itself`);
    }
    const inner = Locked.attach(memory, first, thread, lockTimeout);
    return before(inner, start, lockTimeout, peers);
  }

  // ── Fast paths ──────────────────────────────────────────────────────────────────────────────────

  alloc(size: number, align: number = DEFAULT_ALIGN): Address {
    // `typeof`: a BigInt or a Symbol would throw a TypeError at the shift.
    if (typeof size === 'number' && size <= LARGEST_CLASS && size >>> 0 === size && align === DEFAULT_ALIGN) {
      const base = SHIFTED_CLASS_OF[(size + 15) >>> 4]!;
      const cache = this.cache;
      const newest = cache[base]!;
      const unit = cache[newest]!;
      const index = ((unit << 1) - 1) | 0;
      const word = this.i32[index]!;
      if ((word & ~GENERATION_MASK) === (this.hand | base)) {
        cache[base] = (newest - 1) | 0;
        this.hits += 1;
        this.i32[index] = word ^ HAND_TO_LIVE;
        cache[LATEST] = unit;
        cache[LATEST_BASE] = base;
        return ((unit << 3) >>> 0) as Address;
      }
    }
    return this.allocSlow(size, align);
  }

  free(address: Address): void {
    const unit = address >>> 3;
    if ((unit << 3) >>> 0 === address && (unit - this.lowest) >>> 0 <= this.reach) {
      const index = ((unit << 1) - 1) | 0;
      const word = this.i32[index]!;
      // LIVE, FLIGHT, SHARED or ORPHAN: see isHeld in ownership.ts.
      if (((word >>> 29) - FIRST_HELD) >>> 0 <= HELD_STATES) {
        const cache = this.cache;
        const base = unit === cache[LATEST] ? cache[LATEST_BASE]! : word & CLASS_MASK;
        const newest = cache[base]!;
        if ((word & CLASS_MASK) === base && newest !== cache[base + 1]) {
          this.i32[index] = this.hand | base | ((word + 1) & GENERATION_MASK);
          const above = (newest + 1) | 0;
          if (cache[above] !== unit) cache[above] = unit;
          cache[base] = above;
          return;
        }
      }
    }
    this.freeSlow(address);
  }

  protected override indexOf(unit: number): number {
    return unit * 2 - 1;
  }
}

/**
 * The same over an algorithm that keeps ownership words in a map (buddy): their index is worked out by
 * the formula of algorithm.ts. Apart, because the formula would cost the others a fifth of their time.
 */
class MappedThreadCached<A extends Algorithm = Algorithm> extends ThreadCached<A> {
  readonly #shift: number;
  readonly #base: number;
  /** The bits of a unit that are 0 where a block can start. */
  readonly #inside: number;

  constructor(inner: Locked<A>, start: number, lockTimeout: number | undefined, peers: Peers | undefined) {
    super(inner, start, lockTimeout, peers);
    const { shift, base } = inner.inner.ownershipCodec();
    this.#shift = shift;
    this.#base = base;
    this.#inside = (1 << (shift - 1)) - 1;
  }

  override alloc(size: number, align: number = DEFAULT_ALIGN): Address {
    // `typeof`: a BigInt or a Symbol would throw a TypeError at the shift.
    if (typeof size === 'number' && size <= LARGEST_CLASS && size >>> 0 === size && align === DEFAULT_ALIGN) {
      const base = SHIFTED_CLASS_OF[(size + 15) >>> 4]!;
      const cache = this.cache;
      const newest = cache[base]!;
      if (newest >= base + FIRST_ENTRY) {
        const unit = cache[newest]!;
        const index = this.indexOf(unit);
        const word = this.i32[index]!;
        if ((word & ~GENERATION_MASK) === (this.hand | base)) {
          cache[base] = (newest - 1) | 0;
          this.hits += 1;
          this.i32[index] = word ^ HAND_TO_LIVE;
          return (unit * UNIT) as Address;
        }
      }
    }
    return this.allocSlow(size, align);
  }

  override free(address: Address): void {
    const unit = address >>> 3;
    if (unit * UNIT === address && (unit & this.#inside) === 0 && (unit - this.lowest) >>> 0 <= this.reach) {
      const index = this.indexOf(unit);
      const word = this.i32[index]!;
      // LIVE, FLIGHT, SHARED or ORPHAN: see isHeld in ownership.ts.
      if (((word >>> 29) - FIRST_HELD) >>> 0 <= HELD_STATES) {
        const base = word & CLASS_MASK;
        const cache = this.cache;
        const newest = cache[base]!;
        if (newest !== cache[base + 1]) {
          this.i32[index] = this.hand | base | ((word + 1) & GENERATION_MASK);
          cache[newest + 1] = unit;
          cache[base] = newest + 1;
          return;
        }
      }
    }
    this.freeSlow(address);
  }

  protected override indexOf(unit: number): number {
    return ((unit * 2) >>> this.#shift) + this.#base;
  }
}

/** The cache that fits the algorithm. */
function before<A extends Algorithm>(
  inner: Locked<A>,
  start: number,
  lockTimeout: number | undefined,
  peers: Peers | undefined,
): ThreadCached<A> {
  const isMapped = inner.inner.ownershipCodec().shift !== 0;
  return new (isMapped ? MappedThreadCached : ThreadCached)<A>(inner, start, lockTimeout, peers);
}
