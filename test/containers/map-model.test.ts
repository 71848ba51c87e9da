/** SharedMap and SharedSet against a Map and a Set, by random operations; verified after each. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SharedMap } from '../../src/containers/map.ts';
import type { MapOptions } from '../../src/containers/map-create.ts';
import { SharedSet } from '../../src/containers/set.ts';
import { string } from '../../src/containers/string.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import type { Field } from '../../src/structs/field.ts';
import { f64, i8, i64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

const Pair = struct('ModelPair', { a: f64, b: u32 });

/** Few keys, so that they are met again. */
const KEYS: readonly (readonly [name: string, field: Field, key: fc.Arbitrary<unknown>])[] = [
  ['i8', i8, fc.integer({ min: -20, max: 20 })],
  ['u32', u32, fc.integer({ min: 0, max: 30 }).map((n) => (n * 0x0801_0001) >>> 0)],
  ['i64', i64, fc.integer({ min: -15, max: 15 }).map((n) => BigInt(n) * 2n ** 40n)],
  [
    'string',
    string,
    fc.tuple(fc.constantFrom('', 'k', 'ü', 'sixteen bytes or more '), fc.nat(7)).map(String),
  ],
];
const VALUES: readonly (readonly [name: string, field: Field, value: (n: number) => unknown])[] = [
  ['f64', f64, (n) => n / 3],
  ['u32', u32, (n) => n],
  ['i64', i64, (n) => BigInt(n)],
  ['string', string, (n) => `value ${n}`],
  ['a struct', Pair, (n) => ({ a: n, b: n })],
];
const ACTS = [
  'set',
  'set',
  'set',
  'delete',
  'delete',
  'get',
  'has',
  'take',
  'update',
  'getOrInsert',
  'clear',
] as const;

const pairs = KEYS.flatMap(([k, keyField, key]) =>
  VALUES.map(([v, valueField, value]) => ({ name: `${k} to ${v}`, keyField, key, valueField, value })),
);

describe('a map does what a Map does', () => {
  test.each(pairs)('$name', ({ keyField, key, valueField, value }) => {
    const step = fc.tuple(fc.nat(200), key, fc.nat(1000)).map(([act, ...rest]) => {
      return [act === 0 ? 'clear' : ACTS[act % (ACTS.length - 1)]!, ...rest] as const;
    });
    const heap = Heap.create({ byteLength: 4 * MiB });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), fc.constantFrom(1, 4), (steps, shards) => {
        const map = SharedMap.create(heap, keyField, valueField, { shards }) as SharedMap<Field, Field>;
        const model = new Map<unknown, unknown>();
        for (const [act, k, n] of steps) {
          apply(map, model, act, k, value(n));
          map.verify();
          expect(map.size).toBe(model.size);
        }
        expect(new Map(map)).toEqual(model);
        expect([...map.keys()]).toHaveLength(model.size);
        map.destroy();
        expect(heap.stats().liveBlocks).toBe(0);
      }),
      { numRuns: 25 },
    );
    heap.detach();
  });
});

function apply(
  map: SharedMap<Field, Field>,
  model: Map<unknown, unknown>,
  act: (typeof ACTS)[number],
  key: unknown,
  value: unknown,
): void {
  const k = key as never;
  const v = value as never;
  const there = model.get(key);
  if (act === 'set') {
    map.set(k, v);
    model.set(key, value);
  } else if (act === 'delete') {
    expect(map.delete(k)).toBe(model.delete(key));
  } else if (act === 'get') {
    expect(map.get(k)).toEqual(there);
  } else if (act === 'has') {
    expect(map.has(k)).toBe(model.has(key));
  } else if (act === 'take') {
    expect(map.take(k)).toEqual(there);
    model.delete(key);
  } else if (act === 'update') {
    expect(map.update(k, () => v)).toEqual(there === undefined ? undefined : value);
    if (there !== undefined) model.set(key, value);
  } else if (act === 'getOrInsert') {
    expect(map.getOrInsert(k, v)).toEqual(there ?? value);
    if (there === undefined) model.set(key, value);
  } else {
    map.clear();
    model.clear();
  }
}

test.each(KEYS)('a set of %s does what a Set does', (_, field, key) => {
  const heap = Heap.create({ byteLength: 4 * MiB });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(40), key), { maxLength: 200 }), (steps) => {
      const set = SharedSet.create(heap, field, { shards: 1 }) as SharedSet<Field>;
      const model = new Set<unknown>();
      for (const [act, k] of steps) {
        if (act === 0) {
          set.clear();
          model.clear();
        } else if (act % 3 === 0) expect(set.delete(k as never)).toBe(model.delete(k));
        else if (act % 3 === 1) expect(set.has(k as never)).toBe(model.has(k));
        else {
          expect(set.add(k as never)).toBe(!model.has(k));
          model.add(k);
        }
        set.verify();
      }
      expect(new Set(set)).toEqual(model);
      set.destroy();
      expect(heap.stats().liveBlocks).toBe(0);
    }),
    { numRuns: 40 },
  );
  heap.detach();
});

test.each([
  ['entries', { maxEntries: 12, shards: 2 }],
  ['bytes', { maxBytes: 2048, shards: 2 }],
] as const)('a map with a limit of %s holds a part of what a Map does', (_, options: MapOptions) => {
  const heap = Heap.create({ byteLength: 4 * MiB });
  const step = fc.tuple(
    fc.nat(3),
    fc.nat(60).map((n) => 'long '.repeat(n % 9) + n),
    fc.nat(1000),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), fc.constantFrom<Field>(u32, Pair), (steps, field) => {
      const map = SharedMap.create(heap, string, field, options) as SharedMap<Field, Field>;
      const model = new Map<unknown, unknown>();
      for (const [act, key, n] of steps) {
        const value = field === u32 ? n : { a: n, b: n };
        if (act === 0) map.delete(key as never);
        if (act === 0) model.delete(key);
        if (act === 1) expect([undefined, model.get(key)]).toContainEqual(map.get(key as never));
        if (act <= 1) continue;
        map.set(key as never, value as never);
        model.set(key, value);
        expect(map.get(key as never)).toEqual(value);
        map.verify();
      }
      for (const [key, value] of map) expect(model.get(key)).toEqual(value);
      expect(map.size).toBeLessThanOrEqual(model.size);
      map.destroy();
      expect(heap.stats().liveBlocks).toBe(0);
    }),
    { numRuns: 40 },
  );
  heap.detach();
});

test('keys with the same hash are told apart', () => {
  const heap = Heap.create({ byteLength: 32 * MiB });
  const map = SharedMap.create(heap, string, u32);
  const { keys } = (map as unknown as { core: { keys: { encode(key: string): number } } }).core;
  const seen = new Map<number, string>();
  const same: [string, string][] = [];
  for (let n = 0; same.length < 4 && n < 600_000; n++) {
    const key = `key number ${n} is rather long`.slice(0, 12 + (n % 2) * 14);
    const other = seen.get(keys.encode(key));
    if (other !== undefined && other !== key) same.push([other, key]);
    seen.set(keys.encode(key), key);
  }
  for (const [one, two] of same) {
    map.set(one, 1).set(two, 2);
    expect([map.get(one), map.get(two)]).toEqual([1, 2]);
    map.verify();
    map.delete(one);
    expect([map.get(one), map.get(two)]).toEqual([undefined, 2]);
  }
  heap.detach();
});
