/**
 * Map usage: what a map with a limit knows besides: which entries were used of late, how many bytes they
 * take, and which one goes when a shard has too many. That is CLOCK, a second chance for what was used:
 *
 *     hand ▶ │ used │ not │ free │ used │      a used entry loses its mark, the first without one goes
 *
 *     marks      one byte for each slot, in the map's own block. Readers set them without a lock: a table
 *                or an entry, which may be freed by then, would be no place for that
 *     counters   hits and misses, two f64 for each thread slot, which only that slot's thread writes
 *
 * What was used since the last eviction stays. Slots share marks where a limit of bytes did not tell how many
 * there would be. That, a lost store or another place in a table that grew costs one second chance.
 * All but `note`, `touch` and the counters require the shard's lock.
 *
 * Source: F. Corbató, "A paging experiment with the Multics system", 1968.
 */

import { HeapCorruptionError } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import type { MapCore } from './map-core.ts';
import * as layout from './map-layout.ts';

const { TABLE, COUNT, HAND, EVICTIONS, BYTES, DELETED, TAKEN, SHARD_SHIFT } = layout;

/** After how many look-ups a thread's counts are added to the shared ones. */
const PUBLISH_EVERY = 64;

/** One thread's view on the use of a map with a limit. */
export class Usage {
  readonly #core: MapCore;
  private readonly u8: Uint8Array;
  private readonly f64: Float64Array;
  private readonly marks: number;
  /** Log2 of the marks of one shard. */
  private readonly bits: number;
  readonly #counters: number;
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  readonly #victims: Address[] = [];
  private hits = 0;
  private misses = 0;

  private constructor(core: MapCore, address: Address, shardBits: number, markBits: number) {
    const { u8, f64, u32 } = core.store.memory;
    this.#core = core;
    this.u8 = u8;
    this.f64 = f64;
    this.marks = address + layout.marksAt(shardBits);
    this.bits = markBits - shardBits;
    this.#counters = (address + layout.countersAt(shardBits)) >>> 3;
    this.#maxEntries = u32[(address >>> 2) + layout.MAX_ENTRIES]!;
    this.#maxBytes = f64[(address >>> 3) + layout.MAX_BYTES]!;
  }

  /** Undefined for a map without limits. */
  static of(core: MapCore, address: Address, shardBits: number): Usage | undefined {
    const markBits = core.u32[(address >>> 2) + layout.MARK_BITS]!;
    return markBits === 0 ? undefined : new Usage(core, address, shardBits, markBits);
  }

  // ── Look-ups ────────────────────────────────────────────────────────────────────────────────────

  /** Counts a look-up that found `slot`; -1 is a miss. */
  note(shard: number, slot: number): void {
    if (slot >= 0) {
      this.hits++;
      this.touch(shard, slot);
    } else {
      this.misses++;
    }
    if (this.hits + this.misses >= PUBLISH_EVERY) this.publish();
  }

  /** Marks an entry as used. A line that is marked already is not written to. */
  touch(shard: number, slot: number): void {
    const mark = this.#markOf(shard, slot);
    if (this.u8[mark] === 0) this.u8[mark] = 1;
  }

  #markOf(shard: number, slot: number): number {
    return this.#markIn(this.#core.u32[shard + TABLE]!, shard, slot);
  }

  /** Inside the marks whatever the table is by now. */
  #markIn(table: number, shard: number, slot: number): number {
    const at = (slot - (layout.slotsAddress(table) >>> 2)) / this.#core.slots.stride;
    return this.#marksOf(shard) + (at & ((1 << this.bits) - 1));
  }

  #marksOf(shard: number): number {
    return this.marks + (((shard - this.#core.first) >>> SHARD_SHIFT) << this.bits);
  }

  /** Adds this object's counts to the shared ones. */
  publish(): void {
    const cell = this.#counters + this.#core.store.thread.slot * 2;
    this.f64[cell]! += this.hits;
    this.f64[cell + 1]! += this.misses;
    this.hits = 0;
    this.misses = 0;
  }

  /** Hits and misses of all threads; those of others may be 63 behind. */
  counts(): { hits: number; misses: number } {
    this.publish();
    let hits = 0;
    let misses = 0;
    for (let slot = 0; slot < 256; slot++) {
      hits += this.f64[this.#counters + slot * 2]!;
      misses += this.f64[this.#counters + slot * 2 + 1]!;
    }
    return { hits, misses };
  }

  // ── Limits ──────────────────────────────────────────────────────────────────────────────────────

  /** What the entry of a slot counts for, in bytes. */
  weightOf(slot: number): number {
    const { slots, u32 } = this.#core;
    const mark = u32[slot]!;
    return mark === TAKEN ? slots.stride * 4 : this.weightOfBlock(mark);
  }

  /** What an entry counts for, in bytes: its block and those that its value owns. */
  weightOfBlock(entry: number): number {
    const { store, u32, owning, headBytes, valueAt } = this.#core;
    let bytes = store.sizeOf(entry as Address);
    for (const offset of owning) {
      const owned = u32[(entry + headBytes + valueAt + offset) >>> 2] as Address;
      if (owned !== 0) bytes += store.sizeOf(owned);
    }
    return bytes;
  }

  /**
   * Refuses an entry that is larger than what a shard may hold; it is dropped.
   *
   * @throws RangeError
   */
  checkWeight(entry: Address): void {
    if (this.#maxBytes === 0) return;
    const most = this.#maxBytes / this.#core.locks.length;
    const bytes = this.weightOfBlock(entry);
    if (bytes <= most) return;
    this.#core.dropEntry(entry);
    throw new RangeError(
      `an entry of ${bytes} bytes does not fit: maxBytes leaves each shard ${Math.floor(most)}`,
    );
  }

  /** A slot was taken, by what was not used yet. Evicts others when these are too many. */
  added(shard: number, slot: number): void {
    // Of who was there before.
    this.u8[this.#markOf(shard, slot)] = 0;
    if (this.#maxBytes > 0) this.f64[(shard >>> 1) + BYTES]! += this.weightOf(slot);
    this.#trim(shard, slot);
  }

  /** Another entry took a slot. */
  replaced(shard: number, slot: number, old: Address, entry: Address): void {
    this.touch(shard, slot);
    if (this.#maxBytes === 0) return;
    this.f64[(shard >>> 1) + BYTES]! += this.weightOfBlock(entry) - this.weightOfBlock(old);
    this.#trim(shard, slot);
  }

  /** A value was changed in place: what it owns may take more. */
  changed(shard: number, slot: number, before: number): void {
    if (this.#maxBytes === 0) return;
    this.f64[(shard >>> 1) + BYTES]! += this.weightOf(slot) - before;
    this.#trim(shard, slot);
  }

  /** An entry is about to be unlinked. */
  removing(shard: number, slot: number): void {
    if (this.#maxBytes > 0) this.f64[(shard >>> 1) + BYTES]! -= this.weightOf(slot);
  }

  /**
   * Copies a shard's table to the one that takes its place, and the marks along.
   *
   * @returns how many keys that are
   */
  move(shard: number, from: number, to: number): number {
    const { u8 } = this;
    const used: number[] = [];
    const count = this.#core.slots.copy(from, to, (slot, target) => {
      if (u8[this.#markIn(from, shard, slot)] !== 0) used.push(target);
    });
    // Both tables have the same bytes for their marks.
    const marks = this.#marksOf(shard);
    u8.fill(0, marks, marks + 2 ** this.bits);
    for (const slot of used) u8[this.#markIn(to, shard, slot)] = 1;
    return count;
  }

  /** All entries were unlinked. */
  cleared(shard: number): void {
    this.f64[(shard >>> 1) + BYTES] = 0;
  }

  /** Counts the bytes anew and keeps to the limits. The caller drops the victims. */
  recount(shard: number, taken: readonly number[]): void {
    if (this.#maxBytes > 0) {
      this.f64[(shard >>> 1) + BYTES] = taken.reduce((sum, slot) => sum + this.weightOf(slot), 0);
    }
    this.#trim(shard, -1);
  }

  /** Drops the entries that were evicted. Nobody can reach them any more. */
  dropVictims(): void {
    for (let entry = this.#victims.pop(); entry !== undefined; entry = this.#victims.pop()) {
      this.#core.dropEntry(entry);
    }
  }

  #trim(shard: number, keep: number): void {
    const { u32 } = this.#core;
    const most = this.#mostEntries(shard);
    const mostBytes = this.#maxBytes / this.#core.locks.length;
    for (;;) {
      const tooMany = this.#maxEntries > 0 && u32[shard + COUNT]! > most;
      const tooMuch = this.#maxBytes > 0 && this.f64[(shard >>> 1) + BYTES]! > mostBytes;
      if (!(tooMany || tooMuch) || !this.#evict(shard, keep)) return;
    }
  }

  /** A shard's part of `maxEntries`: the parts add up to it. */
  #mostEntries(shard: number): number {
    const { first, locks } = this.#core;
    const index = (shard - first) >>> SHARD_SHIFT;
    return Math.floor((this.#maxEntries + locks.length - 1 - index) / locks.length);
  }

  /** Unlinks the first entry that was not used since the hand last passed. False when there is no other. */
  #evict(shard: number, keep: number): boolean {
    const { u32, slots } = this.#core;
    const table = u32[shard + TABLE]!;
    const first = layout.slotsAddress(table) >>> 2;
    const last = layout.slotCount(table) - 1;
    let hand = u32[shard + HAND]!;
    for (let left = 2 * last + 2; left > 0; left--) {
      const slot = first + (hand & last) * slots.stride;
      hand = (hand + 1) & last;
      if (u32[slot]! <= DELETED || slot === keep) continue;
      const mark = this.#markOf(shard, slot);
      if (this.u8[mark] !== 0) {
        this.u8[mark] = 0;
        continue;
      }
      u32[shard + HAND] = hand;
      u32[shard + EVICTIONS]! += 1;
      const entry = this.#core.unlink(shard, slot);
      if (entry !== 0) this.#victims.push(entry);
      return true;
    }
    return false;
  }

  /** Checks invariant 5 of the core. */
  verify(shard: number, taken: readonly number[]): void {
    if (this.#maxEntries > 0 && taken.length > this.#mostEntries(shard)) {
      throw new HeapCorruptionError(shard * 4, `a shard holds ${taken.length} entries, too many`);
    }
    if (this.#maxBytes === 0) return;
    const bytes = taken.reduce((sum, slot) => sum + this.weightOf(slot), 0);
    const counted = this.f64[(shard >>> 1) + BYTES]!;
    if (bytes !== counted) {
      throw new HeapCorruptionError(shard * 4, `the entries of a shard take ${bytes} bytes, not ${counted}`);
    }
    const most = this.#maxBytes / this.#core.locks.length;
    // One that has grown in place stays when all others have gone.
    if (bytes > most && taken.length > 1) {
      throw new HeapCorruptionError(shard * 4, `the entries of a shard take ${bytes} bytes, of ${most}`);
    }
  }
}
