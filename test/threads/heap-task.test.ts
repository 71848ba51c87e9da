/** heapTask: what an idle worker's cache holds can be taken back, and the worker goes on after that. */

import { afterEach, expect, it } from 'vitest';
import { Heap, MiB, NULL } from '../../src/index.ts';
import { createHeapPool, type HeapPool, heapTask } from '../../src/threads/piscina.ts';

const filename = new URL('../../dist/workers/test-threads/cache-filler.js', import.meta.url).href;
let heap: Heap;
let pool: HeapPool<number, number>;

afterEach(async () => {
  await pool.close();
  heap.detach();
});

it('a thread that runs out of room takes back the caches of idle, frozen workers', async () => {
  heap = Heap.create({ byteLength: 1 * MiB });
  const before = heap.stats().largestFree;
  pool = createHeapPool({ heap, filename, minThreads: 2, maxThreads: 2 });
  for (let round = 0; round < 5; round++) {
    const cached = await Promise.all([pool.run(1000), pool.run(1000)]);
    for (const bytes of cached) expect(bytes).toBeGreaterThan(0);
    expect(heap.stats().cached).toBeGreaterThan(0);
    // The workers are frozen between two tasks: nothing that they would have to do can help here.
    const whole = heap.alloc(before);
    expect(whole).not.toBe(NULL);
    expect(heap.stats().cached).toBe(0);
    heap.free(whole);
    heap.verify();
  }
  expect(heap.threads().map(({ state }) => state)).toEqual(['active', 'idle', 'idle']);
});

it('a task that throws rests as well, and its error arrives', async () => {
  heap = Heap.create({ byteLength: 1 * MiB });
  pool = createHeapPool({ heap, filename, minThreads: 1, maxThreads: 1 });
  await expect(pool.run(10, { name: 'failing' })).rejects.toThrow('as asked');
  expect(heap.threads().at(-1)?.state).toBe('idle');
  expect(await pool.run(10)).toBeGreaterThan(0);
});

it('wants a function', () => {
  heap = Heap.create({ byteLength: 1 * MiB });
  pool = createHeapPool({ heap, filename, minThreads: 0, maxThreads: 1 });
  // @ts-expect-error a number is no task
  expect(() => heapTask(5)).toThrow('heapTask wants a function');
});
