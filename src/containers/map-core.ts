/**
 * Map core: what SharedMap and SharedSet are made of. Finds, links, unlinks, grows and evicts.
 *
 *     hash ┬ upper bits ▶ shard ▶ lock ─┬─ writers: acquire, version + 1, change, release
 *          └ lower bits ▶ slot          └─ readers: version, lock free? read. Both as before? else again
 *
 * Readers store nothing. A writer fences behind its lock and version, so a reader that saw any store of a writer
 * sees, after its own fence, that writer's lock or, once given back, its version. Only `add` to i32 and u32
 * changes values without the lock: see map-cells.ts.
 *
 * Nothing is allocated under a lock, since exhaustion calls handlers of the user: an entry is finished
 * before, a new table is there before, and what was unlinked is dropped after.
 *
 * Invariants of a shard, when its lock is free
 * 1. `table` is 0, or the address of a live block with room for the slots.
 * 2. A taken slot's key has that slot's hash, the hash leads to this shard, and `find` leads to the slot.
 * 3. An entry is a live block with room for key and value.
 * 4. `count` is the number of taken slots, `used` that of taken and deleted ones; at least one is free.
 * 5. Under limits `count` and `bytes` keep to the shard's part, and `bytes` is the sum over the entries.
 *
 * Lock order: one shard's lock → the allocator's.
 */

import { keepsOrder } from '#platform';
import { hex, OutOfMemoryError } from '../errors.ts';
import { type Address, NULL } from '../memory/address.ts';
import * as atomics from '../memory/atomics.ts';
import { dropBlock, kindName } from '../structs/drop.ts';
import type { BoundField, Field } from '../structs/field.ts';
import { clearDeed, FLAGGED, LINK, noteDeed, TAKE, takeOut } from '../sync/deed.ts';
import type { Lock } from '../sync/lock.ts';
import { layHeader } from './container.ts';
import { Cells } from './map-cells.ts';
import { type Keys, keysOf } from './map-keys.ts';
import * as layout from './map-layout.ts';
import { repairShard } from './map-repair.ts';
import { HashedSlots, IntegerSlots, type Slots } from './map-slots.ts';
import { Usage } from './map-usage.ts';
import { swapOwned } from './owning-cell.ts';
import type { ContainerStore } from './store.ts';

const { VERSION, TABLE, COUNT, USED, NEXT, DOOMED, FREE, DELETED, TAKEN, OPEN, SHARD_SHIFT } = layout;
const { atomicLoad, atomicStore } = atomics;
const IN_ORDER = keepsOrder();
/** How often a reader looks again before it takes the lock. */
const LOOKS = 16;
/** The smallest table has 2^3 slots, the largest 2^26. */
const LEAST_SLOT_BITS = 3;
const MOST_SLOT_BITS = 26;
/** A table grows when more than 5 of 8 slots are used; without room for another one it is filled further. */
const FULL = 5 / 8;
const BRIM = 15 / 16;

/** One thread's handle of a map's shards. */
export class MapCore {
  readonly store: ContainerStore;
  readonly shape: layout.Shape;
  readonly keys: Keys;
  readonly slots: Slots;
  /** Undefined in a set. */
  readonly value: BoundField | undefined;
  readonly valueField: Field | undefined;
  readonly owning: readonly number[];
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  /** Index of the kind word, which `destroy` clears. */
  readonly base: number;
  /** Index of the first shard's first word. */
  readonly first: number;
  readonly locks: readonly Lock[];
  /** Where the map has a limit. */
  readonly usage: Usage | undefined;
  /** Where values can be added to without the lock. */
  readonly cells: Cells | undefined;
  /** What `unlink` found in the slot, where there are cells. */
  unlinked = 0;
  readonly valueAt: number;
  /** Bytes from the start of an entry's block to the entry. */
  readonly headBytes: number;
  /** What the kind word holds, as the signed word that `i32` reads. */
  private readonly kind: number;
  private readonly valueHash: number;
  private readonly entryAt: number;
  private readonly textRoom: number;
  private readonly shift: number;
  private readonly limit: number;

  constructor(store: ContainerStore, address: Address, key: Field, value: Field | undefined, path: string) {
    const { memory } = store;
    const base = address >>> 2;
    this.store = store;
    this.base = base;
    this.kind = (value === undefined ? layout.SET_KIND : layout.MAP_KIND) | 0;
    this.i32 = memory.i32;
    this.u32 = memory.u32;
    this.shape = layout.shapeOf(key, value);
    const { hashed, textRoom, entryAt, headBytes, valueAt, entryBytes } = this.shape;
    this.headBytes = headBytes;
    this.valueHash = this.u32[base + 1]!;
    this.textRoom = textRoom;
    this.entryAt = entryAt;
    this.valueAt = valueAt;
    this.keys = keysOf(key, memory, this.u32[base + layout.SEED]!, entryBytes);
    this.slots = new (hashed ? HashedSlots : IntegerSlots)(memory, this.keys, this.shape);
    this.value = value?.bind(store, path);
    this.valueField = value;
    this.owning = value?.owning ?? [];
    const bits = this.u32[base + layout.SHARD_BITS]!;
    this.shift = 31 - bits;
    this.limit = memory.byteLength - entryBytes;
    const start = address + layout.SHARDS_AT;
    this.first = start >>> 2;
    this.locks = Array.from({ length: 2 ** bits }, (_, index) =>
      store.lock((start + index * layout.SHARD_BYTES) as Address, () => repairShard(this, index)),
    );
    this.usage = Usage.of(this, address, bits);
    this.cells = Cells.of(this, value);
  }

  /** Whether nobody has destroyed it. */
  get isThere(): boolean {
    return this.i32[this.base] === this.kind;
  }

  /** Throws once another object destroyed it. Comes before a lock: the bytes may be somebody else's by then. */
  check(): void {
    if (this.i32[this.base] === this.kind) return;
    throw new ReferenceError(`the ${kindName(this.kind >>> 0)} at ${hex(this.base * 4)} was destroyed`);
  }

  /** The shard that a hash leads to: index of its first word. */
  shardOf(hash: number): number {
    return this.first + (((hash >>> 1) >>> this.shift) << SHARD_SHIFT);
  }

  /** The lock of that shard; throws as `check`. Who reads or adds without it meets closed locks, and comes here. */
  lockOf(hash: number): Lock {
    this.check();
    return this.locks[(hash >>> 1) >>> this.shift]!;
  }

  /** Where the entry of a taken slot lies: in it, or in a block of its own. `keys.read` wants it. */
  entryOf(slot: number): number {
    const mark = this.u32[slot]!;
    return mark === TAKEN ? slot * 4 + this.entryAt : mark + this.headBytes;
  }

  /** Where the value of a taken slot lies. */
  valueOf(slot: number): number {
    return this.entryOf(slot) + this.valueAt;
  }

  /** Whether the entry of the encoded key lies in its slot. */
  get fits(): boolean {
    return this.keys.extraBytes <= this.textRoom;
  }

  // ── Readers ─────────────────────────────────────────────────────────────────────────────────────

  /**
   * What `load` gives for the value of the encoded key; `undefined` when the map does not hold the key.
   * Mostly without the lock: `load` may then see torn values, and its result is not used.
   */
  read<R>(hash: number, load: (address: number) => R): R | undefined {
    const { i32 } = this;
    const shard = this.shardOf(hash);
    for (let left = LOOKS; left > 0; left--) {
      // Pairs with the lock's exchange: what was stored before a free lock is seen.
      const version = atomicLoad(i32, shard + VERSION);
      if (i32[shard] !== 0) continue;
      const slot = this.slots.find(i32[shard + TABLE]!, hash);
      let found: R | undefined;
      if (slot >= 0) {
        const address = this.valueOf(slot);
        if (address > this.limit) continue;
        try {
          found = load(address);
        } catch (error) {
          this.store.thread.fence();
          if (i32[shard] === 0 && i32[shard + VERSION] === version) throw error;
          continue;
        }
      }
      this.store.thread.fence();
      if (i32[shard] !== 0 || i32[shard + VERSION] !== version) continue;
      if (this.usage !== undefined) this.usage.note(shard, slot);
      return found;
    }
    return this.readLocked(hash, load);
  }

  /** As `read`, under the lock: for values that are not to be looked at while they change. */
  readLocked<R>(hash: number, load: (address: number) => R): R | undefined {
    const shard = this.shardOf(hash);
    const lock = this.lockOf(hash);
    // This thread may hold it already: in a callback of the user.
    const held = lock.owner === this.store.thread.token;
    if (!held) lock.acquire();
    try {
      const slot = this.slots.find(this.i32[shard + TABLE]!, hash);
      if (this.usage !== undefined) this.usage.note(shard, slot);
      return slot < 0 ? undefined : load(this.valueOf(slot));
    } finally {
      if (!held) lock.release();
    }
  }

  /** Whether the map holds the encoded key. */
  has(hash: number): boolean {
    return this.read(hash, yes) === true;
  }

  // ── Writers ─────────────────────────────────────────────────────────────────────────────────────

  /** Comes before a change: who sees any store of it sees the lock or the new version. Requires: lock held. */
  begin(shard: number): void {
    this.i32[shard + VERSION] = this.i32[shard + VERSION]! + 1;
    if (!IN_ORDER) this.store.thread.fence();
  }

  /**
   * Sets the value of a key whatever the key is.
   *
   * @param keep whether a value that is there stays
   * @returns whether the key was there
   * @throws OutOfMemoryError when there is no room; the map is as it was
   */
  put(key: unknown, value: unknown, keep: boolean): boolean {
    this.keys.encode(key);
    if (this.fits) return this.#putInSlot(key, value, keep);
    const entry = this.newEntry(key, value);
    const old = this.#putEntry(key, entry, keep);
    this.dropEntry(keep && old !== NULL ? entry : old);
    return old !== NULL;
  }

  /** As `put`, where all lies in the slot. */
  #putInSlot(key: unknown, value: unknown, keep: boolean): boolean {
    const { i32, keys, slots, valueAt } = this;
    for (let full = false; ; ) {
      const hash = keys.encode(key);
      const shard = this.shardOf(hash);
      const lock = this.lockOf(hash);
      lock.acquire();
      try {
        this.begin(shard);
        let slot = slots.find(i32[shard + TABLE]!, hash);
        if (slot >= 0) {
          if (!keep) this.value?.write(this.valueOf(slot), value);
          this.usage?.touch(shard, slot);
          return true;
        }
        slot = this.#place(shard, hash, full);
        if (slot >= 0) {
          const entry = slot * 4 + this.entryAt;
          keys.write(entry);
          this.value?.write(entry + valueAt, value);
          this.#link(shard, slot, hash, TAKEN);
          this.usage?.added(shard, slot);
          return false;
        }
      } finally {
        lock.release();
        this.usage?.dropVictims();
      }
      full = this.#growOrFill(shard, full);
    }
  }

  /**
   * Makes an entry that no table links yet.
   *
   * @throws OutOfMemoryError, and what writing the value throws; nothing stays allocated
   */
  newEntry(key: unknown, value: unknown): Address {
    this.keys.encode(key);
    const { store, shape, headBytes, keys } = this;
    const size = headBytes + shape.entryBytes + keys.extraBytes;
    const block = store.alloc(size);
    if (block === NULL) throw new OutOfMemoryError(size, 'an entry of a map');
    const entry = block + headBytes;
    try {
      if (this.value !== undefined) {
        // Fields that the value leaves out are zero, and what owns has nothing to drop.
        store.memory.u8.fill(0, entry + this.valueAt, entry + shape.entryBytes);
        if (headBytes !== 0) layHeader(store, block, layout.entryKind(shape), this.valueHash);
        this.value.write(entry + this.valueAt, value);
      }
      // Again: a handler of exhaustion or the value's own code may have encoded another key.
      this.keys.encode(key);
      this.keys.write(entry);
    } catch (error) {
      this.dropEntry(block);
      throw error;
    }
    return block;
  }

  /**
   * Links an entry under its key.
   *
   * @param keep whether an entry that is there stays
   * @returns the entry that was there: replaced, or kept. 0 for none
   * @throws OutOfMemoryError when there is no room for another key; the entry is dropped
   */
  #putEntry(key: unknown, entry: Address, keep: boolean): Address {
    const { i32, u32, slots } = this;
    this.usage?.checkWeight(entry);
    for (let full = false; ; ) {
      const hash = this.keys.encode(key);
      const shard = this.#enterWith(entry, hash);
      const lock = this.lockOf(hash);
      try {
        this.begin(shard);
        let slot = slots.find(i32[shard + TABLE]!, hash);
        if (slot >= 0) {
          const old = u32[slot] as Address;
          if (!keep) this.replace(shard, slot, entry);
          return old;
        }
        slot = this.#place(shard, hash, full);
        if (slot >= 0) {
          this.#link(shard, slot, hash, entry);
          this.usage?.added(shard, slot);
          return NULL;
        }
      } finally {
        lock.release();
        this.usage?.dropVictims();
      }
      try {
        full = this.#growOrFill(shard, full);
      } catch (error) {
        this.dropEntry(entry);
        throw error;
      }
    }
  }

  /** Takes the lock of the shard that it answers; when it cannot be had the entry is dropped. */
  #enterWith(entry: Address, hash: number): number {
    try {
      const shard = this.shardOf(hash);
      this.lockOf(hash).acquire();
      return shard;
    } catch (error) {
      this.dropEntry(entry);
      throw error;
    }
  }

  /**
   * Puts a finished entry in the place of another, which is this thread's then. Requires: lock held, and the
   * version was counted up.
   *
   * @returns the entry that was there
   */
  replace(shard: number, slot: number, entry: Address): Address {
    const old = swapOwned(this.store, slot * 4, entry);
    this.usage?.replaced(shard, slot, old, entry);
    return old;
  }

  /**
   * Unlinks a slot. Requires: lock held.
   *
   * @returns the entry's block, which is this thread's then; 0 when it lay in the slot
   */
  unlink(shard: number, slot: number): Address {
    const { i32, store } = this;
    const mark = this.u32[slot]!;
    const entry = (mark === TAKEN ? NULL : mark) as Address;
    this.usage?.removing(shard, slot);
    this.begin(shard);
    if (entry !== NULL) noteDeed(store.thread, entry, slot * 4, TAKE);
    const freed = this.slots.erase(i32[shard + TABLE]!, slot);
    if (entry !== NULL) {
      store.tryAdopt(entry);
      clearDeed(store.thread);
    }
    i32[shard + USED]! -= freed;
    i32[shard + COUNT]! -= 1;
    if (this.cells !== undefined && mark === TAKEN) this.unlinked = this.cells.close(slot);
    return entry;
  }

  /** Takes the encoded key out and drops its value. Returns whether it was there. */
  remove(hash: number): boolean {
    const shard = this.shardOf(hash);
    const lock = this.lockOf(hash);
    let entry: Address = NULL;
    lock.acquire();
    try {
      const slot = this.slots.find(this.i32[shard + TABLE]!, hash);
      if (slot < 0) return false;
      entry = this.unlink(shard, slot);
    } finally {
      lock.release();
    }
    this.dropEntry(entry);
    return true;
  }

  /** Drops what an entry owns and frees its block. */
  dropEntry(block: Address): void {
    if (this.headBytes !== 0) dropBlock(this.store, block);
    else this.store.free(block);
  }

  /** Takes all entries of a shard out by one store, then drops them. */
  clearShard(index: number): void {
    this.check();
    const { i32 } = this;
    const shard = this.first + (index << SHARD_SHIFT);
    const lock = this.locks[index]!;
    let slots: Address = NULL;
    lock.acquire();
    try {
      const table = i32[shard + TABLE]!;
      this.begin(shard);
      if ((table & OPEN) !== 0) this.cells!.retire(shard, table);
      i32[shard + DOOMED] = table;
      i32[shard + TABLE] = 0;
      this.recount(shard, 0, 0);
      this.usage?.cleared(shard);
      slots = this.dropDoomed(shard);
    } finally {
      lock.release();
    }
    this.store.free(slots);
  }

  /**
   * Drops the entries of a table that was taken out, one by one: a death in between leaves the others to the
   * next. Requires: lock held.
   *
   * @returns the address of its slots, which are this thread's then; 0 where they stay
   */
  dropDoomed(shard: number): Address {
    const { i32, store } = this;
    const table = i32[shard + DOOMED]!;
    for (const slot of this.slots.taken(table)) {
      if (this.u32[slot] !== TAKEN) this.dropEntry(takeOut(store, slot * 4, 0, DELETED));
    }
    if ((table & OPEN) === 0) return this.#giveUp(shard, DOOMED, 0);
    i32[shard + DOOMED] = 0;
    return NULL;
  }

  /** Puts another table in the place of one, whose slots are this thread's then. Returns their address. */
  #giveUp(shard: number, word: number, other: number): Address {
    const { i32, store } = this;
    const slots = layout.slotsAddress(i32[shard + word]!) as Address;
    if (slots !== NULL) noteDeed(store.thread, slots, (shard + word) * 4 + FLAGGED, TAKE);
    // Publishes: the other table is complete. Pairs with the loads of `table`, on which what follows depends.
    atomicStore(i32, shard + word, other);
    if (slots !== NULL) {
      store.tryAdopt(slots);
      clearDeed(store.thread);
    }
    return slots;
  }

  /** What `read` gives for each taken slot of a shard, read under its lock. */
  snapshot<R>(index: number, read: (slot: number) => R): R[] {
    this.check();
    const lock = this.locks[index]!;
    const held = lock.owner === this.store.thread.token;
    if (!held) lock.acquire();
    try {
      return this.slots.taken(this.i32[this.first + (index << SHARD_SHIFT) + TABLE]!).map(read);
    } finally {
      if (!held) lock.release();
    }
  }

  // ── Tables ──────────────────────────────────────────────────────────────────────────────────────

  /** A slot for a new key; -1 when the table is too full. Requires: lock held, the key is not there. */
  #place(shard: number, hash: number, full: boolean): number {
    const { i32 } = this;
    const table = i32[shard + TABLE]!;
    if (table === 0) return -1;
    const hasRoom = i32[shard + USED]! < Math.floor(layout.slotCount(table) * (full ? BRIM : FULL));
    if (!hasRoom && !full) return -1;
    const slot = this.slots.room(table, hash);
    return hasRoom || i32[slot] !== FREE ? slot : -1;
  }

  /** Publishes a slot whose entry is finished. Requires: lock held. */
  #link(shard: number, slot: number, hash: number, mark: number): void {
    const { i32, store } = this;
    const used = i32[slot] === FREE ? 1 : 0;
    if (this.shape.hashed) i32[slot + 1] = hash;
    if (mark !== TAKEN) {
      noteDeed(store.thread, mark, slot * 4, LINK);
      store.tryShare(mark as Address);
    }
    // Publishes: key and value come before. Pairs with the loads of `find`.
    if (this.cells === undefined) i32[slot] = mark;
    else atomicStore(i32, slot, mark);
    if (mark !== TAKEN) clearDeed(store.thread);
    i32[shard + USED]! += used;
    i32[shard + COUNT]! += 1;
  }

  /**
   * Gets a shard another table; when there is no room for one, lets the present one be filled further.
   *
   * @param full whether that was tried already
   * @returns whether to fill it further
   */
  #growOrFill(shard: number, full: boolean): boolean {
    if (this.#grow(shard)) return false;
    if (full || this.i32[shard + TABLE] === 0) {
      throw new OutOfMemoryError(this.slots.stride * 4 * 2 ** LEAST_SLOT_BITS, 'a table of a map');
    }
    return true;
  }

  /** Swaps a shard's table for one that has room. False when there is no memory for it. */
  #grow(shard: number): boolean {
    const { i32, store } = this;
    const seen = i32[shard + TABLE]!;
    let bits = LEAST_SLOT_BITS;
    while (2 ** bits < 2 * (i32[shard + COUNT]! + 1)) bits++;
    if (bits > MOST_SLOT_BITS) return false;
    const linkBytes = this.cells === undefined ? 0 : layout.LINK_BYTES;
    const address = store.allocZeroed(this.slots.stride * 4 * 2 ** bits + linkBytes, layout.TABLE_ALIGN);
    if (address === NULL) return false;
    const lock = this.locks[(shard - this.first) >>> SHARD_SHIFT]!;
    let unused = address;
    try {
      lock.acquire();
      try {
        // Another thread may have been here in between.
        if (i32[shard + TABLE] === seen && 2 ** bits >= 2 * i32[shard + COUNT]!) {
          unused = this.#swap(shard, seen, address | bits);
        }
      } finally {
        lock.release();
      }
    } finally {
      store.free(unused);
    }
    return true;
  }

  /** Puts a table in the place of another. Returns the address of the slots to be freed. Requires: lock held. */
  #swap(shard: number, seen: number, made: number): Address {
    const { i32, cells, store } = this;
    const table = cells === undefined ? made : made | cells.opening(shard, made & layout.SLOT_BITS);
    noteDeed(store.thread, layout.slotsAddress(table), (shard + NEXT) * 4 + FLAGGED, LINK);
    store.tryShare(layout.slotsAddress(table) as Address);
    i32[shard + NEXT] = table;
    clearDeed(store.thread);
    const mover = (seen & OPEN) === 0 ? this.usage : cells;
    const count = mover?.move(shard, seen, table) ?? this.slots.copy(seen, table);
    const slots = this.publishNext(shard);
    this.recount(shard, count, count);
    return slots;
  }

  /**
   * Makes the table that `next` names the shard's.
   *
   * @returns the address of the slots that were the shard's, and are this thread's then; 0 where they stay
   */
  publishNext(shard: number): Address {
    const { i32, cells } = this;
    const table = i32[shard + TABLE]!;
    const next = i32[shard + NEXT]!;
    let slots: Address = NULL;
    // Readers of the old table find the version changed.
    this.begin(shard);
    if ((table & OPEN) === 0) {
      slots = this.#giveUp(shard, TABLE, next);
    } else {
      cells!.retire(shard, table);
      atomicStore(i32, shard + TABLE, next);
    }
    i32[shard + NEXT] = 0;
    return slots;
  }

  /** Requires: lock held. */
  recount(shard: number, count: number, used: number): void {
    this.i32[shard + COUNT] = count;
    this.i32[shard + USED] = used;
  }
}

const yes = (): true => true;
