/**
 * sabheap: a multi-threaded heap inside one SharedArrayBuffer. All public names, one explicit list.
 */

export type { Algorithm, RegionOptions } from './allocators/algorithm.ts';
export type { Allocator, AllocatorStats, BlockInfo } from './allocators/allocator.ts';
export { BuddyAllocator, type BuddyOptions } from './allocators/buddy.ts';
export { BumpAllocator, type Mark } from './allocators/bump.ts';
export type { CachedStats } from './allocators/cached-blocks.ts';
export { Checked, type CheckedOptions } from './allocators/checked.ts';
export { HybridAllocator, type HybridOptions } from './allocators/hybrid.ts';
export type { AlgorithmClass } from './allocators/kinds.ts';
export { LinkedListAllocator } from './allocators/linked-list.ts';
export { Locked, type LockedOptions, type LockKind } from './allocators/locked.ts';
export type { BlockState } from './allocators/ownership.ts';
export { PoolAllocator, type PoolOptions } from './allocators/pool.ts';
export { ThreadCached, type ThreadCachedOptions } from './allocators/thread-cached.ts';
export { TlsfAllocator } from './allocators/tlsf.ts';
export { Channel, type ChannelHandle, type ChannelOptions } from './channels/channel.ts';
export type { Received, Sent } from './channels/item.ts';
export type { Queue, TryReceived } from './channels/queue.ts';
export { SpscRing, type SpscRingHandle, type SpscRingOptions } from './channels/spsc-ring.ts';
export type { QueueWaitOptions } from './channels/waiting.ts';
export {
  Arc,
  type ArcHandle,
  type ArcTarget,
  type ArcValue,
  Weak,
  type WeakHandle,
} from './containers/arc.ts';
export { arc, weak } from './containers/arc-field.ts';
export { Barrier, type BarrierTurn } from './containers/barrier.ts';
export { Box, type BoxHandle, box } from './containers/box.ts';
export { Condition } from './containers/condition.ts';
export type { Container, Handle } from './containers/container.ts';
export type { Access, Guarded, ValueCell } from './containers/contents.ts';
export { type LeakWarning, warnOfLeaks } from './containers/leaks.ts';
export type { Loaded, Taken } from './containers/loaded.ts';
export { type MapHandle, SharedMap } from './containers/map.ts';
export type { MapOptions } from './containers/map-create.ts';
export type { MapStats } from './containers/map-stats.ts';
export {
  type FirstValue,
  type LockState,
  Mutex,
  type MutexGuard,
  type MutexHandle,
} from './containers/mutex.ts';
export { Once } from './containers/once.ts';
export { Rc, RcWeak } from './containers/rc.ts';
export { type ReadGuard, RwLock, type RwLockHandle, type WriteGuard } from './containers/rw-lock.ts';
export { Semaphore } from './containers/semaphore.ts';
export { type SetHandle, SharedSet } from './containers/set.ts';
export type { ContainerStore } from './containers/store.ts';
export { SharedString, type StringHandle, string } from './containers/string.ts';
export { union, type Variant } from './containers/union.ts';
export { type Compare, SharedVec, type VecArray, type VecHandle, type VecOptions } from './containers/vec.ts';
export { vec } from './containers/vec-field.ts';
export {
  AttachError,
  BlockingNotAllowedError,
  BrokenBarrierError,
  BusyError,
  ClosedError,
  DeadlockError,
  DetachedError,
  HeapCorruptionError,
  InvalidFreeError,
  LockTimeoutError,
  NotOwnerError,
  OutOfMemoryError,
  RoleTakenError,
  SabheapError,
  TooManyThreadsError,
  UnknownKindError,
  UseAfterMoveError,
  WrongThreadError,
} from './errors.ts';
export { Arena } from './heap/arena.ts';
export type { ExhaustedHandler, Layout } from './heap/exhaustion.ts';
export type { HeapHandle } from './heap/handle.ts';
export { Heap } from './heap/heap.ts';
export type { RestoreOptions } from './heap/image.ts';
export type { HeapAllocator, HeapOptions } from './heap/options.ts';
export type { DamagedBlock, ReapOptions, ReapReport, SlotTenant } from './heap/recovery.ts';
export type { Openable, Placed, Roots } from './heap/roots.ts';
export type { ThreadInfo } from './heap/slots.ts';
export type { LeakGroup, Tracker } from './heap/tracking.ts';
export { type WatchableWorker, type WatchOptions, watchable } from './heap/watch.ts';
export { type Address, GiB, KiB, MiB, NULL, toAddress } from './memory/address.ts';
export { Memory, type ViewConstructor } from './memory/memory.ts';
export { type RuntimeSupport, runtimeSupport } from './memory/support.ts';
export { array, bytes } from './structs/array-field.ts';
export { type AtomicCell, atomic, type WaitableCell } from './structs/atomic-cell.ts';
export { contentOf, dropOrFree, type UnknownBlock } from './structs/drop.ts';
export type { Field } from './structs/field.ts';
export type { FixedArray } from './structs/fixed-array.ts';
export type { AnyStructType, InferView, Init, View } from './structs/inference.ts';
export { oneOf } from './structs/one-of.ts';
export { ref } from './structs/reference.ts';
export type { RegisteredLayout } from './structs/registry.ts';
export { bool, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64 } from './structs/scalars.ts';
export type { StructStore } from './structs/store.ts';
export { type StructType, struct } from './structs/struct.ts';
export type { ArrayLayout, StructArray, StructArrayHandle } from './structs/struct-array.ts';
export type { AbortSignalLike, AsyncWaitOptions, WaitOptions } from './sync/async-sleep.ts';
export type { Lock, LockOptions } from './sync/lock.ts';
export { ParkLock } from './sync/park-lock.ts';
export { SpinLock } from './sync/spin-lock.ts';
