/** Drop: what a struct owns goes with it, by kind words and registered layouts alone. */

import { beforeEach, describe, expect, test } from 'vitest';
import { HeapCorruptionError, InvalidFreeError, UnknownKindError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, MiB, NULL } from '../../src/memory/address.ts';
import { array } from '../../src/structs/array-field.ts';
import { type Dropper, dropBlock, dropOrFree, kindName, registerKind } from '../../src/structs/drop.ts';
import { type BoundField, Field, type init, type value } from '../../src/structs/field.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import type { StructStore } from '../../src/structs/store.ts';
import { struct } from '../../src/structs/struct.ts';
import { anotherThread, leave } from '../misuse/another-thread.ts';

/** A block that owns the next one: kind, hash, address of the next. */
const LINK = registerKind(
  'TEST',
  (dropper: Dropper, address: number) => {
    dropper.push(dropper.store.memory.u32[(address >>> 2) + 2]!);
    dropper.free(address);
  },
  'TestLink',
);

/** Owns a chain of as many links as were assigned. */
class Chain extends Field {
  declare readonly [value]: number;
  declare readonly [init]: number;
  override readonly kind = 'chain';
  override readonly size = 4;
  override readonly align = 4;
  override get owning(): readonly number[] {
    return [0];
  }
  override describe(): string {
    return 'chain';
  }
  override bind(store: StructStore): BoundField {
    const { u32 } = store.memory;
    const write = (address: number, given: unknown): void => {
      if (typeof given !== 'number') throw new TypeError('chain takes a length');
      let next = 0;
      for (let i = 0; i < given; i++) {
        const link = store.allocZeroed(16);
        u32[link >>> 2] = LINK;
        u32[(link >>> 2) + 2] = next;
        next = link;
      }
      dropBlock(store, u32[address >>> 2]!);
      u32[address >>> 2] = next;
    };
    return { read: (address) => u32[address >>> 2], write, json: () => null };
  }
}

const Owner = struct('Owner', { id: u32, chain: new Chain() });
const Outer = struct('Outer', { x: f64, one: Owner, some: array(new Chain(), 3) });

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 32 * MiB });
  // Layouts that do not fit the registry's area are blocks of the heap: they stay.
  heap.delete(heap.new(Outer));
  return () => heap.detach();
});
const live = (): number => heap.stats().liveBlocks;

describe('heap.delete', () => {
  test('drops what the struct owns', () => {
    const owner = heap.new(Owner, { id: 1, chain: 3 });
    expect(live()).toBe(4);
    heap.delete(owner);
    expect(live()).toBe(0);
  });

  test('drops what nested structs and arrays own', () => {
    const outer = heap.new(Outer, { x: 1, one: { chain: 2 }, some: [1, 0, 5] });
    expect(live()).toBe(9);
    heap.delete(outer);
    expect(live()).toBe(0);
  });

  test('a chain of a million blocks needs no stack', () => {
    const big = Heap.create({ byteLength: 64 * MiB });
    const owner = big.new(Owner, { chain: 1_000_000 });
    expect(big.stats().liveBlocks).toBe(1_000_001);
    big.delete(owner);
    expect(big.stats().liveBlocks).toBe(0);
    big.detach();
  });

  test('drops nothing when the struct cannot be freed', () => {
    const outer = heap.new(Outer, { one: { chain: 2 } });
    expect(() => heap.delete(outer.one)).toThrow(InvalidFreeError);
    expect(live()).toBe(3);
    heap.delete(outer);
  });
});

test('a struct that could not be initialised leaves nothing', () => {
  expect(() => heap.new(Owner, { chain: 4, id: 1, colour: 2 } as object)).toThrow(TypeError);
  expect(live()).toBe(0);
});

test('deleting an array of structs drops what each owns', () => {
  const owners = Owner.array(heap, 10);
  for (const owner of owners) owner.chain = 2;
  expect(live()).toBe(21);
  owners.free();
  expect(live()).toBe(0);
  const columns = Owner.array(heap, 10, { layout: 'columns' });
  for (let i = 0; i < 10; i++) columns.at(i).chain = 2;
  columns.free();
  expect(live()).toBe(0);
});

test('what is no owned block is reported', () => {
  const owner = heap.new(Owner, { chain: 1 });
  heap.memory.u32[owner.chain >>> 2] = 7;
  expect(() => heap.delete(owner)).toThrow(HeapCorruptionError);
  expect(kindName(7)).toBe('no known kind (0x00000007)');
});

describe('a kind that this program has no code for', () => {
  const SHARED_VEC = 0x5f43_4556;

  /** Has three chains and owns what looks like a SharedVec in place of the second one. */
  function ownerOfVec(): { outer: { address: Address }; vec: Address } {
    const outer = heap.new(Outer, { one: { chain: 3 }, some: [0, 0, 2] });
    const vec = heap.alloc(24);
    heap.share(vec);
    heap.memory.u32[vec >>> 2] = SHARED_VEC;
    heap.memory.u32[(vec >>> 2) + 1] = 0;
    heap.memory.u32[(outer.address + Outer.offsetOf('some')) >>> 2] = vec;
    expect(live()).toBe(7);
    return { outer, vec };
  }

  test('its block stays whole, all others go, and the caller hears of it', () => {
    const { outer, vec } = ownerOfVec();
    expect(dropOrFree(heap, outer.address)).toEqual([{ address: vec, kind: 'SharedVec' }]);
    expect([...heap.blocks()].filter(({ state }) => state !== 'free' && state !== 'hand')).toMatchObject([
      { address: vec, state: 'live', owner: heap.threadSlot },
    ]);
    expect(heap.memory.u32[vec >>> 2]).toBe(SHARED_VEC);
    expect(dropOrFree(heap, vec)).toEqual([{ address: vec, kind: 'SharedVec' }]);
    heap.free(vec);
    expect(live()).toBe(0);
  });

  test('deleting what owns it says so, and does the rest', () => {
    const { outer, vec } = ownerOfVec();
    expect(() => heap.delete(outer)).toThrow(UnknownKindError);
    expect(live()).toBe(2);
    heap.delete(outer);
    expect(() => dropBlock(heap, vec)).toThrow('no code for its kind, SharedVec');
    heap.free(vec);
    expect(live()).toBe(0);
  });
});

test("dropping what is nobody's makes it this thread's first", () => {
  const other = anotherThread(heap);
  const address = other.new(Owner, { chain: 3 }).address;
  leave(other, heap);
  expect([...heap.blocks()].find((block) => block.address === address)?.state).toBe('orphan');
  expect(dropOrFree(heap, address)).toEqual([]);
  expect(live()).toBe(0);
  expect(() => dropOrFree(heap, address)).toThrow(InvalidFreeError);
});

test('dropping NULL does nothing', () => {
  dropBlock(heap, NULL);
  expect(live()).toBe(0);
});
