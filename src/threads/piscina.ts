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
 *     idleTimeout   Infinity unless you say otherwise: ending an idle worker is safe, but loses its cache, and
 *                   the pool's thread walks over all blocks for it
 *     reclaim       whether blocks that a dead worker alone owned are freed; see `heap.watch`
 *
 * A worker that ends in the middle of its work (an aborted task, `destroy`, `close({ force: true })`,
 * `process.exit`, an error outside a task, a JavaScript heap that is full) is reaped once its thread has ended:
 * at the 'exit' of the raw Worker. Piscina's 'workerDestroy' comes when it calls `terminate()`, and the thread
 * writes on after that. `destroy` and `close` resolve when all threads of the pool have ended and are reaped; on
 * Node before 24 they first wait, 2 s at most, for threads that still load their file.
 */

import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { DetachedError, TooManyThreadsError } from '../errors.ts';
import { attached } from '../heap/attached.ts';
import { Heap } from '../heap/heap.ts';
import { ThreadSlots } from '../heap/slots.ts';
import { readSuperblock } from '../heap/superblock.ts';
import type { WatchOptions } from '../heap/watch.ts';

export { currentHeap, heapTask } from './current-heap.ts';

type PiscinaOptions = NonNullable<ConstructorParameters<typeof Piscina>[0]>;
type CloseOptions = Parameters<Piscina['close']>[0];

/**
 * Node before 24 ends the whole process when a thread is terminated while it links an ES module for `require`,
 * by which Piscina's threads first try to load their file: "v8::Module::IsGraphAsync must be used on an
 * instantiated module".
 */
const LOADING_IS_DELICATE =
  (process.features as { readonly require_module?: boolean }).require_module === true &&
  Number.parseInt(process.versions.node, 10) < 24;
/** How long the end of a pool waits for threads that load, in ms: a file may never be done with that. */
const LOADED_WITHIN_MS = 2000;

/** What `createHeapPool` takes: a heap and any option of Piscina. */
export interface HeapPoolOptions extends PiscinaOptions, WatchOptions {
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
  readonly #watchOptions: WatchOptions;
  /** The workers that are watched, each until its thread has ended. */
  readonly #ends = new Map<Worker, Promise<void>>();
  /** Those of them that have not loaded their file yet. */
  readonly #loading = new Map<Worker, Promise<void>>();

  /** See {@link createHeapPool}. */
  constructor(options: HeapPoolOptions) {
    const { heap, reclaim, onReaped, onFailed, ...rest } = options ?? {};
    checkAttached(heap);
    super({
      idleTimeout: Number.POSITIVE_INFINITY,
      ...rest,
      ...threadCounts(heap, rest),
      workerData: withHandle(heap, rest.workerData),
    });
    this.heap = heap;
    this.#watchOptions = { reclaim, onReaped, onFailed } as WatchOptions;
    this.#watchWorkers();
    this.on('workerCreate', () => this.#watchWorkers());
    // Piscina does not tell of a worker that ends before it is ready; Node tells of each when it is started.
    if (HeapPool.#pools.size === 0) process.on('worker', HeapPool.#watchAll);
    HeapPool.#pools.add(new WeakRef(this));
  }

  static readonly #pools = new Set<WeakRef<HeapPool>>();

  static #watchAll(this: void): void {
    for (const pool of HeapPool.#pools) {
      const alive = pool.deref();
      if (alive === undefined) HeapPool.#pools.delete(pool);
      else alive.#watchWorkers();
    }
    if (HeapPool.#pools.size === 0) process.off('worker', HeapPool.#watchAll);
  }

  /** As Piscina's, and resolves when the threads have ended whose tasks were aborted, too. */
  override async destroy(): Promise<void> {
    if (LOADING_IS_DELICATE && this.#loading.size > 0) await this.#allLoaded();
    await super.destroy();
    await this.#allEnded();
  }

  /** As Piscina's, and resolves when the threads have ended whose tasks were aborted, too. */
  override async close(options?: CloseOptions): Promise<void> {
    if (LOADING_IS_DELICATE && this.#loading.size > 0) await this.#allLoaded();
    await super.close(options);
    await this.#allEnded();
  }

  #watchWorkers(): void {
    if (attached().heaps.get(this.heap.id) !== this.heap) return;
    for (const worker of this.threads) {
      if (this.#ends.has(worker) || worker.threadId === -1) continue;
      // The heap's listener comes first: a thread that has ended here is reaped.
      this.heap.watch(worker, this.#watchOptions);
      const end = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
      this.#ends.set(
        worker,
        end.then(() => void this.#ends.delete(worker)),
      );
      // The first that a thread says is that it is ready.
      const said = new Promise<void>((resolve) => worker.once('message', () => resolve()));
      this.#loading.set(
        worker,
        Promise.race([said, end]).then(() => void this.#loading.delete(worker)),
      );
    }
  }

  async #allLoaded(): Promise<void> {
    const enough = new AbortController();
    const patience = sleep(LOADED_WITHIN_MS, undefined, enough).catch(() => {});
    await Promise.race([Promise.all(this.#loading.values()), patience]);
    enough.abort();
  }

  async #allEnded(): Promise<void> {
    await Promise.all(this.#ends.values());
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
