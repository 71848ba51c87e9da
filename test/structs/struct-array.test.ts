import { inspect } from 'node:util';
import { serialize } from 'node:v8';
import { describe, expect, test } from 'vitest';
import { AttachError, OutOfMemoryError } from '../../src/errors.ts';
import { type Address, NULL } from '../../src/memory/address.ts';
import { array } from '../../src/structs/array-field.ts';
import { atomic } from '../../src/structs/atomic-cell.ts';
import { oneOf } from '../../src/structs/one-of.ts';
import { ref } from '../../src/structs/reference.ts';
import { bool, f64, i32, i64, u8, u16, u32 } from '../../src/structs/scalars.ts';
import { create, struct } from '../../src/structs/struct.ts';
import { BumpStore } from './bump-store.ts';

const Point = struct('Point', { x: f64, y: f64, id: u32 });
const Pixel = struct('Pixel', { r: u8, g: u8, b: u8 });
const Mixed = struct('Mixed', {
  flag: bool,
  id: u16,
  big: i64,
  kind: oneOf('a', 'b'),
  link: ref(Point),
  at: Pixel,
  list: array(f64, 2),
  count: atomic(i32),
});

describe.each(['rows', 'columns'] as const)('an array in %s', (layout) => {
  test('holds zeroed structs that are all its own', () => {
    const store = BumpStore.create();
    const points = Point.array(store, 5, { layout });
    expect([points.length, points.layout, points.type]).toEqual([5, layout, Point]);
    expect(points.toJSON()).toEqual(Array(5).fill({ x: 0, y: 0, id: 0 }));
    for (let index = 0; index < 5; index++) points.at(index).set({ x: index, y: -index, id: index * 10 });
    expect(points.toJSON()).toEqual([0, 1, 2, 3, 4].map((n) => ({ x: n, y: -n, id: n * 10 })));
    expect([...points].map(({ id }) => id)).toEqual([0, 10, 20, 30, 40]);
  });

  test('holds every kind of field', () => {
    const store = BumpStore.create();
    const point = create(Point, store, { x: 1 });
    const all = Mixed.array(store, 3, { layout });
    const element = all.at(1);
    element.set({
      flag: true,
      id: 5,
      big: -1n,
      kind: 'b',
      link: point,
      at: { g: 9 },
      list: [1, 2],
      count: 7,
    });
    element.at.r = 3;
    element.list[1] = 6;
    element.count.add(1);
    const json = {
      flag: true,
      id: 5,
      big: '-1',
      kind: 'b',
      link: point.address,
      at: { r: 3, g: 9, b: 0 },
      list: [1, 6],
      count: 8,
    };
    expect(element.toJSON()).toEqual(json);
    expect([element.link?.x, element.at.g, element.count.load()]).toEqual([1, 9, 8]);
    const empty = { ...json, flag: false, id: 0, big: '0', kind: 'a', link: null, at: { r: 0, g: 0, b: 0 } };
    expect(all.toJSON()).toEqual([
      { ...empty, list: [0, 0], count: 0 },
      json,
      { ...empty, list: [0, 0], count: 0 },
    ]);
  });

  test('moves a view without making one', () => {
    const store = BumpStore.create();
    const points = Point.array(store, 10, { layout });
    const view = points.at(0);
    for (let index = 0; index < 10; index++) {
      expect(points.at(index, view)).toBe(view);
      view.x = index;
    }
    expect([...points].map(({ x }) => x)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('several views take turns, in several arrays', () => {
    const store = BumpStore.create();
    const arrays = [0, 1, 2].map((n) => {
      const points = Point.array(store, 4, { layout });
      for (let index = 0; index < 4; index++) points.at(index).id = n * 10 + index;
      return points;
    });
    const views = [0, 1, 2, 3].map(() => arrays[0]!.at(0));
    const seen: number[] = [];
    for (let turn = 0; turn < 48; turn++) {
      const points = arrays[turn % 3]!;
      const view = views[(turn >>> 1) % 4]!;
      seen.push(points.at((turn * 7) % 4, view).id - (turn % 3) * 10 - ((turn * 7) % 4));
    }
    expect(seen).toEqual(Array(48).fill(0));
  });

  test('refuses indexes outside', () => {
    const store = BumpStore.create();
    const points = Point.array(store, 3, { layout });
    const view = points.at(0);
    for (const index of [3, -1, 0.5, Number.NaN, 2 ** 32, undefined, null]) {
      expect(() => points.at(index as number)).toThrow(RangeError);
      expect(() => points.at(index as number, view)).toThrow(RangeError);
    }
    expect(() => points.at(3)).toThrow('Point has indexes 0 to 2; got 3');
    expect(() => Point.array(store, 0, { layout }).at(0)).toThrow('Point has no elements; got 0');
  });

  test('refuses to move what is no view of its kind', () => {
    const store = BumpStore.create();
    const points = Point.array(store, 2, { layout });
    const other = Point.array(store, 2, { layout: layout === 'rows' ? 'columns' : 'rows' });
    const elsewhere = Point.array(BumpStore.create(), 2, { layout });
    const wrong = [other.at(0), elsewhere.at(0), Pixel.array(store, 1, { layout }).at(0), {}, null, 5];
    for (const into of wrong) expect(() => points.at(0, into as never)).toThrow(TypeError);
    expect(() => points.at(0, wrong[2] as never)).toThrow(
      `at(index, into) takes a view of Point of the same heap, in ${layout}; got a view of Pixel (the first one comes from at(0))`,
    );
  });

  test('is reopened by its handle, in another thread', () => {
    const store = BumpStore.create();
    const points = Point.array(store, 3, { layout });
    points.at(2).id = 7;
    const handle = structuredClone(points.handle);
    expect(serialize(handle).length).toBeLessThan(100);
    expect(store.shared.has(points.address)).toBe(true);
    const Same = struct('Point', { x: f64, y: f64, id: u32 });
    const opened = Same.arrayAt(store.attach(), handle);
    expect([opened.length, opened.layout, opened.address]).toEqual([3, layout, points.address]);
    opened.at(0).x = 4;
    expect(opened.toJSON()).toEqual(points.toJSON());
    expect(points.at(0).x).toBe(4);
    expect(opened.handle).toEqual(handle);
  });

  test('is freed once, and of no use after', () => {
    const store = BumpStore.create();
    const points = Point.array(store, 3, { layout });
    const view = points.at(0);
    points.free();
    points.free();
    expect(store.blocks.size).toBe(0);
    expect([points.length, points.address, points.toJSON()]).toEqual([0, NULL, []]);
    expect(() => points.at(0)).toThrow(RangeError);
    expect(() => points.at(0, view)).toThrow(RangeError);
    expect(() => points.handle).toThrow(new TypeError('this array of Point was freed'));
    expect(() => points.column('x')).toThrow(new TypeError('this array of Point was freed'));
    expect(inspect(points)).toBe('Point[0] (freed)');
  });

  test('is freed by using, where there is such a thing', () => {
    const store = BumpStore.create();
    const points = Point.array(store, 3, { layout });
    if (Symbol.dispose === undefined) points.free();
    else points[Symbol.dispose]();
    expect(store.blocks.size).toBe(0);
  });

  test('is shown by an inspector and refused by postMessage', () => {
    const store = BumpStore.create();
    const pixels = Pixel.array(store, 2, { layout });
    expect(inspect(pixels)).toBe('Pixel[2] [ Pixel { r: 0, g: 0, b: 0 }, Pixel { r: 0, g: 0, b: 0 } ]');
    expect(inspect(pixels, { depth: -1 })).toBe('[Pixel[2]]');
    expect(inspect(Pixel.array(store, 102, { layout }))).toContain('and 2 more');
    expect(() => structuredClone(pixels)).toThrow(expect.objectContaining({ name: 'DataCloneError' }));
  });

  test('column of an unknown field is refused', () => {
    const points = Point.array(BumpStore.create(), 1, { layout });
    expect(() => points.column('z' as never)).toThrow(new TypeError('Point has no field named "z"'));
  });
});

describe('rows', () => {
  test('lie one after another', () => {
    const store = BumpStore.create();
    const points = Point.array(store, 3);
    expect(points.layout).toBe('rows');
    expect(points.byteLength).toBe(3 * Point.size);
    expect([...points].map(({ address }) => address - points.address)).toEqual([0, 24, 48]);
  });

  test('a column is a window with at and set', () => {
    const points = Point.array(BumpStore.create(), 3);
    const ids = points.column('id');
    ids.set(2, 9);
    expect(points.at(2).id).toBe(9);
    expect([ids.length, ids.at(2), ids.toJSON()]).toEqual([3, 9, [0, 0, 9]]);
    expect(() => ids.at(3)).toThrow('Point[].id has indexes 0 to 2; got 3');
  });

  test('an element can be moved to from outside and back', () => {
    const store = BumpStore.create();
    const points = Point.array(store, 3);
    const alone = create(Point, store, { id: 5 });
    points.at(1, alone).id = 6;
    expect([points.at(1).id, alone.id]).toEqual([6, 6]);
  });
});

describe('columns', () => {
  test('lie one after another, each aligned to 8', () => {
    const store = BumpStore.create();
    const pixels = Pixel.array(store, 3, { layout: 'columns' });
    expect(pixels.byteLength).toBe(24);
    pixels.at(1).set({ r: 1, g: 2, b: 3 });
    expect([...store.memory.bytes(pixels.address, 24)]).toEqual(
      [1, 2, 3].flatMap((value) => [0, value, 0, 0, 0, 0, 0, 0]),
    );
  });

  test('a column of numbers is a typed array over the shared bytes', () => {
    const store = BumpStore.create();
    const all = Mixed.array(store, 3, { layout: 'columns' });
    const ids = all.column('id');
    expect(ids).toBeInstanceOf(Uint16Array);
    expect(ids.buffer).toBe(store.memory.buffer);
    ids.set([1, 2, 3]);
    expect([...all].map(({ id }) => id)).toEqual([1, 2, 3]);
    all.at(2).big = 5n;
    expect(all.column('big')).toEqual(new BigInt64Array([0n, 0n, 5n]));
  });

  test('other columns are windows with at and set', () => {
    const store = BumpStore.create();
    const all = Mixed.array(store, 2, { layout: 'columns' });
    all.column('flag').set(1, true);
    all.column('kind').set(1, 'b');
    all.column('at').set(1, { b: 4 });
    all.column('list').set(1, [3, 4]);
    all.column('count').at(1).add(2);
    expect(all.at(1).toJSON()).toMatchObject({ flag: true, kind: 'b', at: { b: 4 }, list: [3, 4], count: 2 });
    expect(all.at(0).toJSON()).toMatchObject({ flag: false, kind: 'a', list: [0, 0], count: 0 });
  });

  test('an element has no address', () => {
    const element = Point.array(BumpStore.create(), 1, { layout: 'columns' }).at(0);
    const refused = new TypeError('an element of a columns array of Point has no address of its own');
    expect(() => element.address).toThrow(refused);
    expect(() => {
      element.address = 8;
    }).toThrow(refused);
  });
});

describe('array() refuses', () => {
  test('bad lengths and layouts', () => {
    const store = BumpStore.create();
    for (const length of [-1, 0.5, Number.NaN, '3', undefined, 2 ** 53]) {
      expect(() => Point.array(store, length as number)).toThrow(RangeError);
    }
    expect(() => Point.array(store, -1)).toThrow(
      'length must be an integer from 0 to 9007199254740991, got -1',
    );
    expect(() => Point.array(store, 1, { layout: 'diagonal' as never })).toThrow(
      new TypeError(`layout must be 'rows' or 'columns', got "diagonal"`),
    );
  });

  test('what does not fit', () => {
    const store = BumpStore.create();
    for (const length of [100_000, 2 ** 32, 2 ** 53 - 1]) {
      expect(() => Point.array(store, length)).toThrow(OutOfMemoryError);
      expect(() => Point.array(store, length, { layout: 'columns' })).toThrow(OutOfMemoryError);
    }
    expect(() => Point.array(store, 100_000)).toThrow(
      'no free block for 2400000 bytes; an array of 100000 Point in rows',
    );
    expect(store.blocks.size).toBe(0);
  });
});

describe('arrayAt() refuses', () => {
  const store = BumpStore.create();
  const { handle } = Point.array(store, 3);

  test('what is no handle', () => {
    for (const wrong of [undefined, null, 5, 'handle']) {
      expect(() => Point.arrayAt(store, wrong as never)).toThrow(
        `arrayAt takes the handle of an array of Point, got ${typeof wrong === 'string' ? '"handle"' : wrong}`,
      );
    }
    expect(() => Point.arrayAt(store, {} as never)).toThrow(TypeError);
    expect(() => Point.arrayAt(store, { ...handle, length: -1 })).toThrow(RangeError);
    expect(() => Point.arrayAt(store, { ...handle, layout: 'x' as never })).toThrow(TypeError);
  });

  test('the handle of another struct', () => {
    expect(() => Pixel.arrayAt(store, handle)).toThrow(AttachError);
    expect(() => Point.arrayAt(store, { ...handle, hash: 5 })).toThrow(
      /^the handle is of an array with layout hash 0x00000005, not of Point with 0x[0-9a-f]{8}$/,
    );
  });

  test('places where no such array can lie', () => {
    const at = (address: number, length = 3) =>
      expect(() => Point.arrayAt(store, { ...handle, address: address as Address, length }));
    at(0).toThrow(RangeError);
    at(12).toThrow(RangeError);
    at(-8).toThrow(RangeError);
    at(2 ** 32 + 8).toThrow(RangeError);
    at(store.memory.byteLength - 48).toThrow('3 Point at 0x000fffd0 reach past the end of the memory');
    at(handle.address, 2 ** 31).toThrow('reach past the end of the memory');
  });
});
