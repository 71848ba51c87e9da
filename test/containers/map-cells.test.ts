/** The cells of a SharedMap: adding without the lock, and what closes a cell. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { SharedMap } from '../../src/containers/map.ts';
import { string } from '../../src/containers/string.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { i32, u32 } from '../../src/structs/scalars.ts';

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
