/** union: an owning field of one of several types, told apart by the block's layout hash. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { Box, box } from '../../src/containers/box.ts';
import { union } from '../../src/containers/union.ts';
import { HeapCorruptionError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { fieldSpelled } from '../../src/structs/schema.ts';
import { struct } from '../../src/structs/struct.ts';

const Circle = struct('Circle', { radius: f64 });
const Square = struct('Square', { side: f64 });
const Line = struct('Line', { length: f64 });
const Group = struct('Group', {
  id: u32,
  get first() {
    return union(Circle, Square, Group);
  },
  get second() {
    return union(Circle, Square, Group);
  },
  get circle() {
    return box(Circle);
  },
});

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 2 * MiB });
});
afterEach(() => {
  heap.verify();
  heap.detach();
});
const live = (): number => heap.stats().liveBlocks;

test('reads as a view of the type that it holds', () => {
  const group = heap.new(Group, { first: { type: Circle, init: { radius: 2 } }, second: { type: Square } });
  const { first, second } = group;
  expect([Circle.is(first), Square.is(first), Square.is(second), Circle.is(null)]).toEqual([
    true,
    false,
    true,
    false,
  ]);
  expect(Circle.is(first) && first.radius).toBe(2);
  expect(Square.is(second) && second.side).toBe(0);
  expect(live()).toBe(3);
  group.set({ first: { type: Group, init: { second: { type: Circle, init: { radius: 3 } } } } });
  const inner = Group.is(group.first) ? group.first.second : null;
  expect(Circle.is(inner) && inner.radius).toBe(3);
  expect(live()).toBe(4);
  heap.delete(group);
  expect(live()).toBe(0);
});

test('takes Boxes and views of its types, and null', () => {
  const group = heap.new(Group, { circle: { radius: 7 } });
  const square = Box.create(heap, Square, { side: 1 });
  group.set({ first: square });
  expect(square.moved).toBe(true);
  group.second = group.first;
  expect(live()).toBe(4);
  group.first = group.circle;
  expect(Circle.is(group.first) && group.first.radius).toBe(7);
  const same = group.first;
  group.first = same;
  group.second = null;
  expect(group.second).toBeNull();
  expect(live()).toBe(3);
  heap.delete(group);
});

test('gives its struct out as a Box of its type, which fits a box field', () => {
  const group = heap.new(Group, { first: { type: Circle, init: { radius: 4 } } });
  const taken = Box.take(group, 'first')!;
  expect([taken.type, group.first]).toEqual([Circle, null]);
  group.set({ circle: taken as Box<typeof Circle> });
  expect(group.circle!.radius).toBe(4);
  expect(Box.take(group, 'first')).toBeNull();
  heap.delete(group);
  expect(live()).toBe(0);
});

test('what it loads can be assigned to it again', () => {
  const group = heap.new(Group, {
    id: 1,
    first: { type: Group, init: { first: { type: Circle, init: { radius: 4 } } } },
  });
  const copy = Group.bind(heap).load!(group.address) as { first: object };
  expect(copy.first).toMatchObject({ type: Group, init: { first: { type: Circle, init: { radius: 4 } } } });
  const again = heap.new(Group, copy as never);
  expect(JSON.stringify(again)).toBe(JSON.stringify(group));
  expect(again.toJSON().first).toMatchObject({ type: 'Group', init: { first: { type: 'Circle' } } });
  heap.delete(again);
  heap.delete(group);
  expect(live()).toBe(0);
});

test('refuses other types and forms', () => {
  const group = heap.new(Group);
  const line = Box.create(heap, Line);
  const cases: [unknown, string][] = [
    [line, 'Group.first owns Circle or Square or Group; got a Box of Line'],
    [line.value, 'got a view of Line'],
    [{ type: Line }, 'got an object'],
    [{ radius: 1 }, '{ type: Circle, init: { … } }'],
    [undefined, ''],
    [5, 'got 5'],
    [{ type: Circle, init: 5 }, 'Circle takes an object of field values'],
    [{ type: Circle, init: { side: 1 } }, 'Circle has no field named'],
  ];
  for (const [given, message] of cases) {
    if (given !== undefined) expect(() => group.set({ first: given as never })).toThrow(message);
  }
  expect([group.first, live()]).toEqual([null, 2]);
  line.drop();
  heap.delete(group);
  expect(group.first).toBeUndefined();
  group.set({ first: { type: Circle } });
  expect(live()).toBe(0);
});

test('reports a block of no known type', () => {
  const group = heap.new(Group, { first: { type: Circle } });
  heap.memory.u32[(group.first!.address - 4) >>> 2] = 7;
  expect(() => group.first).toThrow(HeapCorruptionError);
  heap.memory.u32[(group.address + 4) >>> 2] = 0;
  heap.delete(group);
});

test('is spelled and checked', () => {
  expect(fieldSpelled('union("Circle","Square")').describe()).toBe('union("Circle","Square")');
  expect(() => (union as () => unknown)()).toThrow('one struct type or more');
  expect(() => union(Circle, undefined as never)).toThrow('use a getter');
  expect(() => union(Circle, Circle)).toThrow('union is given Circle twice');
});
