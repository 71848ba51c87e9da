/**
 * Threads at rest: a pool's worker between two tasks may be frozen with a full cache. Whoever runs out of
 * room takes it back; the sleeper finds out when it goes on.
 */

import { describe, expect, test } from 'vitest';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapAllocator } from '../../src/heap/options.ts';
import { type Address, MiB, NULL } from '../../src/memory/address.ts';
import { STEP } from '../stress/steps.ts';
import { told, visit } from './visitor.ts';

const cases = (['tlsf', 'linked-list', 'buddy', 'bump'] as HeapAllocator[]).map((allocator) => ({
  allocator,
}));

interface RestReport {
  readonly drained: number;
  readonly after: readonly number[];
}

describe('a worker at rest', () => {
  test.each(cases)(
    "in $allocator: its cache is another thread's room, and it goes on well",
    async ({ allocator }) => {
      const heap = Heap.create({ byteLength: 4 * MiB, maxThreads: 4, allocator, cache: true });
      const first = heap.stats();
      const sleeper = visit<RestReport>(heap, 'rest');
      sleeper.meeting.await(STEP, 1);
      expect(heap.threads()[1]).toMatchObject({ slot: 2, state: 'idle', ownedBlocks: 1 });
      expect(told(sleeper), 'its cache and the lists hold something').toBeGreaterThan(10_000);
      heap.flush();
      expect(heap.stats().cached, 'what the lists held is given back, its cache is not').toBeGreaterThan(0);

      // More than there is without its cache: only the block that it kept is in the way.
      const all: Address[] = [];
      if (allocator !== 'bump') {
        for (let size = 2 ** 21; size >= 4096; size /= 2) {
          for (let next = heap.alloc(size - 8); next !== NULL; next = heap.alloc(size - 8)) all.push(next);
        }
        expect(heap.stats().cached).toBe(0);
      } else {
        expect(heap.alloc(4 * MiB)).toBe(NULL);
        expect(heap.stats().cached).toBe(0);
      }
      heap.verify();
      expect(heap.threads()[1]).toMatchObject({ state: 'idle', ownedBlocks: 1 });
      for (const address of all) heap.free(address);
      heap.flush();

      sleeper.meeting.announce(STEP, 2);
      const { after } = await sleeper.report;
      expect(after).toHaveLength(2000);
      expect(new Set(after).size).toBe(2000);
      heap.flush();
      heap.verify();
      expect(heap.stats()).toMatchObject({
        used: 0,
        cached: 0,
        racedFrees: 0,
        largestFree: first.largestFree,
      });
      expect(heap.threads()).toHaveLength(1);
      heap.detach();
    },
  );

  test('that nobody drains has its cache as it left it', async () => {
    const heap = Heap.create({ byteLength: 4 * MiB, maxThreads: 4 });
    const sleeper = visit<RestReport>(heap, 'rest');
    sleeper.meeting.await(STEP, 1);
    const { cached } = heap.stats();
    for (let i = 0; i < 100; i++) heap.free(heap.alloc(1000));
    expect(heap.stats().cached).toBeGreaterThanOrEqual(cached!);
    sleeper.meeting.announce(STEP, 2);
    await sleeper.report;
    heap.flush();
    heap.verify();
    expect(heap.stats()).toMatchObject({ used: 0, racedFrees: 0 });
    heap.detach();
  });
});

describe('this thread', () => {
  test('may rest and resume as often as it likes, also without caches', () => {
    for (const cache of [true, false]) {
      const heap = Heap.create({ byteLength: MiB, maxThreads: 2, cache });
      heap.resume();
      for (let i = 0; i < 5; i++) {
        heap.rest();
        heap.rest();
        expect(heap.threads()[0]).toMatchObject({ state: 'idle' });
        heap.resume();
        heap.resume();
        expect(heap.threads()[0]).toMatchObject({ state: 'active' });
        heap.free(heap.alloc(100));
      }
      heap.verify();
      heap.detach();
    }
  });

  test('that gives its cache back leaves nothing behind', () => {
    const heap = Heap.create({ byteLength: MiB, maxThreads: 2 });
    for (const address of Array.from({ length: 500 }, (_, i) => heap.alloc(i * 3))) heap.free(address);
    expect(heap.stats().cached).toBeGreaterThan(0);
    expect([...heap.blocks()].some(({ state }) => state === 'hand' || state === 'transfer')).toBe(true);
    heap.flush();
    expect(heap.stats().cached).toBe(0);
    expect([...heap.blocks()].map(({ state }) => state)).toEqual(['free']);
    heap.flush();
    const bare = Heap.create({ byteLength: MiB, maxThreads: 2, cache: false });
    bare.flush();
    bare.detach();
    heap.detach();
  });
});
