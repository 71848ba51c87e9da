/** Buddy: the same addresses in each run, halves that merge, alignment by nature, and its options. */

import { describe, expect, test } from 'vitest';
import { BuddyAllocator, type BuddyOptions } from '../../src/allocators/buddy.ts';
import { type Address, KiB, MiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { fillUp } from './conformance.ts';

describe('a region of 4 MiB with 19 free lists', () => {
  const create = () => BuddyAllocator.create(Memory.create(4 * MiB), { freeLists: 19 });

  test('has smallest blocks of 16 bytes', () => {
    const buddy = create();
    expect(buddy.minBlock).toBe(16);
    expect(buddy.sizeOf(buddy.alloc(0))).toBe(16);
    expect(buddy.sizeOf(buddy.alloc(16))).toBe(16);
    expect(buddy.sizeOf(buddy.alloc(17))).toBe(32);
  });

  test('its blocks turn up at the same addresses in each run', () => {
    const run = () => {
      const buddy = create();
      const live: Address[] = [];
      const addresses: number[] = [];
      for (let i = 0; i < 500; i++) {
        const address = buddy.alloc((i * 7919) % 3000);
        addresses.push(address);
        live.push(address);
        if (i % 3 === 2) buddy.free(live.splice((i * 31) % live.length, 1)[0]!);
      }
      buddy.verify();
      return addresses;
    };
    const addresses = run();
    expect(run()).toEqual(addresses);
    expect(new Set(addresses.slice(0, 2)).size).toBe(2);
    // The first blocks ever, written down: they must not move with the library's version unnoticed.
    const buddy = create();
    const first = [16, 100, 5000, 16, 1 * MiB].map((size) => buddy.alloc(size));
    expect(first).toEqual([998_800, 998_912, 999_424, 998_816, 1_048_576]);
  });
});

describe('blocks', () => {
  const memory = Memory.create(64 * KiB);
  const create = (options: BuddyOptions = {}) => BuddyAllocator.create(memory, options);

  test('are powers of two, each aligned to its size', () => {
    const buddy = create();
    for (let size = 1; size <= 16 * KiB; size = size * 2 + 1) {
      const address = buddy.alloc(size);
      const usable = buddy.sizeOf(address);
      expect(Math.log2(usable) % 1).toBe(0);
      expect(usable).toBeGreaterThanOrEqual(size);
      expect(usable).toBeLessThan(Math.max(33, size * 2));
      expect(address % usable).toBe(0);
      buddy.free(address);
    }
  });

  test('halves merge with their buddy and with no other neighbour', () => {
    const buddy = create();
    const whole = buddy.alloc(256);
    buddy.free(whole);
    const quarters = [buddy.alloc(64), buddy.alloc(64), buddy.alloc(64), buddy.alloc(64)].sort(
      (a, b) => a - b,
    );
    const sizes = () =>
      [...buddy.blocks()].filter(({ address }) => address >= quarters[0]! && address < quarters[0]! + 256);
    if (quarters[0]! % 256 !== 0) return;
    buddy.free(quarters[1]!);
    buddy.free(quarters[2]!);
    expect(sizes().map(({ size, state }) => `${size} ${state}`)).toEqual([
      '64 live',
      '64 free',
      '64 free',
      '64 live',
    ]);
    buddy.free(quarters[0]!);
    expect(sizes()[0]).toMatchObject({ size: 128, state: 'free' });
    buddy.free(quarters[3]!);
    expect(sizes().length).toBe(1);
    buddy.verify();
  });

  test('resize shrinks and grows in place, through free halves only', () => {
    const buddy = create({ minBlock: 16 });
    const block = buddy.alloc(1024);
    expect(buddy.resize(block, 16)).toBe(true);
    expect(buddy.sizeOf(block)).toBe(16);
    buddy.verify();
    const wall = buddy.alloc(256);
    expect(wall - block).toBe(256);
    expect(buddy.resize(block, 256)).toBe(true);
    expect(buddy.resize(block, 257)).toBe(false);
    expect(buddy.sizeOf(block)).toBe(256);
    buddy.free(wall);
    expect(buddy.resize(block, 1000)).toBe(true);
    expect(buddy.sizeOf(block)).toBe(1024);
    buddy.verify();
  });

  test('an upper half cannot grow upwards', () => {
    const buddy = create();
    const [a, b] = [buddy.alloc(8 * KiB), buddy.alloc(8 * KiB)].sort((x, y) => x - y) as [Address, Address];
    expect(b - a).toBe(8 * KiB);
    const upper = b % (16 * KiB) === 0 ? a : b;
    expect(buddy.resize(upper, 9 * KiB)).toBe(false);
    buddy.verify();
  });

  test('a block that was asked to be aligned keeps its size when it shrinks, others do not', () => {
    const buddy = create();
    const aligned = buddy.alloc(8, 1024);
    expect(buddy.sizeOf(aligned)).toBe(1024);
    expect(buddy.resize(aligned, 8)).toBe(true);
    expect(buddy.sizeOf(aligned)).toBe(1024);
    const moved = buddy.realloc(aligned, 2000);
    expect(moved % 1024).toBe(0);
    expect(buddy.realloc(moved, 8), 'the mark came along').toBe(moved);
    expect(buddy.sizeOf(moved)).toBe(2048);
    const plain = buddy.alloc(1024, 8);
    expect(buddy.resize(plain, 8)).toBe(true);
    expect(buddy.sizeOf(plain)).toBe(32);
    buddy.verify();
    buddy.free(moved);
    const again = buddy.alloc(2000);
    expect(buddy.resize(again, 8)).toBe(true);
    expect(buddy.sizeOf(again), 'the mark went with the free').toBe(32);
    buddy.verify();
  });
});

test('the mark of an aligned block stays while it grows in place', () => {
  const buddy = BuddyAllocator.create(Memory.create(64 * KiB));
  const full: Address[] = [];
  for (let size = 2048; size >= 32; size /= 2) full.push(...fillUp(buddy, size));
  buddy.free(full[0]!);
  const aligned = buddy.alloc(8, 1024);
  expect(aligned).toBe(full[0]);
  expect(buddy.resize(aligned, 2000)).toBe(true);
  expect(buddy.resize(aligned, 8)).toBe(true);
  expect(buddy.sizeOf(aligned)).toBe(2048);
  buddy.verify();
});

describe('the region', () => {
  test('of any length and start is tiled to the last smallest block, and merges back', () => {
    const memory = Memory.create(16 * KiB);
    for (let byteLength = 256; byteLength < 4000; byteLength += 8) {
      const start = ((byteLength * 13) % 1024) & ~7;
      const buddy = BuddyAllocator.create(memory, { start, byteLength, minBlock: 16 });
      buddy.verify();
      const before = [...buddy.blocks()];
      const { capacity, largestFree, free } = buddy.stats();
      expect(start + capacity).toBeLessThanOrEqual(start + byteLength);
      expect(free).toBe(before.reduce((sum, { size }) => sum + size, 0));
      const all: Address[] = [];
      for (let block = buddy.alloc(16); block !== NULL; block = buddy.alloc(16)) {
        memory.u8.fill(0xff, block, block + 16);
        all.push(block);
      }
      buddy.verify();
      expect(all.length * 16).toBe(free);
      for (const block of all) buddy.free(block);
      expect([...buddy.blocks()]).toEqual(before);
      expect(buddy.stats().largestFree).toBe(largestFree);
    }
  });

  test('extends only as far as its maps were made for', () => {
    const memory = Memory.create(64 * KiB);
    const buddy = BuddyAllocator.create(memory, { byteLength: 16 * KiB, reserveBytes: 32 * KiB });
    expect(buddy.extend(31)).toBe(false);
    expect(buddy.extend(16 * KiB)).toBe(true);
    buddy.verify();
    expect(buddy.extend(16 * KiB)).toBe(false);
    expect(buddy.alloc(16 * KiB)).not.toBe(NULL);
    buddy.verify();
    const far = BuddyAllocator.create(memory, { byteLength: 16 * KiB, reserveBytes: 2 ** 40 });
    expect(far.extend(48 * KiB), 'as far as the memory reaches').toBe(true);
    far.verify();
    const fixed = BuddyAllocator.create(memory, { byteLength: 16 * KiB });
    expect(fixed.extend(4 * KiB)).toBe(false);
    fixed.verify();
  });
});

describe('options', () => {
  const memory = Memory.create(64 * KiB);

  test.each<BuddyOptions>([
    { minBlock: 8 },
    { minBlock: 24 },
    { minBlock: 0 },
    { minBlock: 2 ** 32 },
    { minBlock: 16.5 },
    { minBlock: Number.NaN },
    { minBlock: 64 * KiB },
    { freeLists: 0 },
    { freeLists: 33 },
    { freeLists: 1.5 },
    { freeLists: 1 },
    { freeLists: 4, minBlock: 32 },
    { reserveBytes: -1 },
    { reserveBytes: 1.5 },
    { reserveBytes: Number.NaN },
    { start: 4 },
    { start: 65 * KiB },
    { byteLength: 65 * KiB },
    { byteLength: 200 },
  ])('%j is refused', (options) => {
    const before = Buffer.from(memory.u8);
    expect(() => BuddyAllocator.create(memory, options)).toThrow(RangeError);
    expect(before.equals(memory.u8)).toBe(true);
  });

  test.each([
    [{}, 32],
    [{ minBlock: 16 }, 16],
    [{ minBlock: 4096 }, 4096],
    [{ freeLists: 3 }, 16 * KiB],
    [{ freeLists: 13 }, 16],
    [{ freeLists: 32 }, 16],
    [{ freeLists: 5, byteLength: 60_000 }, 2048],
  ])('%j makes smallest blocks of %d bytes', (options, minBlock) => {
    const buddy = BuddyAllocator.create(memory, options);
    expect(buddy.minBlock).toBe(minBlock);
    expect(BuddyAllocator.attach(memory, 0).minBlock).toBe(minBlock);
    buddy.verify();
  });
});
