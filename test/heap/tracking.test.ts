/** Leak tracking: live blocks by where this thread allocated them. */

import { afterEach, expect, it } from 'vitest';
import { type Address, f64, Heap, NULL, struct } from '../../src/index.ts';

const heaps: Heap[] = [];
afterEach(() => {
  for (const heap of heaps.splice(0)) heap.detach();
});

function makeHeap(): Heap {
  const heap = Heap.create({ byteLength: 1024 * 1024 });
  heaps.push(heap);
  return heap;
}

const Point = struct('Point', { x: f64, y: f64 });

it('groups live blocks by the line that allocated them, most bytes first', () => {
  const heap = makeHeap();
  const tracker = heap.track();
  const leaky = (): unknown => heap.new(Point);
  for (let i = 0; i < 5; i++) leaky();
  const large = heap.alloc(1000);
  heap.free(heap.alloc(50));
  const report = tracker.report();
  expect(report.map(({ blocks }) => blocks)).toEqual([1, 5]);
  expect(report[0]!.addresses).toEqual([large]);
  expect(report[0]!.bytes).toBe(heap.sizeOf(large));
  for (const { site } of report) expect(site).toContain('tracking.test.ts');
  expect(report[0]!.site).not.toBe(report[1]!.site);
});

it('a label stands in for the call site while it is set', () => {
  const heap = makeHeap();
  const tracker = heap.track();
  tracker.label = 'parser';
  heap.alloc(16);
  heap.allocZeroed(16);
  tracker.label = undefined;
  heap.alloc(16);
  const parser = tracker.report().find(({ site }) => site === 'parser');
  expect(parser?.blocks).toBe(2);
});

it('a moved block is known at its new address only', () => {
  const heap = makeHeap();
  const tracker = heap.track();
  tracker.label = 'grown';
  // A block on either side, so that it cannot grow where it is.
  const [, small] = Array.from({ length: 3 }, () => heap.alloc(16)) as [Address, Address, Address];
  const moved = heap.realloc(small, 5000);
  expect(moved).not.toBe(small);
  const grown = tracker.report().find(({ site }) => site === 'grown')!;
  expect(grown.addresses).toContain(moved);
  expect(grown.addresses).not.toContain(small);
});

it('blocks from before, and those of other slots, are named as untracked', () => {
  const heap = makeHeap();
  heap.alloc(16);
  const [group] = heap.track().report();
  expect(group).toMatchObject({ blocks: 1, site: '(another thread, or before tracking)' });
});

it('tracking twice gives the same tracker; after stop nothing is noted any more', () => {
  const heap = makeHeap();
  const tracker = heap.track();
  expect(heap.track()).toBe(tracker);
  tracker.stop();
  heap.alloc(16);
  expect(tracker.report()[0]!.site).toBe('(another thread, or before tracking)');
  expect(heap.track()).not.toBe(tracker);
});

it('a tracked heap answers as before: exhaustion, misuse, resize, statistics, verify', () => {
  const heap = makeHeap();
  heap.track();
  expect(heap.alloc(16 * 1024 * 1024)).toBe(NULL);
  const address = heap.alloc(100);
  expect(heap.resize(address, 90)).toBe(true);
  heap.free(address);
  expect(() => heap.free(address)).toThrow('is no live block');
  expect(() => heap.alloc(-1)).toThrow(RangeError);
  expect(heap.stats().liveBlocks).toBe(0);
  expect([...heap.blocks()].some(({ state }) => state === 'live')).toBe(false);
  heap.verify();
});
