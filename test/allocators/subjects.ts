/**
 * The allocators that the conformance suite, the model and the high addresses run over: one row for
 * each algorithm, which stands for three subjects: bare, behind a spin lock, behind a parking lock. Some
 * stand for a fourth: behind thread caches. All stand for one more: with checks around them, a few of those
 * behind a lock too. Heaps have rows of their own: with and without caches, and hardened. A row says what the
 * algorithm can do; what it does not say, every allocator must do.
 */

import type { Algorithm } from '../../src/allocators/algorithm.ts';
import type { Allocator } from '../../src/allocators/allocator.ts';
import { BuddyAllocator } from '../../src/allocators/buddy.ts';
import { BumpAllocator } from '../../src/allocators/bump.ts';
import { Checked } from '../../src/allocators/checked.ts';
import { CONTROL_BYTES } from '../../src/allocators/control.ts';
import { GUARD_BYTES } from '../../src/allocators/guard.ts';
import { HybridAllocator } from '../../src/allocators/hybrid.ts';
import type { AlgorithmClass } from '../../src/allocators/kinds.ts';
import { LinkedListAllocator } from '../../src/allocators/linked-list.ts';
import { Locked } from '../../src/allocators/locked.ts';
import { PoolAllocator } from '../../src/allocators/pool.ts';
import { CLASSES } from '../../src/allocators/size-class.ts';
import { ThreadCached } from '../../src/allocators/thread-cached.ts';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { LIST_BYTES } from '../../src/allocators/transfer-list.ts';
import { attached } from '../../src/heap/attached.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapOptions } from '../../src/heap/options.ts';
import { SLOT_BYTES } from '../../src/heap/slots.ts';
import { SUPERBLOCK_BYTES } from '../../src/heap/superblock.ts';
import { KiB } from '../../src/memory/address.ts';
import type { Memory } from '../../src/memory/memory.ts';
import { Flushing } from './flushing.ts';
import { ROOM_TO_EXTEND, SITE_BYTES } from './site.ts';

export interface Capabilities {
  /** Freed room is given out again although other blocks still live. */
  readonly reclaims: boolean;
  /** `blocks()` shows all free bytes; a bump allocator's rest is in no block. */
  readonly showsFree: boolean;
  /** The largest alignment that an empty allocator honours in a region of 128 KiB. */
  readonly maxAlign: number;
  /** The largest size that an empty allocator serves; Infinity where the region alone decides. */
  readonly maxSize: number;
  /** Takes more bytes above its region. */
  readonly extends: boolean;
  /** Has thread caches before it; `peakUsed` counts what is in them. */
  readonly caches: boolean;
}

export interface Subject extends Capabilities {
  readonly name: string;
  readonly wrapper: 'none' | 'checked' | 'locked' | 'cached' | 'heap';
  /** Where a site for it starts: a heap takes its whole memory. */
  readonly start: number;
  /** The slot that its blocks name. */
  readonly owner: number;
  /** Bytes at the region's start that even a refused call may change: a lock counts who took it. */
  readonly counterBytes: number;
  create(memory: Memory, start: number, byteLength: number): Allocator & Extensible;
  attach(memory: Memory, start: number): Allocator;
}

export interface Extensible {
  extend(bytes: number): boolean;
}

interface Row extends Partial<Capabilities> {
  readonly name: string;
  // The options differ from class to class; each row gives those of its own.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly allocator: AlgorithmClass<Algorithm, any>;
  readonly options?: (byteLength: number) => object;
  /** Makes a fourth subject of the row. */
  readonly cached?: boolean;
}

interface HeapRow extends Partial<Capabilities> {
  readonly options: HeapOptions;
}

const POOL_BLOCK = 4096;
/** Control block, epoch and transfer lists of a cached allocator, and the lock's control block behind them. */
const CACHED_COUNTER_BYTES = 2 * CONTROL_BYTES + CLASSES * LIST_BYTES + CONTROL_BYTES;

/** Control blocks, quarantine and start bits of a checked allocator. */
const CHECKED_BYTES = 2 * CONTROL_BYTES + 257 * 4 + SITE_BYTES / 64;

const rows: readonly Row[] = [
  { name: 'bump', allocator: BumpAllocator, reclaims: false, showsFree: false },
  { name: 'linked list', allocator: LinkedListAllocator, cached: true },
  { name: 'TLSF', allocator: TlsfAllocator, cached: true },
  {
    name: 'buddy of 16',
    allocator: BuddyAllocator,
    options: (bytes) => ({ minBlock: 16, reserveBytes: bytes + 15 * KiB }),
    cached: true,
  },
  {
    name: 'buddy of 64',
    allocator: BuddyAllocator,
    options: (bytes) => ({ minBlock: 64, reserveBytes: bytes + 15 * KiB }),
    cached: true,
  },
  {
    name: 'pool',
    allocator: PoolAllocator,
    options: () => ({ blockSize: POOL_BLOCK }),
    cached: true,
    maxAlign: POOL_BLOCK,
    maxSize: POOL_BLOCK,
    extends: false,
  },
  {
    name: 'hybrid of bump and linked list',
    allocator: HybridAllocator,
    options: () => ({ allocator: LinkedListAllocator }),
    cached: true,
    showsFree: false,
  },
  {
    name: 'hybrid of bump and buddy',
    allocator: HybridAllocator,
    options: (bytes) => ({
      allocator: BuddyAllocator,
      options: { minBlock: 32, reserveBytes: bytes * 0.75 + 15 * KiB },
    }),
    showsFree: false,
  },
];

const heapRows: readonly HeapRow[] = [
  { options: { allocator: 'tlsf' } },
  { options: { allocator: 'linked-list' } },
  // Its maps cover the whole memory, so that it can grow into it.
  { options: { allocator: 'buddy', minBlock: 128 } },
  { options: { allocator: 'bump' }, reclaims: false, showsFree: false },
];

const SITE_START = 4096;

const most: Capabilities = {
  reclaims: true,
  showsFree: true,
  maxAlign: 2 ** 13,
  maxSize: Number.POSITIVE_INFINITY,
  extends: true,
  caches: false,
};

function bare(row: Row): Subject {
  return {
    ...most,
    ...row,
    wrapper: 'none',
    start: SITE_START,
    owner: 0,
    counterBytes: 0,
    create: (memory, start, byteLength) =>
      row.allocator.create(memory, { ...row.options?.(byteLength), start, byteLength }),
    attach: (memory, start) => row.allocator.attach(memory, start),
  };
}

function locked(row: Row, lock: 'spin' | 'park'): Subject {
  const { allocator } = row;
  return {
    ...most,
    ...row,
    name: `${row.name}, locked (${lock})`,
    wrapper: 'locked',
    start: SITE_START,
    owner: 0,
    counterBytes: CONTROL_BYTES,
    create: (memory, start, byteLength) =>
      Locked.create(memory, { allocator, options: row.options?.(byteLength) ?? {}, lock, start, byteLength }),
    attach: (memory, start) => Locked.attach(memory, start),
  };
}

function cached(row: Row): Subject {
  const { allocator } = row;
  const flushing = (cache: ThreadCached) => new Flushing(cache, (bytes) => cache.extend(bytes));
  return {
    ...most,
    ...row,
    caches: true,
    name: `${row.name}, behind caches`,
    wrapper: 'cached',
    start: SITE_START,
    owner: 0,
    counterBytes: CACHED_COUNTER_BYTES,
    create: (memory, start, byteLength) => {
      const options = row.options?.(byteLength) ?? {};
      return flushing(ThreadCached.create(memory, { allocator, options, start, byteLength }));
    },
    attach: (memory, start) => flushing(ThreadCached.attach(memory, start)),
  };
}

/** With checks around it, bare or behind a lock. The quarantine is emptied before anybody looks. */
function checked(row: Row, wrapper: 'checked' | 'locked'): Subject {
  const options = (byteLength: number) => ({
    allocator: row.allocator,
    options: row.options?.(byteLength) ?? {},
    reserveBytes: byteLength + ROOM_TO_EXTEND,
  });
  const flushing = (made: Checked | Locked) => new Flushing(made, (bytes) => made.extend(bytes));
  const isLocked = wrapper === 'locked';
  return {
    ...most,
    ...row,
    // The quarantine keeps a bump allocator from starting over.
    caches: row.reclaims === false,
    maxSize: (row.maxSize ?? most.maxSize) - GUARD_BYTES,
    name: `${row.name}, checked${isLocked ? ' and locked' : ''}`,
    wrapper,
    start: SITE_START,
    owner: 0,
    counterBytes: (isLocked ? 2 * CONTROL_BYTES : 0) + CHECKED_BYTES,
    create: (memory, start, byteLength) =>
      flushing(
        isLocked
          ? Locked.create(memory, { allocator: Checked, options: options(byteLength), start, byteLength })
          : Checked.create(memory, { ...options(byteLength), start, byteLength }),
      ),
    attach: (memory, start) => flushing((isLocked ? Locked : Checked).attach(memory, start)),
  };
}

function heap(row: HeapRow, kind: 'cached' | 'locked' | 'hardened'): Subject {
  const threads = 8;
  const options: HeapOptions =
    kind === 'hardened'
      ? { ...row.options, checks: 'hardened' }
      : { ...row.options, cache: kind === 'cached' };
  const called = { cached: 'behind caches', locked: 'without caches', hardened: 'hardened' };
  return {
    ...most,
    ...row,
    caches: kind === 'cached' || (kind === 'hardened' && row.reclaims === false),
    name: `heap, ${row.options.allocator} ${called[kind]}`,
    wrapper: 'heap',
    start: 0,
    owner: 1,
    counterBytes: SUPERBLOCK_BYTES + threads * SLOT_BYTES + 4 * KiB + CACHED_COUNTER_BYTES,
    create: ({ buffer }, _, initialBytes) =>
      forgotten(Heap.create({ ...options, buffer, maxThreads: threads, initialBytes })),
    attach: ({ buffer }) => forgotten(Heap.attach(buffer)),
  };
}

/** Takes a heap off this thread's list: the next one is laid over its bytes, so it cannot be left well. */
function forgotten(made: Heap): Flushing {
  attached().heaps.delete(made.id);
  return new Flushing(made, (bytes) => made.claim(bytes));
}

export const subjects: readonly Subject[] = [
  ...rows.flatMap((row) => [bare(row), locked(row, 'spin'), locked(row, 'park')]),
  ...rows.filter((row) => row.cached).map(cached),
  ...rows.map((row) => checked(row, 'checked')),
  ...rows.filter(({ name }) => /^(TLSF|buddy of 64|pool)$/.test(name)).map((row) => checked(row, 'locked')),
  ...heapRows.flatMap((row) => [heap(row, 'cached'), heap(row, 'locked'), heap(row, 'hardened')]),
];
