import { describe, expect, test } from 'vitest';
import { AttachError, HeapCorruptionError, OutOfMemoryError } from '../../src/errors.ts';
import { type Address, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { Field } from '../../src/structs/field.ts';
import type { AnyStructType } from '../../src/structs/inference.ts';
import { ref } from '../../src/structs/reference.ts';
import { LayoutRegistry } from '../../src/structs/registry.ts';
import { f32, f64, u8, u32 } from '../../src/structs/scalars.ts';
import type { StructStore } from '../../src/structs/store.ts';
import { create, struct } from '../../src/structs/struct.ts';
import { BumpStore } from './bump-store.ts';

const START = 64;
const HEAD = START / 4 + 1;
const NEXT_FREE = START / 4 + 2;
const END = START / 4 + 3;

const Point = struct('Point', { x: f64, y: f64 });
const names = (registry: LayoutRegistry) => registry.layouts().map(({ name }) => name);

describe('a registry', () => {
  test('starts empty and lists what is registered, the oldest first', () => {
    const store = BumpStore.create();
    expect(store.layouts.layouts()).toEqual([]);
    const Pixel = struct('Pixel', { r: u8, g: u8, b: u8 });
    create(Point, store);
    create(Pixel, store);
    create(Point, store);
    expect(store.layouts.layouts()).toEqual([
      { name: 'Point', hash: Point.hash, size: 16, align: 8, owning: [] },
      { name: 'Pixel', hash: Pixel.hash, size: 3, align: 1, owning: [] },
    ]);
  });

  test('is the same for every thread', () => {
    const store = BumpStore.create();
    const other = store.attach();
    create(Point, store);
    expect(names(other.layouts)).toEqual(['Point']);
    create(Point, other);
    create(struct('Other', { x: f64 }), other);
    expect(names(store.layouts)).toEqual(['Point', 'Other']);
  });

  test('holds names of any script, at every length', () => {
    const store = BumpStore.create(1 << 21);
    const given = [
      'é',
      '点',
      '🙂',
      'a b',
      ...Array.from({ length: 255 }, (_, index) => 'x'.repeat(index + 1)),
    ];
    for (const name of given) create(struct(name, { x: f64 }), store);
    expect(names(store.layouts)).toEqual(given);
  });

  test('registers arrays, views and nested structs at first use, and refs when they are followed', () => {
    const store = BumpStore.create();
    const Leaf = struct('Leaf', { v: f32 });
    const Inner = struct('Inner', { v: f32 });
    const Outer = struct('Outer', { inner: Inner, leaf: ref(Leaf) });
    Point.array(store, 1);
    const outer = create(Outer, store);
    expect(names(store.layouts)).toEqual(['Point', 'Outer', 'Inner']);
    expect(outer.leaf).toBe(null);
    outer.leaf = create(Leaf, store);
    expect(names(store.layouts)).toEqual(['Point', 'Outer', 'Inner', 'Leaf']);
  });

  test('writes the offsets of owning fields, those of nested structs too', () => {
    class Owner extends Field {
      override readonly kind = 'owner';
      override readonly size = 8;
      override readonly align = 8;
      override get owning() {
        return [0];
      }
      override describe = () => 'owner';
      override bind = () => ({ read: () => 0, write: () => {}, json: () => 0 });
    }
    const store = BumpStore.create();
    const Inner = struct('Inner', { v: f64, own: new Owner() });
    const Outer = struct('Outer', { own: new Owner(), inner: Inner });
    expect(Outer.layout.owning).toEqual([0, 16]);
    create(Outer, store);
    expect(store.layouts.layouts().map(({ name, owning }) => [name, owning])).toEqual([
      ['Outer', [0, 16]],
      ['Inner', [8]],
    ]);
  });

  test('goes on in blocks of the heap when its area is full', () => {
    const store = BumpStore.create();
    const area = 4096 - 16;
    const entry = 24 + 200;
    for (let index = 0; index < 20; index++) create(struct(`${index}`.padStart(200, '_'), { x: u8 }), store);
    expect(names(store.layouts)).toHaveLength(20);
    const inBlocks = [...store.blocks.values()].filter((size) => size === entry);
    expect(inBlocks).toHaveLength(20 - Math.floor(area / entry));
    expect(store.shared.size).toBe(inBlocks.length);
  });

  test('goes to its home when an arena is the first to use a type', () => {
    const store = BumpStore.create();
    const arena: StructStore = {
      memory: store.memory,
      layouts: store.layouts,
      allocZeroed: (size) => store.allocZeroed(size),
      free: (address) => store.free(address),
      tryShare: () => false,
      takeOut: () => NULL,
    };
    const Link = struct('Link', { to: ref(Point) });
    const point = create(Point, store);
    create(Link, arena, { to: point });
    expect([...store.shared]).toEqual([point.address]);
  });

  test('without an area lives in blocks from the start', () => {
    const memory = Memory.create(8192);
    const store = new BumpStore(memory, LayoutRegistry.create(memory, START, 16));
    create(Point, store);
    expect(names(store.layouts)).toEqual(['Point']);
    expect(store.blocks.size).toBe(2);
  });
});

describe('registering', () => {
  test('another layout under the same name is refused, naming both', () => {
    const store = BumpStore.create();
    const Other = struct('Point', { x: f64 });
    create(Point, store);
    const hex = (hash: number) => `0x${hash.toString(16).padStart(8, '0')}`;
    for (const thread of [store, store.attach()]) {
      for (const use of [
        () => create(Other, thread),
        () => Other.at(thread, 4096),
        () => Other.array(thread, 1),
      ]) {
        expect(use).toThrow(
          new TypeError(
            `the heap already holds another struct named 'Point': layout hash ${hex(Point.hash)}, 16 bytes, aligned to 8; ` +
              `this one has layout hash ${hex(Other.hash)}, 8 bytes, aligned to 8. Give one of them another name`,
          ),
        );
      }
    }
    expect(names(store.layouts)).toEqual(['Point']);
  });

  test('without room throws OutOfMemoryError, and works once there is room', () => {
    const store = BumpStore.create(8192);
    for (let index = 0; index < 18; index++) create(struct(`${index}`.padStart(200, '_'), { x: u8 }), store);
    const next = store.next;
    store.next = 8192;
    const Late = struct('y'.repeat(200), { x: u8 });
    expect(() => create(Late, store)).toThrow(OutOfMemoryError);
    expect(() => Late.at(store, 4096)).toThrow('no free block for 224 bytes; the layout of yyyy');
    store.next = next;
    expect(create(Late, store).x).toBe(0);
  });

  /** A type whose name is read between the look at the list and the publication: there `race` runs. */
  function racing(type: AnyStructType, race: () => void): AnyStructType {
    let runs = 0;
    const layout = Object.create(type.layout, {
      owning: {
        get() {
          if (runs++ === 0) race();
          return type.layout.owning;
        },
      },
    });
    return Object.create(type, { layout: { value: layout }, name: { value: type.name } });
  }

  test('at the same time as another thread: one entry, and no room lost', () => {
    const store = BumpStore.create();
    const other = store.attach();
    const free = () => store.memory.u32[NEXT_FREE]!;
    const before = free();
    store.layouts.register(
      racing(Point, () => other.layouts.register(Point, other)),
      store,
    );
    expect(names(store.layouts)).toEqual(['Point']);
    expect(free() - before).toBeLessThanOrEqual(2 * 32);

    const blocks = store.blocks.size;
    store.memory.u32[NEXT_FREE] = store.memory.u32[END]!;
    const Late = struct('Late', { x: f64 });
    store.layouts.register(
      racing(Late, () => other.layouts.register(Late, other)),
      store,
    );
    expect(names(store.layouts)).toEqual(['Point', 'Late']);
    expect(store.blocks.size).toBe(blocks);
  });

  test('at the same time as another thread with another type: both are there', () => {
    const store = BumpStore.create();
    const other = store.attach();
    const One = struct('One', { x: u8 });
    const Two = struct('Two', { x: u32 });
    store.layouts.register(
      racing(One, () => other.layouts.register(Two, other)),
      store,
    );
    expect(names(store.layouts)).toEqual(['Two', 'One']);
  });

  test('at the same time as another thread with another layout of the name: the later one is refused', () => {
    const store = BumpStore.create();
    const other = store.attach();
    const One = struct('Same', { x: u8 });
    const Two = struct('Same', { x: u32 });
    const race = () => other.layouts.register(Two, other);
    expect(() => store.layouts.register(racing(One, race), store)).toThrow(
      "already holds another struct named 'Same'",
    );
    expect(store.layouts.layouts()).toHaveLength(1);
  });
});

describe('create and attach', () => {
  test('refuse places outside the memory and misaligned ones', () => {
    const memory = Memory.create(4096);
    for (const start of [0, 4, 12, -8, 4088, 8192, 0.5, Number.NaN]) {
      expect(() => LayoutRegistry.create(memory, start, 64)).toThrow(RangeError);
      expect(() => LayoutRegistry.attach(memory, start)).toThrow(RangeError);
    }
    expect(() => LayoutRegistry.create(memory, 12, 64)).toThrow('0x0000000c is not aligned to 8 bytes');
    expect(() => LayoutRegistry.create(memory, 64, 15)).toThrow(
      'byteLength must be an integer from 16 to 4032',
    );
    expect(() => LayoutRegistry.create(memory, 64, 4033)).toThrow(RangeError);
  });

  test('attach refuses what is no registry', () => {
    const memory = Memory.create(4096);
    expect(() => LayoutRegistry.attach(memory, 64)).toThrow(AttachError);
    expect(() => LayoutRegistry.attach(memory, 64)).toThrow('no layout registry at 0x00000040');
  });
});

describe('damaged bytes are found', () => {
  function damaged(damage: (u32: Uint32Array, entry: number) => void): BumpStore {
    const store = BumpStore.create();
    create(Point, store);
    create(struct('Second', { x: f64 }), store);
    const { u32 } = store.memory;
    damage(u32, u32[HEAD]! / 4);
    return store;
  }

  test.each<[string, (u32: Uint32Array, entry: number) => void, string]>([
    ['a misaligned head', (u32) => (u32[HEAD] = 102), 'leads to 0x00000066, where no entry can be'],
    [
      'a head beyond the memory',
      (u32) => (u32[HEAD] = 2 ** 20),
      'leads to 0x00100000, where no entry can be',
    ],
    [
      'a link beyond the memory',
      (u32, e) => (u32[e] = 2 ** 32 - 4),
      'leads to 0xfffffffc, where no entry can be',
    ],
    ['a cycle', (u32, e) => (u32[e] = e * 4), 'the list of layouts runs in a circle'],
    ['a long cycle', (u32, e) => (u32[u32[e]! / 4] = e * 4), 'the list of layouts runs in a circle'],
    ['no name', (u32, e) => (u32[e + 4] = 0), 'a layout has a name of 0 bytes and 0 owning fields'],
    ['too long a name', (u32, e) => (u32[e + 4] = 2048), 'a layout has a name of 2048 bytes'],
    ['too many owning fields', (u32, e) => (u32[e + 5] = 2 ** 30), 'and 1073741824 owning fields'],
  ])('%s', (_, damage, message) => {
    const store = damaged(damage);
    expect(() => store.layouts.layouts()).toThrow(HeapCorruptionError);
    expect(() => store.layouts.layouts()).toThrow(message);
    expect(() => create(struct('Third', { x: f64 }), store)).toThrow(HeapCorruptionError);
  });

  test('a name that is not UTF-8', () => {
    const store = damaged((u32, entry) => (u32[entry + 6] = 0xffffffff));
    expect(() => store.layouts.layouts()).toThrow('the name of a layout is not UTF-8');
  });

  test.each([
    ['a next free beyond the end', NEXT_FREE, 8192],
    ['a next free before the area', NEXT_FREE, 64],
    ['a misaligned next free', NEXT_FREE, 102],
    ['an end beyond the memory', END, 2 ** 21],
  ])('%s', (_, word, value) => {
    const store = damaged((u32) => (u32[word] = value));
    expect(() => LayoutRegistry.attach(store.memory, START)).toThrow(HeapCorruptionError);
    expect(() => LayoutRegistry.attach(store.memory, START)).toThrow('has impossible bounds');
  });

  test('a null list is an empty one', () => {
    const store = damaged((u32) => (u32[HEAD] = NULL as Address));
    expect(store.layouts.layouts()).toEqual([]);
  });
});
