/**
 * What containers see of where they live: an allocator, the structs that threads have defined, and how
 * this thread takes locks and hands blocks to others.
 *
 *     heap   implements  ContainerStore
 *     arena  implements  ContainerStore      what lies in it stays this thread's
 */

import type { Allocator } from '../allocators/allocator.ts';
import type { Address } from '../memory/address.ts';
import { checkStore, type StructStore } from '../structs/store.ts';
import type { Lock } from '../sync/lock.ts';
import type { Thread } from '../sync/thread.ts';

/** Where containers live. */
export interface ContainerStore extends Allocator, StructStore {
  /** The heap's id: a handle of one heap is refused by another. */
  readonly id: string;
  /** How lock words and claimed cells name this thread. */
  readonly thread: Thread;
  /** After how many ms a waiter gives up, unless it says otherwise. */
  readonly lockTimeout: number;
  /**
   * This thread's handle of a lock in 8 zeroed bytes.
   *
   * @param repair see `LockOptions.repair`
   */
  lock(address: Address, repair?: () => void): Lock;
  /** Marks a block as on its way to another thread. False when it is no live block. */
  trySend(address: Address): boolean;
  /**
   * Takes over a block that is on its way. False when it is not, or was freed since; of several threads
   * one gets it.
   *
   * @param generation as `generationOf` gave it when the block was sent
   */
  tryReceive(address: Address, generation?: number): boolean;
  /** Makes this thread the owner of a block that nobody else can reach any more. False when it is none. */
  tryAdopt(address: Address): boolean;
  /** How often the block at `address` was freed (modulo 256), or -1 when it is no live block. */
  generationOf(address: Address): number;
}

/** Where what a field owns lies: in the heap, also when the field lies in an arena. */
export function homeOf(store: ContainerStore): ContainerStore {
  checkStore(store);
  return (store.layouts.home ?? store) as ContainerStore;
}
