/**
 * sabheap: a multi-threaded heap inside one SharedArrayBuffer. All public names, one explicit list.
 */

export { type Algorithm, type RegionOptions } from './allocators/algorithm.ts';
export type { Allocator, AllocatorStats, BlockInfo } from './allocators/allocator.ts';
export { BuddyAllocator, type BuddyOptions } from './allocators/buddy.ts';
export { BumpAllocator, type Mark } from './allocators/bump.ts';
export { HybridAllocator, type HybridOptions } from './allocators/hybrid.ts';
export type { AlgorithmClass } from './allocators/kinds.ts';
export { LinkedListAllocator } from './allocators/linked-list.ts';
export { Locked, type LockedOptions, type LockKind } from './allocators/locked.ts';
export type { BlockState } from './allocators/ownership.ts';
export { PoolAllocator, type PoolOptions } from './allocators/pool.ts';
export {
  AttachError,
  BlockingNotAllowedError,
  DeadlockError,
  DetachedError,
  HeapCorruptionError,
  InvalidFreeError,
  LockTimeoutError,
  NotOwnerError,
  OutOfMemoryError,
  SabheapError,
  TooManyThreadsError,
} from './errors.ts';
export { type Address, GiB, KiB, MiB, NULL, toAddress } from './memory/address.ts';
export { Memory, type ViewConstructor } from './memory/memory.ts';
export type { Lock, LockOptions } from './sync/lock.ts';
export { ParkLock } from './sync/park-lock.ts';
export { SpinLock } from './sync/spin-lock.ts';
