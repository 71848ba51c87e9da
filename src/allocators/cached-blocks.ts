/**
 * Cached blocks: what happens to them away from the fast paths. They are drained into the allocator when
 * room is short, and counted apart from the user's when somebody asks.
 *
 * Whoever dies with a class's lock may leave blocks that say TRANSFER and are in no list, or the other way
 * round. The words are the truth: who takes the lock over lists the blocks that say so.
 */

import { HeapCorruptionError } from '../errors.ts';
import { type Address, NULL, UNIT } from '../memory/address.ts';
import { type Algorithm, MEASURES, statsFrom } from './algorithm.ts';
import type { AllocatorStats } from './allocator.ts';
import { ALLOCATIONS, FAILURES } from './control.ts';
import type { Locked } from './locked.ts';
import { classBitsOf, HAND, handWord, stateOf, TRANSFER } from './ownership.ts';
import { sweep } from './sweep.ts';
import type { TransferList } from './transfer-list.ts';

// What the counters of a thread-cached control block mean; guarded by the allocator's lock.

/** Index of the f64 that counts blocks which went from the allocator into caches. */
export const IMPORTED = ALLOCATIONS;

/** What a thread cache needs to know of other threads, to take back the caches of idle ones. */
export interface Peers {
  /** Marks idle threads. Returns the owner bits of those whose blocks are to be taken back. */
  drainIdle(): number[];
  /** They are taken back. */
  endDrain(): void;
}

/** Counters of a cached allocator. `free` counts cached blocks too, and so does `peakUsed`. */
export interface CachedStats extends AllocatorStats {
  /** Usable bytes in caches and transfer lists. */
  cached: number;
  /** How often this thread's cache had no block and got a batch. */
  refills: number;
  /** How often this thread's cache was full and gave a batch. */
  flushes: number;
  /** Allocations of this thread that its cache served. */
  cacheHits: number;
  /** Blocks that were found to have been freed twice at the same moment, and dropped. */
  racedFrees: number;
}

/** What only the calling thread knows of its cache. */
export interface OwnCounters {
  readonly refills: number;
  readonly flushes: number;
  readonly cacheHits: number;
  /** Allocations that are not in the lists' counters yet. */
  readonly unpublished: number;
  /** Raced frees that are not in the lists' counters yet. */
  readonly raced: number;
  /** Bytes of the control block and the lists. */
  readonly overhead: number;
}

/** Gives the blocks of a transfer list back to the allocator. */
export function drainList(inner: Locked, list: TransferList): void {
  if (list.count === 0) return;
  const { i32 } = inner.memory;
  const core = inner.inner;
  const taken = new Int32Array(1);
  list.acquire();
  try {
    inner.acquire();
    try {
      while (list.take(1, taken, 0) !== 0) {
        const address = (taken[0]! * UNIT) as Address;
        const index = core.ownershipIndexAt(address);
        if (stateOf(i32[index]!) !== TRANSFER) {
          throw new HeapCorruptionError(address, 'a block on a transfer list was overwritten');
        }
        i32[index] = handWord(i32[index]!, core.owner);
        core.release(address);
      }
    } finally {
      inner.lock.release();
    }
  } finally {
    list.lock.release();
  }
}

/** Lists anew the blocks of a class that say they are on its list. Requires: class lock held. */
export function relist(inner: Locked, list: TransferList, classBits: number): void {
  const core = inner.inner;
  list.clear();
  inner.acquire();
  try {
    for (let address = core.firstBlock(); address !== NULL; address = core.blockAfter(address)) {
      const word = core.ownershipAt(address);
      const isListed = stateOf(word) === TRANSFER && classBitsOf(word) === classBits;
      if (isListed && !core.isFree(address)) list.push(address / UNIT);
    }
  } finally {
    inner.lock.release();
  }
}

/** Gives the cached blocks of idle threads back to the allocator. Walks all blocks if there are any. */
export function drainIdle(inner: Locked, peers: Peers): void {
  inner.acquire();
  try {
    const owners = peers.drainIdle();
    if (owners.length === 0) return;
    sweep(inner.inner, owners, 'stay');
    peers.endDrain();
  } finally {
    inner.lock.release();
  }
}

/** Adds up the counters of the allocator, the lists and the calling thread. Walks all blocks. */
export function statsOfCached(
  inner: Locked,
  lists: TransferList[],
  start: Address,
  own: OwnCounters,
): CachedStats {
  const numbers = new Float64Array(MEASURES);
  const cached = new Float64Array(2);
  inner.acquire();
  try {
    inner.inner.measure(numbers);
    measureCached(inner.inner, cached);
  } finally {
    inner.lock.release();
  }
  const { f64 } = inner.memory;
  const sum = (of: (list: TransferList) => number): number =>
    lists.reduce((total, list) => total + of(list), 0);
  const locks = inner.lockStats();
  const liveBlocks = numbers[4]! - numbers[5]! - cached[1]!;
  numbers[0]! += own.overhead + inner.overheadBytes;
  numbers[1]! -= cached[0]!;
  numbers[2]! += cached[0]!;
  const allocations =
    numbers[4]! - f64[(start >>> 3) + IMPORTED]! + sum((list) => list.allocations) + own.unpublished;
  // What other threads have not published yet may be missing.
  numbers[4] = Math.max(allocations, liveBlocks);
  numbers[5] = numbers[4]! - liveBlocks;
  numbers[6] = f64[(start >>> 3) + FAILURES]!;
  return {
    ...statsFrom(numbers),
    lockAcquisitions: locks.lockAcquisitions + sum((list) => list.lockAcquisitions),
    lockContended: locks.lockContended + sum((list) => list.lockContended),
    cached: cached[0]!,
    refills: own.refills,
    flushes: own.flushes,
    cacheHits: own.cacheHits,
    racedFrees: sum((list) => list.racedFrees) + own.raced,
  };
}

/** Writes the bytes and the number of blocks in caches and lists. Requires: allocator lock held. */
function measureCached(core: Algorithm, out: Float64Array): void {
  for (let address = core.firstBlock(); address !== NULL; address = core.blockAfter(address)) {
    if (core.isFree(address)) continue;
    const state = stateOf(core.ownershipAt(address));
    if (state !== HAND && state !== TRANSFER) continue;
    out[0]! += core.usableSize(address);
    out[1]! += 1;
  }
}
