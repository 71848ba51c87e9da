/**
 * Map layout: the bytes of a SharedMap or SharedSet. Its shards are independent tables behind one lock each.
 *
 *     address ▶ ┌ header 128 ┬ shard 0, 128 ┬ shard 1 … ┬ counters 4096 ┬ marks, 2^k bytes ┐
 *               └────────────┴──────────────┴───────────┴───────────────┴──────────────────┘
 *                                                       only where the map has a limit
 *     shard   ┌ lock 8 ┬ version ┬ table ┬ count ┬ used ┬ hand ┬ evictions ┬ bytes f64 ┬ retired ┬ next ┬ doomed ┐
 *     table   │ address of the slots, a multiple of 64 │ open 1 │ log2 of their number 5 │  0: no slots yet
 *
 *     entry   ┌ key 4 or 8 ┬ value ┐       or      ┌ bytes of the key u32 ┬ value ┬ key, UTF-8, zeros ┐
 *     slot    ┌ mark u32 ┬ hash of the key u32 ┬ entry, if it fits ┐      mark   0 free, 1 deleted,
 *             ┌ mark u32 ┬ entry ┐  integer keys, scalar values           2 deleted and bound to its key,
 *                                                                         3 the entry lies in the slot,
 *                                                                         else the address of its block
 *
 * One word commits each change: `mark` links or unlinks an entry, `table` swaps all slots, a value of
 * 8 bytes or less is one store, a larger one comes as a new entry. The rest of a shard is derived.
 */

import { alignUp } from '../memory/address.ts';
import { type Dropper, kindWord, registerKind } from '../structs/drop.ts';
import type { Field } from '../structs/field.ts';
import { ScalarField } from '../structs/scalars.ts';

// Words of the header. The first two are every container's: kind, and here the hash of the values' field.
export const KEY_HASH = 2;
export const SHARD_BITS = 3;
/** Words of a slot. */
export const STRIDE = 4;
/** Bytes from the entry's start to the value. */
const VALUE_AT = 5;
/** What hashes start from: other keys collide in another map. */
export const SEED = 6;
/** Log2 of the number of marks; 0 where there are none. */
export const MARK_BITS = 7;
/** The most entries, 0 for any number. */
export const MAX_ENTRIES = 8;
/** Index of an f64: the most bytes, 0 for any number. */
export const MAX_BYTES = 5;
const HEADER_BYTES = 128;
/** Bytes of mark and hash. */
const HASHED_BYTES = 8;

// Words of a shard; the lock takes two.
export const VERSION = 2;
export const TABLE = 3;
export const COUNT = 4;
export const USED = 5;
export const HAND = 6;
export const EVICTIONS = 7;
/** Index of an f64 from the shard's start. */
export const BYTES = 4;
export const SHARD_BYTES = 128;
/** The table word of the last open table that was given up; behind its slots lies the word of the one before. */
export const RETIRED = 10;
/** While a table is being replaced: the table word of what replaces it. */
export const NEXT = 11;
/** While a shard is being cleared: the table word of what was in it. */
export const DOOMED = 12;
/** Words from one shard to the next, as a shift. */
export const SHARD_SHIFT = 5;

/** What a slot's mark can hold besides the address of an entry. */
export const FREE = 0;
export const DELETED = 1;
/** Deleted, and bound to its key: the slot of an open table whose cell threads may still hold. */
export const BOUND = 2;
export const TAKEN = 3;

/** Of the `table` word: the log2 of the number of slots. */
export const SLOT_BITS = 31;
/** Of the `table` word: values in it change without the lock. See map-cells.ts. */
export const OPEN = 32;
/** Of the `table` word: all that is no address. */
export const TABLE_BITS = 63;
/** Bytes behind the slots of a table. */
export const LINK_BYTES = 8;
export const TABLE_ALIGN = 64;

/** Each thread slot has two f64 of its own: hits and misses. */
export const COUNTER_BYTES = 16;
const ALL_COUNTER_BYTES = 256 * COUNTER_BYTES;

/** Bytes of a map's own block. */
export function mapBytes(shardBits: number, markBits: number): number {
  return marksAt(shardBits) + (markBits === 0 ? -ALL_COUNTER_BYTES : 2 ** markBits);
}

/** Bytes from the map's start to its first shard. */
export const SHARDS_AT = HEADER_BYTES;

/** Bytes from the map's start to the counters. */
export function countersAt(shardBits: number): number {
  return HEADER_BYTES + (SHARD_BYTES << shardBits);
}

/** Bytes from the map's start to the marks of the entries that were used of late. */
export function marksAt(shardBits: number): number {
  return countersAt(shardBits) + ALL_COUNTER_BYTES;
}

/** Where keys and values lie. Follows from the two fields. */
export interface Shape {
  /** Whether slots keep the hashes of their keys. */
  readonly hashed: boolean;
  /** Words of a slot. */
  readonly stride: number;
  /** Bytes from a slot's start to the entry in it. */
  readonly entryAt: number;
  /** How many bytes of a string fit into the entry in a slot: 0 for integers, -1 where entries are blocks. */
  readonly textRoom: number;
  /** Bytes of a key; 0 for strings, which lie at the end of their entries. */
  readonly keyBytes: number;
  /** Bytes from the entry's start. */
  readonly valueAt: number;
  /** Bytes of an entry; of one with a string key, without the string, which lies there. */
  readonly entryBytes: number;
}

/** Whether a value of this field is written by one store that calls no foreign code. */
export function isCell(field: Field | undefined): boolean {
  return (
    field === undefined || field instanceof ScalarField || field.kind === 'ref' || field.kind === 'oneOf'
  );
}

export function shapeOf(key: Field, value: Field | undefined): Shape {
  const { size = 0, align = 1 } = value ?? {};
  if (key.kind === 'string') {
    const valueAt = alignUp(4, align);
    const entryBytes = alignUp(valueAt + size, 4);
    const shape = { hashed: true, entryAt: HASHED_BYTES, keyBytes: 0, valueAt, entryBytes };
    if (!isCell(value)) return { ...shape, stride: HASHED_BYTES / 4, textRoom: -1 };
    // Two slots to a cache line where they leave room for a word or a name.
    const slotBytes = entryBytes <= 8 ? 32 : 48;
    return { ...shape, stride: slotBytes / 4, textRoom: slotBytes - HASHED_BYTES - entryBytes };
  }
  const keyBytes = Math.max(4, key.size);
  const entryAt = isCell(value) ? keyBytes : HASHED_BYTES;
  const valueAt = alignUp(entryAt + keyBytes, align) - entryAt;
  const entryBytes = alignUp(valueAt + size, 4);
  const shape = { entryAt, keyBytes, valueAt, entryBytes };
  if (!isCell(value)) return { ...shape, hashed: true, stride: HASHED_BYTES / 4, textRoom: -1 };
  const slotBytes = alignUp(entryAt + entryBytes, Math.max(keyBytes, align));
  return { ...shape, hashed: false, stride: slotBytes / 4, textRoom: 0 };
}

/** Writes what drops a map without knowing its fields. */
export function layShape(u32: Uint32Array, base: number, { stride, valueAt }: Shape): void {
  u32[base + STRIDE] = stride;
  u32[base + VALUE_AT] = valueAt;
}

/** Slots of a table word. */
export function slotCount(table: number): number {
  return table === 0 ? 0 : 2 ** (table & SLOT_BITS);
}

/** The address of a table word's slots. */
export function slotsAddress(table: number): number {
  return (table & ~TABLE_BITS) >>> 0;
}

/** Index of the word behind a table's slots. */
export function linkOf(table: number, stride: number): number {
  return (slotsAddress(table) >>> 2) + slotCount(table) * stride;
}

function dropMap(dropper: Dropper, address: number): void {
  const { u32 } = dropper.store.memory;
  const base = address >>> 2;
  const stride = u32[base + STRIDE]!;
  const shards = 2 ** u32[base + SHARD_BITS]!;
  for (let index = 0; index < shards; index++) {
    const shard = base + ((SHARDS_AT + index * SHARD_BYTES) >>> 2);
    const table = u32[shard + TABLE]!;
    const next = u32[shard + NEXT]!;
    const doomed = u32[shard + DOOMED]!;
    u32.fill(0, shard + NEXT, shard + DOOMED + 1);
    if (next !== table) freeSlots(dropper, next);
    if (doomed !== table) {
      dropEntries(dropper, base, doomed);
      if ((doomed & OPEN) === 0) freeSlots(dropper, doomed);
    }
    for (let old = u32[shard + RETIRED]!; old !== 0; ) {
      const before = u32[linkOf(old, stride)]!;
      if (old !== table) freeSlots(dropper, old);
      old = before;
    }
    u32[shard + RETIRED] = 0;
    u32[shard + TABLE] = 0;
    dropEntries(dropper, base, table);
    freeSlots(dropper, table);
  }
  u32[base] = 0;
  dropper.free(address);
}

/** Frees the entries of a map that lie in blocks, with what they own. */
function dropEntries(dropper: Dropper, base: number, table: number): void {
  const { u32 } = dropper.store.memory;
  // A set has no values: what its key's field owns elsewhere, its keys do not.
  const owning = u32[base] === SET_KIND ? [] : dropper.owningOf(u32[base + 1]!);
  const stride = u32[base + STRIDE]!;
  const first = slotsAddress(table) >>> 2;
  for (let slot = first; slot < first + stride * slotCount(table); slot += stride) {
    const entry = u32[slot]!;
    if (entry <= TAKEN) continue;
    dropper.pushOwned(owning, entry + u32[base + VALUE_AT]!);
    dropper.free(entry);
  }
}

function freeSlots(dropper: Dropper, table: number): void {
  if (table !== 0) dropper.free(slotsAddress(table));
}

/** The kind word of a SharedMap. */
export const MAP_KIND: number = registerKind(kindWord('MAP_'), 'SharedMap', dropMap);
/** The kind word of a SharedSet: a map without values. */
export const SET_KIND: number = registerKind(kindWord('SET_'), 'SharedSet', dropMap);
