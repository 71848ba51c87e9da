import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { array, bytes } from '../../src/structs/array-field.ts';
import { atomic } from '../../src/structs/atomic-cell.ts';
import { FixedArray } from '../../src/structs/fixed-array.ts';
import { oneOf } from '../../src/structs/one-of.ts';
import { ref } from '../../src/structs/reference.ts';
import { bool, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64 } from '../../src/structs/scalars.ts';
import { create, struct } from '../../src/structs/struct.ts';
import { BumpStore } from './bump-store.ts';

const store = BumpStore.create();
const Point = struct('Point', { x: f64, y: f64 });

const Numbers = struct('Numbers', {
  i8: array(i8, 3),
  u8: array(u8, 3),
  i16: array(i16, 3),
  u16: array(u16, 3),
  i32: array(i32, 3),
  u32: array(u32, 3),
  i64: array(i64, 3),
  u64: array(u64, 3),
  f32: array(f32, 3),
  f64: array(f64, 3),
  raw: bytes(3),
});

describe('arrays of numbers', () => {
  const classes = {
    i8: Int8Array,
    u8: Uint8Array,
    i16: Int16Array,
    u16: Uint16Array,
    i32: Int32Array,
    u32: Uint32Array,
    f32: Float32Array,
    f64: Float64Array,
    raw: Uint8Array,
  } as const;

  test.each(Object.entries(classes))('%s reads as a typed array over the shared bytes', (kind, Typed) => {
    const name = kind as keyof typeof classes;
    const view = create(Numbers, store);
    const elements = view[name];
    expect(elements).toBeInstanceOf(Typed);
    expect(elements.buffer).toBe(store.memory.buffer);
    expect(elements.byteOffset).toBe(view.address + Numbers.offsetOf(name));
    fc.assert(
      fc.property(fc.array(fc.double(), { minLength: 3, maxLength: 3 }), (numbers) => {
        view[name] = numbers as never;
        expect(elements).toEqual(new Typed(numbers));
      }),
    );
  });

  test('bigints are read and written as typed arrays of bigints', () => {
    const view = create(Numbers, store, { i64: [-1n, 2n, 3n], u64: [1n, 2n, 2n ** 64n - 1n] });
    expect(view.i64).toEqual(new BigInt64Array([-1n, 2n, 3n]));
    expect(view.u64[2]).toBe(2n ** 64n - 1n);
    expect(() => view.set({ i64: [1, 2, 3] as never })).toThrow(TypeError);
  });

  test('assignment copies from arrays, typed arrays, iterables and array-likes', () => {
    const view = create(Numbers, store);
    const sources: unknown[] = [
      [1, 2, 3],
      new Uint8Array([1, 2, 3]),
      new Set([1, 2, 3]),
      { length: 3, 0: 1, 1: 2, 2: 3 },
      create(Numbers, store, { f64: [1, 2, 3] }).f64,
      (function* () {
        yield* [1, 2, 3];
      })(),
    ];
    for (const source of sources) {
      view.f64.fill(0);
      view.set({ f64: source as number[] });
      expect([...view.f64]).toEqual([1, 2, 3]);
    }
  });

  test('assignment to itself and to what overlaps it copies right', () => {
    const Two = struct('Two', { a: array(u32, 4) });
    const view = create(Two, store, { a: [1, 2, 3, 4] });
    const { a } = view;
    view.a = a;
    expect([...view.a]).toEqual([1, 2, 3, 4]);
  });

  test('exactly as many elements are wanted', () => {
    const view = create(Numbers, store);
    const sources: unknown[] = [[1, 2], [1, 2, 3, 4], new Float64Array(4), new Set([1]), { length: 2 }];
    for (const source of sources) {
      expect(() => view.set({ f64: source as number[] })).toThrow(RangeError);
    }
    expect(() => view.set({ f64: [1, 2] })).toThrow('Numbers.f64 takes exactly 3 elements; got 2');
    const endless = (function* () {
      for (;;) yield 1;
    })();
    expect(() => view.set({ f64: endless })).toThrow('Numbers.f64 takes exactly 3 elements; got more');
  });

  test('what is no list is refused', () => {
    const view = create(Numbers, store);
    for (const wrong of [5, '123', null, {}, true]) {
      expect(() => view.set({ f64: wrong as never })).toThrow(TypeError);
    }
    expect(() => view.set({ raw: '123' as never })).toThrow(
      'Numbers.raw takes an array or an iterable of 3 elements; got "123"',
    );
  });
});

const Mixed = struct('Mixed', {
  flags: array(bool, 3),
  colours: array(oneOf('red', 'green'), 2),
  points: array(Point, 2),
  links: array(ref(Point), 2),
  counts: array(atomic(i32), 2),
  grid: array(array(u8, 2), 2),
});

describe('arrays of other fields', () => {
  test('read as fixed arrays with at, set, length and an iterator', () => {
    const view = create(Mixed, store, { flags: [true, false, true], colours: ['green', 'red'] });
    expect(view.flags).toBeInstanceOf(FixedArray);
    expect(view.flags).toHaveLength(3);
    expect([...view.flags]).toEqual([true, false, true]);
    view.flags.set(1, true);
    expect(view.flags.at(1)).toBe(true);
    expect([...view.colours]).toEqual(['green', 'red']);
    expect(() => view.colours.set(0, 'blue' as never)).toThrow('Mixed.colours[] takes one of "red", "green"');
  });

  test('structs are views, set by fields or by another view', () => {
    const view = create(Mixed, store);
    view.points.set(1, { x: 1, y: 2 });
    expect(view.points.at(1).y).toBe(2);
    view.points.at(0).x = 7;
    view.points = [view.points.at(1), { x: 9 }] as never;
    expect(view.points.toJSON()).toEqual([
      { x: 1, y: 2 },
      { x: 9, y: 2 },
    ]);
  });

  test('refs link and unlink', () => {
    const point = create(Point, store, { x: 3 });
    const view = create(Mixed, store, { links: [point, null] });
    expect(view.links.at(0)?.x).toBe(3);
    expect(view.links.at(1)).toBe(null);
    expect(view.links.toJSON()).toEqual([point.address, null]);
    view.links.set(0, null);
    expect([...view.links]).toEqual([null, null]);
  });

  test('atomics are cells', () => {
    const view = create(Mixed, store, { counts: [5, 6] });
    expect(view.counts.at(1).add(4)).toBe(6);
    view.counts.set(0, 1);
    expect(view.counts.toJSON()).toEqual([1, 10]);
  });

  test('arrays of arrays', () => {
    const view = create(Mixed, store, {
      grid: [
        [1, 2],
        [3, 4],
      ],
    });
    expect(view.grid.at(1)).toEqual(new Uint8Array([3, 4]));
    expect(view.grid.toJSON()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(() => view.grid.set(0, [1])).toThrow('Mixed.grid[] takes exactly 2 elements; got 1');
  });

  test('an index outside is refused', () => {
    const { flags } = create(Mixed, store);
    for (const index of [3, -1, 0.5, Number.NaN, 2 ** 32]) {
      expect(() => flags.at(index)).toThrow(RangeError);
      expect(() => flags.set(index, true)).toThrow(RangeError);
    }
    expect(() => flags.at(3)).toThrow('Mixed.flags has indexes 0 to 2; got 3');
  });

  test('an inspector shows the elements, posting throws', () => {
    const { flags } = create(Mixed, store);
    expect(inspect(flags)).toBe('Mixed.flags [ false, false, false ]');
    expect(inspect(flags, { depth: -1 })).toBe('[Mixed.flags]');
    expect(() => structuredClone(flags)).toThrow(expect.objectContaining({ name: 'DataCloneError' }));
  });
});

test('an array stays where it is when its view moves on', () => {
  const first = create(Numbers, store, { f64: [1, 2, 3] });
  const second = create(Numbers, store, { f64: [4, 5, 6] });
  const { f64: elements } = first;
  first.address = second.address;
  expect([...elements]).toEqual([1, 2, 3]);
  expect([...first.f64]).toEqual([4, 5, 6]);
});

test('array and bytes refuse bad fields and counts', () => {
  for (const count of [0, -1, 1.5, Number.NaN, 2 ** 32, '3', undefined]) {
    expect(() => array(f64, count as number)).toThrow(RangeError);
    expect(() => bytes(count as number)).toThrow(RangeError);
  }
  expect(() => array(f64, 0)).toThrow('the count of array must be an integer from 1 to 4294967295, got 0');
  expect(() => bytes(-1)).toThrow('the count of bytes must be an integer from 1 to 4294967295, got -1');
  for (const wrong of [5, 'f64', null, {}, Float64Array])
    expect(() => array(wrong as never, 2)).toThrow(TypeError);
  expect(() => array(5 as never, 2)).toThrow(
    'array takes a field, such as f64, ref(Node) or another struct; got 5',
  );
  expect(() => array(undefined as never, 2)).toThrow('goes in a getter: get next() { return ref(Node); }');
});
