/** What the heap shows to people and tools. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { threadId } from '#platform';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, KiB } from '../../src/memory/address.ts';

let heap: Heap;

beforeEach(() => {
  heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 2 });
});

afterEach(() => heap.detach());

const picture = () => heap.describe().split('\n').slice(1, 5).join('');

describe('describe()', () => {
  test('of an empty heap shows free bytes alone', () => {
    expect(picture()).toBe('·'.repeat(256));
    expect(heap.describe()).toContain(`heap ${heap.id} · 256.00 KiB reserved`);
    expect(heap.describe()).toContain('used 0 B in 0 blocks');
    expect(heap.describe()).toContain(`slot 1: thread ${threadId()}, owns 0 blocks, 0 B`);
    expect(heap.describe()).toContain('roots: none');
  });

  test('shows each state where it takes up most of the bytes', () => {
    const [live, shared, freed] = [heap.alloc(60_000), heap.alloc(60_000), heap.alloc(60_000)] as [
      Address,
      Address,
      Address,
    ];
    heap.share(shared);
    heap.roots.set('one', live);
    heap.roots.set('two', shared);
    heap.free(freed);
    expect(picture()).toMatch(/^▓+·+[▓░]?·*$/);
    const kept = heap.alloc(30_000);
    expect(picture()).toMatch(/^▓+█+[▓░]?·+/);
    expect(heap.describe()).toContain('roots: one, two');
    expect(heap.describe()).toMatch(/used 1\d\d\.\d\d KiB in 5 blocks/);
    expect(heap.describe()).toContain('owns 1 blocks, 29.30 KiB');
    heap.free(kept);
  });

  test('of a full heap, of a bump heap and of one with a reserve holds no surprise', () => {
    for (const options of [{ allocator: 'bump' as const }, { initialBytes: 64 * KiB }, { cache: false }]) {
      const other = Heap.create({ byteLength: 256 * KiB, maxThreads: 2, ...options });
      expect(other.describe()).toContain('free');
      while (other.alloc(500) !== 0);
      expect(other.describe().split('\n')[1]).toContain('█');
      other.detach();
    }
  });
});

describe('toJSON()', () => {
  test('shows id, size, threads and the counters', () => {
    heap.alloc(100);
    const json = JSON.parse(JSON.stringify(heap));
    expect(json).toMatchObject({
      id: heap.id,
      byteLength: 256 * KiB,
      threads: 1,
      liveBlocks: 1,
      allocations: 1,
    });
    const { capacity, used, free, overhead } = json;
    expect(used + free + overhead).toBe(capacity);
    expect(json.buffer).toBeUndefined();
  });
});
