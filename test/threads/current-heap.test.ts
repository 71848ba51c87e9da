/** heapTask in a worker whose heap cannot be woken: the next task finds it as if this one had never begun. */

import { expect, test, vi } from 'vitest';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { heapTask } from '../../src/threads/current-heap.ts';

const started = vi.hoisted(() => ({ workerData: {} as { heap?: object } }));
vi.mock('node:worker_threads', async (original) => ({ ...(await original<object>()), ...started }));

test('a task that does not get the heap leaves the worker at rest, and the next one comes and goes', async () => {
  const heap = Heap.create({ byteLength: MiB });
  started.workerData.heap = heap.handle;
  const task = heapTask((size: number, given) => given.sizeOf(given.alloc(size)));
  const state = (): string | undefined => heap.threads()[0]?.state;
  expect(await task(40)).toBeGreaterThanOrEqual(40);
  expect(state()).toBe('idle');
  const resume = vi.spyOn(heap, 'resume').mockImplementationOnce(() => {
    throw new Error('the allocator is not to be had');
  });
  // Its cache may have been taken back: before that is seen to, nobody may say that it is there to be taken.
  const rest = vi.spyOn(heap, 'rest');
  await expect(task(40)).rejects.toThrow('not to be had');
  expect(rest).not.toHaveBeenCalled();
  expect(await task(40)).toBeGreaterThanOrEqual(40);
  expect([resume, rest].map(({ mock }) => mock.calls.length)).toEqual([2, 1]);
  expect(state()).toBe('idle');
  heap.resume();
  heap.detach();
});
