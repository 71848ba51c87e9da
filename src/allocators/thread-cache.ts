/**
 * ThreadCache: all of a thread cache but its fast paths (those are in thread-cached.ts): refill, flush,
 * drain, count and check.
 *
 *      cache (private, one Int32Array)     class c starts at c << 8
 *      ┌ newest ┬ last ┬ nowhere ┬ unit ┬ unit ┬ … ┬ unit ┐     indexes of entries: newest at nowhere: empty,
 *      └────────┴──────┴─────────┴──────┴──────┴ ─ ┴──────┘     newest = last: full (class 0 is both)
 *
 * A block leaves a cache only while its word is HAND(me) of the class, and the word is changed then. Two
 * threads that free a block at the same moment both put it into their caches, but the word names the last
 * writer. So the other one drops it, and counts it, when it would leave there: the word says HAND(other),
 * or what that one has made of it since, LIVE or FREE. Should it come back as HAND(me) before, it is in
 * this cache twice: one entry gets it, and the other finds the word changed.
 *
 * Caches are bounded in bytes: a full one gives its older half to the transfer list, a full list gives to
 * the allocator, where blocks coalesce. Blocks that lie in a row go there at once (see runs.ts), so that a
 * pipeline gets neighbours again. Before NULL all that this thread can reach goes back, idle
 * threads' caches too, and others are asked to flush at their next slow path.
 *
 * Lock order: class locks ascending → allocator.
 */

import { HeapCorruptionError } from '../errors.ts';
import { type Address, NULL, UNIT } from '../memory/address.ts';
import { atomicAdd, atomicLoad } from '../memory/atomics.ts';
import { DEFAULT_ALIGN } from '../memory/layout.ts';
import type { Memory } from '../memory/memory.ts';
import { type Algorithm, checkLayout, moveOrResize } from './algorithm.ts';
import type { Allocator, BlockInfo } from './allocator.ts';
import {
  type CachedStats,
  drainIdle,
  drainList,
  IMPORTED,
  type Peers,
  relist,
  statsOfCached,
} from './cached-blocks.ts';
import { CONTROL_BYTES, FAILURES, PARAM } from './control.ts';
import type { Locked } from './locked.ts';
import {
  classedHandWord,
  HAND,
  handWord,
  LIVE,
  stateOf,
  TRANSFER,
  withoutGeneration,
  withState,
} from './ownership.ts';
import { CLASS_BYTES, CLASS_SHIFT, CLASSES, LARGEST_CLASS, SHIFTED_CLASS_OF } from './size-class.ts';
import { type LiveBlocks, type Swept, sweep } from './sweep.ts';
import { LIST_BYTES, TransferList } from './transfer-list.ts';

/** Bytes before the transfer lists: the control block, and the epoch in a line of its own. */
export const HEADER_BYTES = CONTROL_BYTES + 64;
/** Bytes of the transfer lists. */
export const LISTS_BYTES = CLASSES * LIST_BYTES;
/** Index of the word that goes up when all caches are asked to flush. */
const EPOCH = CONTROL_BYTES / 4;

/** Where in a class's part of the cache its lowest entry stands. */
export const FIRST_ENTRY = 3;
const NOWHERE = FIRST_ENTRY - 1;
/**
 * Indexes of the unit that the fast path served last, and of its shifted class: in the part of class 0.
 * A free of that unit need not wait for its ownership word to know the class, but must compare.
 */
export const LATEST = 4;
export const LATEST_BASE = 5;
const CACHE_WORDS = 64 << CLASS_SHIFT;
const MOST_BATCH = 60;
const LEAST_BATCH = 2;
/** How many batches a transfer list holds before it gives to the allocator. */
const LIST_BATCHES = 8;
/** From so many blocks on a batch that lies in a row is worth an exchange with the allocator. */
const LONG_BATCH = 32;

/** HAND and LIVE differ by this bit alone, so that one flips into the other. */
export const HAND_TO_LIVE = (HAND ^ LIVE) << 29;
/** The bits of an ownership word that hold the class. */
export const CLASS_MASK = 0x3f << CLASS_SHIFT;

/** One thread's cache, its transfer lists and the locked allocator behind them. */
export abstract class ThreadCache<A extends Algorithm = Algorithm> implements Allocator {
  readonly memory: Memory;
  readonly start: Address;
  /** The locked allocator behind the caches. */
  readonly inner: Locked<A>;
  // `declare`: V8 checks the type of a field that starts out undefined at each use.
  declare protected readonly i32: Int32Array;
  readonly #f64: Float64Array;
  protected readonly cache = new Int32Array(CACHE_WORDS);
  /** Allocations that the cache served since they were last published. */
  protected hits = 0;
  /** Blocks dropped because two threads had freed them at the same moment, since last published. */
  #raced = 0;
  /** How many blocks the next refill gets: doubles up to a batch. */
  readonly #appetite = new Uint8Array(64).fill(LEAST_BATCH);
  readonly #lists: TransferList[] = [];
  readonly #peers: Peers | undefined;
  /** HAND(me), of no class and generation. */
  declare protected readonly hand: number;
  readonly #batchBytes: number;
  /** The lowest unit that a block could have when it was last asked. */
  protected lowest = 0;
  /** How many units above that one the highest is; below 0 when there is none. */
  protected reach = -1;
  #epoch: number;
  /** Whether this thread has blocks in hands that no entry names: a lock was not to be had in time. */
  #hasStrays = false;
  #refills = 0;
  #flushes = 0;
  #served = 0;

  constructor(inner: Locked<A>, start: number, lockTimeout: number | undefined, peers: Peers | undefined) {
    const { memory } = inner;
    const { thread, owner } = inner.inner;
    this.memory = memory;
    this.start = start as Address;
    this.inner = inner;
    this.i32 = memory.i32;
    this.#f64 = memory.f64;
    this.#peers = peers;
    this.hand = handWord(0, owner);
    this.#batchBytes = memory.u32[(start >>> 2) + PARAM]!;
    this.#readBounds();
    this.#epoch = atomicLoad(this.i32, (start >>> 2) + EPOCH);
    const timeout = lockTimeout === undefined ? {} : { timeout: lockTimeout };
    for (let cls = 0; cls < CLASSES; cls++) {
      const at = (start + HEADER_BYTES + cls * LIST_BYTES) as Address;
      const repair = (): void => relist(inner, this.#lists[cls]!, cls << CLASS_SHIFT);
      this.#lists.push(new TransferList(memory, at, CLASS_BYTES[cls]!, { thread, repair, ...timeout }));
      // Pools find ownership words by division: their blocks are not cached. Nor are large ones in a small heap.
      const isCached = cls !== 0 && this.reach >= 0 && CLASS_BYTES[cls]! <= this.#batchBytes;
      this.#layClass(cls << CLASS_SHIFT, isCached ? 2 * this.#batch(cls) : 0);
    }
    // Nor do words reach classes that are none but by a broken ownership word.
    for (let cls = CLASSES; cls < 64; cls++) this.#layClass(cls << CLASS_SHIFT, 0);
  }

  /**
   * Makes an empty cache of a class with room for `room` blocks. Below its entries stands the unit of no
   * block: what would be its ownership word is the parameter of the control block, which is no HAND.
   */
  #layClass(base: number, room: number): void {
    this.cache[base] = base + NOWHERE;
    this.cache[base + 1] = base + NOWHERE + room;
    this.cache[base + NOWHERE] = (this.start >>> 3) + 1;
  }

  // ── What the place of ownership words decides ───────────────────────────────────────────────────

  abstract alloc(size: number, align?: number): Address;

  abstract free(address: Address): void;

  /** Index in `i32` of the ownership word of the block at a unit. */
  protected abstract indexOf(unit: number): number;

  // ── Slow paths ──────────────────────────────────────────────────────────────────────────────────

  protected allocSlow(size: number, align: number): Address {
    checkLayout(size, align);
    this.#heedEpoch();
    const small = size <= LARGEST_CLASS && align <= DEFAULT_ALIGN;
    const cls = small ? SHIFTED_CLASS_OF[(size + 15) >>> 4]! >>> CLASS_SHIFT : 0;
    const address = small ? this.#allocClass(cls) : this.inner.alloc(size, align);
    return address === NULL ? this.#lastResort(size, align) : address;
  }

  #allocClass(cls: number): Address {
    const base = cls << CLASS_SHIFT;
    if (!this.#isCached(base)) return this.inner.alloc(CLASS_BYTES[cls]!, DEFAULT_ALIGN);
    for (;;) {
      if (this.cache[base] === base + NOWHERE && this.#refill(cls) === 0) return NULL;
      const unit = this.cache[this.cache[base]!]!;
      this.cache[base]! -= 1;
      const index = this.indexOf(unit);
      const word = this.i32[index]!;
      if (withoutGeneration(word) === (this.hand | base)) {
        this.hits += 1;
        this.i32[index] = word ^ HAND_TO_LIVE;
        return (unit * UNIT) as Address;
      }
      // Another thread freed it at the same moment, so that it is in another cache too: drop it here.
      this.#raced += 1;
    }
  }

  protected freeSlow(address: Address): void {
    if (address === NULL) return;
    const cls = (this.i32[this.inner.inner.heldIndex(address)]! & CLASS_MASK) >>> CLASS_SHIFT;
    const base = cls << CLASS_SHIFT;
    this.#heedEpoch();
    // It may have got another class since the fast path served it.
    this.cache[LATEST] = 0;
    // The region may have grown since.
    if (!this.#covers(address)) this.#readBounds();
    if (!this.#isCached(base) || !this.#covers(address)) {
      this.inner.free(address);
      return;
    }
    if (this.cache[base] === this.cache[base + 1]) this.#flushBatch(cls);
    this.free(address);
  }

  /** Gets a batch from the class's transfer list, else from the allocator. Returns how many blocks came. */
  #refill(cls: number): number {
    this.checkSound();
    const list = this.#lists[cls]!;
    const base = cls << CLASS_SHIFT;
    const wanted = this.#appetite[cls]!;
    this.#appetite[cls] = Math.min(this.#batch(cls), wanted * 2);
    this.#refills++;
    list.acquire();
    let got = 0;
    try {
      this.#publish(list);
      got = list.take(wanted, this.cache, base + FIRST_ENTRY);
      this.#receive(base, got);
    } finally {
      list.lock.release();
    }
    return got > 0 ? got : this.#import(cls, wanted);
  }

  /** Makes the first `count` units of an empty cache its blocks. Requires: class lock held. */
  #receive(base: number, count: number): void {
    const { i32, cache, hand } = this;
    for (let at = base + FIRST_ENTRY; at < base + FIRST_ENTRY + count; at++) {
      const unit = cache[at]!;
      const index = this.indexOf(unit);
      const word = i32[index]!;
      if (stateOf(word) !== TRANSFER || (word & CLASS_MASK) !== base) {
        throw new HeapCorruptionError(unit * UNIT, 'a block on a transfer list was overwritten');
      }
      i32[index] = classedHandWord(word, hand, base);
      cache[base] = at;
    }
  }

  /** Gets `wanted` blocks or more from the allocator into an empty cache. Returns how many it had. */
  #import(cls: number, wanted: number): number {
    const { inner } = this;
    const core = inner.inner;
    const base = cls << CLASS_SHIFT;
    const bits = this.hand | base;
    // Nearly a full cache for who needs many: an eighth of a batch is left for frees.
    const isMany = wanted >= LONG_BATCH && wanted === this.#batch(cls);
    const count = isMany ? 2 * wanted - (wanted >>> 3) : wanted;
    let got: number;
    inner.acquire();
    try {
      got = core.takeMany(CLASS_BYTES[cls]!, count, bits);
      this.#f64[this.#double + IMPORTED]! += got;
    } finally {
      inner.lock.release();
    }
    if (core.layMany(got, bits, this.cache, base + FIRST_ENTRY)) {
      this.#acquireForHeld();
      core.cutMany();
      inner.lock.release();
    }
    this.cache[base]! += got;
    return got;
  }

  /** Gives the older half of a full cache to the transfer list, to the allocator when that is full; a row whole. */
  #flushBatch(cls: number): void {
    this.checkSound();
    const list = this.#lists[cls]!;
    const base = cls << CLASS_SHIFT;
    const batch = this.#batch(cls);
    const first = base + FIRST_ENTRY;
    const half = first + batch;
    // Blocks in a row merge again, all at once: the next refill gets them in a row too.
    const merges = batch >= LONG_BATCH && this.#isRow(first, half, (CLASS_BYTES[cls]! >>> 3) + 1);
    const end = merges ? this.cache[base]! + 1 : half;
    this.#flushes++;
    list.acquire();
    let kept: boolean;
    try {
      this.#publish(list);
      kept = !merges && list.count < LIST_BATCHES * batch;
      if (kept) this.#give(list, base, end);
    } finally {
      list.lock.release();
    }
    if (kept) this.#dropBelow(base, end);
    else this.#export(base, end);
  }

  /** Takes the entries of a class below `end` out of the cache. */
  #dropBelow(base: number, end: number): void {
    const first = base + FIRST_ENTRY;
    this.cache.copyWithin(first, end, this.cache[base]! + 1);
    this.cache[base]! -= end - first;
  }

  /** Puts the entries of a class below `end` on its transfer list. Requires: class lock held. */
  #give(list: TransferList, base: number, end: number): void {
    const { i32, cache } = this;
    const bits = this.hand | base;
    for (let at = base + FIRST_ENTRY; at < end; at++) {
      const unit = cache[at]!;
      const index = this.indexOf(unit);
      const word = i32[index]!;
      // Freed by another thread at the same moment, it is in another cache too: drop it here.
      if (withoutGeneration(word) !== bits) {
        this.#raced += 1;
        continue;
      }
      i32[index] = withState(word, TRANSFER);
      list.push(unit);
    }
  }

  /** Whether most of the entries are neighbours of the one before, which the allocator takes back in one step. */
  #isRow(from: number, to: number, units: number): boolean {
    const { cache } = this;
    let pairs = 0;
    for (let at = from + 1; at < to; at++) {
      const step = cache[at]! - cache[at - 1]!;
      if (step === units || step === -units) pairs++;
    }
    return pairs * 2 >= to - from;
  }

  /** Takes the entries of a class below `end` out of the cache and frees them in the allocator. */
  #export(base: number, end: number): void {
    const { inner } = this;
    // Blocks that another thread freed at the same moment are theirs.
    this.#raced += inner.inner.joinMany(this.cache, base + FIRST_ENTRY, end, this.hand | base);
    this.#dropBelow(base, end);
    this.#acquireForHeld();
    try {
      inner.inner.releaseMany();
    } finally {
      inner.lock.release();
    }
  }

  /** Gives this thread's cache, and what lies on transfer lists, back to the allocator, where it coalesces. */
  flush(): void {
    this.#flushCache();
    for (const list of this.#lists) drainList(this.inner, list);
  }

  #flushCache(): void {
    for (let cls = 1; cls < CLASSES; cls++) {
      const base = cls << CLASS_SHIFT;
      if (this.cache[base] === base + NOWHERE) continue;
      this.#export(base, this.cache[base]! + 1);
      this.#appetite[cls] = LEAST_BATCH;
    }
    if (this.#hasStrays) this.#sweepHeld();
    this.publish();
  }

  /** Adds what this thread did to the shared counters, which slow paths do anyway: before a pause, say. */
  publish(): void {
    if (this.hits === 0 && this.#raced === 0) return;
    // Class 0 has no blocks, but a list like the others.
    const list = this.#lists[0]!;
    list.acquire();
    this.#publish(list);
    list.lock.release();
  }

  /**
   * Forgets what the cache holds: another thread has taken it back.
   *
   * @param isDone whether it was done with that; if it has died instead, the rest goes back too
   */
  discard(isDone = true): void {
    for (let cls = 1; cls < CLASSES; cls++) {
      const base = cls << CLASS_SHIFT;
      this.cache[base] = base + NOWHERE;
    }
    if (!isDone) this.#sweepHeld();
  }

  /** Frees whatever this thread has in hands, which no entry of its cache may be. Walks all blocks. */
  #sweepHeld(): void {
    const { inner } = this;
    inner.acquire();
    try {
      sweep(inner.inner, [inner.inner.owner], 'stay');
      this.#hasStrays = false;
    } finally {
      inner.lock.release();
    }
  }

  /** Takes the allocator's lock for blocks that are in no cache. Without it they stay in hands until all is flushed. */
  #acquireForHeld(): void {
    try {
      this.inner.acquire();
    } catch (error) {
      this.#hasStrays = true;
      throw error;
    }
  }

  /** Tries everything before NULL: own cache, transfer lists, idle threads; asks the others to flush. */
  #lastResort(size: number, align: number): Address {
    this.flush();
    if (this.#peers !== undefined) drainIdle(this.inner, this.#peers);
    this.#epoch = atomicAdd(this.i32, (this.start >>> 2) + EPOCH, 1) + 1;
    const address = this.inner.alloc(size, align);
    if (address !== NULL) return address;
    this.inner.acquire();
    this.#f64[this.#double + FAILURES]! += 1;
    this.inner.lock.release();
    return NULL;
  }

  /** Flushes when some thread that ran out of room has asked for it. */
  #heedEpoch(): void {
    const epoch = this.i32[(this.start >>> 2) + EPOCH]!;
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    this.#flushCache();
  }

  /** Adds what this thread did since the last time to a list's counters. Requires: its lock held. */
  #publish(list: TransferList): void {
    list.publish(this.hits, this.#raced);
    this.#raced = 0;
    this.#served += this.hits;
    this.hits = 0;
  }

  /** Whether blocks of a class are cached. */
  #isCached(base: number): boolean {
    return this.cache[base + 1]! > base + NOWHERE;
  }

  #batch(cls: number): number {
    return Math.max(LEAST_BATCH, Math.min(MOST_BATCH, Math.floor(this.#batchBytes / CLASS_BYTES[cls]!)));
  }

  #covers(address: Address): boolean {
    return ((address >>> 3) - this.lowest) >>> 0 <= this.reach;
  }

  #readBounds(): void {
    const { lowest, highest } = this.inner.inner.ownershipCodec();
    // `>>> 3` keeps small integers where a division would make doubles; 2^32 wraps to 0.
    this.lowest = lowest >>> 3;
    this.reach = highest === 0 ? -1 : ((highest - 1) >>> 3) - this.lowest;
  }

  get #double(): number {
    return this.start >>> 3;
  }

  // ── The rest of the contract ────────────────────────────────────────────────────────────────────

  allocZeroed(size: number, align: number = DEFAULT_ALIGN): Address {
    const address = this.alloc(size, align);
    if (address !== NULL) this.memory.zero(address, size);
    return address;
  }

  realloc(address: Address, size: number, align?: number): Address {
    return moveOrResize(this, this.inner.inner, address, size, align);
  }

  resize(address: Address, size: number): boolean {
    checkLayout(size, DEFAULT_ALIGN);
    const base = this.i32[this.inner.inner.heldIndex(address)]! & CLASS_MASK;
    // Within its class nothing changes, and no lock is needed.
    if (base !== 0 && size <= LARGEST_CLASS && SHIFTED_CLASS_OF[(size + 15) >>> 4] === base) return true;
    return this.inner.resize(address, size);
  }

  sizeOf(address: Address): number {
    return this.inner.sizeOf(address);
  }

  /** Takes more bytes right above the region, where the algorithm can. Returns whether it did. */
  extend(bytes: number): boolean {
    return this.inner.extend(bytes);
  }

  /** See `Locked.checkSound`. */
  checkSound(): void {
    this.inner.checkSound();
  }

  /** See `Locked.tryShare`. */
  tryShare(address: Address): boolean {
    return this.inner.tryShare(address);
  }

  /** Gives the cache back and leaves this thread's LIVE blocks as ORPHAN. Walks all blocks. */
  leave(): void {
    this.#flushCache();
    this.inner.leave();
  }

  /** See `Locked.tryGive`. */
  tryGive(address: Address, owner: number): boolean {
    return this.inner.tryGive(address, owner);
  }

  /** See `Locked.reclaimOf`. Class locks that the dead thread had are taken over, and their lists repaired. */
  reclaimOf(owner: number, live: LiveBlocks): Swept {
    for (const list of this.#lists) {
      list.acquire();
      list.lock.release();
    }
    return this.inner.reclaimOf(owner, live);
  }

  /**
   * Counters over all threads. Exact but for what other threads have done since their last slow path.
   * Walks all blocks.
   */
  stats(): CachedStats {
    const unpublished = this.hits;
    const own = { refills: this.#refills, flushes: this.#flushes, cacheHits: this.#served + unpublished };
    const overhead = HEADER_BYTES + LISTS_BYTES;
    const counters = { ...own, overhead, unpublished, raced: this.#raced };
    return statsOfCached(this.inner, this.#lists, this.start, counters);
  }

  blocks(): IterableIterator<BlockInfo> {
    return this.inner.blocks();
  }

  verify(): void {
    for (let cls = 0; cls < CLASSES; cls++) {
      const list = this.#lists[cls]!;
      list.acquire();
      try {
        list.verify((unit) => this.i32[this.indexOf(unit)]!, cls << CLASS_SHIFT);
      } finally {
        list.lock.release();
      }
      this.#verifyCache(cls << CLASS_SHIFT);
    }
    this.inner.verify();
  }

  #verifyCache(base: number): void {
    for (let at = base + FIRST_ENTRY; at <= this.cache[base]!; at++) {
      const unit = this.cache[at]!;
      if (withoutGeneration(this.i32[this.indexOf(unit)]!) !== (this.hand | base)) {
        throw new HeapCorruptionError(
          unit * UNIT,
          'a cached block is in other hands: two threads freed it at the same moment, or it was overwritten',
        );
      }
    }
  }
}
