/** Roots in one thread: names of all kinds, what they stand for, and what is refused. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InvalidFreeError, LockTimeoutError, OutOfMemoryError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { ROOT_LOCK } from '../../src/heap/superblock.ts';
import { type Address, KiB, NULL } from '../../src/memory/address.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { anotherThread, leave } from '../misuse/another-thread.ts';

const Cell = struct('Cell', { value: u32 });
let heap: Heap;

beforeEach(() => {
  heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 4 });
});

afterEach(() => heap.detach());

const stateOf = (address: Address) => [...heap.blocks()].find((block) => block.address === address)?.state;

describe('names', () => {
  test('stand for what was set last, or for nothing', () => {
    expect(heap.roots.get('a')).toBe(NULL);
    expect(heap.roots.has('a')).toBe(false);
    expect(heap.roots.open('a', Cell)).toBeUndefined();
    const [first, second] = [heap.alloc(8), heap.alloc(8)];
    heap.roots.set('a', first);
    expect(heap.roots.get('a')).toBe(first);
    expect(heap.roots.has('a')).toBe(true);
    heap.roots.set('a', second);
    expect(heap.roots.get('a')).toBe(second);
    expect(heap.roots.names()).toEqual(['a']);
    expect(heap.roots.delete('a')).toBe(true);
    expect(heap.roots.delete('a')).toBe(false);
    expect(heap.roots.get('a')).toBe(NULL);
  });

  test('are listed in the order in which they were set first', () => {
    const address = heap.alloc(8);
    const names = ['d', 'b', 'a', 'c', 'aa', 'bb'];
    for (const name of names) heap.roots.set(name, address);
    heap.roots.set('b', heap.alloc(8));
    expect(heap.roots.names()).toEqual(names);
    for (const gone of ['d', 'a', 'bb']) heap.roots.delete(gone);
    expect(heap.roots.names()).toEqual(['b', 'c', 'aa']);
    heap.roots.set('d', address);
    expect(heap.roots.names()).toEqual(['b', 'c', 'aa', 'd']);
  });

  test('of every script, with zeros, and up to 1,024 bytes', () => {
    const names = [
      'ä',
      'a\u0308',
      '日本語',
      '🧵🧵',
      '\u0000',
      ' ',
      'a\u0000b',
      '__proto__',
      'constructor',
      'x'.repeat(1024),
      'é'.repeat(512),
    ];
    const address = heap.alloc(8 * names.length);
    for (const [i, name] of names.entries()) heap.roots.set(name, (address + i * 8) as Address);
    for (const [i, name] of names.entries()) expect(heap.roots.get(name)).toBe(address + i * 8);
    expect(heap.roots.names()).toEqual(names);
    for (const name of names) expect(heap.roots.delete(name)).toBe(true);
    expect(heap.roots.names()).toEqual([]);
  });

  test('that differ in the last byte or in length alone are different', () => {
    const names = ['name', 'namf', 'nam', 'names', 'Name'];
    const blocks = names.map(() => heap.alloc(8));
    for (const [i, name] of names.entries()) heap.roots.set(name, blocks[i]!);
    for (const [i, name] of names.entries()) expect(heap.roots.get(name)).toBe(blocks[i]);
  });

  test('that are none are refused by every method', () => {
    const uses = (name: string): (() => unknown)[] => [
      () => heap.roots.set(name, 8 as Address),
      () => heap.roots.get(name),
      () => heap.roots.has(name),
      () => heap.roots.open(name, Cell),
      () => heap.roots.openOrCreate(name, Cell, () => expect.fail('made')),
      () => heap.roots.delete(name),
    ];
    for (const name of ['', 'x'.repeat(1025), 'é'.repeat(513)]) {
      for (const use of uses(name)) expect(use).toThrow(/1 to 1024 bytes of UTF-8, got \d+/);
    }
    for (const name of [undefined, null, 7, {}, Symbol('a')]) {
      for (const use of uses(name as never)) expect(use).toThrow(TypeError);
    }
    expect(heap.stats().liveBlocks).toBe(0);
  });

  test('many of them are found, and all their room comes back', () => {
    const first = heap.stats();
    const address = heap.alloc(8);
    for (let i = 0; i < 500; i++) heap.roots.set(`name ${i}`, address);
    expect(heap.roots.names()).toHaveLength(500);
    for (let i = 0; i < 500; i += 2) heap.roots.delete(`name ${i}`);
    for (let i = 0; i < 500; i++) expect(heap.roots.has(`name ${i}`)).toBe(i % 2 === 1);
    for (let i = 1; i < 500; i += 2) heap.roots.delete(`name ${i}`);
    heap.free(address);
    heap.flush();
    heap.verify();
    expect(heap.stats()).toMatchObject({ used: 0, liveBlocks: 0, largestFree: first.largestFree });
  });
});

describe('what they stand for', () => {
  test('is marked as shared, and stays when the name goes', () => {
    const address = heap.alloc(40);
    expect(stateOf(address)).toBe('live');
    heap.roots.set('a', address);
    expect(stateOf(address)).toBe('shared');
    heap.roots.delete('a');
    expect(stateOf(address)).toBe('shared');
    heap.free(address);
    expect(() => heap.free(address)).toThrow(InvalidFreeError);
  });

  test('is a view or an address, also one inside a block', () => {
    const cell = heap.new(Cell, { value: 7 });
    heap.roots.set('cell', cell);
    expect(heap.roots.get('cell')).toBe(cell.address);
    expect(heap.roots.open('cell', Cell)!.value).toBe(7);
    const block = heap.alloc(100);
    heap.roots.set('inside', (block + 40) as Address);
    expect(heap.roots.get('inside')).toBe(block + 40);
    expect(stateOf(block)).toBe('live');
  });

  test('is opened by whatever has an at(heap, address)', () => {
    const address = heap.alloc(8);
    heap.roots.set('a', address);
    const opened = heap.roots.open('a', { at: (from, address) => ({ from, address }) });
    expect(opened).toEqual({ from: heap, address });
  });

  test('is an address in the heap', () => {
    const end = heap.memory.byteLength;
    for (const target of [
      NULL,
      -8,
      8.5,
      end,
      end + 8,
      2 ** 32,
      Number.NaN,
      '8',
      undefined,
      null,
      {},
      { address: NULL },
    ]) {
      expect(() => heap.roots.set('a', target as never), String(target)).toThrow(RangeError);
      expect(() => heap.roots.openOrCreate('a', Cell, () => target as never)).toThrow(
        'a root stands for an address in the heap or for a view',
      );
    }
    expect(heap.roots.names()).toEqual([]);
    expect(heap.stats().liveBlocks).toBe(0);
  });
});

test('a name that could not be set in time takes no room', () => {
  const own = Heap.create({ byteLength: 256 * KiB, lockTimeout: 20 });
  const address = own.alloc(8);
  const other = anotherThread(own);
  const lock = other.lock(ROOT_LOCK);
  lock.acquire();
  expect(() => own.roots.set('late', address)).toThrow(LockTimeoutError);
  expect(own.stats().liveBlocks).toBe(1);
  lock.release();
  own.roots.set('late', address);
  expect(own.roots.get('late')).toBe(address);
  leave(other, own);
  own.detach();
});

describe('a full heap', () => {
  test('takes no new name, and says why, but opens the old ones', () => {
    const cell = heap.new(Cell, { value: 5 });
    heap.roots.set('cell', cell);
    const filler: Address[] = [];
    for (const size of [10_000, 100, 1]) {
      for (let next = heap.alloc(size); next !== NULL; next = heap.alloc(size)) filler.push(next);
    }
    expect(() => heap.roots.set('new', cell)).toThrow(OutOfMemoryError);
    expect(() => heap.roots.set('new', cell)).toThrow('a root needs an entry');
    const make = () => expect.fail('made');
    expect(() => heap.roots.openOrCreate('new', Cell, make)).toThrow(OutOfMemoryError);
    expect(heap.roots.openOrCreate('cell', Cell, make).value).toBe(5);
    expect(heap.roots.open('cell', Cell)!.value).toBe(5);
    expect(heap.roots.names()).toEqual(['cell']);
    for (const address of filler) heap.free(address);
    heap.roots.set('new', cell);
    expect(heap.roots.names()).toEqual(['cell', 'new']);
    heap.verify();
  });
});
