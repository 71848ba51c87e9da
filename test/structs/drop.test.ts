/** Drop: what a struct owns goes with it, by kind words and registered layouts alone. */

import { beforeEach, describe, expect, test } from 'vitest';
import { HeapCorruptionError, InvalidFreeError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB, NULL } from '../../src/memory/address.ts';
import { array } from '../../src/structs/array-field.ts';
import { type Dropper, dropBlock, kindName, kindWord, registerKind } from '../../src/structs/drop.ts';
import { type BoundField, Field, type init, type value } from '../../src/structs/field.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import type { StructStore } from '../../src/structs/store.ts';
import { struct } from '../../src/structs/struct.ts';

/** A block that owns the next one: kind, hash, address of the next. */
const LINK = registerKind(kindWord('TEST'), 'TestLink', (dropper: Dropper, address: number) => {
  dropper.push(dropper.store.memory.u32[(address >>> 2) + 2]!);
  dropper.free(address);
});

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

test('dropping NULL does nothing', () => {
  dropBlock(heap, NULL);
  expect(live()).toBe(0);
});
