/**
 * Recovery: what the living do when a thread has died. Whatever the thread was at, the heap goes on.
 *
 *     settle   the one deed that it had begun, once there is a proof of the death (see sync/deed.ts)
 *     mark     the slot's `dead` word says so: from now on its locks are taken over by whoever wants them,
 *              each one repaired first (see sync/lock.ts)
 *     wake     who sleeps on a lock that the thread held, or was about to have
 *     reclaim  what lay in its cache goes back to the allocator; what it owned becomes nobody's, or is dropped
 *     free     the slot is another thread's to take
 *
 * One lock in the superblock lets one thread at a time do this. Each step may be done twice: when who reaps
 * dies, the lock is taken over like any other, and the next one begins again; the slot is freed last.
 * What lies in containers is repaired by whoever comes upon it: the words there name a slot and a generation,
 * and a slot's next tenant has another generation.
 *
 * Lock order: recovery lock → class locks ascending → allocator lock.
 */

import type { Locked } from '../allocators/locked.ts';
import { ownerBits } from '../allocators/ownership.ts';
import type { Swept } from '../allocators/sweep.ts';
import type { ThreadCached } from '../allocators/thread-cached.ts';
import { HeapCorruptionError, InvalidFreeError, type SabheapError } from '../errors.ts';
import { type Address, NULL } from '../memory/address.ts';
import { checkInteger } from '../memory/layout.ts';
import type { UnknownBlock } from '../structs/drop.ts';
import type { Lock } from '../sync/lock.ts';
import type { Thread } from '../sync/thread.ts';
import type { SlotInfo, ThreadSlots } from './slots.ts';

/** A thread as `heap.threads()` shows it: one tenant of a slot. */
export type SlotTenant = Pick<SlotInfo, 'slot' | 'generation'>;

/** What is to be done with what a dead thread owned. */
export interface ReapOptions {
  /**
   * Whether its LIVE blocks are dropped, with all that they own. By default they stay, as nobody's (ORPHAN).
   * What it had shared or sent off stays in any case.
   */
  readonly reclaim?: boolean;
  /**
   * For programs that are bundled: what of the library they shall have the code of, to drop blocks of those kinds
   * (`[SharedMap, Arc, string]`). Naming it here is enough; not looked at when the program runs.
   */
  readonly kinds?: readonly object[];
}

/** What a dead thread left. */
export interface ReapReport {
  /** The runtime's id of the thread. */
  readonly threadId: number;
  readonly slot: number;
  readonly generation: number;
  /** Blocks of its cache that went back to the allocator. */
  readonly returnedBlocks: number;
  /** Usable bytes of those. */
  readonly returnedBytes: number;
  /** The live blocks that it owned, in address order: nobody's now, or dropped when `reclaimed`. */
  readonly owned: readonly Address[];
  /** Usable bytes of those. */
  readonly ownedBytes: number;
  readonly reclaimed: boolean;
  /** Those of `owned` that could not be dropped: they are the calling thread's now, and stay. */
  readonly damaged: readonly DamagedBlock[];
  /**
   * Blocks, of `owned` or owned by those, of a kind that this program's bundle has no code for (see
   * {@link ReapOptions.kinds}): they are the calling thread's now, and stay, with all that they own. A thread that
   * has the code can `dropOrFree` them.
   */
  readonly unknown: readonly UnknownBlock[];
}

/** A block that was overwritten, so that it cannot be dropped, or something that it owns. */
export interface DamagedBlock {
  readonly address: Address;
  readonly error: SabheapError;
}

/** What recovery works on. */
export interface RecoveryParts {
  readonly slots: ThreadSlots;
  readonly thread: Thread;
  readonly lock: Lock;
  readonly allocator: Locked | ThreadCached;
  /** Drops a block with all that it owns. Returns what stays, for want of code. */
  drop(address: Address): readonly UnknownBlock[];
}

/**
 * The tenant of a slot that `reap` was told of.
 *
 * @returns undefined when it was there, and its slot was freed since
 * @throws RangeError when it never was, or is the calling thread, or an id stands for several
 * @throws HeapCorruptionError when the heap is poisoned
 */
export function tenantOf(
  { slots, thread, allocator }: RecoveryParts,
  wanted: number | SlotTenant,
): SlotInfo | undefined {
  allocator.checkSound();
  const found = slots.taken().filter((info) => isWanted(info, wanted));
  const dead = found.filter((info) => info.dead);
  const tenants = dead.length > 0 ? dead : found;
  const name = typeof wanted === 'number' ? `thread ${wanted}` : JSON.stringify(wanted);
  if (tenants.length > 1) {
    throw new RangeError(`${tenants.length} slots are of ${name}: reap one by its slot and generation`);
  }
  const [tenant] = tenants;
  if (tenant === undefined) {
    if (typeof wanted === 'number' && slots.endTakings(wanted)) return undefined;
    if (slots.hadTenant(wanted)) return undefined;
    throw new RangeError(`no thread slot of the heap is, or was of late, of ${name}`);
  }
  if (tenant.slot === thread.slot) throw new RangeError(`${name} is the calling thread, which is not dead`);
  return tenant;
}

function isWanted({ threadId, slot, generation }: SlotInfo, wanted: number | SlotTenant): boolean {
  if (typeof wanted === 'number') return threadId === wanted;
  return wanted.slot === slot && wanted.generation === generation;
}

/** Throws unless `wanted` can name a thread. */
export function checkTenant(wanted: unknown): asserts wanted is number | SlotTenant {
  if (typeof wanted === 'number') {
    checkInteger('thread id', wanted, 0, 2 ** 31 - 2);
    return;
  }
  const { slot, generation } = (wanted ?? {}) as Partial<SlotTenant>;
  if (Number.isInteger(slot) && Number.isInteger(generation)) return;
  throw new TypeError(
    'reap wants the id of a thread, or its { slot, generation } as heap.threads() shows it',
  );
}

/** Recovers what the thread in a slot left. It must be dead: nothing of it may run any more. */
export function reapTenant(parts: RecoveryParts, tenant: SlotInfo, reclaim: boolean): ReapReport {
  const { slots, lock, allocator } = parts;
  const { threadId, slot, generation } = tenant;
  const report = { threadId, slot, generation, reclaimed: reclaim };
  slots.markDead(slot, generation);
  let left: Swept;
  lock.acquire();
  try {
    // Another thread may have been faster.
    if (!slots.isTenant(tenant)) return { ...report, ...NOTHING };
    slots.wakeSleepers(slot);
    const own = slots.ownOf(slot);
    if (own !== NULL) allocator.tryGive(own, ownerBits(slot, generation));
    slots.forgetOwn(slot);
    left = allocator.reclaimOf(ownerBits(slot, generation), reclaim ? 'become mine' : 'become orphans');
    slots.free(slot);
  } finally {
    lock.release();
  }
  // They are this thread's now: should it die, they are found as what it owned.
  const kept = dropAll(parts, reclaim ? left.owned : []);
  return { ...report, ...left, ...kept };
}

/** Drops blocks. One that is damaged does not keep the others. */
function dropAll(
  parts: RecoveryParts,
  addresses: readonly Address[],
): Pick<ReapReport, 'damaged' | 'unknown'> {
  const damaged: DamagedBlock[] = [];
  const unknown: UnknownBlock[] = [];
  for (const address of addresses) {
    try {
      unknown.push(...parts.drop(address));
    } catch (error) {
      if (!(error instanceof HeapCorruptionError || error instanceof InvalidFreeError)) throw error;
      damaged.push({ address, error });
    }
  }
  return { damaged, unknown };
}

/** Recovers what all those left that are known to be dead, and the slots that some were only about to take. */
export function reapDead(parts: RecoveryParts, reclaim: boolean): ReapReport[] {
  const { slots, thread, allocator } = parts;
  allocator.checkSound();
  slots.endTakings();
  return slots
    .taken()
    .filter((tenant) => tenant.slot !== thread.slot && (tenant.dead || slots.prove(tenant)))
    .map((tenant) => reapTenant(parts, tenant, reclaim));
}

/**
 * Takes back what lay in the caches of those that are known to be dead, once. What they owned stays theirs, and so
 * do their slots: whether it is dropped says who reaps them, and only he knows. Returns whether there was anything.
 */
export function drainDead({ slots, thread, lock, allocator }: RecoveryParts): boolean {
  allocator.checkSound();
  slots.endTakings();
  let returned = 0;
  for (const tenant of slots.taken()) {
    const { slot, generation, dead } = tenant;
    if (slot === thread.slot || !(dead || slots.prove(tenant))) continue;
    lock.acquire();
    try {
      if (!slots.isTenant(tenant) || slots.isDeadDrained(slot)) continue;
      returned += allocator.reclaimOf(ownerBits(slot, generation), 'stay').returnedBlocks;
      slots.endDeadDrain(slot);
    } finally {
      lock.release();
    }
  }
  return returned > 0;
}

/**
 * Gives the calling thread's cache and slot back. Its LIVE blocks become nobody's; if there are any and it ends by an
 * error, it keeps the slot, and who reaps it says what becomes of them.
 */
export function leaveSlot({ slots, thread, allocator }: RecoveryParts, failed: boolean): void {
  if (failed && ownsBlocks(allocator, thread.slot)) {
    allocator.flush();
    return;
  }
  allocator.leave();
  slots.giveBack(thread);
  thread.leave();
}

function ownsBlocks(allocator: RecoveryParts['allocator'], slot: number): boolean {
  for (const { state, owner } of allocator.blocks()) if (state === 'live' && owner === slot) return true;
  return false;
}

const NOTHING = Object.freeze({
  returnedBlocks: 0,
  returnedBytes: 0,
  owned: [],
  ownedBytes: 0,
  damaged: [],
  unknown: [],
});

/** What a thread reports that was reaped before. */
export function reapedBefore(wanted: number | SlotTenant): ReapReport {
  const { slot = 0, generation = 0 } = typeof wanted === 'number' ? {} : wanted;
  const threadId = typeof wanted === 'number' ? wanted : -1;
  return { threadId, slot, generation, reclaimed: false, ...NOTHING };
}
