/**
 * Map repair: puts a shard right whose writer died, wherever it died, and checks that one is right.
 *
 *     a death in …         leaves                                        and the next one to lock the shard
 *     ─────────────────────┼─────────────────────────────────────────────┼──────────────────────────────────
 *     put, delete, take    │ the slot as it was, or as it shall be       │ counts
 *     a growing table      │ NEXT: the new table, and what it has so far │ copies the rest, publishes it
 *     clear                │ DOOMED: a table that is the shard's no more │ drops what is left in it
 *     eviction             │ more than the limits allow                  │ evicts
 *     delete in open table │ a bound slot whose cell is not closed       │ closes it
 *
 * In each the mark of one slot, or `table`, commits, by one store. Entries and tables that are not linked, or
 * not any more, are the dead thread's own: its deed tells (see sync/deed.ts), which was settled before.
 * `version` goes up, so that who was reading reads again. A repair may be repeated.
 * What a callback of `with` had half written stays: that is for its user.
 */

import { HeapCorruptionError } from '../errors.ts';
import { type Address, NULL } from '../memory/address.ts';
import type { MapCore } from './map-core.ts';
import * as layout from './map-layout.ts';

const { TABLE, COUNT, USED, NEXT, DOOMED, FREE, BOUND, TAKEN, OPEN, SHARD_SHIFT } = layout;

/** Puts a shard right. Requires: lock held. */
export function repairShard(core: MapCore, index: number): void {
  const shard = core.first + (index << SHARD_SHIFT);
  // Whoever takes the lock has encoded a key.
  const restore = core.keys.keep();
  try {
    core.begin(shard);
    finishSwap(core, shard);
    finishClear(core, shard);
    const taken = recount(core, shard);
    core.usage?.recount(shard, taken);
    core.usage?.dropVictims();
  } finally {
    restore();
  }
}

/** A table was about to be replaced: all of it is moved, and none of it twice. */
function finishSwap(core: MapCore, shard: number): void {
  const { i32, keys, slots, cells, store } = core;
  const table = i32[shard + TABLE]!;
  const next = i32[shard + NEXT]!;
  if (next === 0 || next === table) {
    i32[shard + NEXT] = 0;
    return;
  }
  for (const slot of core.slots.taken(table)) {
    const hash = keys.encodeAt(core.entryOf(slot));
    let target = slots.find(next, hash);
    if (target < 0) {
      target = slots.room(next, hash);
      slots.copySlot(slot, target);
    }
    if ((table & OPEN) !== 0) cells!.moveOne(slot, target);
  }
  store.free(core.publishNext(shard));
}

/** A table was about to be taken out: it is back, or was taken out. */
function finishClear(core: MapCore, shard: number): void {
  const { i32, store } = core;
  const doomed = i32[shard + DOOMED]!;
  if (doomed === i32[shard + TABLE]) i32[shard + DOOMED] = 0;
  else if (doomed !== 0) store.free(core.dropDoomed(shard));
}

/** Returns the taken slots. */
function recount(core: MapCore, shard: number): readonly number[] {
  const { i32, cells } = core;
  const table = i32[shard + TABLE]!;
  const taken = core.slots.taken(table);
  const { used, bound } = usedSlots(core, table);
  for (const slot of bound) cells!.close(slot);
  core.recount(shard, taken.length, used);
  return taken;
}

function usedSlots({ i32, slots: { stride } }: MapCore, table: number): { used: number; bound: number[] } {
  const first = layout.slotsAddress(table) >>> 2;
  const end = first + layout.slotCount(table) * stride;
  const bound: number[] = [];
  let used = 0;
  for (let slot = first; slot < end; slot += stride) {
    if (i32[slot] !== FREE) used++;
    if (i32[slot] === BOUND) bound.push(slot);
  }
  return { used, bound };
}

/**
 * Checks the numbered invariants, shard by shard under its lock.
 *
 * @throws HeapCorruptionError naming the address where one is broken
 */
export function verifyMap(core: MapCore): void {
  core.check();
  core.locks.forEach((lock, index) => {
    lock.acquire();
    try {
      verifyShard(core, index);
    } finally {
      lock.release();
    }
  });
}

/** Requires: lock held. */
function verifyShard(core: MapCore, index: number): void {
  const { u32, slots } = core;
  const shard = core.first + (index << SHARD_SHIFT);
  const table = u32[shard + TABLE]!;
  const wrong = (slot: number, reason: string) => new HeapCorruptionError(slot * 4, reason);
  const total = layout.slotCount(table);
  if (table !== 0) checkBlock(core, layout.slotsAddress(table), total * slots.stride * 4, shard);
  if (u32[shard + NEXT] !== 0 || u32[shard + DOOMED] !== 0)
    throw wrong(shard + NEXT, 'a change is half done');
  const taken = core.slots.taken(table);
  const least = core.headBytes + core.shape.entryBytes;
  for (const slot of taken) {
    const mark = u32[slot]!;
    if (mark !== TAKEN) checkBlock(core, mark, least, slot);
    const hash = core.keys.encodeAt(core.entryOf(slot));
    if (core.fits !== (mark === TAKEN)) throw wrong(slot, 'an entry of a map is not where it fits');
    if (mark !== TAKEN) checkBlock(core, mark, least + core.keys.extraBytes, slot);
    if (core.shardOf(hash) !== shard) throw wrong(slot, 'a key lies in the wrong shard of its map');
    if (hash !== slots.hashAt(slot)) throw wrong(slot, 'a slot has not the hash of its key');
    if (slots.find(table, hash) !== slot) throw wrong(slot, 'a key of a map is not found, or there twice');
  }
  if (taken.length !== u32[shard + COUNT]) throw wrong(shard + COUNT, `${taken.length} keys were counted`);
  const { used } = usedSlots(core, table);
  if (used !== u32[shard + USED]) throw wrong(shard + USED, `${used} used slots were counted`);
  if (total > 0 && used >= total) throw wrong(shard + USED, 'a table of a map has no free slot');
  core.usage?.verify(shard, taken);
}

/** Throws unless a live block of at least `size` bytes starts at `address`. */
function checkBlock({ store }: MapCore, address: number, size: number, link: number): void {
  try {
    if (address !== NULL && store.sizeOf(address as Address) >= size) return;
  } catch {
    // No live block: reported as what it is here.
  }
  throw new HeapCorruptionError(link * 4, `a map links a block of ${size} bytes at ${address}, and none is`);
}
