/**
 * The allocators that the conformance suite, the model and the high addresses run over: one row for
 * each algorithm, which stands for three subjects: bare, behind a spin lock, behind a parking lock.
 * A row says what the algorithm can do; what it does not say, every allocator must do.
 */

import type { Algorithm } from '../../src/allocators/algorithm.ts';
import type { Allocator } from '../../src/allocators/allocator.ts';
import { BuddyAllocator } from '../../src/allocators/buddy.ts';
import { BumpAllocator } from '../../src/allocators/bump.ts';
import { CONTROL_BYTES } from '../../src/allocators/control.ts';
import { HybridAllocator } from '../../src/allocators/hybrid.ts';
import type { AlgorithmClass } from '../../src/allocators/kinds.ts';
import { LinkedListAllocator } from '../../src/allocators/linked-list.ts';
import { Locked } from '../../src/allocators/locked.ts';
import { PoolAllocator } from '../../src/allocators/pool.ts';
import { KiB } from '../../src/memory/address.ts';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import type { Memory } from '../../src/memory/memory.ts';

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
}

export interface Subject extends Capabilities {
  readonly name: string;
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
}

const POOL_BLOCK = 4096;

const rows: readonly Row[] = [
  { name: 'bump', allocator: BumpAllocator, reclaims: false, showsFree: false },
  { name: 'linked list', allocator: LinkedListAllocator },
  { name: 'TLSF', allocator: TlsfAllocator },
  { name: 'buddy of 16', allocator: BuddyAllocator, options: (bytes) => ({ minBlock: 16, reserveBytes: bytes + 15 * KiB }) },
  { name: 'buddy of 64', allocator: BuddyAllocator, options: (bytes) => ({ minBlock: 64, reserveBytes: bytes + 15 * KiB }) },
  {
    name: 'pool',
    allocator: PoolAllocator,
    options: () => ({ blockSize: POOL_BLOCK }),
    maxAlign: POOL_BLOCK,
    maxSize: POOL_BLOCK,
    extends: false,
  },
  {
    name: 'hybrid of bump and linked list',
    allocator: HybridAllocator,
    options: () => ({ allocator: LinkedListAllocator }),
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

const most: Capabilities = {
  reclaims: true,
  showsFree: true,
  maxAlign: 2 ** 13,
  maxSize: Number.POSITIVE_INFINITY,
  extends: true,
};

function bare(row: Row): Subject {
  return {
    ...most,
    ...row,
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
    counterBytes: CONTROL_BYTES,
    create: (memory, start, byteLength) =>
      Locked.create(memory, { allocator, options: row.options?.(byteLength) ?? {}, lock, start, byteLength }),
    attach: (memory, start) => Locked.attach(memory, start),
  };
}

export const subjects: readonly Subject[] = rows.flatMap((row) => [
  bare(row),
  locked(row, 'spin'),
  locked(row, 'park'),
]);
