/**
 * What lies behind the fast paths: batches between cache, transfer list and allocator, bounds in bytes,
 * what is given back before exhaustion is the answer, and counters that add up.
 */

import { describe, expect, test } from 'vitest';
import { BuddyAllocator } from '../../src/allocators/buddy.ts';
import { LinkedListAllocator } from '../../src/allocators/linked-list.ts';
import { CLASS_BYTES, CLASSES } from '../../src/allocators/size-class.ts';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { LIST_BYTES } from '../../src/allocators/transfer-list.ts';
import { HeapCorruptionError } from '../../src/errors.ts';
import { type Address, KiB, MiB, NULL } from '../../src/memory/address.ts';
import { APPETITE, allocMany, BATCH, CacheScene, classSizes, outOfRow } from './cache-scene.ts';
import { expectAllBack, fillUp } from './conformance.ts';

describe('refills', () => {
  test('double up to a batch, one lock of the list and two of the allocator each', () => {
    const { mine } = new CacheScene();
    const locks = () => mine.inner.lockStats().lockAcquisitions;
    let served = 0;
    for (const [i, batch] of APPETITE.entries()) {
      const before = locks();
      mine.alloc(16);
      expect(mine.stats()).toMatchObject({ refills: i + 1, cached: (batch - 1) * 16 });
      allocMany(mine, batch - 1, 16);
      // One to take a run, one to cut it, one for the look at the stats.
      expect(locks() - before).toBe(3);
      served += batch;
      expect(mine.stats()).toMatchObject({ liveBlocks: served, cached: 0, cacheHits: served });
    }
  });

  test('start small again after the cache was given back', () => {
    const scene = new CacheScene();
    const { mine } = scene;
    for (const address of allocMany(mine, 200, 64)) mine.free(address);
    mine.flush();
    mine.alloc(64);
    expect(scene.states()).toMatchObject({ hand: 1, live: 1 });
  });

  test('take what other threads have left on the list before they ask the allocator', () => {
    const scene = new CacheScene();
    const { mine } = scene;
    const other = scene.attach();
    const blocks = outOfRow(allocMany(mine, 3 * BATCH, 64));
    mine.flush();
    for (const address of blocks) mine.free(address);
    expect(scene.states().transfer).toBe(BATCH);
    const { lockAcquisitions } = other.inner.lockStats();
    const taken = allocMany(other, BATCH, 64);
    expect(other.inner.lockStats().lockAcquisitions).toBe(lockAcquisitions);
    expect(new Set(taken)).toEqual(new Set(blocks.slice(0, BATCH)));
    expect(scene.states().transfer).toBeUndefined();
    scene.mine.verify();
  });

  test('are as large as what is left, down to one block', () => {
    for (const left of [1, 3, 10]) {
      const { mine } = new CacheScene(MiB);
      const filler = fillUp(mine, 20_000);
      filler.push(...fillUp(mine, 1000), ...fillUp(mine, 16));
      mine.flush();
      for (const address of filler.splice(-left)) mine.free(address);
      mine.flush();
      const again = fillUp(mine, 16);
      expect(again).toHaveLength(left);
      mine.verify();
    }
  });
});

describe('flushes', () => {
  test('give the older half of a full cache away, and keep what was freed last', () => {
    const scene = new CacheScene();
    const { mine } = scene;
    const blocks = outOfRow(allocMany(mine, 3 * BATCH + 1, 64));
    mine.flush();
    for (const address of blocks.slice(0, 2 * BATCH)) mine.free(address);
    expect(scene.states()).toMatchObject({ hand: 2 * BATCH });
    expect(mine.stats().flushes).toBe(0);
    mine.free(blocks[2 * BATCH]!);
    expect(scene.states()).toMatchObject({ hand: BATCH + 1, transfer: BATCH });
    expect(mine.stats().flushes).toBe(1);
    expect(blocks.slice(0, BATCH).every((address) => scene.stateOf(address) === 'transfer')).toBe(true);
    for (const address of blocks.slice(2 * BATCH + 1)) mine.free(address);
    expect(mine.stats().flushes).toBe(2);
    expect(mine.alloc(64)).toBe(blocks.at(-1));
    mine.verify();
  });

  test('go to the list until it holds eight batches, then to the allocator, where blocks coalesce', () => {
    const scene = new CacheScene();
    const { mine } = scene;
    const blocks = outOfRow(allocMany(mine, 20 * BATCH, 64));
    mine.flush();
    for (const address of blocks) mine.free(address);
    expect(scene.states().transfer).toBe(8 * BATCH);
    expect(scene.states().hand).toBeLessThanOrEqual(2 * BATCH);
    expect(mine.stats().flushes).toBe(18);
    mine.verify();
  });

  test('one lock for each batch: less than 20 locks for 1,000 frees', () => {
    const { mine } = new CacheScene();
    const blocks = allocMany(mine, 5000, 64);
    const before = mine.stats().lockAcquisitions!;
    for (const address of blocks) mine.free(address);
    expect(mine.stats().lockAcquisitions! - before).toBeLessThan(5 * 40);
  });
});

describe('a transfer list', () => {
  test.each([16, 32, 64, 100, 1000])('of %i-byte blocks gives each block once, in any number', (size) => {
    const scene = new CacheScene(32 * MiB);
    const { mine } = scene;
    const blocks = outOfRow(allocMany(mine, 5 * BATCH, size));
    mine.flush();
    for (const address of blocks) mine.free(address);
    const { transfer } = scene.states();
    expect(transfer).toBeGreaterThan(0);
    // Refills of 2, 4, 8 …: bundles are taken in parts.
    const other = scene.attach();
    const taken: Address[] = [];
    for (let left = transfer!; left > 0; left--) {
      taken.push(other.alloc(size));
      mine.verify();
    }
    expect(scene.states().transfer).toBeUndefined();
    expect(new Set(taken).size).toBe(transfer);
    for (const address of taken) expect(blocks).toContain(address);
    for (const address of taken) other.free(address);
    other.flush();
    mine.flush();
    expect(mine.stats()).toMatchObject({ liveBlocks: 0, cached: 0, racedFrees: 0 });
    mine.verify();
  });
});

describe.each([
  ['TLSF', TlsfAllocator],
  ['linked list', LinkedListAllocator],
  ['buddy', BuddyAllocator],
] as const)('blocks in a row, over %s', (name, Algorithm) => {
  test('come and go whole, and the counters know each of them', () => {
    const scene = new CacheScene(16 * MiB, Algorithm);
    const { mine } = scene;
    const first = mine.stats();
    const blocks = allocMany(mine, 1000, 64);
    expect(new Set(blocks).size).toBe(1000);
    mine.verify();
    for (const address of blocks) mine.free(address);
    mine.verify();
    if (name !== 'buddy') expect(scene.states().transfer, 'they merge').toBeUndefined();
    expect(mine.stats()).toMatchObject({ allocations: 1000, frees: 1000, liveBlocks: 0 });
    mine.flush();
    expectAllBack(mine, first);
  });

  test('one of which two threads freed: the others merge around it', () => {
    const scene = new CacheScene(16 * MiB, Algorithm);
    const { mine, memory } = scene;
    const blocks = allocMany(mine, 2 * BATCH + 1, 64);
    mine.flush();
    for (const address of blocks.slice(0, 50)) mine.free(address);
    const raced = blocks[20]!;
    memory.i32[mine.inner.inner.ownershipIndexAt(raced)]! ^= 3 << 21;
    mine.flush();
    expect(mine.stats().racedFrees).toBe(1);
    expect(scene.states()).toMatchObject({ hand: 1, live: 2 * BATCH + 1 - 50 });
    mine.verify();
  });

  test('one of which is in a cache twice: it goes once', () => {
    const scene = new CacheScene(16 * MiB, Algorithm);
    const { mine, memory } = scene;
    const blocks = allocMany(mine, 50, 64);
    mine.flush();
    const twice = blocks[20]!;
    const index = mine.inner.inner.ownershipIndexAt(twice);
    const live = memory.i32[index]!;
    for (const address of blocks) mine.free(address);
    memory.i32[index] = live;
    mine.free(twice);
    mine.flush();
    expect(mine.stats()).toMatchObject({ racedFrees: 1, cached: 0 });
    expect(scene.states()).toEqual({ free: expect.any(Number) });
    mine.verify();
  });

  test('from holes of all lengths: what cannot be cut stays with the last one', () => {
    const scene = new CacheScene(16 * MiB, Algorithm);
    const { mine } = scene;
    const first = mine.stats();
    // Holes of 72 … 800 bytes between walls.
    const holes: Address[] = [];
    const walls: Address[] = [];
    for (let i = 0; i < 92; i++) {
      holes.push(mine.inner.alloc(64 + i * 8));
      walls.push(mine.inner.alloc(16));
    }
    for (const address of holes) mine.inner.free(address);
    const blocks = allocMany(mine, 600, 64);
    expect(new Set(blocks).size).toBe(600);
    for (const address of blocks) expect(mine.sizeOf(address)).toBeGreaterThanOrEqual(64);
    mine.verify();
    for (const address of walls) mine.inner.free(address);
    for (const address of blocks) mine.free(address);
    mine.verify();
    mine.flush();
    expect(mine.stats()).toMatchObject({ used: 0, largestFree: first.largestFree });
  });
});

describe('bounds', () => {
  test.each([256 * KiB, MiB, 4 * MiB, 16 * MiB, 64 * MiB])(
    'a thread in a heap of %i bytes caches a tenth at most',
    (bytes) => {
      const scene = new CacheScene(bytes);
      const { mine } = scene;
      // One class after another, each as full as it gets.
      for (const size of classSizes) {
        const count = Math.min(3 * BATCH, Math.floor(bytes / 4 / size));
        for (const address of allocMany(mine, count, size)) mine.free(address);
      }
      const hand = [...mine.blocks()].filter(({ state }) => state === 'hand');
      const cached = hand.reduce((sum, { size }) => sum + size, 0);
      expect(cached).toBeGreaterThan(0);
      expect(cached).toBeLessThan(Math.min(bytes / 10, 1.5 * MiB));
      mine.verify();
    },
  );

  test('classes that a small heap cannot afford to cache are not cached', () => {
    const scene = new CacheScene(256 * KiB);
    const { mine } = scene;
    const large = mine.alloc(4000);
    mine.free(large);
    expect(scene.states()).toEqual({ free: 1 });
    const small = mine.alloc(40);
    mine.free(small);
    expect(scene.states().hand).toBeGreaterThan(0);
  });

  test('what is too large for any class goes straight to the allocator and back', () => {
    const scene = new CacheScene();
    const { mine } = scene;
    const address = mine.alloc(100_000);
    mine.free(address);
    expect(scene.states()).toEqual({ free: 1 });
    mine.verify();
  });
});

describe.each([
  ['TLSF', TlsfAllocator, {}],
  ['linked list', LinkedListAllocator, {}],
  ['buddy', BuddyAllocator, { minBlock: 16 }],
] as const)('before NULL, over %s', (_, Algorithm, options) => {
  test('all that this thread and the lists keep is given back: the whole region can be had', () => {
    const scene = new CacheScene(2 * MiB, Algorithm, options);
    const { mine } = scene;
    const first = mine.stats();
    for (const size of classSizes) for (const address of allocMany(mine, 60, size)) mine.free(address);
    expect(mine.stats().cached).toBeGreaterThan(10 * KiB);
    expect(mine.stats().largestFree).toBeLessThanOrEqual(first.largestFree);
    const all = mine.alloc(first.largestFree);
    expect(all).not.toBe(NULL);
    expect(mine.stats()).toMatchObject({ cached: 0, failures: 0 });
    mine.free(all);
    expectAllBack(mine, first);
  });

  test('others are asked to flush, and do at their next slow path', () => {
    const scene = new CacheScene(2 * MiB, Algorithm, options);
    const { mine } = scene;
    const other = scene.attach();
    for (const size of [16, 100, 500]) for (const address of allocMany(other, 20, size)) other.free(address);
    const { hand } = scene.states();
    expect(mine.alloc(2 * MiB)).toBe(NULL);
    expect(scene.states().hand, 'the other thread has not heard of it').toBe(hand);
    other.free(other.alloc(100));
    expect(scene.states().hand, 'its fast path does not listen').toBe(hand);
    // Too large for any class: a slow path.
    const large = other.alloc(10_000);
    expect(scene.states().hand).toBeUndefined();
    other.free(large);
    expect(mine.stats().failures).toBe(1);
  });

  test('a thread that is asked while it frees flushes too, and hears of each request once', () => {
    const scene = new CacheScene(2 * MiB, Algorithm, options);
    const { mine } = scene;
    const other = scene.attach();
    const blocks = allocMany(other, 40, 100);
    const large = other.alloc(20_000);
    for (const address of blocks) other.free(address);
    expect(mine.stats().cached).toBeGreaterThan(0);
    expect(mine.alloc(2 * MiB)).toBe(NULL);
    other.free(large);
    expect(mine.stats().cached).toBe(0);
    for (const address of allocMany(other, 10, 100)) other.free(address);
    other.free(other.alloc(20_000));
    expect(mine.stats().cached, 'a request counts once').toBeGreaterThan(0);
  });
});

describe('counters', () => {
  test('are exact once all threads are quiet, whoever allocated and whoever freed', () => {
    const scene = new CacheScene();
    const threads = [scene.mine, scene.attach(), scene.attach()];
    let allocations = 0;
    let frees = 0;
    const live: Address[] = [];
    let seed = 1;
    for (let step = 0; step < 30_000; step++) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      const thread = threads[(seed >>> 8) % 3]!;
      if (live.length < 1000 && (seed >>> 16) % 2 === 0) {
        live.push(thread.alloc((seed >>> 4) % 6000));
        allocations++;
      } else if (live.length > 0) {
        thread.free(live.splice((seed >>> 10) % live.length, 1)[0]!);
        frees++;
      }
    }
    expect(live).not.toContain(NULL);
    // Before the others publish, only what they have served since is missing.
    expect(scene.mine.stats().liveBlocks).toBe(live.length);
    for (const thread of threads) thread.publish();
    const used = live.reduce((sum, address) => sum + scene.mine.sizeOf(address), 0);
    for (const thread of threads) {
      expect(thread.stats()).toMatchObject({
        allocations,
        frees,
        used,
        liveBlocks: live.length,
        failures: 0,
      });
      const { capacity, free, overhead } = thread.stats();
      expect(used + free + overhead).toBe(capacity);
    }
    for (const address of live) threads[1]!.free(address);
    for (const thread of threads) thread.flush();
    for (const thread of threads) {
      expect(thread.stats()).toMatchObject({
        allocations,
        frees: allocations,
        used: 0,
        cached: 0,
        racedFrees: 0,
      });
    }
  });

  test("cacheHits, refills and flushes are each thread's own", () => {
    const scene = new CacheScene();
    const other = scene.attach();
    allocMany(scene.mine, 10, 64);
    expect(scene.mine.stats()).toMatchObject({ cacheHits: 10, refills: 3, flushes: 0 });
    expect(other.stats()).toMatchObject({ cacheHits: 0, refills: 0, flushes: 0 });
    other.alloc(64);
    expect(other.stats()).toMatchObject({ cacheHits: 1, refills: 1 });
  });

  test('are published at slow paths, for others to see', () => {
    const scene = new CacheScene();
    const other = scene.attach();
    for (let i = 0; i < 3; i++) other.free(other.alloc(64));
    expect(scene.mine.stats()).toMatchObject({ allocations: 0, frees: 0, liveBlocks: 0 });
    // The rest of a batch of two, then a refill and one of its four.
    allocMany(other, 3, 64);
    expect(scene.mine.stats()).toMatchObject({ allocations: 5, frees: 2, liveBlocks: 3 });
    other.publish();
    expect(scene.mine.stats()).toMatchObject({ allocations: 6, frees: 3, liveBlocks: 3 });
    allocMany(other, 4, 64);
    expect(scene.mine.stats()).toMatchObject({ allocations: 9, liveBlocks: 7 });
    other.flush();
    expect(scene.mine.stats()).toMatchObject({ allocations: 10, liveBlocks: 7 });
  });

  test('failures count requests, not attempts', () => {
    const { mine } = new CacheScene(MiB);
    for (const size of [16, 100_000]) {
      const { failures } = mine.stats();
      fillUp(mine, size);
      expect(mine.stats().failures).toBe(failures + 1);
      expect(mine.alloc(size)).toBe(NULL);
      expect(mine.stats().failures).toBe(failures + 2);
    }
  });
});

describe('verify()', () => {
  /** A cache, a list and a live block of one class. */
  function scene(): { scene: CacheScene; cached: Address; listed: Address; live: Address } {
    const made = new CacheScene();
    const blocks = outOfRow(allocMany(made.mine, 3 * BATCH + 2, 64));
    const live = blocks.pop()!;
    made.mine.flush();
    for (const address of blocks) made.mine.free(address);
    // The first of the second bundle of 15.
    const [cached, listed] = [blocks.at(-1)!, blocks[15]!];
    expect([cached, listed, live].map((address) => made.stateOf(address))).toEqual([
      'hand',
      'transfer',
      'live',
    ]);
    made.mine.verify();
    return { scene: made, cached, listed, live };
  }

  type At = ReturnType<typeof scene>;
  const flip = (address: (at: At) => Address, bits: number) => (at: At) => {
    at.scene.word(address(at), at.scene.word(address(at)) ^ bits);
    return address(at);
  };
  const cached = (at: At) => at.cached;
  const listed = (at: At) => at.listed;
  /** Has a listed block's link lead elsewhere: to a block whose address is found. */
  const relink = (to: (at: At) => number) => (at: At) => {
    at.scene.memory.u32[at.listed / 4] = to(at) / 8;
    return to(at);
  };

  /** Has a bundle's member be another block. */
  const remember = (to: (at: At) => number) => (at: At) => {
    at.scene.memory.u32[at.listed / 4 + 2] = to(at) / 8;
    return to(at);
  };
  const recount = (at: At) => {
    at.scene.memory.u32[at.listed / 4 + 1] = 15;
    return at.listed;
  };

  test.each<[string, (at: At) => number]>([
    ["a cached block's owner", flip(cached, 1 << 21)],
    ["a cached block's class", flip(cached, 1 << 8)],
    ["a cached block's state", flip(cached, 1 << 29)],
    ["a listed block's state", flip(listed, 1 << 30)],
    ["a listed block's class", flip(listed, 1 << 8)],
    ["a listed block's link, to a live block", relink((at) => at.live)],
    ["a listed block's link, to itself", relink((at) => at.listed)],
    ["a listed block's link, out of the memory", relink(() => 0x7fffffff * 8)],
    ["a bundle's member", remember((at) => at.live)],
    ["a bundle's member, out of the memory", remember(() => 0x7fffffff * 8)],
    ["a bundle's count", recount],
  ])('finds %s overwritten, and where', (_, damage) => {
    const at = scene();
    const address = damage(at);
    let thrown: unknown;
    try {
      at.scene.mine.verify();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(HeapCorruptionError);
    expect((thrown as HeapCorruptionError).address).toBe(address);
  });

  test('finds a list that ends too early', () => {
    const at = scene();
    at.scene.memory.u32[at.listed / 4] = 0;
    expect(() => at.scene.mine.verify()).toThrow(/blocks fewer than it counts/);
  });

  test('what it finds, a refill and a drain find too, and no lock stays held', () => {
    // No state but TRANSFER, and for a refill no class but the list's; a drain takes any class.
    const damages = [
      ['alloc', 1 << 8],
      ['alloc', 1 << 30],
      ['alloc', -1],
      ['flush', 1 << 30],
      ['flush', -1],
    ] as const;
    for (const [use, bits] of damages) {
      const at = scene();
      const { memory, start, mine } = at.scene;
      const other = at.scene.attach();
      flip(listed, bits)(at);
      const run = () => {
        if (use === 'flush') other.flush();
        else allocMany(other, 2 * BATCH, 64);
      };
      expect(run, `${use} over ${bits}`).toThrow(HeapCorruptionError);
      expect(other.inner.lock.owner).toBe(0);
      for (let cls = 0; cls < CLASSES; cls++) {
        expect(memory.i32[(start + 128 + cls * LIST_BYTES) / 4], `the lock of class ${cls}`).toBe(0);
      }
      expect(other.alloc(16), 'other classes are served').not.toBe(NULL);
      mine.alloc(16);
    }
  });

  test('has a list for every class', () => {
    const at = scene();
    expect(at.scene.mine.inner.start - at.scene.start).toBe(128 + CLASSES * LIST_BYTES);
    expect(CLASS_BYTES[4]).toBe(64);
  });
});
