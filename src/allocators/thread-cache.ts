/**
 * ThreadCache: all of a thread cache but its fast paths (those are in thread-cached.ts): refill, flush,
 * drain, count and check.
 *
 *      cache (private, one Int32Array)     class c starts at c << 8
 *      ┌ top ┬ limit ┬ unit ┬ word ┬ unit ┬ word ┬ …        top = limit: full, also for class 0
 *      └─────┴───────┴──────┴──────┴──────┴──────┴─ ─
 *
 * A cached block's ownership word says so (HAND), and the cache remembers the word: a block that was freed
 * twice at the same moment by two threads is found when it leaves a cache, dropped and counted.
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
  EXPORTED,
  IMPORTED,
  type Peers,
  statsOfCached,
} from './cached-blocks.ts';
import { CONTROL_BYTES, FAILURES, PARAM } from './control.ts';
import type { Locked } from './locked.ts';
import { classedHandWord, HAND, handWord, LIVE, stateOf, TRANSFER, withState } from './ownership.ts';
import { CLASS_BYTES, CLASS_SHIFT, CLASSES, LARGEST_CLASS, SHIFTED_CLASS_OF } from './size-class.ts';
import { LIST_BYTES, TransferList } from './transfer-list.ts';

/** Bytes before the transfer lists: the control block, and the epoch in a line of its own. */
export const HEADER_BYTES = CONTROL_BYTES + 64;
/** Bytes of the transfer lists. */
export const LISTS_BYTES = CLASSES * LIST_BYTES;
/** Index of the word that goes up when all caches are asked to flush. */
const EPOCH = CONTROL_BYTES / 4;

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
  /** Allocations that the cache served since they were last published, by class. */
  protected readonly hits = new Float64Array(64);
  /** Blocks in the cache when the hits were last published, plus those that came, less those that went. */
  readonly #balance = new Float64Array(64);
  /** Blocks dropped because two threads had freed them at the same moment, since last published. */
  readonly #raced = new Float64Array(64);
  /** How many blocks the next refill gets: doubles up to a batch. */
  readonly #appetite = new Uint8Array(64).fill(LEAST_BATCH);
  readonly #lists: TransferList[] = [];
  readonly #peers: Peers | undefined;
  /** HAND(me), of no class and generation. */
  declare protected readonly hand: number;
  readonly #batchBytes: number;
  // The units between which blocks lay when it was last asked.
  protected lowest = 0;
  protected highest = 0;
  #epoch: number;
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
      this.#lists.push(
        new TransferList(memory, (start + HEADER_BYTES + cls * LIST_BYTES) as Address, CLASS_BYTES[cls]!, {
          thread,
          ...timeout,
        }),
      );
      const base = cls << CLASS_SHIFT;
      this.cache[base] = cls === 0 ? 0 : base + 2;
      // Pools find ownership words by division: their blocks are not cached. Nor are large ones in a small heap.
      const isCached = cls !== 0 && this.highest !== 0 && CLASS_BYTES[cls]! <= this.#batchBytes;
      this.cache[base + 1] = isCached ? base + 2 + 4 * this.#batch(cls) : this.cache[base]!;
    }
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
    if (this.cache[base + 1] === base + 2) return this.inner.alloc(CLASS_BYTES[cls]!, DEFAULT_ALIGN);
    for (;;) {
      if (this.cache[base]! === base + 2 && this.#refill(cls) === 0) return NULL;
      const top = this.cache[base]! - 2;
      const index = this.indexOf(this.cache[top]!);
      const word = this.cache[top + 1]!;
      this.cache[base] = top;
      if (this.i32[index] === word) {
        this.hits[cls]! += 1;
        this.i32[index] = word ^ HAND_TO_LIVE;
        return (this.cache[top]! * UNIT) as Address;
      }
      // Another thread freed it at the same moment, so that it is in another cache too: drop it here.
      this.#raced[cls]! += 1;
      this.#balance[cls]! -= 1;
    }
  }

  protected freeSlow(address: Address): void {
    if (address === NULL) return;
    const cls = (this.i32[this.inner.inner.heldIndex(address)]! & CLASS_MASK) >>> CLASS_SHIFT;
    const base = cls << CLASS_SHIFT;
    this.#heedEpoch();
    // The region may have grown since.
    if (!this.#covers(address)) this.#readBounds();
    if (cls === 0 || cls >= CLASSES || this.cache[base + 1] === base + 2 || !this.#covers(address)) {
      this.inner.free(address);
      return;
    }
    if (this.cache[base] === this.cache[base + 1]) this.#flushBatch(cls);
    this.free(address);
  }

  /** Gets a batch from the class's transfer list, else from the allocator. Returns how many blocks came. */
  #refill(cls: number): number {
    const list = this.#lists[cls]!;
    const base = cls << CLASS_SHIFT;
    const wanted = this.#appetite[cls]!;
    this.#appetite[cls] = Math.min(this.#batch(cls), wanted * 2);
    this.#refills++;
    list.acquire();
    let got = 0;
    try {
      this.#publish(cls);
      got = list.take(wanted, this.cache, base + 2);
      this.#receive(cls, got);
    } finally {
      list.lock.release();
    }
    return got > 0 ? got : this.#import(cls, wanted);
  }

  /** Makes the first `count` units of an empty cache its blocks. Requires: class lock held. */
  #receive(cls: number, count: number): void {
    const { i32, cache, hand } = this;
    const base = cls << CLASS_SHIFT;
    const end = base + 2 + 2 * count;
    for (let at = base + 2; at < end; at += 2) {
      const unit = cache[at]!;
      const index = this.indexOf(unit);
      const word = i32[index]!;
      if (stateOf(word) !== TRANSFER || (word & CLASS_MASK) !== base) {
        throw new HeapCorruptionError(unit * UNIT, 'a block on a transfer list was overwritten');
      }
      const held = classedHandWord(word, hand, base);
      i32[index] = held;
      cache[at + 1] = held;
      cache[base] = at + 2;
    }
    this.#balance[cls]! += count;
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
    if (core.layMany(got, bits, this.cache, base + 2)) {
      inner.acquire();
      core.cutMany();
      inner.lock.release();
    }
    this.cache[base]! += 2 * got;
    this.#balance[cls]! += got;
    return got;
  }

  /** Gives the older half of a full cache to the transfer list, to the allocator when that is full; a row whole. */
  #flushBatch(cls: number): void {
    const list = this.#lists[cls]!;
    const base = cls << CLASS_SHIFT;
    const batch = this.#batch(cls);
    const half = base + 2 + 2 * batch;
    // Blocks in a row merge again, all at once: the next refill gets them in a row too.
    const merges = batch >= LONG_BATCH && this.#isRow(base + 2, half, (CLASS_BYTES[cls]! >>> 3) + 1);
    const end = merges ? this.cache[base]! : half;
    this.#flushes++;
    list.acquire();
    let kept: boolean;
    try {
      this.#publish(cls);
      kept = !merges && list.count < LIST_BATCHES * batch;
      for (let at = base + 2; kept && at < end; at += 2) {
        const index = this.indexOf(this.cache[at]!);
        if (this.i32[index] !== this.cache[at + 1]) {
          this.#raced[cls]! += 1;
          continue;
        }
        this.i32[index] = withState(this.cache[at + 1]!, TRANSFER);
        list.push(this.cache[at]!);
      }
    } finally {
      list.lock.release();
    }
    if (!kept) this.#export(base + 2, end);
    this.cache.copyWithin(base + 2, end, this.cache[base]!);
    this.cache[base]! -= end - (base + 2);
    this.#balance[cls]! -= (end - base - 2) / 2;
  }

  /** Whether most of the entries are neighbours of the one before, which the allocator takes back in one step. */
  #isRow(from: number, to: number, units: number): boolean {
    const { cache } = this;
    let pairs = 0;
    for (let at = from + 2; at < to; at += 2) {
      const step = cache[at]! - cache[at - 2]!;
      if (step === units || step === -units) pairs++;
    }
    return pairs * 4 >= to - from;
  }

  /** Frees the cache entries from `from` to `to` in the allocator. The caller takes them out of the cache. */
  #export(from: number, to: number): void {
    const { inner } = this;
    // Blocks that another thread freed at the same moment are theirs.
    const raced = inner.inner.joinMany(this.cache, from, to);
    this.#raced[from >>> CLASS_SHIFT]! += raced;
    inner.acquire();
    try {
      inner.inner.releaseMany();
      this.#f64[this.#double + EXPORTED]! += (to - from) / 2 - raced;
    } finally {
      inner.lock.release();
    }
  }

  /** Gives this thread's cache, and what lies on transfer lists, back to the allocator, where it coalesces. */
  flush(): void {
    this.#flushCache();
    for (const list of this.#lists) drainList(this.inner, list, this.start);
  }

  #flushCache(): void {
    for (let cls = 1; cls < CLASSES; cls++) {
      const base = cls << CLASS_SHIFT;
      const top = this.cache[base]!;
      if (top === base + 2) continue;
      this.#export(base + 2, top);
      this.cache[base] = base + 2;
      this.#balance[cls]! -= (top - base - 2) / 2;
      this.#appetite[cls] = LEAST_BATCH;
    }
    this.publish();
  }

  /** Adds what this thread did to the shared counters, which slow paths do anyway: before a pause, say. */
  publish(): void {
    for (let cls = 1; cls < CLASSES; cls++) {
      if (this.hits[cls] === 0 && this.#raced[cls] === 0) continue;
      const list = this.#lists[cls]!;
      list.acquire();
      this.#publish(cls);
      list.lock.release();
    }
  }

  /** Forgets what the cache holds: another thread has taken it back. */
  discard(): void {
    for (let cls = 1; cls < CLASSES; cls++) {
      const base = cls << CLASS_SHIFT;
      this.#balance[cls]! -= (this.cache[base]! - base - 2) / 2;
      this.cache[base] = base + 2;
    }
  }

  /** Tries everything before NULL: own cache, transfer lists, idle threads; asks the others to flush. */
  #lastResort(size: number, align: number): Address {
    this.flush();
    if (this.#peers !== undefined) drainIdle(this.inner, this.#peers, this.start);
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

  /** Adds what this thread did since the last time to the class's counters. Requires: class lock held. */
  #publish(cls: number): void {
    const hits = this.hits[cls]!;
    const cached = (this.cache[cls << CLASS_SHIFT]! - (cls << CLASS_SHIFT) - 2) / 2;
    // What is cached now = what was, plus what came, less what was allocated, plus what was freed.
    const frees = cached - this.#balance[cls]! + hits;
    this.#lists[cls]!.publish(hits, frees, this.#raced[cls]!);
    this.#raced[cls] = 0;
    this.#served += hits;
    this.hits[cls] = 0;
    this.#balance[cls] = cached;
  }

  #batch(cls: number): number {
    return Math.max(LEAST_BATCH, Math.min(MOST_BATCH, Math.floor(this.#batchBytes / CLASS_BYTES[cls]!)));
  }

  #covers(address: Address): boolean {
    return address / UNIT >= this.lowest && address / UNIT <= this.highest;
  }

  #readBounds(): void {
    const { lowest, highest } = this.inner.inner.ownershipCodec();
    // `>>> 3` keeps small integers where a division would make doubles; 2^32 wraps to 0.
    this.lowest = lowest >>> 3;
    this.highest = highest === 0 ? 0 : (highest - 1) >>> 3;
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

  /** See `Locked.tryShare`. */
  tryShare(address: Address): boolean {
    return this.inner.tryShare(address);
  }

  /** Gives the cache back and leaves this thread's blocks as ORPHAN. See `Locked.orphan`. */
  orphan(owner: number): void {
    this.#flushCache();
    this.inner.orphan(owner);
  }

  /**
   * Counters over all threads. Exact but for what other threads have done since their last slow path.
   * Walks all blocks.
   */
  stats(): CachedStats {
    const unpublished = this.hits.reduce((sum, hits) => sum + hits, 0);
    const own = { refills: this.#refills, flushes: this.#flushes, cacheHits: this.#served + unpublished };
    const overhead = HEADER_BYTES + LISTS_BYTES;
    const raced = this.#raced.reduce((sum, count) => sum + count, 0);
    return statsOfCached(this.inner, this.#lists, this.start, { ...own, overhead, unpublished, raced });
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
    for (let at = base + 2; at < this.cache[base]!; at += 2) {
      const unit = this.cache[at]!;
      if (this.i32[this.indexOf(unit)] !== this.cache[at + 1]) {
        throw new HeapCorruptionError(unit * UNIT, 'the ownership word of a cached block was overwritten');
      }
    }
  }
}
