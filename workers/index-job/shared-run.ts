/**
 * The index in shared memory: a pool of workers adds to one index in one heap, and every thread reads it
 * where it lies. What they have to do, and how far they are, goes through channels in the same heap.
 */

import { Channel, Heap, NULL, OutOfMemoryError } from '../../src/index.ts';
import { createHeapPool, type HeapPool } from '../../src/threads/piscina.ts';
import type { Corpus } from './corpus.ts';
import { JobError } from './job-error.ts';
import type { JobOptions } from './options.ts';
import type { Progress } from './progress.ts';
import { onEveryThread, type Run } from './run.ts';
import type { Added } from './shared-task.ts';
import { createWordIndex, type WordIndex } from './word-index.ts';
import { layOutWork, type Work } from './work.ts';

/** How many blocks were freed, and by whom. */
export interface Freed {
  /** Blocks that workers have allocated and the main thread has freed. */
  readonly byMain: number;
  /** Blocks that the main thread has allocated and a worker has freed. */
  readonly byWorker: number;
}

/** Makes the index in a heap. */
export class SharedRun implements Run {
  readonly heap: Heap;
  readonly index: WordIndex;
  /** The heap's `largestFree` before there was anything in it. */
  readonly largestFree: number;
  readonly #bytes: number;
  readonly #pool: HeapPool;
  #work: Work | undefined;

  /**
   * Makes the heap with an empty index in it, then starts the threads.
   *
   * @throws JobError when the heap is too small
   */
  static async start(options: JobOptions): Promise<SharedRun> {
    const run = new SharedRun(options);
    await onEveryThread(run.#pool, 'ready');
    return run;
  }

  private constructor({ bytes, allocator, threads }: JobOptions) {
    try {
      this.#bytes = bytes;
      this.heap = Heap.create({ byteLength: bytes, allocator, maxThreads: threads + 1 });
      this.largestFree = this.heap.stats().largestFree;
      this.index = createWordIndex(this.heap);
    } catch (error) {
      if (error instanceof RangeError) throw new JobError(error.message);
      if (error instanceof OutOfMemoryError) throw tooSmall(bytes, error.message);
      throw error;
    }
    const filename = new URL('shared-task.js', import.meta.url).href;
    this.#pool = createHeapPool({ heap: this.heap, filename, minThreads: threads, maxThreads: threads });
  }

  /** @throws JobError when the heap is too small */
  async make(corpus: Corpus, progress: Progress): Promise<void> {
    try {
      this.#work = layOutWork(this.heap, corpus, this.#pool.maxThreads);
      const done = Channel.open(this.heap, this.#work.done);
      const adding = onEveryThread<Added>(this.#pool, 'addShares', this.#work);
      const [answers] = await Promise.all([adding.finally(() => done.close()), follow(done, progress)]);
      const full = answers.find((answer) => answer.full !== undefined)?.full;
      if (full !== undefined) throw tooSmall(this.#bytes, full);
    } catch (error) {
      await this.stop();
      throw error instanceof OutOfMemoryError ? tooSmall(this.#bytes, error.message) : error;
    }
  }

  read(): Promise<number[]> {
    return onEveryThread(this.#pool, 'countUses');
  }

  /** Frees everything, each block from another thread than allocated it. */
  async free(): Promise<Freed> {
    const all = this.#liveBlocks;
    this.index.clear();
    const ofMain = this.#liveBlocks;
    await this.#pool.run(this.#work, { name: 'destroyAll' });
    return { byMain: all - ofMain, byWorker: ofMain - this.#liveBlocks };
  }

  get #liveBlocks(): number {
    this.heap.flush();
    return this.heap.stats().liveBlocks;
  }

  /**
   * Whether the heap has one block of all that was free at the start. For so much room it takes back what
   * the resting workers keep for their next allocations.
   */
  canAllocateAll(): boolean {
    const block = this.heap.alloc(this.largestFree);
    this.heap.free(block);
    return block !== NULL;
  }

  stop(): Promise<void> {
    return this.#pool.destroy();
  }
}

/** Draws the bar as shares are done, until the channel is closed. */
async function follow(done: Channel<number>, progress: Progress): Promise<void> {
  for await (const bytes of done) progress.add(bytes);
}

function tooSmall(bytes: number, reason: string): JobError {
  return new JobError(`a heap of ${bytes} bytes is too small for the index: ${reason}`);
}
