/** What runs out or comes round again: thread slots, the generations of slots and blocks, counts. */

import { describe, expect, test } from 'vitest';
import { Arc } from '../../src/containers/arc.ts';
import { Box } from '../../src/containers/box.ts';
import { TooManyThreadsError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapOptions } from '../../src/heap/options.ts';
import { type Address, KiB, MiB } from '../../src/memory/address.ts';
import { f64 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { anotherThread, leave } from './another-thread.ts';

const Point = struct('Point', { x: f64, y: f64 });

const modes: readonly [string, HeapOptions][] = [
  ['standard', {}],
  ['standard, without caches', { cache: false }],
  ['hardened', { checks: 'hardened' }],
];

describe.each(modes)('%s', (_, options) => {
  const fresh = (more: HeapOptions = {}) => Heap.create({ byteLength: MiB, ...options, ...more });
  const stateOf = (heap: Heap, address: Address) =>
    [...heap.blocks()].find((block) => block.address === address)?.state;

  test('with all thread slots taken the next attach is refused, and one that is given back serves', () => {
    const heap = fresh({ maxThreads: 3 });
    const [, last] = [anotherThread(heap), anotherThread(heap)];
    for (let i = 0; i < 10; i++) expect(() => anotherThread(heap)).toThrow(TooManyThreadsError);
    expect(heap.threads()).toHaveLength(3);
    leave(last!, heap);
    expect(anotherThread(heap).threadSlot).toBe(last!.threadSlot);
    heap.detach();
  });

  test('a slot serves 1,200 tenants: none is taken for an earlier one, their blocks stay whole', () => {
    const heap = fresh({ maxThreads: 2 });
    const kept: Address[] = [];
    for (let tenant = 1; tenant <= 1200; tenant++) {
      const other = anotherThread(heap);
      expect(other.threadSlot).toBe(2);
      expect(other.thread.generation).toBe(tenant);
      const block = other.alloc(32);
      heap.memory.u8.fill(tenant, block, block + 32);
      other.free(other.alloc(64));
      const lock = other.lock(other.allocZeroed(8));
      lock.acquire();
      lock.release();
      other.free(lock.address);
      if (tenant % 10 === 0) kept.push(block);
      else other.free(block);
      leave(other, heap);
    }
    // What the 8th and the 136th tenant left looks alike in 7 bits; it is nobody's, so nobody takes it.
    for (const block of kept) expect(stateOf(heap, block)).toBe('orphan');
    for (const [i, block] of kept.entries()) {
      const stamp = ((i + 1) * 10) & 0xff;
      expect(heap.memory.bytes(block, 32).every((byte) => byte === stamp)).toBe(true);
      heap.free(block);
    }
    heap.verify();
    expect(heap.stats().liveBlocks).toBe(0);
    heap.detach();
  });

  test("a block's generation goes 255 → 0: handles of 600 of its lives are told apart but for 256 apart", () => {
    const heap = fresh({ byteLength: 256 * KiB });
    const generations: number[] = [];
    const block = heap.alloc(40);
    let address = block;
    for (let turn = 0; generations.length < 600 && turn < 400_000; turn++) {
      if (address === block) generations.push(heap.generationOf(block));
      heap.free(address);
      address = heap.alloc(40);
      if (turn % 7 === 0) heap.flush();
    }
    expect(generations.length).toBeGreaterThanOrEqual(600);
    for (const [i, generation] of generations.entries()) {
      expect(generation).toBeLessThan(256);
      if (i > 0) expect(generation, `life ${i}`).toBe((generations[i - 1]! + 1) % 256);
    }
    heap.free(address);
    heap.verify();
    heap.detach();
  });

  test('of the handles of 200 lives of a Box only the last opens', () => {
    const heap = fresh({ byteLength: 256 * KiB });
    const handles: ReturnType<Box<typeof Point>['move']>[] = [];
    const first = Box.create(heap, Point).move();
    handles.push(first);
    for (let turn = 0; handles.length < 200 && turn < 400_000; turn++) {
      Box.open(heap, handles.at(-1)!).drop();
      for (;;) {
        const box = Box.create(heap, Point);
        const handle = box.move();
        if (handle.address === first.address) {
          handles.push(handle);
          break;
        }
        Box.open(heap, handle).drop();
      }
    }
    const last = handles.pop()!;
    for (const stale of handles) expect(() => Box.open(heap, stale)).toThrow();
    Box.open(heap, last).drop();
    heap.detach();
  });

  test('an Arc has thousands of clones, and is dropped with the last', () => {
    const heap = fresh();
    const point = Arc.create(heap, Point, { x: 1 });
    const clones = Array.from({ length: 5000 }, () => point.clone());
    expect(point.strongCount).toBe(5001);
    for (const clone of clones) clone.drop();
    expect(point.value.x).toBe(1);
    point.drop();
    expect(heap.stats().liveBlocks).toBe(0);
    heap.detach();
  });
});
