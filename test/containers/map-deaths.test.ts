/** A thread that dies at each single store of each change of a map or set: others go on, with all or nothing of it. */

import { afterEach, describe, expect, test, vi } from 'vitest';
import { SharedMap } from '../../src/containers/map.ts';
import { SharedSet } from '../../src/containers/set.ts';
import { string } from '../../src/containers/string.ts';
import { Heap } from '../../src/heap/heap.ts';
import { KiB } from '../../src/memory/address.ts';
import type { Field } from '../../src/structs/field.ts';
import { f64, i32, u32, u64 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { sharedBlocks, Victim } from './killed-at-a-store.ts';

vi.mock('../../src/memory/atomics.ts', async (original) => {
  const { mortalAtomics } = await import('./mortal-views.ts');
  return mortalAtomics(await original());
});
afterEach(() => {
  vi.restoreAllMocks();
});

const Wide = struct('Wide', { a: f64, b: f64, c: f64 });
const Named = struct('Named', { id: u32, name: string });
const LONG = 'a key that is too long to lie in a slot of its own';

type AnyMap = SharedMap;

interface Scene {
  readonly key: Field;
  readonly value: Field;
  readonly options?: { maxEntries?: number; maxBytes?: number };
  readonly before: (map: AnyMap) => void;
  readonly act: (map: AnyMap) => void;
  /** Whether this is right, where it is neither the contents before nor those after. */
  readonly partly?: (now: [unknown, unknown][], before: [unknown, unknown][]) => boolean;
}

function fill(count: number, value: (index: number) => unknown, key = (index: number): unknown => index) {
  return (map: AnyMap): void => {
    for (let index = 0; index < count; index++) map.set(key(index) as never, value(index) as never);
  };
}
const same = (index: number) => index;
const wide = (index: number) => ({ a: index, b: index, c: index });
const named = (index: number) => ({ id: index, name: `name ${index}` });
const long = (index: number) => `${LONG} ${index}`;

function set(key: unknown, value: unknown) {
  return (map: AnyMap): void => {
    map.set(key as never, value as never);
  };
}
function remove(...keys: unknown[]) {
  return (map: AnyMap): void => {
    for (const key of keys) map.delete(key as never);
  };
}
const clear = (map: AnyMap) => map.clear();
/** Which ones go depends on the hashes' seed. */
const someGone = (now: [unknown, unknown][], before: [unknown, unknown][]) =>
  now.length > 0 && now.every(([key]) => key === 9 || before.some(([other]) => other === key));

const SCENES: Record<string, Scene> = {
  'set a new integer': { key: u32, value: f64, before: fill(3, same), act: set(9, 9) },
  'set an integer that is there': { key: u32, value: f64, before: fill(3, same), act: set(1, 9) },
  'set the first key': { key: u32, value: u32, before: () => {}, act: set(1, 9) },
  'set a new bigint': { key: u64, value: u64, before: () => {}, act: set(7n, 9n) },
  'set a short string': { key: string, value: u32, before: fill(3, same, String), act: set('new', 9) },
  'set a long string': { key: string, value: u32, before: fill(3, same, long), act: set(LONG, 9) },
  'set over a deleted slot': {
    key: u32,
    value: f64,
    before: (map) => {
      fill(5, same)(map);
      remove(1, 2)(map);
    },
    act: set(2, 9),
  },
  'set over a bound slot': {
    key: u32,
    value: u32,
    before: (map) => {
      fill(5, same)(map);
      remove(1, 2)(map);
    },
    act: set(2, 9),
  },
  'set a new struct': { key: u32, value: Wide, before: fill(3, wide), act: set(9, wide(9)) },
  'replace a struct': { key: u32, value: Wide, before: fill(3, wide), act: set(1, wide(9)) },
  'set a struct that owns': {
    key: u32,
    value: Named,
    before: fill(3, named),
    act: set(1, { id: 9, name: '' }),
  },
  'add to an i32': {
    key: u32,
    value: i32,
    before: fill(3, same),
    act: (map) => map.add(1 as never, 5 as never),
  },
  'add to an f64': {
    key: u32,
    value: f64,
    before: fill(3, same),
    act: (map) => map.add(1 as never, 5 as never),
  },
  'add to what is not there': {
    key: string,
    value: u32,
    before: fill(3, same, String),
    act: (map) => map.add('new' as never, 5 as never),
  },
  'update a cell': {
    key: u32,
    value: u32,
    before: fill(3, same),
    act: (map) => map.update(1 as never, () => 7 as never),
  },
  'update a struct': {
    key: u32,
    value: Wide,
    before: fill(3, wide),
    act: (map) => map.update(1 as never, () => wide(7) as never),
  },
  'delete an integer': { key: u32, value: f64, before: fill(5, same), act: remove(2) },
  'delete of an open table': { key: u32, value: u32, before: fill(5, same), act: remove(2) },
  'delete what frees other slots': {
    key: u32,
    value: f64,
    before: (map) => {
      fill(5, same)(map);
      remove(0, 1, 2, 3)(map);
    },
    act: remove(4),
  },
  'delete a struct': { key: u32, value: Wide, before: fill(5, wide), act: remove(2) },
  'delete a long string': { key: string, value: u32, before: fill(5, same, long), act: remove(long(3)) },
  'take a struct': { key: u32, value: Wide, before: fill(5, wide), act: (map) => map.take(2 as never) },
  'take of an open table': {
    key: u32,
    value: i32,
    before: fill(5, same),
    act: (map) => map.take(2 as never),
  },
  'a table that grows': { key: u32, value: f64, before: fill(5, same), act: set(5, 5) },
  'an open table that grows': { key: u32, value: u32, before: fill(5, same), act: set(5, 5) },
  'an open table with a closed value grows': {
    key: u32,
    value: i32,
    before: fill(5, (index) => (index === 3 ? -0x80000000 : index)),
    act: set(5, 5),
  },
  'an open table of short and long strings grows': {
    key: string,
    value: i32,
    before: fill(5, same, (index) => (index % 2 === 0 ? long(index) : String(index))),
    act: set('5', 5),
  },
  'a table of structs grows': { key: u32, value: Wide, before: fill(5, wide), act: set(5, wide(5)) },
  'a table with marks grows': {
    key: u32,
    value: f64,
    options: { maxEntries: 100 },
    before: fill(5, same),
    act: set(5, 5),
  },
  'clear integers': { key: u32, value: f64, before: fill(5, same), act: clear },
  'clear an open table': { key: u32, value: u32, before: fill(5, same), act: clear },
  'clear an open table of long strings': { key: string, value: u32, before: fill(5, same, long), act: clear },
  'clear structs': { key: u32, value: Wide, before: fill(5, wide), act: clear },
  'evict an integer': {
    key: u32,
    value: f64,
    options: { maxEntries: 4 },
    before: fill(4, same),
    act: set(9, 9),
    partly: someGone,
  },
  'evict structs by bytes': {
    key: u32,
    value: Wide,
    options: { maxBytes: 200 },
    before: fill(5, wide),
    act: set(9, wide(9)),
    partly: someGone,
  },
  'replace under a limit of bytes': {
    key: string,
    value: Wide,
    options: { maxBytes: 400 },
    before: fill(3, wide, String),
    act: set('1', wide(9)),
  },
};

function contents(map: AnyMap): [unknown, unknown][] {
  const sorted = [...map.entries()].sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
  return JSON.parse(
    JSON.stringify(sorted, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
  );
}

/** What the scene's act makes of the map, when nobody dies. */
function outcome({ key, value, options, before, act }: Scene): [unknown, unknown][][] {
  const heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 4 });
  const map = SharedMap.create(heap, key, value, { shards: 1, ...options });
  before(map);
  const first = contents(map);
  act(map);
  const both = [first, contents(map)];
  map.destroy();
  heap.detach();
  return both;
}

/** Kills at store `at`; answers whether it died. */
function killAt(scene: Scene, at: number, [first, then]: [unknown, unknown][][]): boolean {
  const { key, value, options, before, act, partly } = scene;
  const heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 4, lockTimeout: 200 });
  const known = sharedBlocks(heap);
  const map = SharedMap.create(heap, key, value, { shards: 1, ...options });
  for (const address of sharedBlocks(heap)) if (address !== map.address) known.add(address);
  before(map);
  const victim = new Victim(heap);
  const its = SharedMap.open(victim.heap, map.handle, key, value);
  const died = victim.dieAt(at, () => act(its));
  const now = contents(map);
  map.verify();
  if (partly?.(now, first!) !== true) expect([first, then]).toContainEqual(now);
  // Others go on.
  before(map);
  act(map);
  map.verify();
  map.clear();
  expect(map.size).toBe(0);
  map.verify();
  map.destroy();
  expect(victim.lost(known)).toEqual([]);
  heap.verify();
  heap.detach();
  return died;
}

describe.each(Object.entries(SCENES))('%s', (_name, scene) => {
  test('at every store', () => {
    const both = outcome(scene);
    let at = 0;
    while (killAt(scene, at, both)) at++;
    expect(at).toBeGreaterThan(0);
  });
});

test('a set: at every store of add, of a growing table, of delete and clear', () => {
  const acts: ((set: SharedSet<typeof string>) => void)[] = [
    (set) => set.add('new'),
    (set) => set.add(LONG),
    (set) => set.delete('1'),
    (set) => set.clear(),
  ];
  for (const act of acts) {
    for (let at = 0, died = true; died; at++) {
      const heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 4, lockTimeout: 200 });
      const shared = SharedSet.create(heap, string, { shards: 1 });
      const known = sharedBlocks(heap);
      for (let index = 0; index < 5; index++) shared.add(index % 2 === 0 ? long(index) : String(index));
      const victim = new Victim(heap);
      const its = SharedSet.open(victim.heap, shared.handle, string);
      died = victim.dieAt(at, () => act(its));
      shared.verify();
      expect([0, 4, 5, 6]).toContain(shared.size);
      shared.add('more');
      shared.verify();
      shared.destroy();
      expect(victim.lost(known)).toEqual([]);
      heap.detach();
    }
  }
});
