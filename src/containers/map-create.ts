/**
 * Map creation: makes, checks and opens the bytes of a SharedMap or SharedSet.
 *
 * A map lies in the heap, also when it is created in an arena: it is for all threads, an arena for one.
 */

import './field-words.ts';
import { AttachError, HeapCorruptionError, hex, OutOfMemoryError } from '../errors.ts';
import { type Address, NULL } from '../memory/address.ts';
import { checkInteger } from '../memory/layout.ts';
import { dropBlock } from '../structs/drop.ts';
import { checkField, type Field } from '../structs/field.ts';
import { fieldWithHash, hashOfField, registerLayout } from '../structs/schema.ts';
import { checkHeader, hashAt, layHeader } from './container.ts';
import { MapCore } from './map-core.ts';
import { isKeyField } from './map-keys.ts';
import * as layout from './map-layout.ts';
import type { ContainerStore } from './store.ts';

/** What a map or set can be told. */
export interface MapOptions {
  /**
   * How many parts with a lock each: a power of two, 1 to 256. Default 64, fewer under a small limit.
   * Take about 16 for each thread that writes.
   */
  readonly shards?: number;
  /**
   * The most entries, 1 to 2^32 - 1: more push out others that were not used of late. Each shard keeps to
   * its part of it. Default: no limit.
   */
  readonly maxEntries?: number;
  /**
   * The most bytes of entries, with what their values own directly (strings); the free slots of the tables
   * come on top. Each shard keeps to its part, and an entry must fit into one; one that `with` lets grow beyond
   * that pushes out all others of its shard, and stays until the next one comes. Default: no limit.
   */
  readonly maxBytes?: number;
}

const DEFAULT_SHARD_BITS = 6;
const MOST_SHARDS = 256;
/** Under limits a shard is to have room for so many entries and bytes. */
const ENTRIES_A_SHARD = 64;
const BYTES_A_SHARD = 256 * 1024;
/** Bytes of an entry: how many marks a limit of bytes asks for. */
const SMALL_ENTRY = 128;
/** A table of n entries has less than 2^2 · n slots, each with a mark. */
const SPARSE_BITS = 2;
/** Beyond so many entries slots share marks. */
const MOST_MARKED = 2 ** 20;
const LEAST_MARK_BITS = 5;
const MOST_MARK_BITS = 22;
const MAP_ALIGN = 128;
const OPTIONS = ['shards', 'maxEntries', 'maxBytes'];

/**
 * Lays out an empty map, or a set when `value` is undefined.
 *
 * @throws TypeError, RangeError when a field or an option is none
 * @throws OutOfMemoryError when the heap has no room for it
 */
export function createMap(
  home: ContainerStore,
  key: Field,
  value: Field | undefined,
  options: MapOptions,
): Address {
  const name = value === undefined ? 'SharedSet' : 'SharedMap';
  checkKeyField(key, name);
  if (value !== undefined) checkValueField(value);
  const { shardBits, markBits } = plan(options, name);
  const keyHash = registerLayout(key, home);
  const hash = value === undefined ? keyHash : registerLayout(value, home);
  const size = layout.mapBytes(shardBits, markBits);
  const address = home.allocZeroed(size, MAP_ALIGN);
  if (address === NULL) throw new OutOfMemoryError(size, `a ${name}`);
  const { u32, f64 } = home.memory;
  const base = address >>> 2;
  u32[base + layout.KEY_HASH] = keyHash;
  u32[base + layout.SHARD_BITS] = shardBits;
  u32[base + layout.MARK_BITS] = markBits;
  u32[base + layout.SEED] = Math.random() * 2 ** 32;
  u32[base + layout.MAX_ENTRIES] = options.maxEntries ?? 0;
  f64[(address >>> 3) + layout.MAX_BYTES] = options.maxBytes ?? 0;
  layout.layShape(u32, base, layout.shapeOf(key, value));
  layHeader(home, address, value === undefined ? layout.SET_KIND : layout.MAP_KIND, hash);
  return address;
}

/**
 * Adopts the map or set at `address`.
 *
 * @param key as it must have been created; found in the heap when undefined
 * @param value the same, for a map
 * @throws AttachError when no such map lies there
 */
export function openMap(
  home: ContainerStore,
  address: Address,
  kind: number,
  key: Field | undefined,
  value: Field | undefined,
): MapCore {
  const isSet = kind === layout.SET_KIND;
  const first = isSet ? key : value;
  checkHeader(home, address, kind, first === undefined ? undefined : hashOfField(first));
  const keyHash = home.memory.u32[(address >>> 2) + layout.KEY_HASH]!;
  if (key !== undefined && hashOfField(key) !== keyHash) {
    const made = fieldName(home, keyHash);
    throw new AttachError(`the map at ${hex(address)} was made for keys of ${made}, not of ${key.spell()}`);
  }
  checkShards(home, address);
  const keys = key ?? fieldWithHash(keyHash, home);
  if (isSet) return new MapCore(home, address, keys, undefined, 'SharedSet');
  const values = value ?? fieldWithHash(hashAt(home, address), home);
  return new MapCore(home, address, keys, values, 'a value of SharedMap');
}

/** Throws unless the block has room for the shards that it says it has, each with a table that can be. */
function checkShards(home: ContainerStore, address: Address): void {
  const { u32, byteLength } = home.memory;
  const bits = u32[(address >>> 2) + layout.SHARD_BITS]!;
  if (home.generationOf(address) < 0) throw new AttachError(`no live block starts at ${hex(address)}`);
  const room = home.sizeOf(address) - layout.SHARDS_AT;
  if (bits > Math.log2(MOST_SHARDS) || layout.SHARD_BYTES * 2 ** bits > room) {
    throw new HeapCorruptionError(address, `a map of 2^${bits} shards does not fit its block`);
  }
  for (let index = 0; index < 2 ** bits; index++) {
    const shard = (address + layout.SHARDS_AT + index * layout.SHARD_BYTES) >>> 2;
    const table = u32[shard + layout.TABLE]!;
    const words = layout.slotCount(table) * u32[(address >>> 2) + layout.STRIDE]!;
    if (table !== 0 && layout.slotsAddress(table) + words * 4 > byteLength) {
      throw new HeapCorruptionError(shard * 4, 'the table of a shard lies outside the memory');
    }
  }
}

/**
 * Takes a map away from all threads: those at work in it have ended then, whoever comes later gets a
 * ReferenceError.
 *
 * @throws LockTimeoutError, DeadlockError, HeapCorruptionError when a shard cannot be had; the map is as it was
 */
export function closeMap({ locks }: MapCore): void {
  let held = 0;
  try {
    for (; held < locks.length; held++) locks[held]!.acquire();
  } catch (error) {
    while (held > 0) locks[--held]!.release();
    throw error;
  }
  while (held > 0) locks[--held]!.close();
}

/** Frees a map with all that it holds, once it is closed. */
export function destroyMap(home: ContainerStore, address: Address): void {
  // From here on it is this thread's own: should it die, all of it is found.
  home.tryAdopt(address);
  dropBlock(home, address);
}

function fieldName(home: ContainerStore, hash: number): string {
  return home.layouts.find(hash)?.name.replace(/^:/, '') ?? 'an unknown kind';
}

function checkKeyField(key: Field, name: string): void {
  checkField(key, `${name} takes a field for its keys`);
  if (isKeyField(key)) return;
  throw new TypeError(`the keys of a ${name} are string, i8 to u32, i64 or u64; got ${key.spell()}`);
}

function checkValueField(value: Field): void {
  checkField(value, 'SharedMap takes a field for its values');
  if (value.kind === 'atomic') {
    throw new TypeError('the values of a SharedMap cannot be atomic: use add() or update(), or a struct');
  }
}

function plan(options: MapOptions, name: string): { shardBits: number; markBits: number } {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`the options of ${name} are an object`);
  for (const option of Object.keys(options)) {
    if (!OPTIONS.includes(option))
      throw new TypeError(`${name} has no option '${option}': it has ${OPTIONS.join(', ')}`);
  }
  const { shards, maxEntries, maxBytes } = options;
  if (maxEntries !== undefined) checkInteger('maxEntries', maxEntries, 1, 2 ** 32 - 1);
  if (maxBytes !== undefined) checkInteger('maxBytes', maxBytes, 1, Number.MAX_SAFE_INTEGER);
  const shardBits = shards === undefined ? fittingShardBits(maxEntries, maxBytes) : bitsOf(shards);
  if (maxEntries !== undefined && maxEntries < 2 ** shardBits) {
    throw new RangeError(
      `maxEntries must leave each of ${2 ** shardBits} shards one entry, got ${maxEntries}`,
    );
  }
  if (maxEntries === undefined && maxBytes === undefined) return { shardBits, markBits: 0 };
  const entries = Math.min(maxEntries ?? Infinity, (maxBytes ?? Infinity) / SMALL_ENTRY, MOST_MARKED);
  const wanted = Math.ceil(Math.log2(entries)) + SPARSE_BITS;
  return { shardBits, markBits: Math.min(MOST_MARK_BITS, Math.max(LEAST_MARK_BITS + shardBits, wanted)) };
}

function bitsOf(shards: number): number {
  checkInteger('shards', shards, 1, MOST_SHARDS);
  if ((shards & (shards - 1)) === 0) return Math.log2(shards);
  throw new RangeError(`shards must be a power of two from 1 to ${MOST_SHARDS}, got ${shards}`);
}

function fittingShardBits(maxEntries = Infinity, maxBytes = Infinity): number {
  let bits = DEFAULT_SHARD_BITS;
  while (bits > 0 && (maxEntries / 2 ** bits < ENTRIES_A_SHARD || maxBytes / 2 ** bits < BYTES_A_SHARD))
    bits--;
  return bits;
}
