/**
 * Options: what `Heap.create` can be told, with defaults and checks.
 */

import { BuddyAllocator } from '../allocators/buddy.ts';
import { BumpAllocator } from '../allocators/bump.ts';
import { Checked } from '../allocators/checked.ts';
import type { AlgorithmClass } from '../allocators/kinds.ts';
import { LinkedListAllocator } from '../allocators/linked-list.ts';
import type { LockKind } from '../allocators/locked.ts';
import { TlsfAllocator } from '../allocators/tlsf.ts';
import { show } from '../errors.ts';
import { alignUp, KiB, MiB } from '../memory/address.ts';
import { checkInteger } from '../memory/layout.ts';
import { Memory } from '../memory/memory.ts';
import { DEFAULT_LOCK_TIMEOUT_MS } from '../sync/lock.ts';

const DEFAULT_BYTES = 64 * MiB;
const DEFAULT_THREADS = 128;
const LARGEST_THREADS = 255;
const LEAST_ALLOCATOR_BYTES = 12 * KiB;

const ALGORITHMS = {
  tlsf: TlsfAllocator,
  bump: BumpAllocator,
  'linked-list': LinkedListAllocator,
  buddy: BuddyAllocator,
} as const;

/** The algorithms that a heap can be made with. */
export type HeapAllocator = keyof typeof ALGORITHMS;

/** What `Heap.create` can be told. */
export interface HeapOptions {
  /** Bytes to reserve, up to 4 GiB; memory is committed when touched. Default: the buffer's, or 64 MiB. */
  readonly byteLength?: number;
  /** Your own buffer; its bytes are overwritten. */
  readonly buffer?: SharedArrayBuffer;
  /** The algorithm. Default `'tlsf'`. */
  readonly allocator?: HeapAllocator;
  /** Whether each thread keeps a cache of small blocks. Default: true for all but `'bump'` and hardened heaps. */
  readonly cache?: boolean;
  /**
   * What misuse is found. `'standard'` (default): what headers show. `'hardened'`: also writes past a block's
   * end and after its free, into the links of free blocks too, which are encoded with a secret, and every free of
   * what is no block, at the cost of a lock for each call; without caches. See `Checked`.
   */
  readonly checks?: 'standard' | 'hardened';
  /** How waiters wait: `'park'` (default) or `'spin'`. */
  readonly lock?: LockKind;
  /** How many threads can be attached at once, 1 to 255. Default 128. Each takes 128 bytes. */
  readonly maxThreads?: number;
  /** After how many ms a waiter throws `LockTimeoutError`. Default 10,000. */
  readonly lockTimeout?: number;
  /** How much of the buffer the allocator has at first; `claim` takes more. Default: all. */
  readonly initialBytes?: number;
  /** Buddy: bytes of the smallest block. Default 32. */
  readonly minBlock?: number;
  /** Buddy: the number of orders instead. */
  readonly freeLists?: number;
}

const KNOWN: Record<keyof HeapOptions, true> = {
  byteLength: true,
  buffer: true,
  allocator: true,
  cache: true,
  checks: true,
  lock: true,
  maxThreads: true,
  lockTimeout: true,
  initialBytes: true,
  minBlock: true,
  freeLists: true,
};

/**
 * Checks the options that stand by themselves and fills in defaults.
 *
 * @throws RangeError, TypeError naming the option
 */
export function checkOptions(options: HeapOptions): { maxThreads: number; lockTimeout: number } {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(
      `Heap.create takes its options as an object, { byteLength: 64 * MiB }; got ${show(options)}`,
    );
  }
  const {
    maxThreads = DEFAULT_THREADS,
    lockTimeout = DEFAULT_LOCK_TIMEOUT_MS,
    allocator,
    minBlock,
    freeLists,
  } = options;
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(KNOWN, name));
  if (unknown !== undefined) throw new TypeError(`a heap has no option ${JSON.stringify(unknown)}`);
  checkInteger('maxThreads', maxThreads, 1, LARGEST_THREADS);
  if (typeof lockTimeout !== 'number' || !(lockTimeout > 0)) {
    throw new RangeError(`lockTimeout must be above 0 ms, got ${show(lockTimeout)}`);
  }
  if (allocator !== 'buddy' && (minBlock !== undefined || freeLists !== undefined)) {
    throw new TypeError('minBlock and freeLists are options of the buddy allocator');
  }
  const { checks = 'standard', cache } = options;
  if (checks !== 'standard' && checks !== 'hardened') {
    throw new RangeError(`checks must be 'standard' or 'hardened', got ${show(checks)}`);
  }
  if (cache !== undefined && typeof cache !== 'boolean') {
    throw new TypeError(`cache must be true or false, got ${show(cache)}`);
  }
  if (checks === 'hardened' && cache === true) {
    throw new TypeError('a hardened heap has no thread caches: each free is checked under the lock');
  }
  return { maxThreads, lockTimeout };
}

/** Whether threads keep caches: for all but bump, whose blocks come back all at once, and hardened heaps. */
export function isCached(options: HeapOptions): boolean {
  return options.cache ?? (options.allocator !== 'bump' && options.checks !== 'hardened');
}

/** The heap's memory: the buffer given, or a new one. */
export function memoryFor(options: HeapOptions): Memory {
  const { buffer, byteLength } = options;
  if (buffer === undefined) return Memory.create(byteLength ?? DEFAULT_BYTES);
  const memory = Memory.attach(buffer);
  if (byteLength !== undefined && byteLength !== buffer.byteLength) {
    throw new RangeError(`byteLength is ${byteLength}, but the buffer has ${buffer.byteLength} bytes`);
  }
  return memory;
}

/** The class of the algorithm that the options name, or of the checks around it. */
export function algorithmOf(options: HeapOptions): AlgorithmClass {
  const algorithm = namedAlgorithm(options);
  return options.checks === 'hardened' ? (Checked as unknown as AlgorithmClass) : algorithm;
}

function namedAlgorithm(options: HeapOptions): AlgorithmClass {
  const { allocator: name = 'tlsf' } = options;
  const Algorithm = Object.hasOwn(ALGORITHMS, name) ? ALGORITHMS[name] : undefined;
  if (Algorithm !== undefined) return Algorithm as AlgorithmClass;
  throw new RangeError(`allocator must be one of ${Object.keys(ALGORITHMS).join(', ')}; got ${show(name)}`);
}

/** How far the allocator reaches at first, in bytes from the buffer's start. */
export function claimedBytes(options: HeapOptions, memory: Memory, allocatorStart: number): number {
  const least = allocatorStart + LEAST_ALLOCATOR_BYTES;
  if (memory.byteLength < least) {
    throw new RangeError(
      `a heap of ${memory.byteLength} bytes is too small: with these options it needs at least ${least}`,
    );
  }
  if (options.initialBytes === undefined) return memory.byteLength;
  checkInteger('initialBytes', options.initialBytes, least, memory.byteLength);
  return alignUp(options.initialBytes, 8);
}

/** The algorithm's own options, or those of the checks around it. `reserve` is how far it may grow, in bytes. */
export function algorithmOptions(options: HeapOptions, reserve: number): object {
  const { allocator, minBlock, freeLists, initialBytes } = options;
  const room = initialBytes === undefined ? {} : { reserveBytes: reserve };
  const own =
    allocator !== 'buddy'
      ? {}
      : {
          ...(minBlock === undefined ? {} : { minBlock }),
          ...(freeLists === undefined ? {} : { freeLists }),
          ...room,
        };
  if (options.checks !== 'hardened') return own;
  return { allocator: namedAlgorithm(options), options: own, ...room };
}
