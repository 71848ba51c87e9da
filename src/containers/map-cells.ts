/**
 * Map cells: `add` without the lock, for values of i32 or u32 in the slots of a map without limits.
 *
 *     add     v = cell; swap v for v + delta                one line of the cache, one read-modify-write
 *     closed  │ -2^31 │  what the cell of a slot holds that moved or went; also a value like others
 *
 * 1. A slot of an open table that held a key takes no other, and an open table is freed with its map alone:
 *    whoever found a slot may change its cell at any later time, and harms no other key, no other block.
 * 2. Without the lock a cell changes by that swap alone, never from or to `closed`. Who meets `closed` takes
 *    the lock, under which it is a value where the slot is taken in the shard's table.
 * 3. A value that must not change any more is swapped for `closed`: what the swap gave is the last one.
 *
 *     found the slot ▶ │ another thread, under the lock          │ ▶ the swap of add
 *     ─────────────────┼─────────────────────────────────────────┼──────────────────────────────────────
 *       still v        │ nothing, or set and add, back to v      │ done, at the swap
 *       not v          │ set, update, add                        │ fails: once more under the lock
 *       closed         │ moved, deleted, taken                   │ fails: the lock leads to what is now
 *       still v        │ deleted, and the same key put again     │ done, at the swap: it is the key's cell
 *       not closed yet │ mark is bound, or table is 0 (clear)    │ done, just before that store: it fell
 *                      │                                         │ into this add, which found the slot taken
 *
 * A value is copied before its cell is closed, and the shard's `next` names the table of the copies: who
 * finds a closed cell where a thread has died at the move finds the last value there (see map-repair.ts).
 * Of a shard's tables only those are open that are larger than all open ones before: together they take less
 * than twice the last. Others (after `clear`, or where deleted slots filled one) know the lock alone.
 *
 * The floor: an operation that reads and changes at once needs a fence (Attiya et al., "Laws of order", 2011),
 * and behind it the next one's cache misses cannot overlap, as they do in a plain Map.
 */

import { atomicExchange, compareExchange } from '../memory/atomics.ts';
import type { Field } from '../structs/field.ts';
import type { MapCore } from './map-core.ts';
import * as layout from './map-layout.ts';

// V8 folds the constants of a module, but loads imported ones at each use.
const { TABLE, RETIRED, OPEN, SLOT_BITS, TAKEN } = layout;
const CLOSED = -0x80000000;

/** One thread's view on the cells of a map. */
export class Cells {
  private readonly core: MapCore;
  private readonly i32: Int32Array;
  private readonly signed: boolean;
  /** Words from a slot's start to the value in it. */
  private readonly cellAt: number;

  private constructor(core: MapCore, signed: boolean) {
    this.core = core;
    this.i32 = core.i32;
    this.signed = signed;
    this.cellAt = (core.shape.entryAt + core.shape.valueAt) >>> 2;
  }

  /** Undefined for a map whose values are changed under the lock alone. */
  static of(core: MapCore, value: Field | undefined): Cells | undefined {
    if (core.usage !== undefined || (value?.kind !== 'i32' && value?.kind !== 'u32')) return undefined;
    return new Cells(core, value.kind === 'i32');
  }

  /**
   * Adds to the value of the encoded key.
   *
   * @returns the new value; undefined when the lock is wanted for it, and nothing changed
   */
  add(shard: number, hash: number, delta: number): number | undefined {
    const { i32, core } = this;
    const table = i32[shard + TABLE]!;
    if ((table & OPEN) === 0) return undefined;
    const slot = core.slots.find(table, hash);
    if (slot < 0 || i32[slot] !== TAKEN) return undefined;
    const cell = slot + this.cellAt;
    const before = i32[cell]!;
    const sum = ((this.signed ? before : before >>> 0) + delta) | 0;
    if (before === CLOSED || sum === CLOSED) return undefined;
    if (compareExchange(i32, cell, before, sum) !== before) return undefined;
    return this.signed ? sum : sum >>> 0;
  }

  /** Whether the value of a taken slot lies in it. Those of entries in blocks are changed under the lock alone. */
  holds(slot: number): boolean {
    return this.i32[slot] === TAKEN;
  }

  /** The value in a taken slot. */
  read(slot: number): number {
    const value = this.i32[slot + this.cellAt]!;
    return this.signed ? value : value >>> 0;
  }

  /** Replaces a value that was read. False when it has changed since. Requires: lock held. */
  replace(slot: number, before: number, value: number): boolean {
    return compareExchange(this.i32, slot + this.cellAt, before | 0, value | 0) === (before | 0);
  }

  /** Adds to the value in a taken slot, and returns the new one. Requires: lock held. */
  addLocked(slot: number, delta: number): number {
    for (;;) {
      const before = this.read(slot);
      const sum = (before + delta) | 0;
      if (this.replace(slot, before, sum)) return this.signed ? sum : sum >>> 0;
    }
  }

  /** Closes the cell of a slot that was deleted, and returns its last value. Requires: lock held. */
  close(slot: number): number {
    const value = atomicExchange(this.i32, slot + this.cellAt, CLOSED);
    return this.signed ? value : value >>> 0;
  }

  // ── Tables ──────────────────────────────────────────────────────────────────────────────────────

  /** `OPEN` for a new table that may be open, else 0. Requires: lock held. */
  opening(shard: number, bits: number): number {
    const { i32 } = this;
    const table = i32[shard + TABLE]!;
    const last = (table & OPEN) === 0 ? i32[shard + RETIRED]! : table;
    return last === 0 || bits > (last & SLOT_BITS) ? OPEN : 0;
  }

  /** Moves what an open table holds to one that takes its place. Returns how many keys. Requires: lock held. */
  move(_shard: number, from: number, to: number): number {
    return this.core.slots.copy(from, to, (slot, target) => this.moveOne(slot, target));
  }

  /** Moves the last value of a slot to where the slot was copied, unless it was moved already. */
  moveOne(slot: number, target: number): void {
    const { i32, cellAt } = this;
    if (i32[slot] !== TAKEN) return;
    for (;;) {
      const value = i32[slot + cellAt]!;
      if (value === CLOSED) return;
      i32[target + cellAt] = value;
      if (compareExchange(i32, slot + cellAt, value, CLOSED) === value) return;
    }
  }

  /** Keeps an open table that is about to be given up until the map is dropped. Requires: lock held. */
  retire(shard: number, table: number): void {
    const { i32 } = this;
    // A thread may have died between this and giving it up.
    if (i32[shard + RETIRED] === table) return;
    i32[layout.linkOf(table, this.core.slots.stride)] = i32[shard + RETIRED]!;
    i32[shard + RETIRED] = table;
  }
}
