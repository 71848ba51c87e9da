/** SharedMap in one thread: every method, every error, and that nothing is left behind. */

import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SharedMap } from '../../src/containers/map.ts';
import { SHARD_BITS, SHARDS_AT, TABLE } from '../../src/containers/map-layout.ts';
import { SharedSet } from '../../src/containers/set.ts';
import { string } from '../../src/containers/string.ts';
import { AttachError, DeadlockError, HeapCorruptionError, OutOfMemoryError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { KiB, MiB, NULL } from '../../src/memory/address.ts';
import { bytes } from '../../src/structs/array-field.ts';
import { atomic } from '../../src/structs/atomic-cell.ts';
import { oneOf } from '../../src/structs/one-of.ts';
import { ref } from '../../src/structs/reference.ts';
import { bool, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

const Point = struct('MapPoint', { x: f64, y: f64, id: u32 });

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 8 * MiB });
});
afterEach(() => heap.detach());

/** Runs `use` with a map, destroys it and checks that the heap is as empty as before. */
function leavesNothing(make: () => { destroy(): void; verify(): void }, use: (map: never) => void): void {
  const before = heap.stats().liveBlocks;
  const map = make();
  use(map as never);
  map.verify();
  map.destroy();
  heap.verify();
  expect(heap.stats().liveBlocks).toBe(before);
}

describe('values', () => {
  test.each([
    ['i8', i8, -5],
    ['u8', u8, 200],
    ['i16', i16, -300],
    ['u16', u16, 60_000],
    ['i32', i32, -70_000],
    ['u32', u32, 4_000_000_000],
    ['i64', i64, -5n],
    ['u64', u64, 2n ** 64n - 1n],
    ['f32', f32, 0.5],
    ['f64', f64, 0.1],
    ['bool', bool, true],
    ['oneOf', oneOf('red', 'green'), 'green'],
    ['bytes', bytes(5), Uint8Array.of(1, 2, 3, 4, 5)],
    ['struct', Point, { x: 1, y: 2, id: 3 }],
  ])('of %s come back as copies, under each kind of key', (_, field, value) => {
    for (const [key, one, two] of [
      [u32, 1, 4_000_000_000],
      [i8, -1, 127],
      [i64, -1n, 2n ** 62n],
      [string, '', 'a key of more than sixteen bytes: ü'],
    ] as const) {
      leavesNothing(
        () => SharedMap.create(heap, key, field),
        (map: SharedMap) => {
          map.set(one as never, value as never).set(two as never, value as never);
          expect(map.get(one as never)).toEqual(value);
          expect(map.get(two as never)).toEqual(value);
          expect(map.size).toBe(2);
          map.set(one as never, value as never);
          expect(new Map(map.entries())).toEqual(
            new Map([
              [one, value],
              [two, value],
            ] as never),
          );
          expect(map.take(one as never)).toEqual(value);
          expect(map.has(one as never)).toBe(false);
          expect(map.delete(two as never)).toBe(true);
          expect(map.delete(two as never)).toBe(false);
          expect(map.take(two as never)).toBeUndefined();
          map.set(one as never, value as never);
        },
      );
    }
  });

  test('strings and structs that own strings are dropped with their entries', () => {
    const Named = struct('MapNamed', { name: string, id: u32 });
    leavesNothing(
      () => SharedMap.create(heap, u32, Named),
      (map: SharedMap<typeof u32, typeof Named>) => {
        map.set(1, { name: 'one', id: 1 }).set(2, { name: 'two', id: 2 });
        map.set(1, { name: 'another', id: 1 });
        map.with(2, (view) => {
          view.name = 'changed';
        });
        expect(map.get(2)).toEqual({ name: 'changed', id: 2 });
        expect(map.take(1)).toEqual({ name: 'another', id: 1 });
        const into = heap.new(Named);
        expect(() => map.get(2, into)).toThrow('owns');
        heap.delete(into);
        map.update(2, (value) => ({ ...value, name: `${value.name}!` }));
        expect(map.get(2)!.name).toBe('changed!');
      },
    );
    leavesNothing(
      () => SharedMap.create(heap, string, string, { maxBytes: 4096 }),
      (map: SharedMap<typeof string, typeof string>) => {
        map.set('a', 'x'.repeat(100)).set('a', 'y').set('b', 'z');
        expect(map.get('a')).toBe('y');
        expect(map.update('a', (text) => text + text)).toBe('yy');
        expect(map.take('a')).toBe('yy');
        for (let n = 0; n < 200; n++) map.set(`key ${n}`, 'long '.repeat(20));
        expect(map.stats().evictions).toBeGreaterThan(100);
      },
    );
  });

  test('a ref is shared with what it links to', () => {
    const map = SharedMap.create(heap, u32, ref(Point));
    const point = heap.new(Point, { x: 7 });
    map.set(1, point);
    expect(map.get(1)!.address).toBe(point.address);
    expect(map.set(2, null).get(2)).toBeNull();
    map.destroy();
    heap.delete(point);
  });
});

describe('keys', () => {
  test('that are none are refused, and the map stays as it was', () => {
    const numbers = SharedMap.create(heap, i8, u32);
    for (const key of [Number.NaN, 0.5, 128, -129, Number.POSITIVE_INFINITY, 2 ** 32]) {
      expect(() => numbers.set(key, 1), String(key)).toThrow(RangeError);
      expect(() => numbers.get(key)).toThrow(String(key));
    }
    for (const key of ['1', 1n, null, undefined, {}, true]) {
      expect(() => numbers.set(key as never, 1)).toThrow(TypeError);
      expect(() => numbers.add(key as never, 1)).toThrow(TypeError);
    }
    const big = SharedMap.create(heap, u64, u32);
    for (const key of [-1n, 2n ** 64n]) expect(() => big.set(key, 1)).toThrow(RangeError);
    expect(() => big.set(1 as never, 1)).toThrow(TypeError);
    const signed = SharedMap.create(heap, i64, u32);
    for (const key of [-(2n ** 63n) - 1n, 2n ** 63n]) expect(() => signed.has(key)).toThrow(RangeError);
    const texts = SharedMap.create(heap, string, u32);
    for (const key of [1, null, Symbol('s')]) expect(() => texts.get(key as never)).toThrow(TypeError);
    expect(() => texts.set('x'.repeat(65_536), 1)).toThrow(RangeError);
    expect(() => texts.set('ü'.repeat(32_768), 1)).toThrow(RangeError);
    for (const map of [numbers, big, signed, texts]) expect(map.size).toBe(0);
    texts.set('x'.repeat(65_535), 1).set(`${'ü'.repeat(32_767)}x`, 2);
    expect(texts.get('x'.repeat(65_535))).toBe(1);
    expect([...texts.keys()].map((key) => key.length).sort()).toEqual([32_768, 65_535]);
    texts.verify();
  });

  test('-0 is 0, as in a Map', () => {
    const map = SharedMap.create(heap, i32, u32);
    map.set(-0, 1);
    expect(map.get(0)).toBe(1);
    expect(Object.is([...map.keys()][0], 0)).toBe(true);
  });

  test('lone surrogates become U+FFFD', () => {
    const map = SharedMap.create(heap, string, u32);
    map.set('a\ud800', 1);
    expect(map.get('a\ufffd')).toBe(1);
    expect([...map.keys()]).toEqual(['a\ufffd']);
  });

  test('one key begins another', () => {
    const map = SharedMap.create(heap, string, u32);
    const keys = ['', 'a', 'ab', 'abc', 'abcd', 'abcde', 'a\0', 'abc\0', 'ab'.repeat(20), 'é', 'ééééé', '𝄞'];
    for (const [index, key] of keys.entries()) map.set(key, index);
    for (const [index, key] of keys.entries()) expect(map.get(key)).toBe(index);
    expect(map.size).toBe(keys.length);
    map.verify();
  });
});

test('fields that no map can have are refused', () => {
  expect(() => SharedMap.create(heap, f64, u32)).toThrow(TypeError);
  expect(() => SharedMap.create(heap, Point, u32)).toThrow(TypeError);
  expect(() => SharedMap.create(heap, u32, atomic(u32))).toThrow('atomic');
  expect(() => SharedMap.create(heap, u32, undefined as never)).toThrow(TypeError);
  expect(() => SharedMap.create(heap, undefined as never, u32)).toThrow(TypeError);
  for (const shards of [0, 3, 512, 1.5]) {
    expect(() => SharedMap.create(heap, u32, u32, { shards }), String(shards)).toThrow(RangeError);
  }
  expect(() => SharedMap.create(heap, u32, u32, { maxEntries: 4, shards: 8 })).toThrow(RangeError);
  expect(() => SharedMap.create(heap, u32, u32, { maxEntries: 0 })).toThrow(RangeError);
  expect(() => SharedMap.create(heap, u32, u32, { size: 1 } as never)).toThrow("no option 'size'");
  expect(heap.stats().liveBlocks).toBe(0);
});

test('values that do not fit are refused, and the map stays as it was', () => {
  const numbers = SharedMap.create(heap, string, u32);
  numbers.set('a', 1);
  for (const value of ['1', 1n, null, undefined, {}]) {
    expect(() => numbers.set('a', value as never)).toThrow(TypeError);
    expect(() => numbers.update('a', () => value as never)).toThrow(TypeError);
    expect(() => numbers.getOrInsert('b', () => value as never)).toThrow(TypeError);
  }
  const colours = SharedMap.create(heap, u32, oneOf('red', 'green'));
  colours.set(1, 'red');
  expect(() => colours.set(1, 'blue' as never)).toThrow(TypeError);
  expect(() => colours.set(2, 'blue' as never)).toThrow(TypeError);
  expect([...colours]).toEqual([[1, 'red']]);
  const points = SharedMap.create(heap, u32, Point);
  const before = heap.stats().liveBlocks;
  expect(() => points.set(1, { z: 1 } as never)).toThrow(TypeError);
  expect(heap.stats().liveBlocks).toBe(before);
  for (const map of [numbers, colours, points]) map.verify();
});

describe('add', () => {
  test('starts from 0, wraps as the typed array does and gives the new value', () => {
    const map = SharedMap.create(heap, string, u8);
    expect(map.add('a', 250)).toBe(250);
    expect(map.add('a', 10)).toBe(4);
    expect(map.add('b', -1)).toBe(255);
    const big = SharedMap.create(heap, u32, i64);
    expect(big.add(1, -5n)).toBe(-5n);
    expect(big.add(1, 2n)).toBe(-3n);
    const small = SharedMap.create(heap, u32, f32);
    expect(small.add(1, 0.1)).toBe(Math.fround(0.1));
  });

  test('wants numbers where values are numbers', () => {
    const map = SharedMap.create(heap, string, u64);
    expect(() => map.add('a', 1 as never)).toThrow(TypeError);
    expect(() => SharedMap.create(heap, string, Point).add('a', 1 as never)).toThrow(TypeError);
    expect(() => SharedMap.create(heap, string, bool).add('a', true as never)).toThrow(TypeError);
    expect(map.size).toBe(0);
  });
});

test('update replaces what is there, or starts from what is given', () => {
  const map = SharedMap.create(heap, string, u32);
  expect(map.update('a', (n) => n + 1)).toBeUndefined();
  expect(map.update('a', (n) => n + 1, 0)).toBe(1);
  expect(map.update('a', (n) => n + 1, 0)).toBe(2);
  expect(() =>
    map.update('a', () => {
      throw new Error('no');
    }),
  ).toThrow('no');
  expect(() => map.update('a', (async () => 1) as never)).toThrow('promise');
  expect(map.get('a')).toBe(2);
  const points = SharedMap.create(heap, string, Point);
  expect(points.update('p', (p) => ({ ...p, x: p.x + 1 }), { x: 1, y: 1, id: 1 })).toEqual({
    x: 2,
    y: 1,
    id: 1,
  });
  points.update('p', (p) => ({ ...p, x: p.x + 1 }));
  expect(points.get('p')).toEqual({ x: 3, y: 1, id: 1 });
  points.verify();
});

test('getOrInsert makes what is not there, once', () => {
  const map = SharedMap.create(heap, string, Point);
  let made = 0;
  const make = () => ({ x: ++made });
  expect(map.getOrInsert('a', make)).toEqual({ x: 1, y: 0, id: 0 });
  expect(map.getOrInsert('a', make)).toEqual({ x: 1, y: 0, id: 0 });
  expect(made).toBe(1);
  expect(map.getOrInsert('b', { y: 2 }).y).toBe(2);
  // Another one comes in between.
  const raced = map.getOrInsert('c', () => {
    map.set('c', { id: 7 });
    return { id: 8 };
  });
  expect(raced.id).toBe(7);
  expect(() => map.getOrInsert('d', (async () => ({})) as never)).toThrow('promise');
});

describe('with', () => {
  test('changes a struct in place; the view shows nothing afterwards', () => {
    const map = SharedMap.create(heap, string, Point);
    map.set('a', { x: 1 });
    let kept: { x: number; address: number } | undefined;
    expect(
      map.with('a', (point) => {
        kept = point;
        point.x += 1;
        return point.x;
      }),
    ).toBe(2);
    expect(map.get('a')!.x).toBe(2);
    expect(kept!.address).toBe(NULL);
    expect(kept!.x).toBeUndefined();
    expect(map.with('b', () => expect.fail('called'))).toBeUndefined();
  });

  test('gives the lock back when the callback throws', () => {
    const map = SharedMap.create(heap, string, Point, { shards: 1 });
    map.set('a', { x: 1 });
    expect(() => map.with('a', () => JSON.parse('{'))).toThrow(SyntaxError);
    expect(() => map.with('a', async () => 1)).toThrow('promise');
    map.set('b', {}).delete('a');
    expect(map.size).toBe(1);
  });

  test('in it the map can be read; writing to the same shard is a deadlock that is told', () => {
    const map = SharedMap.create(heap, string, u32, { shards: 1 });
    map.set('a', 1).set('b', 2);
    map.with('a', () => {
      expect(map.get('a')).toBe(1);
      expect(map.has('b')).toBe(true);
      expect([...map].length).toBe(2);
      expect(() => map.set('b', 3)).toThrow(DeadlockError);
      expect(() => map.clear()).toThrow(DeadlockError);
    });
    expect(map.get('b')).toBe(2);
    map.verify();
  });
});

test('get copies a struct into a view', () => {
  const map = SharedMap.create(heap, u32, Point);
  map.set(1, { x: 1, y: 2, id: 3 });
  const into = heap.new(Point);
  expect(map.get(1, into)).toBe(into);
  expect(into.toJSON()).toEqual({ x: 1, y: 2, id: 3 });
  expect(map.get(2, into)).toBeUndefined();
  expect(into.id).toBe(3);
  const Other = struct('MapOther', { x: f64 });
  expect(() => map.get(1, heap.new(Other))).toThrow(TypeError);
  expect(() => map.get(1, {})).toThrow(TypeError);
  expect(() => SharedMap.create(heap, u32, u32).get(1, into)).toThrow(TypeError);
  heap.delete(into);
  expect(() => map.get(1, into)).toThrow('deleted');
});

test('iterates over copies, and shows itself', () => {
  const map = SharedMap.create(heap, string, u64);
  map.set('a', 1n).set('b', 2n);
  expect([...map.keys()].sort()).toEqual(['a', 'b']);
  expect([...map.values()].sort()).toEqual([1n, 2n]);
  const seen: unknown[] = [];
  map.forEach((value, key, whole) => {
    seen.push([key, value, whole === map]);
  });
  expect(seen.sort()).toEqual([
    ['a', 1n, true],
    ['b', 2n, true],
  ]);
  expect(JSON.parse(JSON.stringify(map))).toEqual({ a: '1', b: '2' });
  expect(inspect(map)).toMatch(/^SharedMap\(2\) \{ '.' => .n, '.' => .n \}$/);
  expect(inspect([[map]], { depth: 0 })).toBe('[ [Array] ]');
  expect(() => structuredClone(map)).toThrow();
  // What comes and goes meanwhile does no harm.
  for (const key of map.keys()) {
    map.delete(key);
    map.set(`${key}${key}`, 3n);
    map.clear();
  }
  expect(map.size).toBe(0);
});

describe('handles', () => {
  test('open the same map, with the fields or without', () => {
    const map = SharedMap.create(heap, string, Point);
    map.set('a', { x: 1 });
    expect(JSON.stringify(map.handle).length).toBeLessThan(100);
    for (const other of [
      SharedMap.open(heap, map.handle),
      SharedMap.open(heap, structuredClone(map.handle), string, Point),
    ]) {
      expect(other.get('a' as never)).toEqual({ x: 1, y: 0, id: 0 });
      other.release();
      other.release();
      expect(() => other.get('a' as never)).toThrow(ReferenceError);
      expect(() => other.size).toThrow('released');
      expect(inspect(other)).toBe('SharedMap (released)');
    }
    heap.roots.set('points', map);
    expect(heap.roots.open('points', SharedMap.type(string, Point))!.size).toBe(1);
  });

  test('of other things are refused', () => {
    const map = SharedMap.create(heap, string, Point);
    expect(() => SharedMap.open(heap, map.handle, u32 as never, Point)).toThrow(AttachError);
    expect(() => SharedMap.open(heap, map.handle, string, u32 as never)).toThrow(AttachError);
    const set = SharedSet.create(heap, string);
    expect(() => SharedMap.open(heap, set.handle as never)).toThrow(AttachError);
    expect(() => SharedMap.at(heap, set.address)).toThrow(AttachError);
    expect(() => SharedMap.open(heap, null as never)).toThrow(TypeError);
    const { handle } = map;
    map.destroy();
    expect(() => SharedMap.open(heap, handle)).toThrow(AttachError);
    expect(() => map.destroy()).toThrow(ReferenceError);
    expect(() => map.handle).toThrow(ReferenceError);
  });

  test('a map made in an arena lies in the heap', () => {
    const arena = heap.arena(KiB);
    const map = SharedMap.create(arena, u32, u32);
    arena.release();
    expect(map.set(1, 2).get(1)).toBe(2);
    map.destroy();
    expect(heap.stats().liveBlocks).toBe(0);
  });
});

describe('a full heap', () => {
  test.each([
    ['in slots', u32, (n: number) => n, f64, 1],
    ['in entries', u32, (n: number) => n, Point, { x: 1 }],
    ['of short strings', string, (n: number) => `key ${n}`, u32, 1],
    ['of long strings', string, (n: number) => `a key that needs an entry ${n}`, u32, 1],
  ] as const)('refuses more keys %s; the map stays as it was', (_, keyField, keyOf, field, value) => {
    heap.detach();
    heap = Heap.create({ byteLength: 256 * KiB });
    const map = SharedMap.create(heap, keyField as never, field as never, { shards: 2 }) as SharedMap;
    let count = 0;
    const fill = () => {
      for (; ; count++) map.set(keyOf(count) as never, value as never);
    };
    expect(fill).toThrow(OutOfMemoryError);
    expect(count).toBeGreaterThan(1000);
    map.verify();
    expect(map.size).toBe(count);
    for (let n = 0; n < count; n++) expect(map.has(keyOf(n) as never)).toBe(true);
    map.delete(keyOf(0) as never);
    map.set(keyOf(0) as never, value as never);
    map.clear();
    expect(map.size).toBe(0);
    map.destroy();
    heap.flush();
    expect(heap.stats().liveBlocks).toBe(0);
  });

  test('asks its handlers under no lock: they may clear the map', () => {
    heap.detach();
    heap = Heap.create({ byteLength: 256 * KiB });
    const map = SharedMap.create(heap, string, Point, { shards: 1 });
    let calls = 0;
    heap.onExhausted(() => {
      calls++;
      map.clear();
      heap.flush();
      return true;
    });
    for (let n = 0; n < 20_000; n++) map.set(`key ${n}`, { id: n });
    expect(calls).toBeGreaterThan(1);
    expect(map.get('key 19999')!.id).toBe(19_999);
    map.verify();
  });
});

describe('verify', () => {
  test.each([
    ['a count that is wrong', 4, 1],
    ['used slots that are wrong', 5, 1],
  ])('reports %s', (_, word, more) => {
    const map = SharedMap.create(heap, u32, u32, { shards: 1 });
    map.set(1, 1);
    map.verify();
    heap.memory.u32[(map.address + 128 + word * 4) >>> 2]! += more;
    expect(() => map.verify()).toThrow(HeapCorruptionError);
  });

  test('reports keys that are not found and entries that are no blocks', () => {
    const map = SharedMap.create(heap, string, Point, { shards: 1 });
    map.set('a', { x: 1 });
    const { u32: words } = heap.memory;
    const table = words[(map.address + 128 + 12) >>> 2]!;
    const first = (table - (table % 64)) >>> 2;
    const slot = Array.from({ length: 8 }, (_, i) => first + 2 * i).find((at) => words[at] !== 0)!;
    words[slot + 1]! += 1;
    expect(() => map.verify()).toThrow('hash');
    words[slot + 1]! -= 1;
    words[slot]! += 8;
    expect(() => map.verify()).toThrow('block');
    words[slot]! -= 8;
    map.verify();
  });
});

test('a map whose shards cannot be is refused when it is opened', () => {
  const heap = Heap.create({ byteLength: MiB });
  const map = SharedMap.create(heap, u32, u32, { shards: 4 });
  map.set(1, 2);
  const { handle, address } = map;
  const bits = (address >>> 2) + SHARD_BITS;
  for (const wrong of [3, 31, 2 ** 32 - 1]) {
    heap.memory.u32[bits] = wrong;
    expect(() => SharedMap.open(heap, handle)).toThrow(HeapCorruptionError);
  }
  heap.memory.u32[bits] = 2;
  const table = ((address + SHARDS_AT) >>> 2) + TABLE;
  const before = heap.memory.u32[table]!;
  heap.memory.u32[table] = MiB;
  expect(() => SharedMap.open(heap, handle)).toThrow('the table of a shard lies outside');
  heap.memory.u32[table] = before;
  expect(SharedMap.open(heap, handle).get(1)).toBe(2);
  map.destroy();
  heap.detach();
});
