/**
 * Map stats: the counters of a map, and what stands in for the core of one that was released.
 */

import type { MapCore } from './map-core.ts';
import * as layout from './map-layout.ts';

/** Counters of a map or set. */
export interface MapStats {
  /** As `size`. */
  readonly entries: number;
  readonly shards: number;
  /** Slots of all tables. */
  readonly slots: number;
  /** Bytes of all tables. */
  readonly tableBytes: number;
  /** Bytes that entries take, under `maxBytes`; else 0. */
  readonly entryBytes: number;
  /** Look-ups that found their key, by all threads, where the map has a limit; those of others may be 63 behind. */
  readonly hits: number;
  /** Look-ups that did not. */
  readonly misses: number;
  /** Entries that a limit pushed out. */
  readonly evictions: number;
}

export function mapStats(core: MapCore): MapStats {
  const entries = sumOf(core, layout.COUNT);
  const { u32, first, locks, usage } = core;
  const { f64 } = core.store.memory;
  let slots = 0;
  let entryBytes = 0;
  for (let index = 0; index < locks.length; index++) {
    const shard = first + (index << layout.SHARD_SHIFT);
    slots += layout.slotCount(u32[shard + layout.TABLE]!);
    entryBytes += f64[(shard >>> 1) + layout.BYTES]!;
  }
  return {
    entries,
    shards: locks.length,
    slots,
    tableBytes: slots * core.slots.stride * 4,
    entryBytes,
    hits: 0,
    misses: 0,
    ...usage?.counts(),
    evictions: sumOf(core, layout.EVICTIONS),
  };
}

/** The sum of a word over all shards. */
export function sumOf(core: MapCore, word: number): number {
  core.check();
  let sum = 0;
  for (let index = 0; index < core.locks.length; index++) {
    sum += core.u32[core.first + (index << layout.SHARD_SHIFT) + word]!;
  }
  return sum;
}

/** Throws on every use that the container named `kind` was released. */
export function closedCore(kind: string): MapCore {
  const get = (): never => {
    throw new ReferenceError(`this ${kind} was released or destroyed`);
  };
  return new Proxy({}, { get }) as MapCore;
}
