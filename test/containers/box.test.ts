/** Box: one owner at a time, whichever way the block goes; and the field `box(T)`. */

import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Box, box } from '../../src/containers/box.ts';
import {
  AttachError,
  HeapCorruptionError,
  OutOfMemoryError,
  SabheapError,
  UseAfterMoveError,
} from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, KiB, MiB, NULL } from '../../src/memory/address.ts';
import { array } from '../../src/structs/array-field.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { fieldSpelled } from '../../src/structs/schema.ts';
import { struct } from '../../src/structs/struct.ts';

const Point = struct('Point', { x: f64, y: f64 });
const Other = struct('Other', { x: f64 });
const Tree = struct('Tree', {
  value: u32,
  get left() {
    return box(Tree);
  },
  get right() {
    return box(Tree);
  },
});
const Wide = struct('Wide', {
  get some() {
    return array(box(Point), 3);
  },
  one: Tree,
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
const stateOf = (address: Address) =>
  [...heap.blocks()].find((block) => block.address === address)?.state ?? 'none';

describe('an owner', () => {
  test('owns a struct until it drops it', () => {
    const point = Box.create(heap, Point, { x: 1 });
    point.value.y = 2;
    expect(point.value).toBe(point.value);
    expect([point.value.x, point.value.y, point.moved]).toEqual([1, 2, false]);
    expect(stateOf(point.address)).toBe('live');
    const view = point.value;
    point.drop();
    expect(live()).toBe(0);
    expect(view.address).toBe(NULL);
    expect(view.x).toBeUndefined();
    expect(() => point.value).toThrow('this Box of Point was dropped');
    expect(() => point.move()).toThrow(ReferenceError);
    point.drop();
    point.release();
    expect(point.moved).toBe(false);
  });

  test('is dropped by `using`', () => {
    const point = Box.create(heap, Point);
    (point as unknown as Record<symbol, () => void>)[Symbol.dispose]!();
    expect(live()).toBe(0);
  });

  test('gives a view of its own struct, even after its last one was moved elsewhere', () => {
    const one = Box.create(heap, Point, { x: 1 });
    const two = Box.create(heap, Point, { x: 2 });
    const view = one.value;
    view.address = two.value.address;
    expect(one.value.x).toBe(1);
    one.drop();
    view.address = two.value.address;
    expect(view.x).toBe(2);
    two.drop();
  });

  test('copies what a view shows', () => {
    const tree = Box.create(heap, Tree, { value: 1, left: { value: 2, right: { value: 3 } } });
    const copy = Box.create(heap, Tree, tree.value);
    tree.drop();
    expect(copy.value.left!.right!.value).toBe(3);
    expect(live()).toBe(3);
    copy.drop();
    expect(live()).toBe(0);
  });

  test('cannot be posted, and has no handle that leaves it its own', () => {
    const point = Box.create(heap, Point);
    expect(() => structuredClone(point)).toThrow('could not be cloned');
    expect(() => point.handle).toThrow('the Box of Point has one owner: move()');
    point.drop();
  });

  test('shows itself to people and tools', () => {
    const tree = Box.create(heap, Tree, { value: 1, left: { value: 2 } });
    expect(JSON.stringify(tree)).toBe('{"value":1,"left":{"value":2,"left":null,"right":null},"right":null}');
    expect(inspect(tree)).toMatch(/^Box\(Tree \{\s+value: 1,\s+left: Tree \{/);
    tree.move();
    expect(inspect(tree)).toBe('Box of Tree (moved)');
    expect(JSON.stringify(tree)).toBe('null');
  });
});

describe('a move', () => {
  test('ends this Box; another one receives the struct, once', () => {
    const sent = Box.create(heap, Point, { x: 5 });
    const view = sent.value;
    const { address } = sent;
    const handle = sent.move();
    expect(JSON.stringify(handle).length).toBeLessThan(100);
    expect(structuredClone(handle)).toEqual(handle);
    expect(stateOf(address)).toBe('flight');
    expect([sent.moved, sent.address, view.address]).toEqual([true, NULL, NULL]);
    for (const use of [() => sent.value, () => sent.move(), () => sent.intoAddress()]) {
      expect(use).toThrow(UseAfterMoveError);
    }
    sent.drop();
    expect(live()).toBe(1);
    const received = Box.open(heap, handle);
    expect(received.value.x).toBe(5);
    expect(stateOf(address)).toBe('live');
    expect(() => Box.open(heap, handle)).toThrow('not on its way: it was received already');
    received.drop();
    expect(() => Box.open(heap, handle)).toThrow(AttachError);
    expect(live()).toBe(0);
  });

  test('is refused as anything else, and still arrives afterwards', () => {
    const handle = Box.create(heap, Point, { x: 5 }).move();
    expect(() => Box.open(heap, handle as never, Other)).toThrow('was made for Point');
    expect(() => Box.open(heap, { ...handle, kind: 'Arc' } as never)).toThrow('is of an Arc');
    expect(() => Box.open(heap, 7 as never)).toThrow(TypeError);
    const other = Heap.create({ byteLength: MiB });
    expect(() => Box.open(other, handle)).toThrow(AttachError);
    other.detach();
    Box.open(heap, handle, Point).drop();
  });

  test('a later block at the same address is not what was sent', () => {
    const bare = Heap.create({ byteLength: MiB, cache: false });
    const handle = Box.create(bare, Point).move();
    Box.open(bare, handle).drop();
    const later = Box.create(bare, Point);
    expect(later.move().address).toBe(handle.address);
    expect(() => Box.open(bare, handle)).toThrow('destroyed since its handle was made');
    expect(bare.tryReceive(handle.address, handle.generation)).toBe(false);
    bare.detach();
  });

  test('by address: the block belongs to nobody until it is adopted', () => {
    const address = Box.create(heap, Point, { x: 5 }).intoAddress();
    expect(stateOf(address)).toBe('shared');
    expect(() => Box.fromAddress(heap, address, Other as never)).toThrow(AttachError);
    const adopted = Box.fromAddress(heap, address);
    expect(stateOf(address)).toBe('live');
    adopted.drop();
    const block = heap.alloc(16);
    heap.memory.zero(block, 16);
    expect(() => Box.fromAddress(heap, block)).toThrow('no known kind');
    expect(() => Box.fromAddress(heap, 12 as Address)).toThrow(RangeError);
    heap.free(block);
  });
});

describe('what cannot be', () => {
  test('a struct that cannot be filled in leaves nothing', () => {
    const bad = { value: 1, left: { value: 2, right: { colour: 1 } } };
    expect(() => Box.create(heap, Tree, bad as never)).toThrow('Tree has no field named "colour"');
    expect(() => Box.create(heap, Tree, { left: 5 } as never)).toThrow(
      'Tree takes an object of field values',
    );
    expect(() => Box.create(heap, Tree, 5 as never)).toThrow(TypeError);
    expect(live()).toBe(0);
  });

  test('a heap without room says so, and holds what it held', () => {
    const fill: Address[] = [];
    for (let block = heap.alloc(16); block !== NULL; block = heap.alloc(16)) fill.push(block);
    expect(() => Box.create(heap, Tree)).toThrow(OutOfMemoryError);
    for (const block of fill.splice(0, 2)) heap.free(block);
    heap.flush();
    const before = live();
    expect(() => Box.create(heap, Tree, { left: { left: { left: {} } } })).toThrow(OutOfMemoryError);
    expect(live()).toBe(before);
    for (const block of fill) heap.free(block);
  });

  test('a Box in an arena is used and dropped there, but not handed off', () => {
    const arena = heap.arena(KiB);
    const tree = Box.create(arena, Tree, { value: 1, left: { value: 2 } });
    expect(tree.value.left!.value).toBe(2);
    expect(() => tree.move()).toThrow('lies in an arena');
    const owner = Box.create(heap, Tree);
    expect(() => owner.value.set({ left: tree })).toThrow('lies in an arena');
    expect(tree.moved).toBe(false);
    owner.drop();
    tree.drop();
    arena.release();
    expect(live()).toBe(0);
  });
});

describe('the field', () => {
  test('is null at first, takes values, Boxes, views and null', () => {
    const tree = heap.new(Tree, { value: 1 });
    expect(tree.left).toBeNull();
    tree.set({ left: { value: 2 } });
    const moved = Box.create(heap, Tree, { value: 3 });
    const { address } = moved;
    tree.set({ right: moved });
    expect(moved.moved).toBe(true);
    expect(tree.right!.address).toBe(address + 8);
    expect(stateOf(address)).toBe('shared');
    tree.left = tree.right;
    expect(tree.left!.value).toBe(3);
    expect(tree.left!.address).not.toBe(tree.right!.address);
    expect(live()).toBe(3);
    tree.right = null;
    expect(live()).toBe(2);
    heap.delete(tree);
    expect(live()).toBe(0);
  });

  test('drops what it held once the new value is in place', () => {
    const tree = heap.new(Tree, { left: { value: 1, left: { value: 2, right: { value: 3 } } } });
    tree.left = tree.left!.left;
    expect([tree.left!.value, tree.left!.right!.value, live()]).toEqual([2, 3, 3]);
    expect(() => tree.set({ left: { value: 9, left: { colour: 1 } } } as never)).toThrow(TypeError);
    expect([tree.left!.value, live()]).toEqual([2, 3]);
    const { address } = tree.left!;
    const same = tree.left;
    tree.left = same;
    expect(tree.left!.address).toBe(address);
    heap.delete(tree);
  });

  test('what is made while a struct is filled in is whole at once', () => {
    const tree = heap.new(Tree);
    const init = {
      get value() {
        tree.set({ right: { value: 4, left: { value: 5 } } });
        return tree.right!.left!.value;
      },
      left: { value: 6 },
    };
    tree.set({ left: init });
    expect([tree.left!.value, tree.left!.left!.value, tree.right!.left!.value]).toEqual([5, 6, 5]);
    heap.delete(tree);
  });

  test('nested structs and arrays of boxes are dropped with their struct', () => {
    const wide = heap.new(Wide, { some: [{ x: 1 }, null, { x: 3 }], one: { left: { value: 1 } } });
    expect([live(), wide.some.at(2)!.x, wide.some.at(1)]).toEqual([4, 3, null]);
    wide.some.set(0, null);
    expect(live()).toBe(3);
    heap.delete(wide);
    expect(live()).toBe(0);
  });

  test('gives its struct out as a Box', () => {
    const tree = heap.new(Tree, { left: { value: 2 } });
    const left = Box.take(tree, 'left')!;
    expect([left.value.value, tree.left, stateOf(left.address)]).toEqual([2, null, 'live']);
    expect(Box.take(tree, 'left')).toBeNull();
    expect(() => Box.take(tree, 'value' as never)).toThrow('Tree.value is u32');
    expect(() => Box.take(tree, 'colour' as never)).toThrow('no field named');
    left.drop();
    heap.delete(tree);
  });

  test('refuses other structs, other heaps, and the Box that it lies in', () => {
    const tree = Box.create(heap, Tree);
    const point = Box.create(heap, Point);
    expect(() => tree.value.set({ left: point as never })).toThrow('Tree.left owns Tree; got a Box of Point');
    expect(() => tree.value.set({ left: point.value as never })).toThrow('takes no view of Point');
    expect(() => tree.value.set({ left: tree })).toThrow('cannot own the Box that it lies in');
    const other = Heap.create({ byteLength: MiB });
    const foreign = Box.create(other, Tree);
    expect(() => tree.value.set({ left: foreign })).toThrow('another heap');
    const gone = Box.create(heap, Tree);
    gone.drop();
    expect(() => tree.value.set({ left: gone })).toThrow('was dropped');
    expect([tree.value.left, foreign.moved, point.moved]).toEqual([null, false, false]);
    other.detach();
    tree.drop();
    point.drop();
  });

  test('of a deleted struct reads undefined and takes nothing', () => {
    const tree = heap.new(Tree);
    heap.delete(tree);
    const moved = Box.create(heap, Tree);
    tree.set({ left: moved, right: { value: 1 } });
    expect([tree.left, moved.moved, live()]).toEqual([undefined, false, 1]);
    tree.left = null;
    moved.drop();
  });

  test('reports what is no struct', () => {
    const tree = heap.new(Tree, { left: {} });
    heap.memory.u32[(tree.left!.address - 8) >>> 2] = 7;
    expect(() => tree.left).toThrow(HeapCorruptionError);
    expect(() => heap.delete(tree)).toThrow(HeapCorruptionError);
  });

  test('is spelled and checked', () => {
    expect(fieldSpelled('box("Tree")').describe()).toBe('box("Tree")');
    expect(() => box(f64 as never)).toThrow('box takes a struct type');
    expect(() => box(undefined as never)).toThrow('use a getter');
  });
});

describe('however deep', () => {
  const COUNT = 1_000_000;

  test('a list of 1,000,000 nodes is dropped, copied and loaded without a stack', () => {
    const big = Heap.create({ byteLength: 128 * MiB });
    let list = Box.create(big, Tree, { value: 0 });
    for (let value = 1; value < COUNT; value++) list = Box.create(big, Tree, { value, left: list });
    const copy = Box.create(big, Tree, list.value);
    expect(big.stats().liveBlocks).toBe(2 * COUNT);
    list.drop();
    let node = Tree.bind(big).load!(copy.value.address) as { value: number; left: typeof node } | null;
    let seen = 0;
    let inOrder = true;
    for (; node !== null; node = node.left) inOrder &&= node.value === COUNT - ++seen;
    expect(inOrder).toBe(true);
    expect(seen).toBe(COUNT);
    copy.drop();
    expect(big.stats().liveBlocks).toBe(0);
    big.flush();
    big.verify();
    big.detach();
  });
});

test('random trees are what their JavaScript twins are, and leave nothing', () => {
  interface Twin {
    value: number;
    left?: Twin | null;
    right?: Twin | null;
  }
  const { tree: twins } = fc.letrec<{ tree: Twin }>((tie) => ({
    tree: fc.record(
      {
        value: fc.nat(1000),
        left: fc.option(tie('tree'), { maxDepth: 5, depthIdentifier: 'tree' }),
        right: fc.option(tie('tree'), { maxDepth: 5, depthIdentifier: 'tree' }),
      },
      { requiredKeys: ['value'] },
    ),
  }));
  const steps = fc.array(
    fc.tuple(fc.constantFrom('set', 'null', 'copy', 'take', 'swap'), twins, fc.boolean()),
  );
  const plain = (twin: Twin): object => ({
    value: twin.value,
    left: twin.left ? plain(twin.left) : null,
    right: twin.right ? plain(twin.right) : null,
  });
  const size = (twin: Twin | null | undefined): number => (twin ? 1 + size(twin.left) + size(twin.right) : 0);
  fc.assert(
    fc.property(twins, steps, (start, acts) => {
      const root = Box.create(heap, Tree, start);
      const twin = structuredClone(start);
      for (const [act, given, isLeft] of acts) {
        const side = isLeft ? 'left' : 'right';
        const far = isLeft ? 'right' : 'left';
        if (act === 'set') {
          root.value.set({ [side]: given });
          twin[side] = structuredClone(given);
        } else if (act === 'null') {
          root.value.set({ [side]: null });
          twin[side] = null;
        } else if (act === 'copy') {
          root.value[side] = root.value[far];
          twin[side] = structuredClone(twin[far] ?? null);
        } else if (act === 'take') {
          Box.take(root.value, side)?.drop();
          twin[side] = null;
        } else {
          const one = Box.take(root.value, side);
          root.value.set({ [side]: Box.take(root.value, far), [far]: one });
          [twin[side], twin[far]] = [twin[far] ?? null, twin[side] ?? null];
        }
        expect(root.toJSON()).toEqual(plain(twin));
        expect(live()).toBe(size(twin));
      }
      root.drop();
      expect(live()).toBe(0);
    }),
    { numRuns: 100 },
  );
});

test('its errors are sabheap errors with their names', () => {
  expect(new UseAfterMoveError('Box of Point')).toBeInstanceOf(SabheapError);
  expect(new UseAfterMoveError('Box of Point').name).toBe('UseAfterMoveError');
});
