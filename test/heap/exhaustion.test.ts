/**
 * When there is no room: handlers free, claim, give up or throw, and the heap stays whole; `claim` takes
 * more of the reserved buffer, with every allocator.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OutOfMemoryError } from '../../src/errors.ts';
import type { Layout } from '../../src/heap/exhaustion.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapAllocator } from '../../src/heap/options.ts';
import { type Address, KiB, MiB, NULL } from '../../src/memory/address.ts';
import { array, bytes } from '../../src/structs/array-field.ts';
import { u8, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

const Page = struct('Page', { bytes: array(u8, 4000) });
let heap: Heap;

beforeEach(() => {
  heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 2 });
});

afterEach(() => heap.detach());

/** Leaves no room for anything, and returns what fills it: blocks of 4,000 bytes and the crumbs. */
function fill(): Address[] {
  const blocks: Address[] = [];
  for (const size of [4000, 400, 40, 1]) {
    for (let next = heap.alloc(size); next !== NULL; next = heap.alloc(size)) blocks.push(next);
  }
  return blocks;
}

function expectEmpty(): void {
  heap.flush();
  heap.verify();
  expect(heap.stats()).toMatchObject({ used: 0, liveBlocks: 0 });
  const all = heap.alloc(heap.stats().largestFree);
  expect(all).not.toBe(NULL);
  heap.free(all);
}

describe('a handler', () => {
  test('that frees has the request served, and is told what was asked for', () => {
    const blocks = fill();
    const asked: Layout[] = [];
    heap.onExhausted((layout) => {
      asked.push(layout);
      heap.free(blocks.shift()!);
      return true;
    });
    const address = heap.alloc(3000);
    expect(address).not.toBe(NULL);
    blocks.push(address);
    const aligned = heap.alloc(700, 1024);
    expect(aligned % 1024).toBe(0);
    blocks.push(aligned);
    expect(asked[0]).toEqual({ size: 3000, align: 8 });
    expect(asked.at(-1)).toEqual({ size: 700, align: 1024 });
    for (const block of blocks) heap.free(block);
    expectEmpty();
  });

  test('is asked by every way to allocate: zeroed, moved, struct, array, arena, root', () => {
    const uses: ((block: Address) => unknown)[] = [
      () => heap.allocZeroed(4000),
      (block) => heap.realloc(block, 9000),
      () => heap.new(Page),
      () => Page.array(heap, 3),
      () => heap.arena(9000),
      (block) => heap.roots.set('a', block),
      (block) => heap.roots.openOrCreate('b', { at: (_, address) => ({ address }) }, () => block),
    ];
    for (const use of uses) {
      heap.detach();
      heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 2 });
      const blocks = fill();
      let calls = 0;
      heap.onExhausted(() => {
        calls++;
        heap.free(blocks.shift()!);
        return true;
      });
      use(blocks.at(-1)!);
      expect(calls, String(use)).toBeGreaterThan(0);
      heap.verify();
    }
  });

  test('is not asked while there is room', () => {
    heap.onExhausted(() => expect.fail('asked'));
    for (let i = 0; i < 100; i++) heap.free(heap.alloc(4000));
    expect(heap.alloc(100)).not.toBe(NULL);
  });

  test('that gives up, or says anything but true, ends it', () => {
    fill();
    let calls = 0;
    for (const answer of [false, undefined, null, 1, 'true', {}]) {
      const remove = heap.onExhausted(() => {
        calls++;
        return answer as never;
      });
      expect(heap.alloc(4000)).toBe(NULL);
      remove();
    }
    expect(calls).toBe(6);
  });

  test('is asked 64 times at most when it promises room that never comes', () => {
    fill();
    let calls = 0;
    heap.onExhausted(() => {
      calls++;
      return true;
    });
    const { failures } = heap.stats();
    expect(heap.alloc(4000)).toBe(NULL);
    expect(calls).toBe(64);
    expect(heap.stats().failures).toBe(failures + 65);
    expect(heap.realloc(heap.alloc(0), 10)).toBe(NULL);
  });

  test('that throws passes its error on, and the heap is as it was', () => {
    const blocks = fill();
    const error = new Error('handler failed');
    let fails = true;
    heap.onExhausted(() => {
      if (fails) throw error;
      heap.free(blocks.pop()!);
      return true;
    });
    const { used, liveBlocks } = heap.stats();
    expect(() => heap.alloc(4000)).toThrow(error);
    expect(() => heap.realloc(blocks[0]!, 9000)).toThrow(error);
    expect(() => heap.new(Page)).toThrow(error);
    expect(() => heap.roots.set('a', blocks[0]!)).toThrow(error);
    expect(() => heap.roots.openOrCreate('a', Page, () => heap.new(Page))).toThrow(error);
    expect(() => heap.scope(() => 1, 10_000)).toThrow(error);
    heap.verify();
    expect(heap.stats()).toMatchObject({ used, liveBlocks });
    expect(heap.roots.names()).toEqual([]);
    // It is asked again the next time: the first error left nothing locked.
    fails = false;
    const address = heap.alloc(1);
    expect(address).not.toBe(NULL);
    for (const block of [...blocks, address]) heap.free(block);
    expectEmpty();
  });

  test('may allocate itself, and gets NULL instead of another call when there is no room', () => {
    const blocks = fill();
    const own: Address[] = [];
    let depth = 0;
    heap.onExhausted(() => {
      expect(++depth).toBe(1);
      own.push(heap.alloc(4000));
      heap.free(blocks.shift()!);
      own.push(heap.alloc(100), heap.realloc(blocks[0]!, 100_000));
      heap.free(blocks.shift()!);
      heap.free(blocks.shift()!);
      depth--;
      return true;
    });
    const address = heap.alloc(4000);
    expect(address).not.toBe(NULL);
    expect(own).toEqual([NULL, expect.any(Number), NULL]);
    expect(own[1]).not.toBe(NULL);
    heap.verify();
  });

  test('may remove itself, or another, while it is called', () => {
    const blocks = fill();
    const calls: string[] = [];
    const removeFirst = heap.onExhausted(() => {
      calls.push('first');
      removeFirst();
      removeSecond();
      return false;
    });
    const removeSecond = heap.onExhausted(() => {
      calls.push('second');
      heap.free(blocks.pop()!);
      return true;
    });
    heap.onExhausted(() => {
      calls.push('third');
      return false;
    });
    expect(heap.alloc(1)).not.toBe(NULL);
    expect(calls).toEqual(['first', 'second']);
    expect(heap.alloc(MiB)).toBe(NULL);
    expect(calls).toEqual(['first', 'second', 'third']);
    removeFirst();
    removeSecond();
  });

  test('is asked in the order of their registration, the first that has room ends it', () => {
    const blocks = fill();
    const calls: number[] = [];
    for (const number of [1, 2, 3]) {
      heap.onExhausted(() => {
        calls.push(number);
        if (number === 2) heap.free(blocks.pop()!);
        return number === 2;
      });
    }
    expect(heap.alloc(1)).not.toBe(NULL);
    expect(calls).toEqual([1, 2]);
  });

  test('that is registered twice is called twice, and removed one by one', () => {
    fill();
    let calls = 0;
    const handler = () => void calls++;
    const removers = [heap.onExhausted(handler), heap.onExhausted(handler)];
    expect(heap.alloc(4000)).toBe(NULL);
    expect(calls).toBe(2);
    removers[0]!();
    expect(heap.alloc(4000)).toBe(NULL);
    expect(calls).toBe(3);
    removers[1]!();
    removers[1]!();
    expect(heap.alloc(4000)).toBe(NULL);
    expect(calls).toBe(3);
  });

  test('is a function', () => {
    for (const value of [undefined, null, true, {}, 'claim']) {
      expect(() => heap.onExhausted(value as never)).toThrow(new TypeError('onExhausted wants a function'));
    }
  });

  test('that claims grows the heap into its reserve, step by step', () => {
    heap.detach();
    heap = Heap.create({ byteLength: MiB, maxThreads: 2, initialBytes: 64 * KiB });
    heap.onExhausted(({ size }) => heap.claim(Math.max(size + 64, 64 * KiB)));
    const blocks = Array.from({ length: 200 }, () => heap.alloc(4000));
    expect(blocks).not.toContain(NULL);
    expect(heap.alloc(MiB)).toBe(NULL);
    expect(heap.stats().capacity).toBeGreaterThan(800_000);
    for (const block of blocks) heap.free(block);
    expectEmpty();
  });
});

describe('claim', () => {
  const cases = (['tlsf', 'linked-list', 'buddy', 'bump'] as HeapAllocator[]).flatMap((allocator) =>
    [true, false].map((cache) => ({ allocator, cache })),
  );

  test.each(cases)(
    '$allocator, cache $cache: takes the reserve bit by bit, then says no',
    ({ allocator, cache }) => {
      heap.detach();
      const options = allocator === 'buddy' ? { minBlock: 64 } : {};
      heap = Heap.create({
        byteLength: MiB,
        maxThreads: 2,
        initialBytes: 256 * KiB,
        allocator,
        cache,
        ...options,
      });
      const before = heap.stats();
      const at = [heap.alloc(100), heap.alloc(5000)];
      expect(heap.claim(0)).toBe(false);
      expect(heap.claim(MiB)).toBe(false);
      expect(heap.claim(2 ** 40)).toBe(false);
      expect(heap.stats()).toMatchObject({ capacity: before.capacity });
      expect(heap.claim(64 * KiB + 3)).toBe(true);
      expect(heap.claim(128 * KiB)).toBe(true);
      heap.verify();
      const grown = heap.stats().capacity - before.capacity;
      expect(grown).toBeGreaterThan(191 * KiB);
      expect(grown).toBeLessThanOrEqual(192 * KiB);
      let claimed = 0;
      while (heap.claim(64 * KiB)) claimed++;
      expect(claimed).toBeGreaterThanOrEqual(8);
      const { largestFree } = heap.stats();
      if (allocator !== 'bump') expect(largestFree).toBeGreaterThan(before.largestFree);
      const large = heap.alloc(largestFree);
      expect(large).not.toBe(NULL);
      heap.memory.u8.fill(0xee, large, large + largestFree);
      heap.verify();
      for (const address of [...at, large]) heap.free(address);
      expectEmpty();
    },
  );

  test.each(cases)(
    '$allocator, cache $cache: what was claimed is allocated, freed and cached as the rest',
    ({ allocator, cache }) => {
      heap.detach();
      const options = allocator === 'buddy' ? { minBlock: 64 } : {};
      heap = Heap.create({
        byteLength: 512 * KiB,
        maxThreads: 2,
        initialBytes: 64 * KiB,
        allocator,
        cache,
        ...options,
      });
      const below = heap.memory.byteLength;
      while (heap.claim(4096));
      const blocks: Address[] = [];
      for (let next = heap.alloc(100); next !== NULL; next = heap.alloc(100)) blocks.push(next);
      expect(blocks.some((address) => address > below - 8 * KiB)).toBe(true);
      for (const block of blocks) heap.free(block);
      // Blocks above the first end come from the cache again.
      if (cache && allocator !== 'bump') {
        const hits = heap.stats().cacheHits!;
        for (let i = 0; i < 100; i++) heap.free(heap.alloc(100));
        expect(heap.stats().cacheHits! - hits).toBeGreaterThanOrEqual(99);
      }
      expectEmpty();
    },
  );

  test('bytes must be an integer from 0 up', () => {
    for (const value of [-8, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '8', undefined, null]) {
      expect(() => heap.claim(value as never), String(value)).toThrow(RangeError);
    }
  });
});

describe('a struct that finds no room', () => {
  test('is an OutOfMemoryError that names it', () => {
    fill();
    const Point = struct('Point', { x: u32, y: u32 });
    const make = () => heap.new(Point, { x: 1 });
    expect(make).toThrow(OutOfMemoryError);
    expect(make).toThrow('out of memory: no free block for 8 bytes; a Point');
    const Huge = struct('Huge', { bytes: bytes(2 ** 30) });
    expect(() => heap.new(Huge)).toThrow(OutOfMemoryError);
    heap.verify();
  });
});
