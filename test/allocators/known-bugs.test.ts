/**
 * Bugs that allocators of this kind have had elsewhere, each by its name. Where one would show in any
 * allocator, the test runs over the whole table of subjects.
 */

import { describe, expect, test } from 'vitest';
import { BuddyAllocator } from '../../src/allocators/buddy.ts';
import { LinkedListAllocator } from '../../src/allocators/linked-list.ts';
import { PoolAllocator } from '../../src/allocators/pool.ts';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { type Address, GiB, KiB, MiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { expectAllBack, fillUp } from './conformance.ts';
import { Site } from './site.ts';
import { subjects } from './subjects.ts';

const site = new Site(Memory.create(MiB), 4096);
const bareOnes = subjects.filter(({ wrapper }) => wrapper === 'none');
const bareAndLocked = subjects.filter(({ wrapper }) => wrapper === 'none' || wrapper === 'locked');
const reclaiming = bareOnes.filter(({ reclaims, maxSize }) => reclaims && maxSize > 4096);

describe('1. a region below the least metadata size', () => {
  const memory = Memory.create(16 * KiB);
  const start = 4096;

  test.each(bareAndLocked)('$name: any length is refused or used within its bounds', ({ create }) => {
    let made = 0;
    for (let byteLength = 0; byteLength <= 700; byteLength++) {
      memory.u8.fill(0x77);
      try {
        create(memory, start, byteLength).verify();
      } catch (error) {
        expect(error, `${byteLength} bytes`).toBeInstanceOf(RangeError);
        expect(made, 'a longer region was refused than one that was taken').toBe(0);
      }
      expect(memory.u8.subarray(0, start).every((byte) => byte === 0x77)).toBe(true);
      expect(memory.u8.subarray(start + byteLength).every((byte) => byte === 0x77)).toBe(true);
    }
    made++;
  });

  test.each(bareOnes)('$name: the smallest regions serve what they say and take it back', ({ create }) => {
    for (let byteLength = 0; byteLength <= 1500; byteLength += 8) {
      memory.u8.fill(0x77);
      let allocator: ReturnType<typeof create>;
      try {
        allocator = create(memory, start, byteLength);
      } catch {
        continue;
      }
      const first = allocator.stats();
      expect(first.capacity).toBeLessThanOrEqual(byteLength);
      const all = [...fillUp(allocator, 1), ...fillUp(allocator, 0)];
      for (const address of all) {
        expect(address + allocator.sizeOf(address)).toBeLessThanOrEqual(start + byteLength);
        memory.u8.fill(0xee, address, address + allocator.sizeOf(address));
      }
      allocator.verify();
      for (const address of all) allocator.free(address);
      if (first.largestFree > 0) expectAllBack(allocator, first);
      expect(memory.u8.subarray(start + byteLength).every((byte) => byte === 0x77)).toBe(true);
    }
  });
});

describe('2. extend by less than a header, on a full allocator, by an odd size', () => {
  test.each(bareOnes.filter((subject) => subject.extends))('$name', (subject) => {
    const allocator = site.create(subject);
    site.extended = true;
    const full = fillUp(allocator, 8);
    let taken = 0;
    for (const bytes of [0, 1, 7, 8, 9, 15, 16, 23, 24, 25, 31, 33, 65, 127, 1001, 8, 1]) {
      if (allocator.extend(bytes)) taken += bytes - (bytes % 8);
      allocator.verify();
      expect(allocator.stats().capacity).toBeLessThanOrEqual(128 * KiB + taken);
      const more = allocator.alloc(1);
      if (more !== NULL) full.push(more);
      allocator.verify();
    }
    for (const [seed, address] of full.entries()) site.stamp(address, 1, seed);
    for (const address of full) allocator.free(address);
    allocator.verify();
    expect(allocator.stats().used).toBe(0);
    site.expectGuardsWhole();
  });
});

test.each(reclaiming)('3. small back padding leaked for ever: $name', (subject) => {
  const allocator = site.create(subject);
  const first = allocator.stats();
  for (let rest = 0; rest <= 64; rest++) {
    const low = allocator.alloc(200);
    const wall = allocator.alloc(8);
    allocator.free(low);
    // Fits into the hole but for `rest` bytes, which are too few for a block of their own.
    const block = allocator.alloc(200 - rest);
    allocator.verify();
    allocator.free(block);
    allocator.free(wall);
    expect(allocator.stats().largestFree).toBe(first.largestFree);
  }
  expectAllBack(allocator, first);
});

test.each(bareOnes)('4. alignment padding below the smallest block wraps and overlaps: $name', (subject) => {
  for (const align of [16, 32, 64, 128, 256]) {
    for (let shift = 0; shift <= 40; shift += 8) {
      const allocator = site.create(subject);
      const below = allocator.alloc(shift);
      const aligned = [allocator.alloc(24, align), allocator.alloc(1, align), allocator.alloc(8)];
      for (const [seed, address] of [below, ...aligned].entries()) {
        site.stamp(address, allocator.sizeOf(address), seed);
      }
      for (const [seed, address] of [below, ...aligned].entries()) {
        site.expectStamped(address, allocator.sizeOf(address), seed);
      }
      allocator.verify();
    }
  }
});

test.each(bareOnes)('5. a size near the maximum wraps to a tiny block: $name', (subject) => {
  const allocator = site.create(subject);
  for (const top of [2 ** 31, 2 ** 32, 2 ** 33, 2 ** 35, 2 ** 53]) {
    for (let less = 1; less <= 80; less++) expect(allocator.alloc(top - less), `${top} - ${less}`).toBe(NULL);
    for (let more = 0; more <= 80 && top < 2 ** 53; more++) expect(allocator.alloc(top + more)).toBe(NULL);
  }
  expect(allocator.stats().liveBlocks).toBe(0);
});

test.each(bareAndLocked)('6. a huge request throws something other than exhaustion: $name', (subject) => {
  const allocator = site.create(subject);
  for (const size of [2 ** 32, 2 ** 40, 2 ** 53 - 1]) {
    expect(allocator.alloc(size)).toBe(NULL);
    expect(allocator.alloc(size, 2 ** 52)).toBe(NULL);
    expect(allocator.alloc(1, 2 ** 52)).toBe(NULL);
    expect(allocator.realloc(NULL, size)).toBe(NULL);
  }
});

test.each(bareOnes)('7. a large alignment ignored, or lost by realloc: $name', (subject) => {
  for (let align = 16; align <= subject.maxAlign; align *= 4) {
    const allocator = site.create(subject);
    allocator.alloc(24);
    let block = allocator.alloc(100, align);
    expect(block % align).toBe(0);
    for (const size of [8, 300, 1, 2000, 30, 4000]) {
      allocator.alloc(8);
      const moved = allocator.realloc(block, size);
      if (moved === NULL) break;
      block = moved;
      expect(block % align, `align ${align}, ${size} bytes`).toBe(0);
    }
    allocator.verify();
  }
});

test.each(bareOnes)('8. realloc copies the new size: $name', (subject) => {
  const allocator = site.create(subject);
  const size = Math.min(2000, subject.maxSize);
  const target = allocator.alloc(size);
  const wall = allocator.alloc(8);
  allocator.free(target);
  const small = allocator.alloc(16);
  const behind = allocator.alloc(16);
  site.stamp(behind, 16, 9);
  const had = allocator.sizeOf(small);
  const moved = allocator.realloc(small, size);
  const copied = Buffer.from(site.memory.bytes(moved, size));
  if (moved !== small) expect(copied.includes(Buffer.from(site.memory.bytes(behind, 16)), had)).toBe(false);
  site.expectStamped(behind, 16, 9);
  allocator.free(wall);
  allocator.verify();
});

test('9. a buddy inserted at every merge level is handed out twice', () => {
  const memory = Memory.create(64 * KiB);
  const buddy = BuddyAllocator.create(memory, { minBlock: 16 });
  for (const size of [16, 32, 64, 256, 1024]) {
    for (const address of fillUp(buddy, size)) buddy.free(address);
    buddy.verify();
    for (const smaller of [16, 32, 64]) {
      const all = fillUp(buddy, smaller);
      expect(new Set(all).size).toBe(all.length);
      for (const [i, address] of all.sort((a, b) => a - b).entries()) {
        if (i > 0) expect(address - all[i - 1]!).toBeGreaterThanOrEqual(smaller);
      }
      for (const address of all) buddy.free(address);
      buddy.verify();
    }
  }
});

test('10. a merge past the top order, or with a buddy outside the region', () => {
  const memory = Memory.create(64 * KiB);
  // Two regions side by side: the buddies of many blocks at their border lie in the other one.
  const regions = [0, 32 * KiB - 512].map((start) =>
    BuddyAllocator.create(memory, { start, byteLength: 32 * KiB - 512, minBlock: 32 }),
  );
  const first = regions.map((region) => [...region.blocks()]);
  const all = regions.map((region) => fillUp(region, 32));
  for (const i of [0, 1]) for (const address of all[i]!) regions[i]!.free(address);
  for (const i of [0, 1]) {
    regions[i]!.verify();
    expect([...regions[i]!.blocks()]).toEqual(first[i]);
  }
});

test('10. a merge with what only looks like a buddy, in the bytes behind the order map', () => {
  const memory = Memory.create(4096);
  for (let byteLength = 400; byteLength < 1400; byteLength += 8) {
    const buddy = BuddyAllocator.create(memory, { byteLength, minBlock: 32 });
    const first = [...buddy.blocks()];
    const all = fillUp(buddy, 32);
    // Generations that read as the order byte of a free block of 32 bytes.
    for (const address of all) memory.u8[buddy.ownershipIndexAt(address) * 4] = 0x80 | 5;
    for (const address of all) buddy.free(address);
    buddy.verify();
    expect([...buddy.blocks()], `${byteLength} bytes`).toEqual(first);
  }
});

describe('11. tags that overflow on blocks of 16 MiB and more', () => {
  const memory = Memory.create(4 * GiB);

  test.each([
    ['linked list', LinkedListAllocator],
    ['TLSF', TlsfAllocator],
  ])('%s', (_, Class) => {
    const allocator = Class.create(memory);
    const first = allocator.stats();
    expect(first.largestFree).toBeGreaterThan(4 * GiB - 8 * KiB);
    for (const size of [16 * MiB - 8, 16 * MiB, 32 * MiB, 512 * MiB, GiB, 2 * GiB, 3 * GiB]) {
      const below = allocator.alloc(8);
      const block = allocator.alloc(size);
      const above = allocator.alloc(8);
      expect(above - block).toBe(size + 8);
      expect(allocator.sizeOf(block)).toBe(size);
      expect(allocator.resize(block, size - 8 * MiB)).toBe(true);
      expect(allocator.resize(block, size)).toBe(true);
      allocator.free(below);
      allocator.free(above);
      allocator.verify();
      allocator.free(block);
      expect(allocator.stats().largestFree).toBe(first.largestFree);
    }
    expectAllBack(allocator, first);
  });

  test('buddy', () => {
    const buddy = BuddyAllocator.create(memory, { minBlock: 4 * KiB });
    const first = buddy.stats();
    for (let size = 16 * MiB; size <= GiB; size *= 2) {
      const block = buddy.alloc(size);
      expect(block % size).toBe(0);
      expect(buddy.sizeOf(block)).toBe(size);
      buddy.free(block);
    }
    const upper = buddy.alloc(2 * GiB);
    expect(upper).toBe(2 * GiB);
    buddy.free(upper);
    expectAllBack(buddy, first);
  });
});

test.each([
  ['linked list', LinkedListAllocator],
  ['TLSF', TlsfAllocator],
])('12. a null back link under churn: %s', (_, Class) => {
  const memory = Memory.create(64 * KiB);
  const allocator = Class.create(memory);
  const first = allocator.stats();
  const live: Address[] = [];
  for (let i = 0; i < 6000; i++) {
    const roll = Math.imul(i + 1, 0x9e3779b1) >>> 0;
    if (roll % 5 < 3) {
      const address = allocator.alloc((roll >>> 8) % 300, 8 << ((roll >>> 20) % 4));
      if (address !== NULL) live.push(address);
    } else if (live.length > 0) {
      allocator.free(live.splice((roll >>> 8) % live.length, 1)[0]!);
    }
    if (i % 10 === 0) allocator.verify();
  }
  for (const address of live) allocator.free(address);
  expectAllBack(allocator, first);
});

test.each(bareOnes)('13. recycling that skips the size check: $name', (subject) => {
  const allocator = site.create(subject);
  const small = Array.from({ length: 20 }, () => allocator.alloc(8));
  const wall = allocator.alloc(8);
  for (const [i, address] of small.entries()) if (i % 2 === 0) allocator.free(address);
  const large = allocator.alloc(Math.min(subject.maxSize, 1000));
  expect(allocator.sizeOf(large)).toBeGreaterThanOrEqual(Math.min(subject.maxSize, 1000));
  site.stamp(large, allocator.sizeOf(large), 1);
  allocator.verify();
  for (const [i, address] of small.entries()) if (i % 2 === 1) allocator.free(address);
  site.expectStamped(large, allocator.sizeOf(large), 1);
  allocator.free(wall);
  allocator.verify();
});

test.each(bareOnes)('14. a resize to less than what is there is no exhaustion: $name', (subject) => {
  const allocator = site.create(subject);
  const block = allocator.alloc(100);
  fillUp(allocator, 8);
  for (const size of [100, 99, 50, 8, 1, 0]) {
    expect(allocator.resize(block, size)).toBe(true);
    expect(allocator.sizeOf(block)).toBeGreaterThanOrEqual(size);
  }
  allocator.verify();
});

test.each(bareOnes)('15. an iterator that yields more or fewer than there are: $name', (subject) => {
  const allocator = site.create(subject);
  for (let count = 1; count <= 20; count++) {
    allocator.alloc(8);
    expect([...allocator.blocks()].filter(({ state }) => state === 'live').length).toBe(count);
  }
  const full = fillUp(allocator, 1).length;
  expect([...allocator.blocks()].filter(({ state }) => state !== 'free').length).toBe(20 + full);
});

test.each(bareAndLocked)('21. an uninitialised header trusted: $name', (subject) => {
  // The site is full of noise, and once more full of what looks like live blocks.
  const allocator = site.create(subject);
  allocator.verify();
  fillUp(allocator, 16);
  const again = subject.create(site.memory, site.start, 128 * KiB);
  again.verify();
  expect(again.stats()).toMatchObject({ used: 0, liveBlocks: 0, allocations: 0 });
  const first = again.stats();
  for (const address of fillUp(again, 100)) again.free(address);
  expectAllBack(again, first);
});

test('a block at the far end of its bin is found before exhaustion is the answer', () => {
  const tlsf = TlsfAllocator.create(Memory.create(512 * KiB));
  const first = tlsf.alloc(10_024);
  tlsf.alloc(8);
  const others = Array.from({ length: 20 }, () => [tlsf.alloc(10_000), tlsf.alloc(8)][0]!);
  while (tlsf.alloc(Math.max(1, tlsf.stats().largestFree)) !== NULL);
  tlsf.free(first);
  for (const address of others) tlsf.free(address);
  expect(tlsf.stats().largestFree).toBe(10_024);
  expect(tlsf.alloc(10_024)).toBe(first);
  tlsf.verify();
});

test('maps that lie in the first block when the last bytes hold one block more', () => {
  const memory = Memory.create(4096);
  for (let byteLength = 208; byteLength < 4096; byteLength += 8) {
    memory.u8.fill(0);
    let buddy: BuddyAllocator;
    try {
      buddy = BuddyAllocator.create(memory, { byteLength, minBlock: 16 });
    } catch {
      continue;
    }
    const all = fillUp(buddy, 16);
    for (const address of all) memory.u8.fill(0xff, address, address + 16);
    buddy.verify();
  }
});

test('a pool block whose link was overwritten is not given out as an address elsewhere', () => {
  const pool = PoolAllocator.create(Memory.create(4096), { blockSize: 64 });
  const block = pool.alloc(64);
  pool.free(block);
  pool.memory.u32[block / 4] = 1e6;
  expect(() => pool.alloc(64)).toThrow('the link of a free block leads to none');
});
