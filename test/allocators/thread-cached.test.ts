/**
 * The fast paths of thread caches: what they do without (locks, atomic operations, garbage) and what they
 * find all the same (double, foreign, interior and misaligned frees; frees that raced).
 */

import { afterEach, describe, expect, test, vi } from 'vitest';
import { BuddyAllocator } from '../../src/allocators/buddy.ts';
import { LinkedListAllocator } from '../../src/allocators/linked-list.ts';
import { generationOf, HAND, slotOf, stateOf, withState } from '../../src/allocators/ownership.ts';
import { CLASS_BYTES, CLASS_SHIFT, CLASSES, LARGEST_CLASS } from '../../src/allocators/size-class.ts';
import { ThreadCached } from '../../src/allocators/thread-cached.ts';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { InvalidFreeError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, KiB, MiB } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import type { PairGarbageReport } from '../../workers/test-threads/pair-garbage.ts';
import { startMember } from '../stress/crew.ts';
import { allocMany, BATCH, CacheScene, classSizes, outOfRow } from './cache-scene.ts';

const algorithms = [
  ['TLSF', TlsfAllocator],
  ['linked list', LinkedListAllocator],
  ['buddy', BuddyAllocator],
] as const;

afterEach(() => {
  vi.restoreAllMocks();
});

/** Counts all calls of `Atomics` from now on. */
function countAtomics(): () => number {
  const names = [
    'load',
    'store',
    'add',
    'sub',
    'and',
    'or',
    'xor',
    'exchange',
    'compareExchange',
    'wait',
    'notify',
  ] as const;
  const spies = names.map((name) => vi.spyOn(Atomics, name));
  return () => spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
}

describe.each(algorithms)('a warm cache over %s', (_, Algorithm) => {
  test('serves and takes back every class without a lock and without an atomic operation', () => {
    const scene = new CacheScene(16 * MiB, Algorithm);
    const { mine } = scene;
    for (const size of classSizes) for (const address of allocMany(mine, 3, size)) mine.free(address);
    const before = mine.stats().lockAcquisitions!;
    const atomics = countAtomics();
    for (let round = 0; round < 20; round++) {
      for (const size of classSizes) {
        const [a, b] = [mine.alloc(size), mine.alloc(size - 15)];
        mine.free(a);
        const c = mine.alloc(size);
        expect(c, 'what was freed last is warm').toBe(a);
        mine.free(b);
        mine.free(c);
      }
    }
    expect(atomics()).toBe(0);
    // Asking costs one.
    expect(mine.stats().lockAcquisitions! - before).toBe(1);
    mine.verify();
  });

  test('takes back what another thread allocated, shared or in flight, as fast', () => {
    const scene = new CacheScene(16 * MiB, Algorithm);
    const { mine } = scene;
    const other = scene.attach();
    const blocks = allocMany(other, 30, 100);
    for (const address of blocks.slice(0, 10)) other.tryShare(address);
    mine.free(mine.alloc(100));
    const atomics = countAtomics();
    for (const address of blocks) mine.free(address);
    const again = allocMany(mine, 30, 100);
    expect(atomics()).toBe(0);
    expect(new Set(again)).toEqual(new Set(blocks));
    for (const address of again) mine.free(address);
    mine.flush();
    other.flush();
    mine.verify();
    expect(mine.stats()).toMatchObject({ used: 0, cached: 0, racedFrees: 0 });
  });

  test('finds double, interior and misaligned frees without a byte changed', () => {
    const { mine, memory } = new CacheScene(16 * MiB, Algorithm);
    for (const size of [8, 100, 1000, 4000]) {
      const [freed, live] = allocMany(mine, 2, size) as [Address, Address];
      memory.u8.fill(0, live, live + size);
      mine.free(freed);
      const before = Buffer.from(memory.u8.subarray(0, MiB));
      const bad = [
        freed,
        live + 1,
        live + 4,
        live + 8,
        live + 16,
        live - 8,
        live + 0.5,
        -live,
        live + 2 ** 32,
      ];
      for (const address of bad) {
        expect(() => mine.free(address as Address), `${address - live} from a block of ${size}`).toThrow(
          InvalidFreeError,
        );
        expect(() => mine.realloc(address as Address, 8)).toThrow(InvalidFreeError);
        expect(() => mine.sizeOf(address as Address)).toThrow(InvalidFreeError);
      }
      expect(before.equals(memory.u8.subarray(0, MiB))).toBe(true);
      expect(mine.alloc(size), 'the cache is as it was').toBe(freed);
      mine.free(freed);
      mine.free(live);
    }
    mine.verify();
  });
});

test('no size of the fast path makes garbage: 1,000,000 pairs leave less than a byte each', async () => {
  const job = { pairs: 1_000_000 };
  const report = await startMember<typeof job, PairGarbageReport>('pair-garbage', job).report;
  expect(report.checksum).toBeGreaterThan(0);
  expect(report.bytes / job.pairs).toBeLessThan(1);
});

describe('a block in hands', () => {
  test('says whose, in which class, and counts its frees', () => {
    const scene = new CacheScene();
    const { mine } = scene;
    const other = scene.attach();
    const address = mine.alloc(100);
    const first = scene.word(address);
    expect(scene.stateOf(address)).toBe('live');
    expect(slotOf(first)).toBe(1);
    for (let round = 1; round <= 600; round++) {
      const allocator = round % 2 === 0 ? mine : other;
      allocator.free(address);
      expect(scene.stateOf(address)).toBe('hand');
      expect(slotOf(scene.word(address))).toBe(round % 2 === 0 ? 1 : 2);
      expect(generationOf(scene.word(address))).toBe((generationOf(first) + round) & 0xff);
      expect(allocator.alloc(100)).toBe(address);
    }
    expect(generationOf(scene.word(address))).toBe((generationOf(first) + 600) & 0xff);
  });

  test('that lies above the first end of the region is cached once the region has grown', () => {
    const memory = 4 * MiB;
    const heap = Heap.create({ byteLength: memory, maxThreads: 2, initialBytes: 64 * KiB });
    const filler = heap.alloc(heap.stats().largestFree);
    expect(heap.claim(MiB)).toBe(true);
    const address = heap.alloc(100);
    expect(address).toBeGreaterThanOrEqual(64 * KiB);
    const locks = heap.stats().lockAcquisitions!;
    for (let i = 0; i < 50; i++) heap.free(i === 0 ? address : heap.alloc(100));
    expect(heap.stats().lockAcquisitions! - locks).toBe(1);
    heap.free(filler);
    heap.detach();
  });

  test("of another allocator, above or below the region, is not this one's", () => {
    const memory = Memory.create(4 * MiB);
    const create = (start: number) =>
      ThreadCached.create(memory, { start, byteLength: MiB, allocator: TlsfAllocator });
    const [below, mine, above] = [create(8), create(MiB + 8), create(2 * MiB + 8)] as const;
    for (const other of [below, above]) {
      const foreign = other.alloc(100);
      expect(() => mine.free(foreign)).toThrow(InvalidFreeError);
      expect(() => mine.free(foreign)).toThrow('blocks lie from');
      other.free(foreign);
    }
    for (const allocator of [below, mine, above]) allocator.verify();
  });

  test('is never made up from an empty cache, whatever the memory holds', () => {
    const memory = Memory.create(4 * MiB);
    const start = 2 * MiB;
    const mine = ThreadCached.create(memory, { start, byteLength: MiB, allocator: TlsfAllocator });
    for (let cls = 1; cls < CLASSES; cls++) {
      const base = cls << CLASS_SHIFT;
      for (let limit = 0; limit <= 256; limit += 4) {
        // Where the entry below an empty cache would lead: top is its unit, limit its word.
        memory.i32[(base + 2) * 2 - 1] = base + 2 + limit;
        const address = mine.alloc(CLASS_BYTES[cls]!);
        expect(address).toBeGreaterThan(start);
        mine.free(address);
        mine.flush();
      }
      mine.verify();
    }
  });
});

describe('two frees at the same moment', () => {
  /** Frees in one thread, and lets another thread's free of the same block land right after it. */
  function race(scene: CacheScene, address: Address): void {
    const word = scene.word(address);
    scene.mine.free(address);
    const other = scene.attach();
    // The other one had looked before the first had written.
    scene.word(address, word);
    other.free(address);
    other.verify();
  }

  test('leave the block with one of them: the other drops it when it would leave its cache', () => {
    const scene = new CacheScene();
    const { mine } = scene;
    const [first, second] = allocMany(mine, 2, 100) as [Address, Address];
    mine.free(first);
    race(scene, second);
    expect(slotOf(scene.word(second))).toBe(2);
    expect(mine.stats().racedFrees, 'nobody has noticed').toBe(0);
    const next = allocMany(mine, 20, 100);
    expect(next).toContain(first);
    expect(next).not.toContain(second);
    expect(mine.stats()).toMatchObject({ racedFrees: 1, liveBlocks: 20 });
  });

  test('over a map of ownership words too', () => {
    const scene = new CacheScene(16 * MiB, BuddyAllocator);
    const { mine, memory } = scene;
    const [first, second] = allocMany(mine, 2, 100) as [Address, Address];
    const index = mine.inner.inner.ownershipIndexAt(second);
    mine.free(first);
    mine.free(second);
    memory.i32[index]! ^= 3 << 21;
    const next = allocMany(mine, 20, 100);
    expect(next).toContain(first);
    expect(next).not.toContain(second);
    expect(mine.stats()).toMatchObject({ racedFrees: 1, liveBlocks: 20 });
  });

  test('are noticed by verify() before anybody trips over them', () => {
    const scene = new CacheScene();
    race(scene, scene.mine.alloc(100));
    expect(() => scene.mine.verify()).toThrow('two threads freed it at the same moment');
  });

  test.each(['flush', 'flushBatch', 'list full'] as const)('are noticed on the way out: %s', (way) => {
    const scene = new CacheScene(32 * MiB);
    const { mine } = scene;
    const blocks = allocMany(mine, way === 'list full' ? 13 * BATCH : 3 * BATCH, 16);
    const raced = blocks.pop()!;
    // It must be among the older half of the cache when that goes.
    if (way === 'list full') for (const address of blocks.splice(0, 10 * BATCH)) mine.free(address);
    mine.flush();
    if (way === 'list full') {
      const other = scene.attach();
      const lot = outOfRow(allocMany(other, 10 * BATCH, 16));
      for (const address of lot) other.free(address);
      expect(scene.states().transfer).toBe(8 * BATCH);
    }
    race(scene, raced);
    const hand = scene.word(raced);
    for (const address of blocks) mine.free(address);
    if (way === 'flush') mine.flush();
    expect(mine.stats().racedFrees).toBe(1);
    expect(scene.word(raced), 'it is left to whoever has it').toBe(hand);
    expect(stateOf(hand)).toBe(HAND);
    mine.verify();
  });

  test('and a block that comes back to the cache which has it still: one entry gets it', () => {
    const scene = new CacheScene();
    const { mine } = scene;
    const other = scene.attach();
    const [below, raced] = allocMany(mine, 2, 100) as [Address, Address];
    const word = scene.word(raced);
    mine.free(below);
    mine.free(raced);
    scene.word(raced, word);
    other.free(raced);
    // The other thread has it, gives it to somebody, and it ends up here a second time.
    expect(other.alloc(100)).toBe(raced);
    mine.free(raced);
    const next = allocMany(mine, 20, 100);
    expect(next.filter((address) => address === raced)).toHaveLength(1);
    expect(next).toContain(below);
    expect(mine.stats()).toMatchObject({ racedFrees: 1, liveBlocks: 20 });
    mine.verify();
  });

  test('are found on the way to a list too, where the same block would be twice', () => {
    const scene = new CacheScene();
    const { mine } = scene;
    const blocks = outOfRow(allocMany(mine, 2 * BATCH + 1, 16));
    mine.flush();
    const twice = blocks[3]!;
    const live = scene.word(twice);
    mine.free(twice);
    scene.word(twice, live);
    for (const address of blocks) mine.free(address);
    expect(scene.states().transfer).toBe(BATCH - 1);
    expect(mine.stats().racedFrees).toBe(1);
    mine.verify();
  });

  test('fill a cache to the brim: the one on top is dropped, the next one served', () => {
    const scene = new CacheScene();
    const { mine } = scene;
    const blocks = allocMany(mine, 2 * BATCH, 16);
    mine.flush();
    for (const address of blocks) mine.free(address);
    expect(scene.states().hand).toBe(2 * BATCH);
    const top = blocks.at(-1)!;
    scene.word(top, withState(scene.word(top), HAND) ^ (7 << 21));
    expect(mine.alloc(16)).toBe(blocks.at(-2));
    expect(mine.stats().racedFrees).toBe(1);
    expect(mine.alloc(16)).toBe(blocks.at(-3));
  });

  test('in a thread that leaves are counted for those who stay', () => {
    const scene = new CacheScene();
    const other = scene.attach();
    // It has allocated nothing itself, and so has nothing else to tell.
    const address = scene.mine.alloc(100);
    const word = scene.word(address);
    other.free(address);
    scene.word(address, word);
    scene.mine.free(address);
    other.leave();
    expect(scene.mine.stats().racedFrees).toBe(1);
    scene.mine.verify();
  });
});

describe('the block that the fast path served last', () => {
  test('may have lost its class, or got another one: it goes where its word says', () => {
    const scene = new CacheScene();
    const { mine } = scene;
    const first = mine.stats();
    for (let round = 0; round < 3; round++) {
      mine.free(mine.alloc(200));
      const resized = mine.alloc(200);
      expect(mine.resize(resized, 64)).toBe(true);
      mine.free(resized);
      expect(scene.stateOf(resized), 'to the allocator').toBe('free');
      // Where it was, a block of another class that no fast path serves.
      mine.flush();
      const other = mine.alloc(64);
      mine.free(other);
      expect(mine.alloc(64)).toBe(other);
      mine.free(other);
      mine.verify();
    }
    mine.flush();
    expect(mine.stats()).toMatchObject({ used: 0, cached: 0, largestFree: first.largestFree });
  });

  test('is freed once: a second free of it is found', () => {
    const { mine } = new CacheScene();
    mine.free(mine.alloc(100));
    const address = mine.alloc(100);
    mine.free(address);
    expect(() => mine.free(address)).toThrow(InvalidFreeError);
    expect(mine.alloc(100)).toBe(address);
    expect(mine.alloc(100)).not.toBe(address);
    mine.verify();
  });
});

describe('resize', () => {
  test('within the class takes no lock and changes nothing', () => {
    const scene = new CacheScene();
    const { mine } = scene;
    for (const size of classSizes) {
      const address = mine.alloc(size);
      const word = scene.word(address);
      const below = classSizes[classSizes.indexOf(size) - 1] ?? -1;
      const atomics = countAtomics();
      expect(mine.resize(address, size)).toBe(true);
      expect(mine.resize(address, below + 1)).toBe(true);
      expect(mine.realloc(address, size)).toBe(address);
      expect(atomics()).toBe(0);
      vi.restoreAllMocks();
      expect(scene.word(address)).toBe(word);
      mine.free(address);
      expect(mine.alloc(size)).toBe(address);
    }
  });

  test('out of its class leaves a block of no class, which is never cached as what it was', () => {
    const scene = new CacheScene();
    const { mine } = scene;
    const grown = mine.alloc(64);
    const wall = mine.alloc(64);
    mine.free(wall);
    mine.flush();
    expect(mine.resize(grown, 600)).toBe(true);
    const shrunk = mine.alloc(4000);
    expect(mine.resize(shrunk, 64)).toBe(true);
    mine.verify();
    for (const address of [grown, shrunk]) {
      mine.free(address);
      expect(scene.isHeld(address)).toBe(false);
      expect(scene.stateOf(address), 'the allocator has it').not.toBe('hand');
    }
    for (const address of [...allocMany(mine, 50, 64), ...allocMany(mine, 50, 4000)]) {
      expect(mine.sizeOf(address)).toBeGreaterThanOrEqual(64);
    }
    mine.verify();
  });

  test('at the edge: the largest class and one byte more', () => {
    const { mine } = new CacheScene();
    const address = mine.alloc(LARGEST_CLASS);
    expect(mine.resize(address, LARGEST_CLASS)).toBe(true);
    const locks = mine.stats().lockAcquisitions!;
    mine.resize(address, LARGEST_CLASS + 1);
    expect(mine.stats().lockAcquisitions! - locks).toBeGreaterThan(1);
    mine.free(address);
    mine.verify();
  });
});
