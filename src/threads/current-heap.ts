/**
 * The heap that a worker was started with: its `workerData.heap`, as a pool or `new Worker` passed it.
 *
 * `workerData` is there before the first line of a worker's module runs, so the heap can be had at a
 * module's top level as well as inside a task. Attaching takes no event loop: nothing here waits for a
 * timer or a message that an idle pool worker would never see.
 */

import { workerData } from 'node:worker_threads';
import { attached } from '../heap/attached.ts';
import type { HeapHandle } from '../heap/handle.ts';
import { Heap } from '../heap/heap.ts';

/**
 * The heap of the pool that this worker belongs to. Attaches at the first call; later calls are cheap.
 *
 * It is also the heap of a worker of your own: `new Worker(url, { workerData: { heap: heap.handle } })`.
 *
 * @throws ReferenceError in a thread that was started without a heap
 * @throws TooManyThreadsError when all thread slots of the heap are taken
 */
export function currentHeap(): Heap {
  const handle = (workerData as { readonly heap?: HeapHandle } | null | undefined)?.heap;
  if (handle?.kind !== 'sabheap') {
    throw new ReferenceError(
      'currentHeap() finds no heap: this thread was not started with one. Call it in a task of a pool that ' +
        'createHeapPool({ heap, filename }) made; in the thread that made the pool, use pool.heap',
    );
  }
  return attached().heaps.get(handle.id) ?? Heap.attach(handle);
}

/**
 * Makes a pool task of `fn` that rests between its calls, so that a thread which runs out of room can take
 * back what this one's cache holds: an idle worker of Piscina is frozen and could not be asked.
 *
 *     export default heapTask((address: Address, heap) => heap.at(Point, address).x);
 *
 * Tasks that overlap in one worker (`concurrentTasksPerWorker`) rest when the last of them has ended.
 *
 * @param fn gets the task's argument and the heap; may return a promise
 */
export function heapTask<T, R>(fn: (task: T, heap: Heap) => R | Promise<R>): (task: T) => Promise<R> {
  if (typeof fn !== 'function') throw new TypeError('heapTask wants a function');
  return async (task) => {
    const heap = currentHeap();
    // Counted only then: where it cannot wake the heap, the worker is at rest as before.
    if (running === 0) heap.resume();
    running++;
    try {
      return await fn(task, heap);
    } finally {
      if (--running === 0) heap.rest();
    }
  };
}

/** How many tasks of this worker have begun and not ended. */
let running = 0;
