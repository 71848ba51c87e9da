/** Containers inside containers: what owns what, what moves, what is dropped, on every kind of allocator. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Channel } from '../../src/channels/channel.ts';
import { Arc } from '../../src/containers/arc.ts';
import { arc } from '../../src/containers/arc-field.ts';
import { Box, box } from '../../src/containers/box.ts';
import { SharedMap } from '../../src/containers/map.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { RwLock } from '../../src/containers/rw-lock.ts';
import { Semaphore } from '../../src/containers/semaphore.ts';
import { SharedSet } from '../../src/containers/set.ts';
import { SharedString, string } from '../../src/containers/string.ts';
import { union } from '../../src/containers/union.ts';
import { SharedVec } from '../../src/containers/vec.ts';
import { vec } from '../../src/containers/vec-field.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapOptions } from '../../src/heap/options.ts';
import { KiB, MiB } from '../../src/memory/address.ts';
import { f64, u32, u64 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

const Point = struct('Point', { x: f64, y: f64 });
const Name = struct('Name', { text: string });
const Whole = struct('Whole', {
  id: u32,
  name: string,
  place: box(Point),
  shared: arc(Point),
  list: vec(f64),
  names: vec(string),
  table: vec(vec(string)),
  either: union(Point, Name),
  inner: Name,
  get parts() {
    return vec(Whole);
  },
});

/** One of everything, and two parts. */
function wholeInit(depth = 1): object {
  return {
    id: depth,
    name: 'whole',
    place: { x: 1 },
    shared: { x: 2 },
    list: [1, 2, 3],
    names: ['a', '', 'ccc'],
    table: [['p'], [], ['q', 'r']],
    either: { type: Name, init: { text: 'either' } },
    inner: { text: 'inner' },
    parts: depth === 0 ? [] : [wholeInit(depth - 1), wholeInit(depth - 1)],
  };
}

const KINDS: readonly [name: string, options: HeapOptions][] = [
  ['tlsf', { allocator: 'tlsf' }],
  ['tlsf without caches', { allocator: 'tlsf', cache: false }],
  ['linked-list', { allocator: 'linked-list' }],
  ['linked-list without caches', { allocator: 'linked-list', cache: false }],
  ['buddy', { allocator: 'buddy' }],
  ['buddy without caches', { allocator: 'buddy', cache: false }],
  ['hardened tlsf', { checks: 'hardened' }],
  ['hardened buddy', { allocator: 'buddy', checks: 'hardened' }],
];

describe.each(KINDS)('%s', (_, options) => {
  let heap: Heap;
  let largestFree: number;
  beforeEach(() => {
    heap = Heap.create({ byteLength: 4 * MiB, ...options });
    largestFree = heap.stats().largestFree;
  });
  afterEach(() => {
    heap.flush();
    heap.verify();
    expect(heap.stats()).toMatchObject({ liveBlocks: 0, used: 0, largestFree });
    heap.detach();
  });
  const live = (): number => heap.stats().liveBlocks;

  test('a vec of boxes, arcs, strings, vecs and structs gives and drops what it owns', () => {
    const boxes = SharedVec.create(heap, box(Point), [{ x: 1 }, null, Box.create(heap, Point, { x: 3 })]);
    const kept = Arc.create(heap, Point, { x: 4 });
    const arcs = SharedVec.create(heap, arc(Point), [kept.clone(), kept.value, null]);
    const texts = SharedVec.create(heap, string, ['a', '', 'c']);
    const vecs = SharedVec.create(heap, vec(string), [['a'], [], SharedVec.create(heap, string, ['b'])]);
    const wholes = SharedVec.create(heap, Whole, [wholeInit() as never, {}]);
    const unions = SharedVec.create(heap, union(Point, Name), [
      { type: Name, init: { text: 'u' } },
      { type: Point, init: { x: 9 } },
    ]);
    expect(boxes.toArray()).toEqual([{ x: 1, y: 0 }, null, { x: 3, y: 0 }]);
    expect(kept.strongCount).toBe(3);
    vecs.at(1).push('late');
    expect(vecs.toArray()).toEqual([['a'], ['late'], ['b']]);
    expect(texts.remove(0)).toBe('a');
    const place = boxes.pop()!;
    expect(place.value.x).toBe(3);
    boxes.insert(0, place);
    const moved = arcs.swapRemove(0)!;
    expect(moved.strongCount).toBe(3);
    moved.drop();
    const inner = vecs.remove(0);
    expect(inner.toArray()).toEqual(['a']);
    vecs.push(inner);
    expect(vecs.toArray()).toEqual([['late'], ['b'], ['a']]);
    const form = unions.pop()!;
    expect(form.value.toJSON()).toEqual({ x: 9, y: 0 });
    form.drop();
    wholes.insert(0, wholes.at(0));
    expect(wholes.at(0).toJSON()).toEqual(wholes.at(1).toJSON());
    wholes.swapRemove(0);
    wholes.set(0, {});
    expect(wholes.at(0).parts.length).toBe(0);
    for (const each of [boxes, arcs, texts, vecs, wholes, unions]) each.destroy();
    expect(kept.strongCount).toBe(1);
    kept.drop();
  });

  test('map values that own: set, replaced, changed, taken, deleted, cleared', () => {
    const maps = [
      SharedMap.create(heap, string, box(Point)),
      SharedMap.create(heap, u64, vec(string)),
      SharedMap.create(heap, u32, union(Point, Name)),
      SharedMap.create(heap, string, Whole),
      SharedMap.create(heap, u32, arc(Point)),
      SharedMap.create(heap, u32, string),
    ] as const;
    const [boxes, vecs, unions, wholes, arcs, texts] = maps;
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < 40; index++) {
        boxes.set(`k${index}`, { x: index });
        vecs.set(BigInt(index), [`${index}`, 'more']);
        unions.set(index, { type: Name, init: { text: 'n' } });
        wholes.set(`k${index % 4}`, wholeInit() as never);
        arcs.set(index, { x: index });
        texts.set(index, `text ${index}`);
      }
    }
    const taken = boxes.take('k3') as unknown as Box<typeof Point>;
    expect(taken.value.x).toBe(3);
    boxes.set('k3', taken);
    vecs.with(3n, (list) => list.push('pushed'));
    expect(vecs.get(3n)).toEqual(['3', 'more', 'pushed']);
    const list = vecs.take(3n) as unknown as SharedVec<typeof string>;
    expect(list.length).toBe(3);
    list.destroy();
    wholes.with('k1', (whole) => {
      whole.name = 'changed';
      whole.parts.at(0).list.push(5);
      whole.place = null;
    });
    expect(wholes.get('k1')).toMatchObject({
      name: 'changed',
      place: null,
      parts: [{ list: [1, 2, 3, 5] }, {}],
    });
    wholes.update('k1', (whole) => ({ ...whole, shared: null, either: null }));
    expect(wholes.get('k1')).toMatchObject({ name: 'changed', shared: null, table: [['p'], [], ['q', 'r']] });
    expect(texts.take(4)).toBe('text 4');
    expect(unions.delete(7)).toBe(true);
    arcs.clear();
    for (const map of maps) map.verify();
    for (const map of maps) map.destroy();
  });

  test('a struct with an arc in a map: the Arc that is cloned out of it lives on', () => {
    const Holder = struct('Holder', { what: arc(Point), name: string });
    const map = SharedMap.create(heap, u32, Holder);
    map.set(1, { what: { x: 7 }, name: 'held' });
    const mine = map.with(1, (holder) => Arc.clone(holder, 'what'))!;
    map.set(2, { what: mine.clone() });
    expect(mine.strongCount).toBe(3);
    map.destroy();
    expect([mine.strongCount, mine.value.x]).toEqual([1, 7]);
    mine.drop();
  });

  test('locks around a vec, an owning struct, a string, a box', () => {
    const list = Mutex.create(heap, vec(f64), [1, 2]);
    const whole = RwLock.create(heap, Whole, wholeInit() as never);
    const text = Mutex.create(heap, string, 'first');
    const place = RwLock.create(heap, box(Point), { x: 1 });
    list.with((cell) => cell.value.push(3));
    expect(JSON.parse(JSON.stringify(list)).value).toEqual([1, 2, 3]);
    whole.write((it) => it.set({ name: 'written', parts: [] }));
    expect(whole.read((it) => [it.name, it.parts.length, it.list.toArray()])).toEqual([
      'written',
      0,
      [1, 2, 3],
    ]);
    const guard = text.lock();
    guard.value = 'second';
    expect(guard.value).toBe('second');
    guard.unlock();
    place.write((cell) => {
      cell.value = Box.create(heap, Point, { x: 2 });
    });
    expect(place.read((cell) => cell.value!.x)).toBe(2);
    for (const each of [list, whole, text, place]) each.destroy();
  });

  test('a mutex around where a map lies', () => {
    const Where = struct('Where', { map: u32, name: string });
    const map = SharedMap.create(heap, string, string);
    const mutex = Mutex.create(heap, Where, { map: map.address, name: 'the map' });
    mutex.with((where) => SharedMap.at(heap, where.map as never, string, string).set('k', 'v'));
    expect(map.get('k')).toBe('v');
    mutex.destroy();
    map.destroy();
  });

  test('a Box of a struct that owns everything goes through a channel', () => {
    const channel = Channel.create(heap, box(Whole), { capacity: 3 });
    const before = wholeInit(2);
    const whole = Box.create(heap, Whole, before as never);
    const json = JSON.stringify(whole);
    channel.send(whole);
    expect(() => whole.value).toThrow('moved');
    const back = channel.recv()!;
    expect(JSON.stringify(back)).toBe(json);
    channel.send(back);
    channel.send({ name: 'made on the way' });
    expect(channel.length).toBe(2);
    channel.destroy();
  });

  test('channels of strings, vecs, arcs, unions and owning structs, drained and destroyed full', () => {
    const make = [
      () => [Channel.create(heap, string, { capacity: 2 }), ['a', ''], ['a', '']],
      () => [Channel.create(heap, vec(string), { capacity: 2 }), [['a'], []], undefined],
      () => [Channel.create(heap, arc(Point), { capacity: 2 }), [{ x: 1 }, { x: 2 }], undefined],
      () => [
        Channel.create(heap, union(Point, Name), { capacity: 2 }),
        [{ type: Name }, { type: Point }],
        undefined,
      ],
      () => [
        Channel.create(heap, Name, { capacity: 2 }),
        [{ text: 'a' }, { text: 'b' }],
        [{ text: 'a' }, { text: 'b' }],
      ],
    ] as (() => [Channel, unknown[], unknown[] | undefined])[];
    for (const one of make) {
      const [drained, items, out] = one();
      for (const item of items) drained.send(item);
      const got = [drained.recv(), drained.recv()] as { drop?(): void; destroy?(): void }[];
      if (out !== undefined) expect(got).toEqual(out);
      for (const each of got) (each.destroy ?? each.drop)?.call(each);
      drained.destroy();
      const [full, again] = one();
      for (const item of again) full.send(item);
      expect(full.trySend(again[0])).toBe('full');
      full.destroy();
      expect(live()).toBe(0);
    }
  });
});

describe('an Arc of a container', () => {
  let heap: Heap;
  beforeEach(() => {
    heap = Heap.create({ byteLength: MiB });
  });
  afterEach(() => {
    heap.flush();
    heap.verify();
    expect(heap.stats()).toMatchObject({ liveBlocks: 0, used: 0 });
    heap.detach();
  });

  const MAKE = {
    map: () => SharedMap.create(heap, string, string).set('k', 'value'),
    set: () => SharedSet.create(heap, string),
    vec: () => SharedVec.create(heap, string, ['a', 'b']),
    string: () => SharedString.create(heap, 'text'),
    channel: () => Channel.create(heap, string, { capacity: 2 }),
    mutex: () => Mutex.create(heap, Name, { text: 'guarded' }),
    rwlock: () => RwLock.create(heap, vec(string), ['a']),
    semaphore: () => Semaphore.create(heap, 3),
  };
  test.each(Object.entries(MAKE))('%s: each clone has an object of its own, the last drops it', (_, make) => {
    const container = make();
    const first = Arc.of<SharedVec>(heap, container as never);
    const weak = first.downgrade();
    const second = first.clone();
    const third = weak.upgrade()!;
    expect(first.value === container).toBe(true);
    first.drop();
    expect(container.address).toBe(0);
    expect(second.value.address).toBeGreaterThan(0);
    expect(second.value === third.value).toBe(false);
    expect(JSON.stringify(second.value)).toBe(JSON.stringify(third.value));
    const { value } = second;
    second.drop();
    expect(value.address).toBe(0);
    expect(third.value.address).toBeGreaterThan(0);
    third.drop();
    expect(weak.upgrade()).toBeUndefined();
    weak.drop();
  });

  test('gives no permits back when it goes', () => {
    const semaphore = Semaphore.create(heap, 3);
    const arc = Arc.of(heap, semaphore);
    const other = arc.clone();
    other.value.acquire(2);
    arc.drop();
    expect(other.value.available).toBe(1);
    other.value.release(2);
    other.drop();
  });

  test('is refused for what has an owner: a field, another Arc', () => {
    const whole = heap.new(Whole, { list: [1] });
    expect(() => Arc.of(heap, whole.list)).toThrow(TypeError);
    expect(() => Arc.of(heap, whole.parts)).toThrow('has an owner already');
    heap.delete(whole);
    const arc = Arc.of(heap, SharedVec.create(heap, f64, [1]));
    const clone = arc.clone();
    expect(() => Arc.of(heap, arc.value)).toThrow('has an owner already');
    expect(() => Arc.of(heap, clone.value)).toThrow('has an owner already');
    arc.drop();
    clone.drop();
  });
});

describe('a view of what was dropped', () => {
  test('writes nowhere, and leaks nothing', () => {
    const heap = Heap.create({ byteLength: 64 * KiB });
    const Small = struct('Small', { name: string, list: vec(f64), place: box(Point), shared: arc(Point) });
    const mutex = Mutex.create(heap, Small);
    let hidden = undefined as unknown as Record<string, unknown>;
    mutex.with((value) => {
      hidden = value as never;
    });
    const deleted = heap.new(Small);
    heap.delete(deleted);
    const before = heap.stats().liveBlocks;
    for (const view of [deleted as unknown as typeof hidden, hidden]) {
      view.name = 'text';
      view.list = [1];
      view.place = { x: 1 };
      view.shared = { x: 1 };
      expect([view.name, view.list, view.place, view.shared]).toEqual([
        undefined,
        undefined,
        undefined,
        undefined,
      ]);
    }
    expect(heap.stats().liveBlocks).toBe(before);
    mutex.destroy();
    expect(heap.stats().liveBlocks).toBe(0);
    heap.detach();
  });
});

describe('fields that an object leaves out are zero', () => {
  const Triple = struct('Triple', { x: f64, y: f64, id: u32 });
  let heap: Heap;
  beforeEach(() => {
    heap = Heap.create({ byteLength: MiB });
    // What is given out next is full of ones.
    const used = Array.from({ length: 50 }, (_, index) => heap.alloc(8 + index * 2));
    for (const address of used) heap.memory.u8.fill(255, address, address + heap.sizeOf(address));
    for (const address of used) heap.free(address);
  });
  afterEach(() => heap.detach());

  test('in a vec', () => {
    const list = SharedVec.create(heap, Triple, [{ x: 1, y: 2, id: 3 }]);
    list.pop();
    list.push({ x: 4 });
    expect(list.at(0).toJSON()).toEqual({ x: 4, y: 0, id: 0 });
    list.set(0, { y: 5 });
    expect(list.at(0).toJSON()).toEqual({ x: 0, y: 5, id: 0 });
  });
  test('in a map', () => {
    const map = SharedMap.create(heap, string, Triple);
    map.set('key', { x: 4 });
    expect(map.get('key')).toEqual({ x: 4, y: 0, id: 0 });
  });
  test('in a channel', () => {
    const channel = Channel.create(heap, Triple, { capacity: 1 });
    channel.send({ x: 1, y: 2, id: 3 });
    channel.recv();
    channel.send({ x: 4 });
    expect(channel.recv()).toEqual({ x: 4, y: 0, id: 0 });
  });
});

describe('a vec that is read from a field is borrowed', () => {
  const Lists = struct('Lists', { names: vec(string), values: vec(f64), shared: vec(arc(Point)) });
  let heap: Heap;
  beforeEach(() => {
    heap = Heap.create({ byteLength: MiB });
  });
  afterEach(() => {
    heap.verify();
    expect(heap.stats()).toMatchObject({ liveBlocks: 0 });
    heap.detach();
  });

  test('a copy of a struct leaves the struct as it was, and shares what Arcs own', () => {
    const lists = heap.new(Lists, { names: ['a', 'b'], values: [1, 2], shared: [{ x: 1 }] });
    const before = JSON.stringify(lists);
    const other = heap.new(Lists, lists);
    const held = Box.create(heap, Lists, lists);
    expect([lists, other, held].map((each) => JSON.stringify(each))).toEqual([before, before, before]);
    other.shared.at(0)!.x = 5;
    expect(lists.shared.at(0)!.x).toBe(5);
    other.names = lists.names;
    other.names.push('c');
    expect(lists.names.length).toBe(2);
    Object.assign(lists, { names: lists.names });
    expect(JSON.stringify(lists.names)).toBe('["a","b"]');
    held.drop();
    heap.delete(lists);
    heap.delete(other);
  });

  test('SharedVec.take moves it out', () => {
    const lists = heap.new(Lists, { values: [1, 2] });
    const values = SharedVec.take(lists, 'values');
    expect([values.toArray(), lists.values.length]).toEqual([[1, 2], 0]);
    expect(SharedVec.take(lists, 'names').toArray()).toEqual([]);
    expect(() => SharedVec.take(heap.new(Point), 'x' as never)).toThrow('Point.x is f64, not a vec');
    lists.values = values;
    expect(() => values.length).toThrow('moved');
    expect(lists.values.length).toBe(2);
    heap.delete(lists);
    for (const { address } of [...heap.blocks()].filter(({ state }) => state === 'live')) heap.free(address);
  });
});
