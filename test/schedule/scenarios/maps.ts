/** Maps: readers without a lock see whole values, tables grow under them, nothing is lost or there twice. */

import { SharedMap } from '../../../src/containers/map.ts';
import type { MapOptions } from '../../../src/containers/map-create.ts';
import { string } from '../../../src/containers/string.ts';
import type { Heap } from '../../../src/heap/heap.ts';
import type { Field } from '../../../src/structs/field.ts';
import { f64, i32, u32 } from '../../../src/structs/scalars.ts';
import { struct } from '../../../src/structs/struct.ts';
import type { Scenario } from '../engine/scenario.ts';
import { onPlainHeap } from './heap-scene.ts';
import { MAP_READERS, OWNERSHIP_WALKS, UNLOCKED_READS } from './races.ts';

const races = [...UNLOCKED_READS, ...OWNERSHIP_WALKS, ...MAP_READERS];

const Pair = struct('Pair', { a: u32, b: u32 });

type Part<M> = (map: M, found: unknown[]) => void;
// biome-ignore lint/suspicious/noExplicitAny: maps of any key and value
type AnyMap = any;

interface MapScene {
  readonly key?: Field;
  readonly value?: Field;
  readonly options?: MapOptions;
  /** What is inside before. */
  readonly entries?: readonly (readonly [unknown, unknown])[];
  /** What must be inside at the end, sorted by key as text. */
  readonly end?: (entries: [unknown, unknown][], found: unknown[]) => boolean;
}

/** Threads on one map of one shard. */
function on(
  { key = u32, value = u32, options = { shards: 1 }, entries = [], end }: MapScene,
  ...parts: Part<AnyMap>[]
): Scenario {
  return onPlainHeap<unknown, unknown[]>({
    races,
    prepare(heap) {
      const map = SharedMap.create(heap, key, value, options) as AnyMap;
      for (const [k, v] of entries) map.set(k, v);
      return map.handle;
    },
    finish(heap, handle, found) {
      const map = SharedMap.open(heap, handle as never, key, value) as AnyMap;
      map.verify();
      const inside = [...map.entries()] as [unknown, unknown][];
      inside.sort((one, other) => (String(one[0]) < String(other[0]) ? -1 : 1));
      const isRight = found === undefined || end === undefined || end(inside, found);
      if (!isRight)
        throw new Error(`the map holds ${JSON.stringify(inside)}; found was ${JSON.stringify(found)}`);
      map.destroy();
    },
    world: () => [],
    threads: parts.map((part) => (heap: Heap, handle: unknown, found: unknown[]) => {
      const map = SharedMap.open(heap, handle as never, key, value);
      return () => part(map, found);
    }),
  });
}

const set =
  (...entries: [unknown, unknown][]): Part<AnyMap> =>
  (map) => {
    for (const [key, value] of entries) map.set(key, value);
  };

const get =
  (...keys: unknown[]): Part<AnyMap> =>
  (map, found) => {
    for (const key of keys) found.push(map.get(key));
  };

const remove =
  (...keys: unknown[]): Part<AnyMap> =>
  (map) => {
    for (const key of keys) map.delete(key);
  };

function keysAre(...keys: unknown[]) {
  return (entries: [unknown, unknown][]) => entries.map(([key]) => key).join() === keys.join();
}

export const getAndSet = on(
  { entries: [[1, 10]], end: (_, [seen]) => seen === 10 || seen === 20 },
  get(1),
  set([1, 20]),
);
export const setAndSet = on(
  { end: ([entry]) => entry![1] === 10 || entry![1] === 20 },
  set([1, 10]),
  set([1, 20]),
);
export const setApart = on({ end: keysAre(1, 2) }, set([1, 10]), set([2, 20]));
export const setAndDelete = on({ entries: [[1, 10]] }, set([1, 20]), remove(1), get(1));

const FIVE = [1, 2, 3, 4, 5].map((key) => [key, key * 10] as const);

/** The sixth entry has the table grow. */
export const growAndGet = on(
  { entries: FIVE, end: (entries, found) => entries.length === 6 && found.join() === '10,50' },
  set([6, 60]),
  get(1, 5),
);
export const growTwice = on({ entries: FIVE, end: keysAre(1, 2, 3, 4, 5, 6, 7) }, set([6, 60]), set([7, 70]));
export const growAndDelete = on({ entries: FIVE, end: keysAre(1, 2, 4, 5, 6) }, set([6, 60]), remove(3));
export const clearAndGet = on(
  { entries: [[1, 10]], end: (_, [seen]) => seen === undefined || seen === 10 },
  (map) => map.clear(),
  get(1),
);

/** A struct is seen whole. */
export const wholeStructs = on(
  { value: Pair, entries: [[1, { a: 1, b: 1 }]] },
  (map) => {
    const { a, b } = map.get(1) as { a: number; b: number };
    if (a !== b) throw new Error(`half of a struct: ${a}, ${b}`);
  },
  set([1, { a: 2, b: 2 }]),
);

const TEXT = 'a text that is too long for its slot';

export const strings = on(
  {
    key: string,
    value: f64,
    entries: [[TEXT, 1]],
    end: (_, [seen]) => seen === 1 || seen === 2 || seen === undefined,
  },
  get(TEXT),
  (map) => {
    map.set(TEXT, 2);
    map.delete(TEXT);
  },
);
export const stringsApart = on(
  { key: string, value: f64, end: keysAre(TEXT, 'short') },
  set([TEXT, 1]),
  set(['short', 2], [TEXT, 3]),
);

// ── Adding without the lock ─────────────────────────────────────────────────────────────────────

const add =
  (...keys: number[]): Part<AnyMap> =>
  (map) => {
    for (const key of keys) map.add(key, 1);
  };

function sumIs(sum: number) {
  return (entries: [unknown, unknown][]) =>
    entries.reduce((total, [, value]) => total + (value as number), 0) === sum;
}

export const addTwice = on({ value: i32, end: sumIs(4) }, add(1, 1), add(1, 1));
export const addPresent = on({ value: i32, entries: [[1, 10]], end: sumIs(13) }, add(1), add(1), add(1));
export const addAndGrow = on({ value: i32, entries: FIVE, end: sumIs(152) }, add(1), add(6));
export const addAndSet = on(
  { value: i32, entries: [[1, 10]], end: ([entry]) => entry![1] === 50 || entry![1] === 51 },
  add(1),
  set([1, 50]),
);
export const addAndDelete = on(
  { value: i32, entries: [[1, 10]], end: (entries) => entries.length === 0 || entries[0]![1] === 1 },
  add(1),
  remove(1),
);
export const update = on(
  { end: sumIs(2) },
  (map) => map.update(1, (value: number) => value + 1, 0),
  (map) => map.update(1, (value: number) => value + 1, 0),
);

// ── Limits ──────────────────────────────────────────────────────────────────────────────────────

export const evicting = on(
  {
    options: { shards: 1, maxEntries: 2 },
    entries: [
      [1, 10],
      [2, 20],
    ],
    end: (entries) => entries.length === 2,
  },
  set([3, 30]),
  get(1, 2),
);
export const evictingTwice = on(
  {
    options: { shards: 1, maxEntries: 2 },
    entries: [
      [1, 10],
      [2, 20],
    ],
    end: (entries) => entries.length === 2,
  },
  set([3, 30]),
  set([4, 40]),
);
