/** The cells of a SharedMap: adding without the lock, and what closes a cell. */

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SharedMap } from '../../src/containers/map.ts';
import { string } from '../../src/containers/string.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { i32, u32 } from '../../src/structs/scalars.ts';

/** Runs once, just before the next compare-and-swap: what another thread does meanwhile. */
let meanwhile: (() => void) | undefined;
vi.mock('../../src/memory/atomics.ts', async (load) => {
  const atomics = await load<typeof import('../../src/memory/atomics.ts')>();
  const compareExchange: typeof atomics.compareExchange = (...swap) => {
    const act = meanwhile;
    meanwhile = undefined;
    act?.();
    return atomics.compareExchange(...swap);
  };
  return { ...atomics, compareExchange };
});

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 16 * MiB });
});
afterEach(() => {
  heap.flush();
  heap.verify();
  expect(heap.stats().liveBlocks).toBe(0);
  heap.detach();
});

const CLOSED = -0x80000000;
const DELTAS = [1, -1, 0, 2 ** 31, -(2 ** 31), 0.5, -0.5, 2 ** 40 + 3, Number.NaN, -0];

test.each([
  ['string', string, (n: number) => `key ${n}`],
  ['u32', u32, (n: number) => n],
] as const)(
  'sums are what typed arrays make of them, through the value of a closed cell (%s)',
  (_, key, keyOf) => {
    for (const field of [i32, u32]) {
      const twin = new (field === i32 ? Int32Array : Uint32Array)(1);
      const map = SharedMap.create(heap, key as typeof string, field, { shards: 1 });
      const name = keyOf(1) as string;
      for (const start of [0, 1, CLOSED, CLOSED - 1, CLOSED + 1, 2 ** 31, 2 ** 31 - 1, 2 ** 32 - 1]) {
        for (const delta of DELTAS) {
          twin[0] = start;
          map.set(name, start);
          expect(map.get(name)).toBe(twin[0]);
          for (let round = 0; round < 3; round++) {
            twin[0] = twin[0]! + delta;
            expect(map.add(name, delta)).toBe(twin[0]);
            expect(map.get(name)).toBe(twin[0]);
          }
          twin[0] = twin[0]! + 7;
          expect(map.update(name, (value) => value + 7)).toBeDefined();
          expect(map.get(name)).toBe(twin[0]);
          // Moves what may look closed to another table.
          for (let n = 2; n < 20; n++) map.add(keyOf(n) as string, CLOSED);
          expect(map.get(name)).toBe(twin[0]);
          expect(map.take(name)).toBe(twin[0]);
          expect(map.get(name)).toBeUndefined();
          map.verify();
        }
      }
      map.destroy();
    }
  },
);

test('keys that do not fit into a slot are counted under the lock', () => {
  const map = SharedMap.create(heap, string, u32, { shards: 1 });
  const long = 'a key that is longer than what a slot has room for';
  for (let n = 1; n < 50; n++) {
    expect(map.add(long, 1)).toBe(n);
    map.add(`${n}`, n);
  }
  expect(map.update(long, (value) => value * 2)).toBe(98);
  expect(map.take(long)).toBe(98);
  map.destroy();
});

test('counting goes on after clear and where deleted slots fill the tables', () => {
  const map = SharedMap.create(heap, string, u32, { shards: 2 });
  for (let round = 0; round < 5; round++) {
    for (let n = 0; n < 300; n++) expect(map.add(`key ${n}`, n)).toBe(n);
    map.verify();
    for (let n = 0; n < 300; n++) expect(map.add(`key ${n}`, 1)).toBe(n + 1);
    map.clear();
    map.verify();
    for (let n = 0; n < 5000; n++) {
      map.add(`${n}`, 1);
      if (n >= 10) expect(map.delete(`${n - 10}`)).toBe(true);
    }
    map.verify();
    expect(map.size).toBe(10);
  }
  // No table that was given up is lost, and together they are small.
  expect(heap.stats().used).toBeLessThan(256 * 1024);
  map.destroy();
});

describe('between finding the slot and the swap', () => {
  /** Adds 1 to 'key', which is 7 of a table with other keys, while `act` happens. */
  function addDuring(act: (map: SharedMap<typeof string, typeof u32>) => void) {
    const map = SharedMap.create(heap, string, u32, { shards: 1 });
    for (let n = 0; n < 30; n++) map.set(`${n}`, 7);
    map.set('key', 7);
    meanwhile = () => act(map);
    const sum = map.add('key', 1);
    expect(meanwhile).toBeUndefined();
    map.verify();
    const now = map.get('key');
    const others = [...map].filter(([key]) => key !== 'key');
    const wrong = others.filter(([, value]) => value !== 7);
    map.destroy();
    return { sum, now, others: others.length, wrong };
  }
  const wrong: never[] = [];

  test('nothing happens', () => {
    expect(addDuring(() => {})).toEqual({ sum: 8, now: 8, others: 30, wrong });
  });

  test('the value is set, or set to what it was', () => {
    expect(addDuring((map) => map.set('key', 100))).toMatchObject({ sum: 101, now: 101, wrong });
    expect(addDuring((map) => map.set('key', 7))).toMatchObject({ sum: 8, now: 8, wrong });
  });

  test('the key is deleted, or taken', () => {
    expect(addDuring((map) => map.delete('key'))).toMatchObject({ sum: 1, now: 1, wrong });
    expect(addDuring((map) => expect(map.take('key')).toBe(7))).toMatchObject({ sum: 1, now: 1, wrong });
  });

  test('the key is deleted and comes back', () => {
    const act = (value: number) => (map: SharedMap<typeof string, typeof u32>) => {
      map.delete('key');
      map.set('key', value);
    };
    expect(addDuring(act(7))).toMatchObject({ sum: 8, now: 8, wrong });
    expect(addDuring(act(0))).toMatchObject({ sum: 1, now: 1, wrong });
  });

  test('others come where it was, with the value that it had', () => {
    // More than would find room: whatever the hashes, some pass its slot.
    const act = (count: number) => (map: SharedMap<typeof string, typeof u32>) => {
      map.delete('key');
      for (let n = 0; n < count; n++) map.set(`other ${n}`, 7);
    };
    for (let round = 0; round < 50; round++) {
      expect(addDuring(act(8))).toEqual({ sum: 1, now: 1, others: 38, wrong });
    }
    expect(addDuring(act(500))).toEqual({ sum: 1, now: 1, others: 530, wrong });
  });

  test('the table grows, and the key is deleted there', () => {
    const grow = (map: SharedMap<typeof string, typeof u32>) => {
      for (let n = 0; n < 200; n++) map.set(`other ${n}`, 7);
    };
    expect(addDuring(grow)).toEqual({ sum: 8, now: 8, others: 230, wrong });
    const growAndDelete = (map: SharedMap<typeof string, typeof u32>) => {
      grow(map);
      map.delete('key');
    };
    expect(addDuring(growAndDelete)).toEqual({ sum: 1, now: 1, others: 230, wrong });
  });

  test('the map is cleared: the sum was made just before', () => {
    const act = (map: SharedMap<typeof string, typeof u32>) => {
      map.clear();
      for (let n = 0; n < 20; n++) map.set(`other ${n}`, 7);
    };
    expect(addDuring(act)).toEqual({ sum: 8, now: undefined, others: 20, wrong });
  });

  test('update() calls again when something was added meanwhile', () => {
    const map = SharedMap.create(heap, string, u32);
    map.set('key', 7);
    const seen: number[] = [];
    const doubled = map.update('key', (value) => {
      seen.push(value);
      if (seen.length === 1) map.add('key', 3);
      return value * 2;
    });
    expect({ seen, doubled, now: map.get('key') }).toEqual({ seen: [7, 10], doubled: 20, now: 20 });
    map.destroy();
  });
});
