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
 *             ┌ kind ┬ hash of the value's field ┬ as above ┐   where the value owns: see structs/drop.ts
 *     slot    ┌ mark u32 ┬ hash of the key u32 ┬ entry, if it fits ┐      mark   0 free, 1 deleted,
 *             ┌ mark u32 ┬ entry ┐  integer keys, scalar values           2 deleted and bound to its key,
 *                                                                         3 the entry lies in the slot,
 *                                                                         else the address of its block
 *
 * One word commits each change: `mark` links or unlinks an entry, `table` swaps all slots, a value of
 * 8 bytes or less is one store, a larger one comes as a new entry. The rest of a shard is derived.
 */

import { alignUp } from '../memory/address.ts';
import { type DropBlock, type Dropper, OWNED_HEADER_BYTES, registerKind } from '../structs/drop.ts';
import type { Field } from '../structs/field.ts';
import { ScalarField } from '../structs/scalars.ts';

// Words of the header. The first two are every container's: kind, and here the hash of the values' field.
export const KEY_HASH = 2;
export const SHARD_BITS = 3;
/** Words of a slot. */
export const STRIDE = 4;
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
const COUNTER_BYTES = 16;
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
  /** Bytes from the start of an entry's block to the entry: 8, kind and hash, where the value owns; else 0. */
  readonly headBytes: number;
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
  const { size = 0, align = 1, owning = [] } = value ?? {};
  const headBytes = owning.length === 0 ? 0 : OWNED_HEADER_BYTES;
  if (key.kind === 'string') {
    const valueAt = alignUp(4, align);
    const entryBytes = alignUp(valueAt + size, 4);
    const shape = { hashed: true, entryAt: HASHED_BYTES, headBytes, keyBytes: 0, valueAt, entryBytes };
    if (!isCell(value)) return { ...shape, stride: HASHED_BYTES / 4, textRoom: -1 };
    // Two slots to a cache line where they leave room for a word or a name.
    const slotBytes = entryBytes <= 8 ? 32 : 48;
    return { ...shape, stride: slotBytes / 4, textRoom: slotBytes - HASHED_BYTES - entryBytes };
  }
  const keyBytes = Math.max(4, key.size);
  const entryAt = isCell(value) ? keyBytes : HASHED_BYTES;
  const valueAt = alignUp(entryAt + keyBytes, align) - entryAt;
  const entryBytes = alignUp(valueAt + size, 4);
  const shape = { entryAt, headBytes, keyBytes, valueAt, entryBytes };
  if (!isCell(value)) return { ...shape, hashed: true, stride: HASHED_BYTES / 4, textRoom: -1 };
  const slotBytes = alignUp(entryAt + entryBytes, Math.max(keyBytes, align));
  return { ...shape, hashed: false, stride: slotBytes / 4, textRoom: 0 };
}

/** Writes what drops a map without knowing its fields. */
export function layShape(u32: Uint32Array, base: number, { stride }: Shape): void {
  u32[base + STRIDE] = stride;
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
    const doomed = u32[shard + DOOMED]!;
    if (u32[shard + NEXT] === table) u32[shard + NEXT] = 0;
    freeSlots(dropper, shard + NEXT);
    if (doomed !== table) dropEntries(dropper, base, doomed);
    // An open one is retired too.
    if (doomed === table || (doomed & OPEN) !== 0) u32[shard + DOOMED] = 0;
    freeSlots(dropper, shard + DOOMED);
    dropEntries(dropper, base, table);
    // Where it was about to be retired it is freed with those.
    if (u32[shard + RETIRED] === table) u32[shard + TABLE] = 0;
    freeSlots(dropper, shard + TABLE);
    for (let old = u32[shard + RETIRED]!; old !== 0; old = u32[shard + RETIRED]!) {
      dropper.free(dropper.store.takeOut((shard + RETIRED) * 4, TABLE_BITS, u32[linkOf(old, stride)]!));
    }
  }
  dropper.free(address);
}

/** Frees the entries of a map that lie in blocks, with what they own. */
function dropEntries(dropper: Dropper, base: number, table: number): void {
  const { u32 } = dropper.store.memory;
  // A set has no values: what its key's field owns elsewhere, its keys do not.
  const owns = u32[base] !== SET_KIND && dropper.owningOf(u32[base + 1]!).length > 0;
  const stride = u32[base + STRIDE]!;
  const first = slotsAddress(table) >>> 2;
  for (let slot = first; slot < first + stride * slotCount(table); slot += stride) {
    if (u32[slot]! <= TAKEN) continue;
    const entry = dropper.store.takeOut(slot * 4);
    if (owns) dropper.push(entry);
    else dropper.free(entry);
  }
}

/** How the entry is dropped whose value lies so many bytes behind its head. */
function dropEntryWith(valueAt: number): DropBlock {
  return (dropper, address) => {
    const hash = dropper.store.memory.u32[(address >>> 2) + 1]!;
    dropper.pushOwned(dropper.owningOf(hash), address + OWNED_HEADER_BYTES + valueAt);
    dropper.free(address);
  };
}

const NEAR_ENTRY = registerKind('ENT4', dropEntryWith(4));
const FAR_ENTRY = registerKind('ENT8', dropEntryWith(8));

/** The kind word of the entries of a map whose values own. */
export function entryKind({ valueAt }: Shape): number {
  return valueAt === 4 ? NEAR_ENTRY : FAR_ENTRY;
}

/** Frees the slots of the table that a word names. The word is 0 then. */
function freeSlots(dropper: Dropper, word: number): void {
  const slots = dropper.store.takeOut(word * 4, TABLE_BITS);
  if (slots !== 0) dropper.free(slots);
}

/** The kind word of a SharedMap. */
export const MAP_KIND: number = registerKind('MAP_', dropMap);
/** The kind word of a SharedSet: a map without values. */
export const SET_KIND: number = registerKind('SET_', dropMap);
