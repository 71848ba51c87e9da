/** Callbacks that throw in mid-operation, or use what they are called from. */

import { expect } from 'vitest';
import { SharedMap } from '../../src/containers/map.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { Once } from '../../src/containers/once.ts';
import { RwLock } from '../../src/containers/rw-lock.ts';
import { SharedSet } from '../../src/containers/set.ts';
import { SharedString, string } from '../../src/containers/string.ts';
import { SharedVec } from '../../src/containers/vec.ts';
import { vec } from '../../src/containers/vec-field.ts';
import type { Heap } from '../../src/heap/heap.ts';
import { MiB, NULL } from '../../src/memory/address.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { type Misuse, promises } from './promises.ts';

const Point = struct('Point', { x: f64, y: f64 });
const Owner = struct('Owner', { name: string, list: vec(f64) });

class Thrown extends Error {}
const fail = (): never => {
  throw new Thrown();
};

const always = (
  name: string,
  run: (heap: Heap) => unknown,
  promised: Misuse['standard'] = 'harmless',
): Misuse => ({
  name,
  standard: promised,
  hardened: promised,
  run,
});

promises([
  always('onExhausted throws: its error passes, the next request is served', (heap) => {
    const remove = heap.onExhausted(fail);
    expect(() => heap.alloc(2 * MiB)).toThrow(Thrown);
    expect(() => heap.realloc(heap.alloc(8), 2 * MiB)).toThrow(Thrown);
    expect(heap.alloc(100)).not.toBe(NULL);
    remove();
    expect(heap.alloc(2 * MiB)).toBe(NULL);
  }),
  always('onExhausted allocates itself: it is not called again, and gets NULL', (heap) => {
    let calls = 0;
    heap.onExhausted(() => {
      calls++;
      expect(heap.alloc(2 * MiB)).toBe(NULL);
      heap.free(heap.alloc(100));
      return false;
    });
    expect(heap.alloc(2 * MiB)).toBe(NULL);
    expect(calls).toBe(1);
  }),
  always('onExhausted promises room for ever: asked 64 times', (heap) => {
    let calls = 0;
    heap.onExhausted(() => {
      calls++;
      return true;
    });
    expect(heap.alloc(2 * MiB)).toBe(NULL);
    expect(calls).toBe(64);
  }),
  always('onExhausted frees the block that realloc is about to move', (heap) => {
    const block = heap.alloc(100);
    heap.alloc(100);
    heap.onExhausted(() => {
      heap.free(block);
      return true;
    });
    expect(() => heap.realloc(block, 2 * MiB)).toThrow('is no live block');
  }),
  always('map.update throws: the entry and the lock are as before', (heap) => {
    const map = SharedMap.create(heap, string, u32);
    map.set('a', 1);
    expect(() => map.update('a', fail)).toThrow(Thrown);
    expect(map.get('a')).toBe(1);
    map.set('a', 2);
    map.verify();
  }),
  always('map.update allocates and frees', (heap) => {
    const map = SharedMap.create(heap, string, u32);
    map.set('a', 1);
    map.update('a', (value) => {
      const blocks = Array.from({ length: 300 }, () => heap.alloc(64));
      for (const block of blocks) heap.free(block);
      SharedString.create(heap, 'made inside').destroy();
      return value + 1;
    });
    expect(map.get('a')).toBe(2);
    map.verify();
  }),
  always('map.update runs the heap full: its error passes, the map is whole', (heap) => {
    const map = SharedMap.create(heap, string, u32);
    map.set('a', 1);
    const fill = () => {
      for (;;) SharedString.create(heap, 'x'.repeat(10_000));
    };
    expect(() => map.update('a', fill as never)).toThrow('out of memory');
    expect(map.get('a')).toBe(1);
    map.verify();
  }),
  always(
    'map.update uses the map itself',
    (heap) => {
      const map = SharedMap.create(heap, string, u32, { shards: 1 });
      map.set('a', 1);
      try {
        map.update('a', () => map.set('b', 2).size);
      } finally {
        map.set('c', 3);
        map.verify();
      }
    },
    'DeadlockError',
  ),
  always('map entries are deleted, set and cleared inside an iteration', (heap) => {
    const map = SharedMap.create(heap, u32, u32);
    for (let i = 0; i < 200; i++) map.set(i, i);
    let seen = 0;
    for (const [key] of map.entries()) {
      if (key % 2 === 0) map.delete(key);
      if (key % 7 === 0) map.set(key + 1000, 1);
      heap.free(heap.alloc(50));
      if (++seen > 5000) break;
    }
    expect(seen).toBeLessThanOrEqual(5000);
    for (const [key] of map.entries()) if (key > 100) map.clear();
    map.verify();
  }),
  always('forEach throws in the middle', (heap) => {
    const map = SharedMap.create(heap, u32, u32);
    for (let i = 0; i < 20; i++) map.set(i, i);
    expect(() => map.forEach(fail)).toThrow(Thrown);
    map.set(99, 1);
    map.verify();
  }),
  always('an iterator that is left in the middle holds nothing', (heap) => {
    const set = SharedSet.create(heap, u32);
    for (let i = 0; i < 20; i++) set.add(i);
    for (const _ of set.values()) break;
    set.add(99);
    set.destroy();
  }),
  always('a vec that grows inside its own iteration ends', (heap) => {
    const list = SharedVec.create(heap, f64);
    list.push(1, 2, 3);
    let turns = 0;
    for (const value of list) {
      if (++turns <= 100) list.push(value);
      if (turns > 1000) break;
    }
    expect(turns).toBeLessThanOrEqual(103);
  }),
  always('a vec cut short inside its own iteration', (heap) => {
    const list = SharedVec.create(heap, f64);
    for (let i = 0; i < 100; i++) list.push(i);
    for (const value of list) if (value === 3) list.truncate(2);
    expect(list.length).toBe(2);
  }),
  always('a vec is extended by a generator that throws', (heap) => {
    const list = SharedVec.create(heap, f64);
    function* values(): Generator<number> {
      yield 1;
      yield 2;
      fail();
    }
    expect(() => list.extend(values())).toThrow(Thrown);
    expect(list.length).toBeLessThanOrEqual(2);
    list.push(9);
    expect(list.at(list.length - 1)).toBe(9);
  }),
  always('a vec is extended by a generator that pushes to it', (heap) => {
    const list = SharedVec.create(heap, f64);
    function* values(): Generator<number> {
      for (let i = 0; i < 50; i++) {
        list.push(-1);
        yield i;
      }
    }
    list.extend(values());
    expect([...list].every((value) => Number.isInteger(value))).toBe(true);
    list.destroy();
  }),
  always('sort with a comparison that throws keeps every element', (heap) => {
    const list = SharedVec.create(heap, f64);
    for (let i = 0; i < 30; i++) list.push((i * 7) % 30);
    let calls = 0;
    expect(() => list.sort((a, b) => (++calls > 20 ? fail() : (a as number) - (b as number)))).toThrow(
      Thrown,
    );
    expect([...list].sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i));
  }),
  always('a struct whose init throws half-way leaves nothing', (heap) => {
    heap.flush();
    const { liveBlocks } = heap.stats();
    const init = {
      name: 'made first',
      get list(): number[] {
        return fail();
      },
    };
    expect(() => heap.new(Owner, init)).toThrow(Thrown);
    expect(heap.stats().liveBlocks).toBe(liveBlocks);
  }),
  always('mutex.with throws: the lock is free again', (heap) => {
    const mutex = Mutex.create(heap, Point);
    expect(() => mutex.with(fail)).toThrow(Thrown);
    expect(mutex.locked).toBe(false);
    mutex.destroy();
  }),
  always('rwLock.read and write throw', (heap) => {
    const lock = RwLock.create(heap, Point);
    expect(() => lock.read(fail)).toThrow(Thrown);
    expect(() => lock.write(fail)).toThrow(Thrown);
    lock.destroy();
  }),
  always('once.run throws: the next one runs it', (heap) => {
    const once = Once.create(heap);
    expect(() => once.run(fail)).toThrow(Thrown);
    expect(once.run(() => {})).toBe(true);
    expect(once.run(fail)).toBe(false);
  }),
  always('scope throws: the arena goes back', (heap) => {
    const { liveBlocks } = heap.stats();
    expect(() => heap.scope(fail)).toThrow(Thrown);
    expect(heap.stats().liveBlocks).toBe(liveBlocks);
  }),
  always('scope with a promise is refused, and the arena goes back', (heap) => {
    const { liveBlocks } = heap.stats();
    expect(() => heap.scope(async () => {})).toThrow(TypeError);
    expect(heap.stats().liveBlocks).toBe(liveBlocks);
  }),
  always('roots.openOrCreate: make throws, and the next one makes it', (heap) => {
    const make = () => SharedMap.create(heap, string, u32);
    expect(() => heap.roots.openOrCreate('m', SharedMap.type(string, u32) as never, fail)).toThrow(Thrown);
    heap.roots.openOrCreate('m', SharedMap.type(string, u32) as never, make as never);
    expect(heap.roots.names()).toEqual(['m']);
  }),
  always('blocks() is left in the middle, and allocated in', (heap) => {
    let turns = 0;
    for (const _ of heap.blocks()) {
      heap.alloc(24);
      if (++turns === 3) break;
    }
    expect(heap.alloc(24)).not.toBe(NULL);
  }),
]);
