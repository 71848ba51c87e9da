/**
 * Pools of workers that share one heap: `sabheap/piscina`.
 *
 *     const pool = createHeapPool({ heap, filename });     one thread: makes the heap and the pool
 *     await pool.run(point.address);                       a number crosses, the bytes stay where they are
 *
 *     export default (address) => {                        the pool's threads: the module at `filename`
 *       const point = currentHeap().at(Point, address);
 *     };
 *
 * A pool is a Piscina and takes all of its options. What the adapter adds:
 *
 *     workerData    yours, a plain object, plus `heap`: the heap's handle, which `currentHeap()` attaches to
 *     maxThreads    at most the heap's free thread slots: each worker takes one
 *     idleTimeout   Infinity unless you say otherwise: Piscina ends idle workers by terminating them, and a
 *                   terminated thread cannot give its slot back
 */

import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { DetachedError, TooManyThreadsError } from '../errors.ts';
import { attached } from '../heap/attached.ts';
import { Heap } from '../heap/heap.ts';
import { ThreadSlots } from '../heap/slots.ts';
import { readSuperblock } from '../heap/superblock.ts';

export { currentHeap, heapTask } from './current-heap.ts';

type PiscinaOptions = NonNullable<ConstructorParameters<typeof Piscina>[0]>;

/** What `createHeapPool` takes: a heap and any option of Piscina. */
export interface HeapPoolOptions extends PiscinaOptions {
  /** The heap that the tasks share. This thread must be attached to it. */
  readonly heap: Heap;
  /** Reaches the workers as their `workerData`, with the heap's handle added as `heap`. */
  workerData?: { readonly [key: string]: unknown } | null;
}

/** A Piscina whose workers find a heap by `currentHeap()`. */
// biome-ignore lint/suspicious/noExplicitAny: the defaults that Piscina itself has
export class HeapPool<T = any, R = any> extends Piscina<T, R> {
  /** The heap that the tasks share. */
  readonly heap: Heap;

  /** See {@link createHeapPool}. */
  constructor(options: HeapPoolOptions) {
    const { heap, ...rest } = options ?? {};
    checkAttached(heap);
    super({
      idleTimeout: Number.POSITIVE_INFINITY,
      ...rest,
      ...threadCounts(heap, rest),
      workerData: withHandle(heap, rest.workerData),
    });
    this.heap = heap;
  }
}

/**
 * Starts a pool of workers that share `heap`: inside a task `currentHeap()` gives it.
 *
 * @param options a heap and any option of Piscina: `{ heap, filename, maxThreads: 4 }`
 * @throws TypeError without a heap, or when `workerData` is no plain object or has a `heap` of its own
 * @throws RangeError when `minThreads` or `maxThreads` is more than the heap has free thread slots
 * @throws TooManyThreadsError when it has none
 * @throws DetachedError when this thread is detached from the heap
 */
// biome-ignore lint/suspicious/noExplicitAny: the defaults that Piscina itself has
export function createHeapPool<T = any, R = any>(options: HeapPoolOptions): HeapPool<T, R> {
  return new HeapPool<T, R>(options);
}

function checkAttached(heap: unknown): asserts heap is Heap {
  if (!(heap instanceof Heap)) {
    throw new TypeError('a heap pool needs a heap: createHeapPool({ heap: Heap.create(), filename })');
  }
  if (attached().heaps.get(heap.id) !== heap) throw new DetachedError();
}

/** Piscina's own default, or what was asked for, checked against the heap's free slots. */
function threadCounts(heap: Heap, { minThreads, maxThreads }: PiscinaOptions): { maxThreads?: number } {
  const { slots, maxThreads: all } = readSuperblock(heap.memory);
  const free = all - new ThreadSlots(heap.memory, slots, all).taken().length;
  if (free === 0) throw new TooManyThreadsError(all);
  for (const [name, count] of Object.entries({ minThreads, maxThreads })) {
    if (typeof count !== 'number' || count <= free) continue;
    throw new RangeError(
      `${name} is ${count}, but only ${free} of the heap's ${all} thread slots are free: ` +
        'use fewer threads, or create the heap with a larger maxThreads',
    );
  }
  if (maxThreads !== undefined) return {};
  return { maxThreads: Math.min(free, Math.max(minThreads ?? 1, Math.ceil(availableParallelism() * 1.5))) };
}

function withHandle(heap: Heap, data: unknown): object {
  const own = data ?? {};
  if (!isPlain(own)) {
    throw new TypeError(
      'workerData of a heap pool is a plain object: the workers find the heap in it, as `heap`',
    );
  }
  const taken = (own as { heap?: { id?: unknown } | null }).heap;
  if (taken !== undefined && taken?.id !== heap.id) {
    throw new TypeError(
      "workerData.heap is where a heap pool puts its heap's handle: give yours another name",
    );
  }
  return { ...own, heap: heap.handle };
}

function isPlain(data: unknown): boolean {
  if (typeof data !== 'object' || Array.isArray(data)) return false;
  const prototype: unknown = Object.getPrototypeOf(data);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
