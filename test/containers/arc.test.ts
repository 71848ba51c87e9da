/** Arc and Weak: the last owner drops; and the fields `arc(T)` and `weak(T)`. */

import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Arc, Weak } from '../../src/containers/arc.ts';
import { arc, weak } from '../../src/containers/arc-field.ts';
import { Box, box } from '../../src/containers/box.ts';
import { Container, HEADER_BYTES, layHeader } from '../../src/containers/container.ts';
import type { ContainerStore } from '../../src/containers/store.ts';
import {
  AttachError,
  HeapCorruptionError,
  LockTimeoutError,
  OutOfMemoryError,
  UseAfterMoveError,
} from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, KiB, MiB, NULL } from '../../src/memory/address.ts';
import { registerKind } from '../../src/structs/drop.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { fieldSpelled } from '../../src/structs/schema.ts';
import { struct } from '../../src/structs/struct.ts';

const Point = struct('Point', { x: f64, y: f64 });
const Node = struct('Node', {
  value: u32,
  get common() {
    return arc(Node);
  },
  get parent() {
    return weak(Node);
  },
  get own() {
    return box(Node);
  },
});

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 2 * MiB, lockTimeout: 60 });
});
afterEach(() => {
  heap.verify();
  heap.detach();
});
const live = (): number => heap.stats().liveBlocks;
const stateOf = (address: Address) =>
  [...heap.blocks()].find((block) => block.address === address)?.state ?? 'none';

describe('an Arc', () => {
  test('is one of many owners: the last one drops the struct', () => {
    const one = Arc.create(heap, Node, { value: 7, own: { value: 8 } });
    expect([one.strongCount, one.weakCount, live()]).toEqual([1, 0, 3]);
    const two = one.clone();
    expect([one.strongCount, two.value.value, live()]).toEqual([2, 7, 4]);
    expect(one.value.address).toBe(two.value.address);
    const view = one.value;
    one.drop();
    expect([view.address, two.strongCount]).toEqual([NULL, 1]);
    expect(() => one.value).toThrow('this Arc of Node was dropped');
    expect(() => one.clone()).toThrow(ReferenceError);
    two.drop();
    two.drop();
    expect(live()).toBe(0);
  });

  test('is told from others', () => {
    const one = Arc.create(heap, Point);
    const two = one.clone();
    const other = Arc.create(heap, Point);
    expect([Arc.isSame(one, two), Arc.isSame(one, other)]).toEqual([true, false]);
    for (const each of [one, two, other]) each.drop();
    expect(() => Arc.isSame(one, two)).toThrow(ReferenceError);
  });

  test('is handed off by a move, which leaves the count; a clone is kept by moving the clone', () => {
    const mine = Arc.create(heap, Point, { x: 1 });
    const handle = mine.clone().move();
    expect(JSON.stringify(handle).length).toBeLessThan(100);
    expect(stateOf(handle.address)).toBe('flight');
    expect(mine.strongCount).toBe(2);
    const theirs = Arc.open(heap, handle);
    expect(() => Arc.open(heap, handle)).toThrow('received already');
    mine.drop();
    expect(theirs.value.x).toBe(1);
    const address = theirs.intoAddress();
    expect(() => theirs.value).toThrow(UseAfterMoveError);
    expect(() => theirs.handle).toThrow('the Arc of Point has one owner: move()');
    expect(stateOf(address)).toBe('shared');
    const adopted = Arc.fromAddress(heap, address, Point);
    expect([adopted.strongCount, stateOf(address)]).toEqual([1, 'live']);
    expect(() => structuredClone(adopted)).toThrow('could not be cloned');
    expect(() => Box.fromAddress(heap, adopted.address)).toThrow('lies Arc, not Box');
    expect(() => Arc.fromAddress(heap, adopted.address, Node as never)).toThrow(AttachError);
    adopted.drop();
    expect(live()).toBe(0);
  });

  test('in a root is cloned by who opens it', () => {
    const make = () => Arc.create(heap, Point, { x: 3 }).intoAddress();
    const one = heap.roots.openOrCreate('point', Arc.type(Point), make);
    const two = heap.roots.open('point', Arc.type(Point))!;
    expect(() => heap.roots.open('point', Arc.type(Node))).toThrow('was made for Point');
    expect([one.value.x, two.strongCount]).toEqual([3, 3]);
    one.drop();
    two.drop();
    Arc.fromAddress(heap, heap.roots.get('point')).drop();
    heap.roots.delete('point');
    expect(live()).toBe(0);
  });

  test('shows itself to people and tools', () => {
    const point = Arc.create(heap, Point, { x: 1 });
    const link = point.downgrade();
    expect([JSON.stringify(point), inspect(point)]).toEqual(['{"x":1,"y":0}', 'Arc(Point { x: 1, y: 0 })']);
    expect(inspect(link)).toBe('Weak of Point');
    point.drop();
    link.drop();
    expect(inspect(link)).toBe('Weak of Point (dropped)');
  });

  test('lies in the heap also when it is made in an arena', () => {
    const arena = heap.arena(KiB);
    const point = Arc.create(arena, Point, { x: 1 });
    arena.release();
    const handle = point.move();
    Arc.open(heap, handle).drop();
    expect(live()).toBe(0);
  });
});

describe('a Weak', () => {
  test('becomes an Arc as long as there is one', () => {
    const one = Arc.create(heap, Node, { value: 7, own: {} });
    const link = one.downgrade();
    const again = link.clone();
    expect([one.weakCount, link.strongCount]).toEqual([2, 1]);
    const two = link.upgrade()!;
    one.drop();
    expect(two.value.value).toBe(7);
    two.drop();
    expect([link.upgrade(), again.strongCount, again.weakCount]).toEqual([undefined, 0, 2]);
    expect(live(), 'two references and the ended target').toBe(3);
    const more = link.clone();
    more.drop();
    link.drop();
    again.drop();
    expect(live()).toBe(0);
    expect(() => link.upgrade()).toThrow(ReferenceError);
  });

  test('is handed off as an Arc is', () => {
    const one = Arc.create(heap, Point);
    const handle = one.downgrade().move();
    expect(() => Arc.open(heap, handle as never)).toThrow(AttachError);
    const link = Weak.open(heap, handle);
    const back = Weak.fromAddress(heap, link.intoAddress());
    back.upgrade()!.drop();
    back.drop();
    one.drop();
    expect(live()).toBe(0);
  });

  test('breaks a circle that Arcs alone would keep for ever', () => {
    const parent = Arc.create(heap, Node, { value: 1 });
    parent.value.set({ common: { value: 2 } });
    parent.value.common!.set({ parent: parent.downgrade() });
    expect(parent.value.common!.parent!.value).toBe(1);
    expect(live()).toBe(5);
    parent.drop();
    expect(live()).toBe(0);

    const circle = Arc.create(heap, Node, { value: 1, common: { value: 2 } });
    circle.value.common!.set({ common: circle.clone() });
    expect(Node.bind(heap).load!(circle.value.address)).toMatchObject({ common: { common: { value: 1 } } });
    expect(circle.strongCount).toBe(2);
    circle.value.common!.common = null;
    circle.drop();
    expect(live()).toBe(0);
  });
});

describe('the field arc(T)', () => {
  test('owns its part: moved in, shared by a view, made, taken and cloned out', () => {
    const shared = Arc.create(heap, Node, { value: 5 });
    const node = heap.new(Node, { common: shared.clone() });
    expect([node.common!.value, shared.strongCount]).toEqual([5, 2]);
    const other = heap.new(Node, { common: node.common });
    expect([shared.strongCount, other.common!.address === node.common!.address]).toEqual([3, true]);
    const copy = heap.new(Node, node as never);
    expect([shared.strongCount, copy.common!.value]).toEqual([4, 5]);
    const cloned = Arc.clone(node, 'common')!;
    expect(Arc.isSame(cloned, shared)).toBe(true);
    const taken = Arc.take(node, 'common')!;
    expect([node.common, Arc.take(node, 'common'), Arc.clone(node, 'common')]).toEqual([null, null, null]);
    expect([shared.strongCount, stateOf(taken.address)]).toEqual([5, 'live']);
    for (const each of [cloned, taken, shared]) each.drop();
    for (const each of [other, copy, node]) heap.delete(each);
    expect(live()).toBe(0);
  });

  test('takes field values and views of what no Arc owns as a new struct', () => {
    const plain = heap.new(Node, { value: 9 });
    const node = heap.new(Node, { common: plain });
    expect([node.common!.value, node.common!.address === plain.address]).toEqual([9, false]);
    node.set({ common: { value: 3, common: { value: 4 } } });
    expect(node.common!.common!.value).toBe(4);
    expect(JSON.stringify(node)).toContain('"common":{"value":3,"common":{"value":4');
    heap.delete(node);
    heap.delete(plain);
    expect(live()).toBe(0);
  });

  test('assigned to itself stays as it is', () => {
    const node = heap.new(Node, { common: { value: 3 } });
    const same = node.common;
    node.common = same;
    expect([node.common!.address, live()]).toEqual([same!.address, 3]);
    heap.delete(node);
  });

  test('refuses what it cannot share', () => {
    const node = heap.new(Node);
    const point = Arc.create(heap, Point);
    const other = Heap.create({ byteLength: MiB });
    const foreign = Arc.create(other, Node);
    expect(() => node.set({ common: point as never })).toThrow(
      'Node.common shares a Node; got an object of Arc of Point',
    );
    expect(() => node.set({ common: foreign })).toThrow('another heap');
    expect(() => node.set({ common: 5 as never })).toThrow(TypeError);
    expect(() => node.set({ common: { colour: 1 } as never })).toThrow('no field named');
    expect(() => node.set({ parent: { value: 1 } as never })).toThrow('takes a Weak');
    expect(() => Arc.take(node, 'own' as never)).toThrow('Node.own is box, not arc');
    expect(() => Weak.upgrade(node, 'common' as never)).toThrow('Node.common is arc, not weak');
    point.drop();
    other.detach();
    heap.delete(node);
    node.set({ common: { value: 1 }, parent: null });
    expect([node.common, node.parent, live()]).toEqual([undefined, undefined, 0]);
  });

  test('reports what is no reference', () => {
    const node = heap.new(Node, { common: {} });
    heap.memory.u32[heap.memory.u32[(node.address + 4) >>> 2]! >>> 2] = 7;
    expect(() => node.common).toThrow(HeapCorruptionError);
  });

  test('is spelled and checked', () => {
    expect(fieldSpelled('arc("Node")').describe()).toBe('arc("Node")');
    expect(fieldSpelled('weak("Node")').describe()).toBe('weak("Node")');
    expect(() => arc(f64 as never)).toThrow('arc takes a struct type');
    expect(() => weak(undefined as never)).toThrow('use a getter');
  });
});

test('the field weak(T) reads null once its target is gone', () => {
  const target = Arc.create(heap, Node, { value: 4 });
  const node = heap.new(Node, { parent: target.value });
  expect([node.parent!.value, target.weakCount, node.toJSON().parent]).toEqual([4, 1, target.value.address]);
  const kept = Weak.upgrade(node, 'parent')!;
  target.drop();
  expect(node.parent!.value).toBe(4);
  kept.drop();
  expect([node.parent, Weak.upgrade(node, 'parent'), node.toJSON().parent]).toEqual([null, null, null]);
  heap.delete(node);
  expect(live()).toBe(0);
});

describe('an Arc of a container', () => {
  const KIND = registerKind('TCON', (dropper, address) => dropper.free(address), 'TestContainer');
  class TestContainer extends Container {
    protected override readonly kind = 'TestContainer';
    static create(store: ContainerStore): TestContainer {
      const address = store.allocZeroed(HEADER_BYTES + 8);
      layHeader(store, address, KIND, 1);
      return new TestContainer(store, address);
    }
    static readonly type = {
      at: (store: ContainerStore, address: Address) => new TestContainer(store, address),
    };
  }

  test('destroys it with the last owner', () => {
    const container = TestContainer.create(heap);
    const { address } = container;
    const mine = Arc.of(heap, container);
    expect(mine.value).toBe(container);
    const theirs = Arc.open(heap, mine.clone().move(), TestContainer.type);
    expect(theirs.value.address).toBe(address);
    const loose = Arc.open(heap, mine.clone().move() as never);
    expect(() => loose.value).toThrow('open it with the type');
    loose.drop();
    mine.drop();
    expect(container.address).toBe(NULL);
    expect(stateOf(address)).toBe('shared');
    const opened = theirs.value;
    theirs.drop();
    expect([opened.address, live()]).toEqual([NULL, 0]);
  });

  test('takes only containers of the heap, and is told from an Arc of a struct', () => {
    const arena = heap.arena(KiB);
    expect(() => Arc.of(heap, TestContainer.create(arena))).toThrow('Arc.of takes a container');
    arena.release();
    const point = Box.create(heap, Point);
    expect(() => Arc.of(heap, point)).toThrow('has one owner');
    point.drop();
    const handle = Arc.create(heap, Point).move();
    expect(() => Arc.open(heap, handle, TestContainer.type)).toThrow('was made for Point');
    Arc.open(heap, handle).drop();
    expect(live()).toBe(0);
  });
});

describe('what cannot be', () => {
  test('a struct that cannot be filled in leaves nothing', () => {
    expect(() => Arc.create(heap, Node, { own: {}, common: { own: {}, x: 1 } } as never)).toThrow(TypeError);
    expect(live()).toBe(0);
  });

  test('a heap without room says so, and counts what it counted', () => {
    const one = Arc.create(heap, Point);
    const fill: Address[] = [];
    for (let block = heap.alloc(16); block !== NULL; block = heap.alloc(16)) fill.push(block);
    expect(() => one.clone()).toThrow(OutOfMemoryError);
    expect(() => one.downgrade()).toThrow(OutOfMemoryError);
    expect(() => Arc.create(heap, Point)).toThrow(OutOfMemoryError);
    expect([one.strongCount, one.weakCount]).toEqual([1, 0]);
    for (const block of fill) heap.free(block);
    one.drop();
    expect(live()).toBe(0);
  });

  const targetOf = (reference: Address) => heap.memory.u32[(reference + 8) >>> 2]!;

  test('more owners than can be counted are refused', () => {
    const one = Arc.create(heap, Point);
    const strong = (targetOf(one.address) + 8) >>> 2;
    heap.memory.u32[strong] = ((2 ** 24 - 1) << 8) >>> 0;
    expect(one.strongCount).toBe(2 ** 24 - 1);
    expect(() => one.clone()).toThrow('16777215 references');
    expect(one.strongCount).toBe(2 ** 24 - 1);
    heap.memory.u32[strong] = 1 << 8;
    const weaks = strong + 1;
    heap.memory.u32[weaks] = ((2 ** 24 - 1) << 8) >>> 0;
    expect(() => one.downgrade()).toThrow(RangeError);
    heap.memory.u32[weaks] = 1 << 8;
    expect(live()).toBe(2);
    one.drop();
  });

  test('a thread that does not get done with its counting is named, and nothing has changed', () => {
    const one = Arc.create(heap, Point);
    const strong = (targetOf(one.address) + 8) >>> 2;
    heap.memory.u32[strong] = (1 << 8) | 9;
    expect(() => one.clone()).toThrow(LockTimeoutError);
    expect(() => one.clone()).toThrow('thread slot 9');
    expect([live(), heap.thread.words[heap.thread.deed + 2]]).toEqual([2, 0]);
    heap.memory.u32[strong] = 1 << 8;
    one.drop();
  });

  test('a count that is too low is reported', () => {
    const one = Arc.create(heap, Point);
    heap.memory.u32[(targetOf(one.address) + 8) >>> 2] = 0;
    expect(() => one.clone()).toThrow(HeapCorruptionError);
    expect(() => one.drop()).toThrow(HeapCorruptionError);
  });
});

test('a chain of 200,000 Arcs is dropped without a stack', () => {
  const big = Heap.create({ byteLength: 64 * MiB });
  let chain = Arc.create(big, Node, { value: 0 });
  for (let value = 1; value < 200_000; value++) chain = Arc.create(big, Node, { value, common: chain });
  expect(big.stats().liveBlocks).toBe(400_000);
  chain.drop();
  expect(big.stats().liveBlocks).toBe(0);
  big.detach();
});

test('random clones, downgrades, upgrades and drops count as their JavaScript twins do', () => {
  const acts = fc.array(
    fc.tuple(fc.constantFrom('clone', 'downgrade', 'upgrade', 'drop', 'dropWeak', 'move'), fc.nat()),
  );
  fc.assert(
    fc.property(acts, (steps) => {
      const arcs = [Arc.create(heap, Node, { own: {} })];
      const weaks: Weak<typeof Node>[] = [];
      for (const [act, pick] of steps) {
        const one = arcs[pick % arcs.length];
        const link = weaks[pick % weaks.length];
        if (act === 'clone' && one) arcs.push(one.clone());
        if (act === 'downgrade' && one) weaks.push(one.downgrade());
        if (act === 'drop' && one) arcs.splice(pick % arcs.length, 1)[0]!.drop();
        if (act === 'dropWeak' && link) weaks.splice(pick % weaks.length, 1)[0]!.drop();
        if (act === 'move' && one) arcs[pick % arcs.length] = Arc.open(heap, one.move());
        if (act === 'upgrade' && link) {
          const upgraded = link.upgrade();
          expect(upgraded === undefined).toBe(arcs.length === 0);
          if (upgraded) arcs.push(upgraded);
        }
        const any = arcs[0] ?? weaks[0];
        if (any) expect([any.strongCount, any.weakCount]).toEqual([arcs.length, weaks.length]);
        const target = any ? 1 : 0;
        expect(live()).toBe(target + (arcs.length > 0 ? 1 : 0) + arcs.length + weaks.length);
      }
      for (const each of [...arcs, ...weaks]) each.drop();
      expect(live()).toBe(0);
    }),
    { numRuns: 200 },
  );
});
