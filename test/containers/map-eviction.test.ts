/** Maps with a limit: what was used of late stays, and the counters say what happened. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { SharedMap } from '../../src/containers/map.ts';
import { SharedSet } from '../../src/containers/set.ts';
import { string } from '../../src/containers/string.ts';
import { Heap } from '../../src/heap/heap.ts';
import { KiB, MiB } from '../../src/memory/address.ts';
import { bytes } from '../../src/structs/array-field.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 16 * MiB });
});
afterEach(() => heap.detach());

test('never holds more entries than it may', () => {
  const map = SharedMap.create(heap, u32, u32, { maxEntries: 1000 });
  for (let n = 0; n < 4000; n++) {
    map.set(n, n);
    expect(map.size).toBeLessThanOrEqual(1000);
    expect(map.get(n)).toBe(n);
  }
  expect(map.size).toBeGreaterThan(900);
  expect(map.stats().evictions).toBe(4000 - map.size);
  map.verify();
});

test('what was used since the last eviction stays, what was not goes', () => {
  const map = SharedMap.create(heap, string, u32, { maxEntries: 100 });
  for (let n = 0; n < 20; n++) map.set(`used ${n}`, n);
  for (let n = 0; n < 5000; n++) {
    for (let used = 0; used < 20; used++) map.get(`used ${used}`);
    map.set(`passing ${n}`, n);
  }
  let stayed = 0;
  for (let n = 0; n < 20; n++) if (map.has(`used ${n}`)) stayed++;
  expect(stayed).toBe(20);
  expect(map.size).toBe(100);
});

test('never takes more bytes than it may; what cannot fit is refused', () => {
  const map = SharedMap.create(heap, string, bytes(1000), { maxBytes: 64 * KiB });
  const blob = new Uint8Array(1000);
  for (let n = 0; n < 500; n++) {
    map.set(`blob ${n}`, blob);
    expect(map.stats().entryBytes).toBeLessThanOrEqual(64 * KiB);
  }
  expect(map.size).toBeGreaterThan(50);
  map.verify();
  const live = heap.stats().liveBlocks;
  const large = SharedMap.create(heap, string, bytes(5000), { maxBytes: 4 * KiB });
  expect(() => large.set('a', new Uint8Array(5000))).toThrow(RangeError);
  expect(() => large.getOrInsert('a', new Uint8Array(5000))).toThrow('maxBytes');
  large.destroy();
  expect(heap.stats().liveBlocks).toBe(live);
});

test('one that grows in place beyond the limit stays alone, until the next one comes', () => {
  const Note = struct('Note', { text: string });
  const map = SharedMap.create(heap, u32, Note, { maxBytes: 2000, shards: 1 });
  for (let n = 0; n < 5; n++) map.set(n, { text: 'short' });
  map.with(3, (note) => {
    note.text = 'x'.repeat(5000);
  });
  expect([...map.keys()]).toEqual([3]);
  expect(map.stats().entryBytes).toBeGreaterThan(5000);
  map.verify();
  map.set(7, { text: 'next' });
  expect([...map.keys()]).toEqual([7]);
  map.verify();
});

test('counts hits, misses and evictions', () => {
  const map = SharedMap.create(heap, u32, u32, { maxEntries: 10 });
  for (let n = 0; n < 10; n++) map.set(n, n);
  for (let n = 0; n < 15; n++) map.get(n);
  const other = SharedMap.open(heap, map.handle, u32, u32);
  other.has(1);
  other.release();
  expect(map.stats()).toMatchObject({ entries: 10, hits: 11, misses: 5, evictions: 0, shards: 1 });
  for (let n = 10; n < 13; n++) map.set(n, n);
  expect(map.stats()).toMatchObject({ entries: 10, evictions: 3 });
  expect(SharedMap.create(heap, u32, u32).stats()).toMatchObject({
    entries: 0,
    slots: 0,
    tableBytes: 0,
    hits: 0,
  });
});

test('a set has limits too', () => {
  const set = SharedSet.create(heap, string, { maxEntries: 64 });
  for (let n = 0; n < 1000; n++) expect(set.add(`a key that is not short ${n}`)).toBe(true);
  expect(set.size).toBe(64);
  set.verify();
  set.destroy();
  expect(heap.stats().liveBlocks).toBe(0);
});
