/** Pool: blocks of one size, counted out to the last byte of the region. */

import { describe, expect, test } from 'vitest';
import { PoolAllocator, type PoolOptions } from '../../src/allocators/pool.ts';
import { type Address, KiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';

const memory = Memory.create(64 * KiB);

test('gives out the block freed last, then the fresh ones in order', () => {
  const pool = PoolAllocator.create(memory, { blockSize: 100 });
  expect(pool.blockSize).toBe(104);
  const [a, b, c] = [pool.alloc(1), pool.alloc(100), pool.alloc(104)] as const;
  expect([b - a, c - b]).toEqual([104, 104]);
  pool.free(a);
  pool.free(b);
  expect([pool.alloc(8), pool.alloc(8), pool.alloc(8)]).toEqual([b, a, c + 104]);
  pool.verify();
});

test('serves up to the block size, and no more', () => {
  const pool = PoolAllocator.create(memory, { blockSize: 64 });
  expect(pool.alloc(65)).toBe(NULL);
  const block = pool.alloc(64);
  expect(pool.sizeOf(block)).toBe(64);
  expect(pool.resize(block, 64)).toBe(true);
  expect(pool.resize(block, 65)).toBe(false);
  expect(pool.realloc(block, 65)).toBe(NULL);
  expect(pool.realloc(block, 3)).toBe(block);
});

test.each([
  [8, 8],
  [24, 8],
  [48, 16],
  [64, 64],
  [4096, 4096],
  [8192, 4096],
])('blocks of %i bytes are aligned to %i', (blockSize, align) => {
  const pool = PoolAllocator.create(memory, { blockSize, start: 8 });
  const [a, b] = [pool.alloc(1, align), pool.alloc(1, align)] as const;
  expect(a % align).toBe(0);
  expect(b - a).toBe(blockSize);
  expect(pool.alloc(1, align * 2)).toBe(NULL);
});

test('the region holds as many blocks as can be, whatever the sizes', () => {
  for (let blockSize = 8; blockSize <= 264; blockSize += 8) {
    for (let byteLength = 900; byteLength < 1700; byteLength += 56) {
      memory.u8.fill(0xa5);
      const pool = PoolAllocator.create(memory, { blockSize, start: 1024, byteLength });
      const all: Address[] = [];
      for (let block = pool.alloc(blockSize); block !== NULL; block = pool.alloc(blockSize)) {
        memory.u8.fill(0xff, block, block + blockSize);
        all.push(block);
      }
      pool.verify();
      expect(all.length).toBe(pool.capacity);
      expect(pool.stats().largestFree).toBe(0);
      const spare = byteLength - 64 - all.length * (blockSize + 5);
      const align = blockSize & -blockSize;
      expect(spare, `${blockSize} in ${byteLength}`).toBeLessThan(blockSize + 5 + 3 + align);
      expect(memory.u8[1024 + byteLength]).toBe(0xa5);
      expect(memory.u8[1023]).toBe(0xa5);
      for (const block of all) pool.free(block);
      expect(pool.stats()).toMatchObject({ used: 0, largestFree: blockSize });
      pool.verify();
    }
  }
});

describe('options', () => {
  test.each<object>([
    {},
    { blockSize: 0 },
    { blockSize: -8 },
    { blockSize: 1.5 },
    { blockSize: Number.NaN },
    { blockSize: '64' },
    { blockSize: 2 ** 31 + 1 },
    { blockSize: 64 * KiB },
    { blockSize: 64, byteLength: 64 },
    { blockSize: 64, byteLength: 128 },
    { blockSize: 64, start: 60 },
  ])('%j is refused', (options) => {
    const before = Buffer.from(memory.u8);
    expect(() => PoolAllocator.create(memory, options as PoolOptions)).toThrow(RangeError);
    expect(before.equals(memory.u8)).toBe(true);
  });
});
