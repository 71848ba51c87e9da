/** This library's allocators: bare, behind a lock, and as heaps. */

import {
  type Address,
  type Algorithm,
  type AlgorithmClass,
  type Allocator,
  BuddyAllocator,
  BumpAllocator,
  Heap,
  type HeapAllocator,
  type HeapOptions,
  HybridAllocator,
  type HybridOptions,
  LinkedListAllocator,
  Locked,
  type LockKind,
  Memory,
  PoolAllocator,
  TlsfAllocator,
} from '../../src/index.ts';
import type { AligningSubject, Site, SubjectKind } from '../subject.ts';

const POOL_BLOCK = 96;
const FIRST = 64;

type Create = (memory: Memory) => Algorithm;
/** How each algorithm is made, bare. */
const BARE: Readonly<Record<string, Create>> = {
  bump: (memory) => BumpAllocator.create(memory, { start: FIRST }),
  'linked-list': (memory) => LinkedListAllocator.create(memory, { start: FIRST }),
  buddy: (memory) => BuddyAllocator.create(memory, { start: FIRST }),
  tlsf: (memory) => TlsfAllocator.create(memory, { start: FIRST }),
  pool: (memory) => PoolAllocator.create(memory, { start: FIRST, blockSize: POOL_BLOCK }),
  hybrid: (memory) => HybridAllocator.create(memory, { start: FIRST, allocator: TlsfAllocator }),
};

const CLASSES: Readonly<Record<string, { allocator: AlgorithmClass; options?: object }>> = {
  bump: { allocator: BumpAllocator as AlgorithmClass },
  'linked-list': { allocator: LinkedListAllocator as AlgorithmClass },
  buddy: { allocator: BuddyAllocator as AlgorithmClass },
  tlsf: { allocator: TlsfAllocator as AlgorithmClass },
  pool: { allocator: PoolAllocator as unknown as AlgorithmClass, options: { blockSize: POOL_BLOCK } },
  hybrid: {
    allocator: HybridAllocator as unknown as AlgorithmClass,
    options: { allocator: TlsfAllocator } as Omit<HybridOptions, 'start'>,
  },
};

/** The names of the algorithms. */
export const ALGORITHMS: readonly string[] = Object.keys(BARE);

/** A heap of `bytes`, with thread caches or without. */
export function heapSite(heap: Heap): Site {
  return {
    subject: heap,
    buffer: heap.buffer,
    ticket: heap.handle,
    aligning: aligning(heap),
    heap,
    verify: () => heap.verify(),
    largestFree: () => {
      heap.flush();
      return heap.stats().largestFree;
    },
    lockAcquisitions: () => heap.stats().lockAcquisitions ?? 0,
  };
}

function heapKind(name: string, label: string, allocator: HeapAllocator, options?: HeapOptions): SubjectKind {
  return {
    name,
    label,
    create: (bytes) => heapSite(Heap.create({ byteLength: bytes, allocator, ...options })),
    open: (ticket) => heapSite(Heap.attach(ticket as Heap['handle'])),
  };
}

function bareKind(name: string): SubjectKind {
  return { name, label: `${name}, bare`, create: (bytes) => bareSite(BARE[name]!(Memory.create(bytes))) };
}

function bareSite(allocator: Algorithm): Site {
  return {
    subject: allocator,
    buffer: allocator.memory.buffer,
    ticket: undefined,
    aligning: aligning(allocator),
    verify: () => allocator.verify(),
    largestFree: () => allocator.largestFree(),
  };
}

function lockedKind(name: string, lock: LockKind): SubjectKind {
  return {
    name: `${name}-${lock}`,
    label: `${name}, ${lock} lock`,
    create: (bytes) => {
      const memory = Memory.create(bytes);
      return lockedSite(Locked.create(memory, { ...CLASSES[name]!, start: FIRST, lock }));
    },
    open: (ticket) => lockedSite(Locked.attach(Memory.attach(ticket as SharedArrayBuffer), FIRST)),
  };
}

function lockedSite(allocator: Locked): Site {
  const { buffer } = allocator.memory;
  return {
    subject: allocator,
    buffer,
    ticket: buffer,
    aligning: aligning(allocator),
    verify: () => allocator.verify(),
    largestFree: () => allocator.stats().largestFree,
    lockAcquisitions: () => allocator.lockStats().lockAcquisitions,
  };
}

function aligning(allocator: Allocator): AligningSubject {
  return {
    alloc: (size) => allocator.alloc(size),
    free: (address) => allocator.free(address as Address),
    allocAligned: (size, align) => allocator.alloc(size, Math.max(align, 8)),
    realloc: (address, size, align) => allocator.realloc(address as Address, size, Math.max(align, 8)),
  };
}

/** All of them. */
export const SABHEAP_KINDS: readonly SubjectKind[] = [
  heapKind('heap', 'sabheap heap (tlsf behind caches)', 'tlsf'),
  heapKind('heap-linked-list', 'heap, linked-list behind caches', 'linked-list'),
  heapKind('heap-buddy', 'heap, buddy behind caches', 'buddy'),
  heapKind('heap-uncached', 'heap, tlsf without caches', 'tlsf', { cache: false }),
  heapKind('heap-hardened', 'hardened heap (tlsf checked, without caches)', 'tlsf', { checks: 'hardened' }),
  ...ALGORITHMS.map(bareKind),
  ...ALGORITHMS.flatMap((name) => [lockedKind(name, 'park'), lockedKind(name, 'spin')]),
];
