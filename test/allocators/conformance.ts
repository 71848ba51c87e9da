/**
 * The contract of every allocator, as tests: `conformance(subject, site)` declares them for one row of
 * the table of subjects. What misuse must do is in `misuse.ts`, long random runs in `model.test.ts`.
 */

import { afterEach, describe, expect, test } from 'vitest';
import type { Allocator, AllocatorStats } from '../../src/allocators/allocator.ts';
import { type Address, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { REGION_BYTES, ROOM_TO_EXTEND, type Site } from './site.ts';
import type { Subject } from './subjects.ts';

const SIZES = [0, 1, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 100, 500, 1000, 1024, 4000, 4096];

/** Sizes that no region of the site's size serves, up to the largest that may be asked for. */
const HUGE = [
  REGION_BYTES + 1,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 65,
  2 ** 32 - 64,
  2 ** 32 - 63,
  2 ** 32 - 16,
  2 ** 32 - 15,
  2 ** 32 - 9,
  2 ** 32 - 8,
  2 ** 32 - 7,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 32 + 8,
  2 ** 40,
  2 ** 53 - 1,
];

export function conformance(subject: Subject, site: Site): void {
  const fresh = () => site.create(subject);

  afterEach(() => site.expectGuardsWhole());

  describe('alloc', () => allocTests(subject, site, fresh));
  describe('realloc and resize', () => reallocTests(subject, site, fresh));
  describe('exhaustion', () => exhaustionTests(subject, site, fresh));
  describe('what it tells', () => reportTests(subject, site, fresh));
  describe('attach and extend', () => regionTests(subject, site, fresh));
}

type Fresh = () => ReturnType<Subject['create']>;

/** Allocates until nothing of `size` is left. */
export function fillUp(allocator: Allocator, size: number): Address[] {
  const addresses: Address[] = [];
  for (let next = allocator.alloc(size); next !== NULL; next = allocator.alloc(size)) addresses.push(next);
  return addresses;
}

/** The oracle: all that was there at first is there again, in one piece. */
export function expectAllBack(allocator: Allocator, first: AllocatorStats): void {
  allocator.verify();
  const now = allocator.stats();
  expect(now.used).toBe(0);
  expect(now.liveBlocks).toBe(0);
  expect(now.free).toBe(first.free);
  expect(now.largestFree).toBe(first.largestFree);
  const all = allocator.alloc(first.largestFree);
  expect(all, `a block of ${first.largestFree} bytes, as at first`).not.toBe(NULL);
  allocator.free(all);
  allocator.verify();
}

function allocTests(subject: Subject, site: Site, fresh: Fresh): void {
  const { memory, start } = site;

  test('blocks of all sizes lie in the region, are aligned, hold what was asked and share no byte', () => {
    const allocator = fresh();
    const blocks = SIZES.filter((size) => size <= subject.maxSize).map((size, seed) => {
      const address = allocator.alloc(size);
      expect(address).toBeGreaterThan(start);
      expect(address + size).toBeLessThanOrEqual(start + REGION_BYTES);
      expect(address % 8).toBe(0);
      expect(allocator.sizeOf(address)).toBeGreaterThanOrEqual(size);
      site.stamp(address, allocator.sizeOf(address), seed);
      return { address, seed };
    });
    allocator.verify();
    for (const { address, seed } of blocks) site.expectStamped(address, allocator.sizeOf(address), seed);
  });

  test('size 0 gives unique blocks that are freed one by one', () => {
    const allocator = fresh();
    const first = allocator.stats();
    const addresses = Array.from({ length: 20 }, (_, i) => allocator.alloc(i % 2 === 0 ? 0 : -0));
    expect(addresses).not.toContain(NULL);
    expect(new Set(addresses).size).toBe(20);
    expect(allocator.stats().liveBlocks).toBe(20);
    for (const address of addresses) allocator.free(address);
    expectAllBack(allocator, first);
  });

  test('alignments from 1 up are honoured, whatever lies below', () => {
    const allocator = fresh();
    const first = allocator.stats();
    const kept: Address[] = [];
    for (let align = 1; align <= subject.maxAlign; align *= 2) {
      const below = allocator.alloc(5);
      const aligned = [
        allocator.alloc(3, align),
        allocator.allocZeroed(24, align),
        allocator.realloc(NULL, 9, align),
      ];
      expect(aligned, `align ${align}`).not.toContain(NULL);
      for (const address of aligned) expect(address % align, `align ${align}`).toBe(0);
      allocator.verify();
      for (const address of aligned) allocator.free(address);
      kept.push(below);
    }
    for (const address of kept) allocator.free(address);
    expectAllBack(allocator, first);
  });

  test('alignments that no region can honour are exhaustion', () => {
    const allocator = fresh();
    for (const align of [2 ** 31, 2 ** 32, 2 ** 40, 2 ** 52]) {
      // An aligned start may lie in the region where the memory reaches so far.
      const address = allocator.alloc(8, align);
      if (address !== NULL) expect(address % align).toBe(0);
      if (align >= 2 ** 32) expect(address).toBe(NULL);
    }
    if (subject.maxSize < Number.POSITIVE_INFINITY)
      expect(allocator.alloc(8, subject.maxAlign * 2)).toBe(NULL);
    allocator.verify();
  });

  test('allocZeroed gives zeros where others wrote before', () => {
    const allocator = fresh();
    const size = Math.min(1000, subject.maxSize);
    const dirty = [allocator.alloc(size), allocator.alloc(size), allocator.alloc(size)];
    for (const address of dirty) memory.u8.fill(0xee, address, address + allocator.sizeOf(address));
    for (const address of dirty) allocator.free(address);
    for (const asked of [1, 7, 64, size]) {
      const address = allocator.allocZeroed(asked);
      expect(memory.bytes(address, asked).every((byte) => byte === 0)).toBe(true);
    }
    allocator.verify();
  });
}

function reallocTests(subject: Subject, site: Site, fresh: Fresh): void {
  const { memory } = site;
  const sizes = SIZES.filter((size) => size <= subject.maxSize);

  test('realloc keeps the first bytes through every change of size, in place or moved', () => {
    const allocator = fresh();
    for (const from of sizes) {
      for (const to of sizes) {
        const block = allocator.alloc(from);
        const blocker = allocator.alloc(8);
        site.stamp(block, from, from);
        let moved = allocator.realloc(block, to);
        // What caches keep of a bump allocator keeps it from starting over.
        if (subject.reclaims || !subject.caches) expect(moved, `${from} to ${to}`).not.toBe(NULL);
        if (moved === NULL) moved = block;
        else expect(allocator.sizeOf(moved)).toBeGreaterThanOrEqual(to);
        site.expectStamped(moved, Math.min(from, to), from);
        allocator.free(moved);
        allocator.free(blocker);
      }
    }
    allocator.verify();
  });

  test('realloc(NULL) is alloc', () => {
    const allocator = fresh();
    const address = allocator.realloc(NULL, 100, 64);
    expect(address % 64).toBe(0);
    expect(allocator.stats().liveBlocks).toBe(1);
    allocator.free(address);
    expect(allocator.realloc(NULL, 2 ** 40)).toBe(NULL);
  });

  test('realloc keeps the alignment of the first alloc, also after shrinking', () => {
    for (const align of [16, 64, 1024, 4096]) {
      const allocator = fresh();
      let address = allocator.alloc(10, align);
      const walls: Address[] = [];
      const most = Math.min(4096, subject.maxSize);
      for (const size of [4, 20, 1, 33, 100, 1, 50, most, 2, 700, most]) {
        // With walls on either side the block must move to grow.
        walls.push(allocator.alloc(1), allocator.alloc(40));
        const moved = allocator.realloc(address, size);
        if (moved === NULL && !subject.reclaims) break;
        expect(moved, `${size} bytes`).not.toBe(NULL);
        address = moved;
        expect(address % align, `${size} bytes at ${address}`).toBe(0);
        allocator.verify();
      }
      for (const wall of [...walls, address]) allocator.free(wall);
      expect(allocator.stats().liveBlocks).toBe(0);
    }
  });

  test('realloc to another alignment moves what does not have it', () => {
    const allocator = fresh();
    const kept: Address[] = [];
    for (let align = 8; align <= Math.min(4096, subject.maxAlign); align *= 2) {
      kept.push(allocator.alloc(8));
      const block = allocator.alloc(40);
      site.stamp(block, 40, align);
      const moved = allocator.realloc(block, 48, align);
      expect(moved % align).toBe(0);
      site.expectStamped(moved, 40, align);
      kept.push(moved);
    }
    allocator.verify();
  });

  test('realloc copies the old bytes, not the new size', () => {
    const allocator = fresh();
    const old = allocator.alloc(16);
    const wall = allocator.alloc(8);
    site.stamp(wall, 8, 1);
    const had = allocator.sizeOf(old);
    memory.u8.fill(0xaa, old, old + had);
    const size = Math.min(subject.maxSize, 4096);
    // A zeroed block, freed, is what the move is likely to get.
    const zeroed = allocator.allocZeroed(size);
    allocator.free(zeroed);
    const moved = allocator.realloc(old, size);
    expect(memory.bytes(moved, Math.min(had, size)).every((byte) => byte === 0xaa)).toBe(true);
    site.expectStamped(wall, 8, 1);
    if (moved === zeroed && had < size - 8) expect(memory.u8[moved + size - 1]).toBe(0);
  });

  test('a realloc without room is NULL and leaves the block and its bytes', () => {
    const allocator = fresh();
    const block = allocator.alloc(40);
    site.stamp(block, 40, 7);
    const { liveBlocks, used, failures } = allocator.stats();
    for (const size of HUGE) expect(allocator.realloc(block, size), `${size} bytes`).toBe(NULL);
    expect(allocator.stats()).toMatchObject({ liveBlocks, used, failures: failures + HUGE.length });
    expect(allocator.sizeOf(block)).toBeGreaterThanOrEqual(40);
    site.expectStamped(block, 40, 7);
    allocator.free(block);
    allocator.verify();
  });

  test('resize works in place or changes nothing', () => {
    const allocator = fresh();
    for (const from of sizes) {
      const below = allocator.alloc(8);
      const block = allocator.alloc(from);
      const above = from % 2 === 0 ? allocator.alloc(8) : NULL;
      site.stamp(block, from, from);
      let kept = from;
      for (const to of [...sizes, ...HUGE, 0]) {
        const before = site.snapshot(subject);
        const usable = allocator.sizeOf(block);
        if (allocator.resize(block, to)) {
          expect(allocator.sizeOf(block)).toBeGreaterThanOrEqual(to);
          kept = Math.min(kept, to);
        } else {
          expect(to, 'what fits is never refused').toBeGreaterThan(usable);
          site.expectUnchanged(subject, before);
        }
        site.expectStamped(block, kept, from);
        allocator.verify();
      }
      for (const address of [below, block, above]) allocator.free(address);
    }
    expect(allocator.stats().liveBlocks).toBe(0);
  });
}

function exhaustionTests(subject: Subject, site: Site, fresh: Fresh): void {
  test('sizes that are only too large are exhaustion, and counted', () => {
    const allocator = fresh();
    for (const size of HUGE) {
      expect(allocator.alloc(size), `${size} bytes`).toBe(NULL);
      expect(allocator.allocZeroed(size), `${size} bytes`).toBe(NULL);
    }
    expect(allocator.stats()).toMatchObject({ failures: 2 * HUGE.length, liveBlocks: 0, allocations: 0 });
    allocator.verify();
  });

  test('a full allocator says NULL and serves again once blocks are freed', () => {
    const allocator = fresh();
    const first = allocator.stats();
    for (const size of [8, 100, 1000, Math.min(4096, subject.maxSize)]) {
      const all = fillUp(allocator, size);
      allocator.verify();
      expect(all.length).toBeGreaterThanOrEqual(8);
      expect(allocator.alloc(size)).toBe(NULL);
      if (subject.reclaims) {
        const middle = all[all.length >>> 1]!;
        allocator.free(middle);
        expect(allocator.alloc(size)).toBe(middle);
      }
      for (const [i, address] of all.entries()) if (i % 3 === 0) allocator.free(address);
      allocator.verify();
      for (const [i, address] of all.entries()) if (i % 3 !== 0) allocator.free(address);
      expectAllBack(allocator, first);
    }
  });

  test('largestFree is served, one byte more is not, however full it is', () => {
    const allocator = fresh();
    for (;;) {
      const { largestFree } = allocator.stats();
      expect(allocator.alloc(largestFree + 1)).toBe(NULL);
      if (largestFree === 0) break;
      const largest = allocator.alloc(largestFree);
      expect(largest).not.toBe(NULL);
      if (!allocator.resize(largest, largestFree >>> 1)) break;
      allocator.verify();
      if (allocator.stats().largestFree === largestFree) break;
    }
    allocator.verify();
  });

  test('the last bytes of the region are used and their neighbours left alone', () => {
    const allocator = fresh();
    const all = [...fillUp(allocator, 8), ...fillUp(allocator, 1), ...fillUp(allocator, 0)];
    for (const [seed, address] of all.entries()) site.stamp(address, allocator.sizeOf(address), seed);
    allocator.verify();
    // Thousands of blocks: an assertion for each would take longer than all else.
    const overwritten = all.filter((address, seed) => {
      const at = site.firstUnstamped(address, allocator.sizeOf(address), seed);
      allocator.free(address);
      return at !== -1;
    });
    expect(overwritten).toEqual([]);
    allocator.verify();
  });
}

function reportTests(subject: Subject, site: Site, fresh: Fresh): void {
  function expectBalance(stats: AllocatorStats): void {
    expect(stats.capacity).toBe(stats.used + stats.free + stats.overhead);
    expect(stats.overhead).toBeGreaterThanOrEqual(0);
    expect(stats.capacity).toBeLessThanOrEqual(REGION_BYTES);
    expect(stats.largestFree).toBeLessThanOrEqual(stats.free);
    expect(stats.peakUsed).toBeGreaterThanOrEqual(stats.used);
    expect(stats.liveBlocks).toBe(stats.allocations - stats.frees);
  }

  test('an empty allocator has nothing used and no counts', () => {
    const stats = fresh().stats();
    expectBalance(stats);
    expect(stats).toMatchObject({
      used: 0,
      liveBlocks: 0,
      allocations: 0,
      frees: 0,
      failures: 0,
      peakUsed: 0,
    });
    expect(stats.largestFree).toBeGreaterThan(0);
  });

  test('the counters follow each call, and the capacity stays', () => {
    const allocator = fresh();
    const { capacity } = allocator.stats();
    const a = allocator.alloc(100);
    const b = allocator.alloc(200);
    const used = allocator.sizeOf(a) + allocator.sizeOf(b);
    expect(allocator.stats()).toMatchObject({
      capacity,
      used,
      ...(subject.caches ? {} : { peakUsed: used }),
      liveBlocks: 2,
      allocations: 2,
      frees: 0,
    });
    allocator.free(a);
    const left = allocator.sizeOf(b);
    expect(allocator.stats()).toMatchObject({
      capacity,
      used: left,
      ...(subject.caches ? {} : { peakUsed: used }),
      liveBlocks: 1,
      frees: 1,
    });
    expect(allocator.alloc(2 ** 40)).toBe(NULL);
    expect(allocator.stats().failures).toBe(1);
    const c = allocator.realloc(b, 300);
    expect(allocator.stats()).toMatchObject({ capacity, used: allocator.sizeOf(c), liveBlocks: 1 });
    allocator.resize(c, 10);
    expect(allocator.stats().used).toBe(allocator.sizeOf(c));
    expectBalance(allocator.stats());
    allocator.free(c);
    expect(allocator.stats()).toMatchObject({ capacity, used: 0, liveBlocks: 0 });
    expect(allocator.stats().peakUsed).toBeGreaterThanOrEqual(used);
    expectBalance(allocator.stats());
  });

  test('blocks() shows all blocks in address order, and its sums are those of the stats', () => {
    const allocator = fresh();
    const kept = new Map<number, number>();
    const freed: Address[] = [];
    for (let i = 0; i < 30; i++) {
      const address = allocator.alloc((i * 37) % 300);
      if (i % 3 === 0) freed.push(address);
      else kept.set(address, allocator.sizeOf(address));
    }
    for (const address of freed) allocator.free(address);
    const shown = [...allocator.blocks()];
    for (const [i, { address, size }] of shown.entries()) {
      expect(address + size).toBeLessThanOrEqual(shown[i + 1]?.address ?? site.start + REGION_BYTES);
    }
    const live = shown.filter(({ state }) => state !== 'free');
    expect(new Map(live.map(({ address, size }) => [address, size]))).toEqual(kept);
    expect(live.every(({ state, owner }) => state === 'live' && owner === subject.owner)).toBe(true);
    const free = shown.filter(({ state }) => state === 'free').reduce((sum, { size }) => sum + size, 0);
    const stats = allocator.stats();
    expect(live.reduce((sum, { size }) => sum + size, 0)).toBe(stats.used);
    if (subject.showsFree) expect(free).toBe(stats.free);
  });

  test('blocks() shows thousands of blocks', () => {
    const allocator = fresh();
    const all = fillUp(allocator, 8);
    expect(
      [...allocator.blocks()]
        .filter(({ state }) => state === 'live')
        .map(({ address }) => address)
        .sort(),
    ).toEqual(all.toSorted());
  });
}

function regionTests(subject: Subject, site: Site, fresh: Fresh): void {
  const { memory, start } = site;

  test('a second memory over the same buffer sees the same blocks and may free them', () => {
    const here = fresh();
    const first = here.stats();
    const a = here.alloc(100);
    const there = subject.attach(Memory.attach(memory.buffer), start);
    const seen = [...here.blocks()];
    expect([...there.blocks()]).toEqual(seen);
    const { lockAcquisitions: _, ...stats } = there.stats();
    expect(here.stats()).toMatchObject(stats);
    const b = there.alloc(50);
    site.stamp(b, 50, 1);
    here.verify();
    there.verify();
    there.free(a);
    here.free(b);
    // A thread's cache is its own: it gives it back when it looks at the figures.
    here.stats();
    expectAllBack(there, first);
    expectAllBack(here, first);
  });

  test('blocks outlive the handle that allocated them', () => {
    const addresses = fillUp(fresh(), 500);
    for (const [seed, address] of addresses.entries()) site.stamp(address, 500, seed);
    const later = subject.attach(memory, start);
    later.verify();
    for (const [seed, address] of addresses.entries()) {
      site.expectStamped(address, 500, seed);
      later.free(address);
    }
    later.verify();
    expect(later.stats().used).toBe(0);
  });

  test('extend adds room above, which merges with the free room below it, or answers false', () => {
    const allocator = fresh();
    const before = allocator.stats();
    expect(allocator.extend(0)).toBe(false);
    expect(allocator.extend(2 ** 40)).toBe(false);
    expect(allocator.extend(2 ** 53 - 1)).toBe(false);
    site.extended = subject.extends;
    expect(allocator.extend(ROOM_TO_EXTEND / 2 + 5)).toBe(subject.extends);
    const block = allocator.alloc(1000);
    expect(allocator.extend(ROOM_TO_EXTEND / 4)).toBe(subject.extends);
    allocator.verify();
    const { capacity } = allocator.stats();
    if (subject.extends)
      expect(capacity).toBeGreaterThanOrEqual(before.capacity + (ROOM_TO_EXTEND * 3) / 4 - 64);
    else expect(capacity).toBe(before.capacity);
    allocator.free(block);
    const after = allocator.stats();
    const all = allocator.alloc(after.largestFree);
    site.stamp(all, after.largestFree, 3);
    expect(all + after.largestFree).toBeLessThanOrEqual(start + REGION_BYTES + ROOM_TO_EXTEND);
    allocator.verify();
    expect([...subject.attach(memory, start).blocks()]).toEqual([...allocator.blocks()]);
  });
}
