/** What `Heap.create` can be told: defaults, every option's effect, and what it says to bad ones. */

import { afterEach, describe, expect, test } from 'vitest';
import { AttachError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapAllocator, HeapOptions } from '../../src/heap/options.ts';
import { GiB, KiB, MiB, NULL } from '../../src/memory/address.ts';

const made: Heap[] = [];

function create(options?: HeapOptions): Heap {
  const heap = Heap.create(options);
  made.push(heap);
  return heap;
}

afterEach(() => {
  for (const heap of made.splice(0)) heap.detach();
});

/** The least bytes of a heap: superblock, slots, layouts, allocator. */
const leastBytes = (threads: number) => 128 + threads * 128 + 4 * KiB + 12 * KiB;

describe('defaults', () => {
  test('64 MiB of TLSF behind caches, for 128 threads', () => {
    const heap = create();
    expect(heap.memory.byteLength).toBe(64 * MiB);
    expect(heap.buffer.byteLength).toBe(64 * MiB);
    expect(heap.threadSlot).toBe(1);
    expect(heap.id).toMatch(/^[0-9a-f]{16}$/);
    expect(heap.stats().cached).toBe(0);
    expect(heap.stats().capacity).toBeGreaterThan(63.9 * MiB);
    heap.verify();
  });

  test('ids differ from heap to heap', () => {
    const ids = Array.from({ length: 50 }, () => create({ byteLength: 64 * KiB }).id);
    expect(new Set(ids).size).toBe(50);
  });

  test.each<[HeapAllocator, boolean]>([
    ['tlsf', true],
    ['linked-list', true],
    ['buddy', true],
    ['bump', false],
  ])('%s has caches: %s', (allocator, caches) => {
    expect('cached' in create({ byteLength: MiB, allocator }).stats()).toBe(caches);
    expect('cached' in create({ byteLength: MiB, allocator, cache: !caches }).stats()).toBe(!caches);
  });
});

describe('options', () => {
  test('byteLength is rounded up to a multiple of 8', () => {
    expect(create({ byteLength: MiB + 1 }).memory.byteLength).toBe(MiB + 8);
  });

  test('a buffer of your own is used as it is, whatever it holds', () => {
    for (const bytes of [256 * KiB, 256 * KiB + 5]) {
      const buffer = new SharedArrayBuffer(bytes);
      new Uint8Array(buffer).fill(0xab);
      const heap = create({ buffer, byteLength: bytes });
      expect(heap.buffer).toBe(buffer);
      heap.free(heap.alloc(1000));
      heap.flush();
      heap.verify();
      expect(Heap.attach(buffer)).toBe(heap);
    }
  });

  test('each allocator, each lock, with and without caches, fills up and comes back', () => {
    for (const allocator of ['tlsf', 'linked-list', 'buddy', 'bump'] as const) {
      for (const cache of [true, false]) {
        for (const lock of ['park', 'spin'] as const) {
          const heap = create({ byteLength: 256 * KiB, maxThreads: 2, allocator, cache, lock });
          const { largestFree } = heap.stats();
          const blocks = [];
          for (let next = heap.alloc(1000); next !== NULL; next = heap.alloc(1000)) blocks.push(next);
          expect(blocks.length).toBeGreaterThan(150);
          heap.verify();
          for (const block of blocks) heap.free(block);
          heap.flush();
          heap.verify();
          expect(heap.stats()).toMatchObject({ largestFree, used: 0, liveBlocks: 0 });
          expect(heap.alloc(largestFree)).not.toBe(NULL);
        }
      }
    }
  });

  test('the smallest heap that is allowed serves', () => {
    for (const allocator of ['tlsf', 'linked-list', 'bump'] as const) {
      for (const maxThreads of [1, 255]) {
        const heap = create({ byteLength: leastBytes(maxThreads), maxThreads, allocator, cache: true });
        const address = heap.alloc(500);
        expect(address).not.toBe(NULL);
        heap.free(address);
        heap.verify();
      }
    }
  });

  test('minBlock and freeLists say how buddy cuts', () => {
    const byMinBlock = create({ byteLength: MiB, allocator: 'buddy', minBlock: 256, cache: false });
    expect(byMinBlock.sizeOf(byMinBlock.alloc(1))).toBe(256);
    const byLists = create({ byteLength: MiB, allocator: 'buddy', freeLists: 10, cache: false });
    expect(byLists.sizeOf(byLists.alloc(1))).toBe(1024);
  });

  test('a heap of 4 GiB costs nothing until it is used', () => {
    const before = process.memoryUsage.rss();
    const heap = create({ byteLength: 4 * GiB });
    const { largestFree } = heap.stats();
    expect(largestFree).toBeGreaterThan(4 * GiB - MiB);
    const all = heap.alloc(largestFree);
    expect(all + largestFree).toBeGreaterThan(4 * GiB - 64);
    heap.memory.u8[all + largestFree - 1] = 1;
    heap.free(all);
    heap.verify();
    expect(process.memoryUsage.rss() - before).toBeLessThan(256 * MiB);
  });
});

describe('bad options', () => {
  const least = leastBytes(128);
  test.each<[string, unknown, new (message: string) => Error, string | RegExp]>([
    [
      'byteLength NaN',
      { byteLength: Number.NaN },
      RangeError,
      'byteLength must be an integer from 8 to 4294967296, got NaN',
    ],
    ['byteLength 0', { byteLength: 0 }, RangeError, 'byteLength must be'],
    ['byteLength above 4 GiB', { byteLength: 4 * GiB + 8 }, RangeError, 'byteLength must be'],
    ['byteLength a string', { byteLength: '65536' }, RangeError, 'got "65536"'],
    [
      'byteLength too small',
      { byteLength: least - 8 },
      RangeError,
      `a heap of ${least - 8} bytes is too small: with these options it needs at least ${least}`,
    ],
    [
      'another length than the buffer',
      { byteLength: MiB, buffer: new SharedArrayBuffer(2 * MiB) },
      RangeError,
      `byteLength is ${MiB}, but the buffer has ${2 * MiB} bytes`,
    ],
    [
      'a buffer that is not shared',
      { buffer: new ArrayBuffer(MiB) },
      TypeError,
      'buffer must be a SharedArrayBuffer',
    ],
    [
      'allocator unknown',
      { allocator: 'slab' },
      RangeError,
      'allocator must be one of tlsf, bump, linked-list, buddy; got "slab"',
    ],
    ['allocator of every object', { allocator: 'toString' }, RangeError, 'allocator must be one of'],
    ['lock unknown', { lock: 'ticket' }, RangeError, "lock must be 'spin' or 'park', got ticket"],
    ['maxThreads 0', { maxThreads: 0 }, RangeError, 'maxThreads must be an integer from 1 to 255, got 0'],
    ['maxThreads 256', { maxThreads: 256 }, RangeError, 'got 256'],
    ['maxThreads 1.5', { maxThreads: 1.5 }, RangeError, 'got 1.5'],
    ['lockTimeout 0', { lockTimeout: 0 }, RangeError, 'lockTimeout must be above 0 ms, got 0'],
    ['lockTimeout NaN', { lockTimeout: Number.NaN }, RangeError, 'lockTimeout must be above 0 ms, got NaN'],
    [
      'initialBytes too few',
      { initialBytes: least - 1 },
      RangeError,
      `initialBytes must be an integer from ${least}`,
    ],
    ['initialBytes too many', { initialBytes: 64 * MiB + 8 }, RangeError, 'initialBytes must be an integer'],
    ['initialBytes 2^53', { initialBytes: 2 ** 53 }, RangeError, 'initialBytes must be an integer'],
    [
      'minBlock without buddy',
      { minBlock: 32 },
      TypeError,
      'minBlock and freeLists are options of the buddy allocator',
    ],
    [
      'freeLists without buddy',
      { allocator: 'bump', freeLists: 8 },
      TypeError,
      'options of the buddy allocator',
    ],
    [
      'minBlock 24',
      { allocator: 'buddy', minBlock: 24 },
      RangeError,
      'minBlock must be a power of two, got 24',
    ],
    ['minBlock 8', { allocator: 'buddy', minBlock: 8 }, RangeError, 'minBlock must be an integer from 16'],
    [
      'freeLists 0',
      { allocator: 'buddy', freeLists: 0 },
      RangeError,
      'freeLists must be an integer from 1 to 32',
    ],
    ['a name that no option has', { alocator: 'tlsf' }, TypeError, 'a heap has no option "alocator"'],
    [
      'both of them',
      { allocator: 'buddy', minBlock: 32, freeLists: 8 },
      RangeError,
      'give minBlock or freeLists, not both',
    ],
  ])('%s', (_, options, Class, message) => {
    let thrown: unknown;
    try {
      create(options as HeapOptions);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(Class);
    expect((thrown as Error).message).toMatch(message);
  });

  test('a buffer that create refused is no heap', () => {
    const buffer = new SharedArrayBuffer(MiB);
    expect(() => create({ buffer, maxThreads: 0 })).toThrow(RangeError);
    expect(() => Heap.attach(buffer)).toThrow(AttachError);
  });
});
