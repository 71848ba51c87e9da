/** Hardened heaps: how they are made and found, and that they survive what standard ones survive. */

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Box } from '../../src/containers/box.ts';
import { string } from '../../src/containers/string.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapAllocator } from '../../src/heap/options.ts';
import { KiB, MiB, NULL } from '../../src/memory/address.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { anotherThread } from '../misuse/another-thread.ts';
import { randomFrom, SEED } from '../random.ts';
import { visit } from './visitor.ts';

const Named = struct('Named', { id: u32, name: string });
const KILLS = 5;

describe('options', () => {
  test('a heap is standard unless it is told otherwise', () => {
    for (const options of [{}, { checks: 'standard' as const }]) {
      const heap = Heap.create({ byteLength: MiB, ...options });
      const block = heap.alloc(20);
      expect(heap.sizeOf(block)).toBeGreaterThan(20);
      expect(heap.stats().cached).toBeTypeOf('number');
      heap.detach();
    }
  });

  test('a hardened one knows what was asked for to the byte, and has no caches', () => {
    const heap = Heap.create({ byteLength: MiB, checks: 'hardened' });
    expect(heap.sizeOf(heap.alloc(21))).toBe(21);
    expect(heap.stats().cached).toBe(undefined);
    heap.detach();
  });

  test('caches, and checks of another name, are refused', () => {
    expect(() => Heap.create({ byteLength: MiB, checks: 'hardened', cache: true })).toThrow(TypeError);
    expect(() => Heap.create({ byteLength: MiB, checks: 'all' as never })).toThrow(RangeError);
    Heap.create({ byteLength: MiB, checks: 'hardened', cache: false }).detach();
  });
});

describe.each(['tlsf', 'linked-list', 'buddy', 'bump'] satisfies HeapAllocator[])('%s', (allocator) => {
  const fresh = (byteLength = MiB) =>
    Heap.create({ byteLength, allocator, checks: 'hardened', maxThreads: 4 });

  test('another thread finds the checks in the bytes', () => {
    const heap = fresh();
    const other = anotherThread(heap);
    const block = other.alloc(21);
    expect(heap.sizeOf(block)).toBe(21);
    heap.memory.u8[block + 21]! ^= 1;
    expect(() => heap.free(block)).toThrow('past the end of the block of 21 bytes');
    heap.memory.u8[block + 21]! ^= 1;
    heap.free(block);
    heap.verify();
    heap.detach();
  });

  test('it grows into its reserve', () => {
    const heap = Heap.create({ byteLength: MiB, allocator, checks: 'hardened', initialBytes: 256 * KiB });
    expect(heap.alloc(400 * KiB)).toBe(NULL);
    while (heap.claim(64 * KiB));
    heap.verify();
    const block = heap.alloc(200 * KiB);
    expect(block).not.toBe(NULL);
    heap.free(block);
    heap.detach();
  });

  test('blocks are sent, received, shared, adopted and owned as in others', () => {
    const heap = fresh();
    const block = heap.alloc(100);
    const generation = heap.generationOf(block);
    expect(heap.trySend(block)).toBe(true);
    expect(heap.tryReceive(block, generation)).toBe(true);
    heap.share(block);
    expect(heap.tryAdopt(block)).toBe(true);
    heap.free(block);
    expect(heap.generationOf(block)).toBe(-1);
    const box = Box.create(heap, Named, { id: 1, name: 'x'.repeat(100) });
    Box.open(heap, box.move()).drop();
    heap.scope((arena) => arena.alloc(500));
    heap.verify();
    expect(heap.stats().liveBlocks).toBe(0);
    heap.detach();
  });

  test(`${KILLS} threads killed in the middle of their work leave it whole`, async () => {
    console.log(`hardened over ${allocator}: SEED=${SEED}`);
    const random = randomFrom(SEED);
    const heap = fresh();
    heap.flush();
    const { largestFree } = heap.stats();
    const kept = heap.alloc(333);
    heap.memory.u8.fill(7, kept, kept + 333);
    for (let kill = 0; kill < KILLS; kill++) {
      const { worker, meeting, threadId, gone } = visit(heap, 'churn');
      meeting.await(0, 1);
      await sleep(random() * 20);
      await worker.terminate();
      await gone;
      heap.reap(threadId, { reclaim: true });
      heap.verify();
    }
    expect(heap.stats().liveBlocks).toBe(1);
    expect(heap.memory.bytes(kept, 333).every((byte) => byte === 7)).toBe(true);
    heap.free(kept);
    heap.flush();
    expect(heap.stats().largestFree).toBe(largestFree);
    heap.detach();
  });
});
