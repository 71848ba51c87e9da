/** Structs by way of the heap: new, at, delete, and what each says to bad input. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InvalidFreeError, OutOfMemoryError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, KiB, NULL } from '../../src/memory/address.ts';
import type { View } from '../../src/structs/inference.ts';
import { f64, u32, u64 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

const Point = struct('Point', { x: f64, y: f64, id: u32 });
const Count = struct('Count', { n: u64 });
let heap: Heap;

beforeEach(() => {
  heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 2 });
});

afterEach(() => heap.detach());

describe('new', () => {
  test('gives a zeroed struct with what was said, also where others wrote before', () => {
    const dirty = heap.alloc(Point.size);
    heap.memory.u8.fill(0xff, dirty, dirty + heap.sizeOf(dirty));
    heap.free(dirty);
    const point = heap.new(Point, { y: 2.5 });
    expect(point.address).toBe(dirty);
    expect(point).toMatchObject({ x: 0, y: 2.5, id: 0 });
    expect(heap.stats()).toMatchObject({ liveBlocks: 1 });
    expect(heap.sizeOf(point.address)).toBeGreaterThanOrEqual(Point.size);
    expect([...heap.blocks()].find(({ address }) => address === dirty)).toMatchObject({
      state: 'live',
      owner: 1,
    });
  });

  test('leaves nothing allocated when init is wrong', () => {
    for (const init of [{ z: 1 }, { x: 1, id: -1n }, { y: Symbol('y') }]) {
      expect(() => heap.new(Point, init as never)).toThrow(TypeError);
    }
    expect(heap.stats().liveBlocks).toBe(0);
    expect(() => heap.new({} as never)).toThrow();
    expect(() => heap.new(undefined as never)).toThrow(TypeError);
  });

  test('throws OutOfMemoryError in a full heap', () => {
    const points: View<typeof Point>[] = [];
    expect(() => {
      for (;;) points.push(heap.new(Point));
    }).toThrow(OutOfMemoryError);
    expect(points.length).toBeGreaterThan(5000);
    for (const point of points) heap.delete(point);
    heap.flush();
    heap.verify();
    expect(heap.stats()).toMatchObject({ used: 0, liveBlocks: 0 });
  });
});

describe('at', () => {
  test('shows the struct at an address', () => {
    const point = heap.new(Point, { x: 1, id: 7 });
    const same = heap.at(Point, point.address);
    expect(same).toMatchObject({ x: 1, id: 7 });
    same.x = 9;
    expect(point.x).toBe(9);
    const array = heap.allocZeroed(10 * Count.size);
    heap.at(Count, (array + 3 * Count.size) as Address).n = 5n;
    expect(heap.memory.u64[(array + 3 * Count.size) / 8]).toBe(5n);
  });

  test('wants an aligned address that the struct fits at', () => {
    const end = heap.memory.byteLength;
    for (const address of [NULL, 4, 12, -8, 8.5, end, end - 8, 2 ** 32, Number.NaN, undefined, '8']) {
      expect(() => heap.at(Point, address as Address), String(address)).toThrow(RangeError);
    }
    expect(heap.at(Count, (end - 8) as Address).n).toBeTypeOf('bigint');
  });
});

describe('delete', () => {
  test('frees the block and leaves the view without an address', () => {
    const point = heap.new(Point, { x: 1 });
    heap.delete(point);
    expect(point.address).toBe(NULL);
    expect(heap.stats().liveBlocks).toBe(0);
    expect(() => heap.delete(point)).toThrow(InvalidFreeError);
    expect(() => heap.delete(point)).toThrow('the view was deleted already');
    const again = heap.new(Point, { x: 2 });
    point.x = 7;
    expect(again.x).toBe(2);
  });

  test('by one of two views makes the other a dangling one, whose delete is a double free', () => {
    const point = heap.new(Point);
    const other = heap.at(Point, point.address);
    heap.delete(point);
    expect(() => heap.delete(other)).toThrow(InvalidFreeError);
  });

  test('of a struct inside a block is refused', () => {
    const block = heap.allocZeroed(10 * Point.size);
    const third = heap.at(Point, (block + 2 * Point.size) as Address);
    expect(() => heap.delete(third)).toThrow(InvalidFreeError);
    expect(third.address).toBe(block + 2 * Point.size);
    expect(heap.stats().liveBlocks).toBe(1);
  });

  test('wants a view', () => {
    for (const value of [undefined, null, 7, 'view', heap.new(Count).address]) {
      expect(() => heap.delete(value as never), String(value)).toThrow(
        'delete takes a view of a struct, got',
      );
    }
    expect(() => heap.delete({} as never)).toThrow();
    expect(heap.stats().liveBlocks).toBe(1);
  });
});
