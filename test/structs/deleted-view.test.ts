import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { GiB, NULL } from '../../src/memory/address.ts';
import { array } from '../../src/structs/array-field.ts';
import { atomic } from '../../src/structs/atomic-cell.ts';
import { releaseView } from '../../src/structs/deleted-view.ts';
import { oneOf } from '../../src/structs/one-of.ts';
import { ref } from '../../src/structs/reference.ts';
import { bool, f64, i8, i16, i32, i64, u8 } from '../../src/structs/scalars.ts';
import { create, struct } from '../../src/structs/struct.ts';
import { BumpStore } from './bump-store.ts';

const Point = struct('Point', { x: f64, y: f64 });
const All = struct('All', {
  i8,
  i16,
  i32,
  i64,
  f64,
  bool,
  kind: oneOf('a', 'b'),
  list: array(u8, 3),
  points: array(Point, 2),
  link: ref(Point),
  at: Point,
  count: atomic(i32),
});

/** Of 4 GiB there is only this one; its pages are committed when they are touched. */
const full = BumpStore.create(4 * GiB);
full.next = 4 * GiB - 65_536;

describe.each([
  ['a memory of 1 MiB', BumpStore.create()],
  ['a memory of 4 GiB', full],
])('in %s, the view of a deleted struct', (_, store) => {
  test('has no address, reads undefined and writes nowhere', () => {
    const view = create(All, store, { i8: 1, f64: 2, bool: true, kind: 'b', list: [1, 2, 3], at: { x: 5 } });
    const { address } = view;
    const bytes = store.memory.bytes(address, All.size).slice();
    const firstBytes = store.memory.u8.slice(0, 4096);
    const lastBytes = store.memory.u8.slice(-4096);
    releaseView(view);
    expect(view.address).toBe(NULL);
    for (const name of [
      'i8',
      'i16',
      'i32',
      'i64',
      'f64',
      'bool',
      'kind',
      'list',
      'points',
      'link',
    ] as const) {
      expect(view[name], name).toBe(undefined);
    }
    expect([view.at.address, view.at.x]).toEqual([NULL, undefined]);
    expect(view.addressOf('link')).toBe(undefined);
    view.set({ i8: 7, i16: 7, i32: 7, i64: 7n, f64: 7, bool: true, kind: 'a', list: [7, 7, 7], link: null });
    view.at.x = 7;
    view.set({ at: { x: 7 }, points: [{ x: 7 }, { y: 7 }] });
    expect(store.memory.bytes(address, All.size).slice()).toEqual(bytes);
    expect(store.memory.u8.slice(0, 4096)).toEqual(firstBytes);
    expect(store.memory.u8.slice(-4096)).toEqual(lastBytes);
  });

  test('has cells that throw, those made before too', () => {
    const view = create(All, store);
    const before = view.count;
    before.add(1);
    releaseView(view);
    expect(() => before.load()).toThrow(RangeError);
    expect(() => view.count.store(1)).toThrow(RangeError);
  });

  test('can be moved to another struct', () => {
    const view = create(All, store, { f64: 1 });
    const other = create(All, store, { f64: 2, at: { y: 3 } });
    const { count } = view;
    releaseView(view);
    expect(() => {
      view.address = NULL;
    }).toThrow(new RangeError('no All lies at NULL (address 0)'));
    view.address = other.address;
    expect([view.f64, view.at.y, view.address]).toEqual([2, 3, other.address]);
    view.f64 = 4;
    expect(other.f64).toBe(4);
    expect(count.add(1)).toBe(0);
    expect(other.count.load()).toBe(1);
    releaseView(view);
    expect(view.address).toBe(NULL);
  });

  test('is shown as deleted, and released twice without harm', () => {
    const view = create(Point, store, { x: 1 });
    releaseView(view);
    releaseView(view);
    expect(inspect(view)).toBe('Point (deleted)');
    expect(inspect([view], { depth: 0 })).toBe('[ [Point] ]');
    expect(view.address).toBe(NULL);
  });

  test('does not take others with it', () => {
    const view = create(Point, store, { x: 1 });
    const same = Point.at(store, view.address);
    releaseView(view);
    expect([same.x, same.address === NULL]).toEqual([1, false]);
  });
});

test('releaseView takes views that have an address', () => {
  const store = BumpStore.create();
  for (const wrong of [5, null, undefined, {}, Point, { address: 8 }]) {
    expect(() => releaseView(wrong as never)).toThrow(/^releaseView takes a view of a struct, got /);
  }
  const element = Point.array(store, 1, { layout: 'columns' }).at(0);
  expect(() => releaseView(element)).toThrow(
    new TypeError('releaseView: an element of a columns array of Point has no address'),
  );
});
