/** Hybrid: two parts in one region, and a free that finds the right one by the address. */

import { beforeEach, describe, expect, test } from 'vitest';
import { BuddyAllocator } from '../../src/allocators/buddy.ts';
import { HybridAllocator, type HybridOptions } from '../../src/allocators/hybrid.ts';
import { LinkedListAllocator } from '../../src/allocators/linked-list.ts';
import { Locked } from '../../src/allocators/locked.ts';
import { PoolAllocator, type PoolOptions } from '../../src/allocators/pool.ts';
import { InvalidFreeError } from '../../src/errors.ts';
import { KiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';

const BYTES = 16 * KiB;
let memory: Memory;
let hybrid: HybridAllocator<LinkedListAllocator>;

beforeEach(() => {
  memory = Memory.create(BYTES);
  hybrid = HybridAllocator.create(memory, { allocator: LinkedListAllocator });
});

test('temporary blocks lie below permanent ones, and both are seen as one', () => {
  const temporary = hybrid.temporary.alloc(100);
  const permanent = hybrid.alloc(100);
  expect(temporary).toBeLessThan(permanent);
  expect([...hybrid.blocks()].filter(({ state }) => state === 'live').map(({ address }) => address)).toEqual([
    temporary,
    permanent,
  ]);
  const used = hybrid.sizeOf(temporary) + hybrid.sizeOf(permanent);
  expect(hybrid.stats()).toMatchObject({ used, liveBlocks: 2, capacity: BYTES });
});

test('free, realloc, resize and sizeOf find the part by the address', () => {
  const temporary = hybrid.temporary.alloc(40);
  const permanent = hybrid.alloc(40);
  expect(hybrid.resize(temporary, 80)).toBe(true);
  expect(hybrid.resize(permanent, 80)).toBe(true);
  hybrid.temporary.alloc(8);
  const moved = hybrid.realloc(temporary, 200);
  expect(moved).not.toBe(temporary);
  expect(moved, 'a temporary block stays one').toBeLessThan(permanent);
  expect(hybrid.sizeOf(moved)).toBe(200);
  hybrid.free(moved);
  hybrid.free(permanent);
  for (const gone of [temporary, moved, permanent]) expect(() => hybrid.free(gone)).toThrow(InvalidFreeError);
  hybrid.verify();
});

test('resetTemporary gives back the temporary blocks alone', () => {
  const permanent = hybrid.alloc(100);
  const temporary = [hybrid.temporary.alloc(1000), hybrid.temporary.alloc(1000)];
  hybrid.resetTemporary();
  expect(hybrid.stats().liveBlocks).toBe(1);
  for (const gone of temporary) expect(() => hybrid.free(gone)).toThrow(InvalidFreeError);
  expect(hybrid.sizeOf(permanent)).toBeGreaterThanOrEqual(100);
  expect(hybrid.temporary.alloc(1000)).toBe(temporary[0]);
  hybrid.verify();
});

test('alloc leaves the temporary part alone, however full the permanent one is', () => {
  while (hybrid.alloc(1000) !== NULL);
  while (hybrid.alloc(8) !== NULL);
  expect(hybrid.stats().largestFree).toBe(0);
  expect(hybrid.temporary.alloc(1000)).not.toBe(NULL);
  while (hybrid.temporary.alloc(0) !== NULL);
  for (const { address, size } of hybrid.temporary.blocks()) {
    expect(address + size).toBeLessThanOrEqual(hybrid.permanent.start);
  }
  hybrid.verify();
});

test('every temporary address is known as temporary, up to the last', () => {
  for (const temporaryBytes of [80, 88, 96, 104, 112]) {
    const narrow = HybridAllocator.create(memory, { allocator: LinkedListAllocator, temporaryBytes });
    for (let block = narrow.temporary.alloc(0); block !== NULL; block = narrow.temporary.alloc(0)) {
      expect(narrow.sizeOf(block)).toBe(narrow.temporary.sizeOf(block));
    }
    for (const { address } of [...narrow.temporary.blocks()]) narrow.free(address);
    expect(narrow.stats().liveBlocks).toBe(0);
    narrow.verify();
  }
});

test('attach finds both parts, whatever they are', () => {
  const buddy = HybridAllocator.create(memory, { allocator: BuddyAllocator, options: { minBlock: 64 } });
  const [temporary, permanent] = [buddy.temporary.alloc(8), buddy.alloc(100)] as const;
  const other = HybridAllocator.attach(Memory.attach(memory.buffer), 0);
  expect(other.permanent).toBeInstanceOf(BuddyAllocator);
  expect((other.permanent as BuddyAllocator).minBlock).toBe(64);
  other.free(temporary);
  other.free(permanent);
  expect(buddy.stats().liveBlocks).toBe(0);
});

test('a hybrid may be the permanent part of another', () => {
  const outer = HybridAllocator.create(memory, {
    allocator: HybridAllocator,
    options: { allocator: PoolAllocator, options: { blockSize: 64 } },
  });
  const block = outer.alloc(64);
  const again = HybridAllocator.attach(memory, 0);
  expect((again.permanent as HybridAllocator).permanent).toBeInstanceOf(PoolAllocator);
  again.free(block);
  outer.verify();
});

test('behind a lock, the temporary part shares it', () => {
  const locked = Locked.create(memory, {
    allocator: HybridAllocator,
    options: { allocator: LinkedListAllocator },
  });
  const temporary = locked.over(locked.inner.temporary);
  const block = temporary.alloc(8);
  expect(temporary.lock).toBe(locked.lock);
  locked.lock.acquire();
  expect(() => temporary.alloc(8)).toThrow('already held by this thread');
  locked.lock.release();
  locked.free(block);
  expect(locked.stats().liveBlocks).toBe(0);
});

describe('options', () => {
  test.each<object>([
    { temporaryBytes: 0 },
    { temporaryBytes: 72 },
    { temporaryBytes: 1.5 },
    { temporaryBytes: -8 },
    { temporaryBytes: Number.NaN },
    { temporaryBytes: BYTES },
    { temporaryBytes: BYTES - 64 },
    { temporaryBytes: BYTES - 64 - 88 },
    { byteLength: 200 },
    { start: 4 },
    { allocator: PoolAllocator },
    { allocator: PoolAllocator, options: { blockSize: BYTES } },
  ])('%o is refused', (options) => {
    const wanted = { allocator: LinkedListAllocator as unknown, ...options } as HybridOptions<
      PoolAllocator,
      PoolOptions
    >;
    expect(() => HybridAllocator.create(memory, wanted)).toThrow(RangeError);
  });

  test('temporaryBytes is how much the temporary part gets', () => {
    const narrow = HybridAllocator.create(memory, { allocator: LinkedListAllocator, temporaryBytes: 1001 });
    expect(narrow.temporary.stats().capacity).toBe(1008);
    expect(narrow.permanent.stats().capacity).toBe(BYTES - 64 - 1008);
  });
});
