/**
 * The index in shared memory: a crew of workers adds to one index in one heap, and every thread reads it
 * where it lies. What they have to do, and how far they are, goes through channels in the same heap.
 */

import { Channel, Heap, NULL, OutOfMemoryError } from '../../src/index.ts';
import { UserError } from '../user-error.ts';
import type { Corpus } from './corpus.ts';
import type { Crew, Crews } from './crew.ts';
import type { JobOptions } from './options.ts';
import type { Progress } from './progress.ts';
import type { Run } from './run.ts';
import type { Added } from './shared-tasks.ts';
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
  readonly #crew: Crew;
  readonly #threads: number;
  #work: Work | undefined;

  /**
   * Makes the heap with an empty index in it, then starts the threads.
   *
   * @throws UserError when the heap is too small
   */
  static async start(options: JobOptions, crews: Crews): Promise<SharedRun> {
    const run = new SharedRun(options, crews);
    await run.#crew.runOnEach('ready');
    return run;
  }

  private constructor({ bytes, allocator, threads }: JobOptions, crews: Crews) {
    try {
      this.#bytes = bytes;
      this.heap = Heap.create({ byteLength: bytes, allocator, maxThreads: threads + 1 });
      this.largestFree = this.heap.stats().largestFree;
      this.index = createWordIndex(this.heap);
    } catch (error) {
      if (error instanceof RangeError) throw new UserError(error.message);
      if (error instanceof OutOfMemoryError) throw tooSmall(bytes, error.message);
      throw error;
    }
    this.#crew = crews.sharing(this.heap, threads);
    this.#threads = threads;
  }

  /** @throws UserError when the heap is too small */
  async make(corpus: Corpus, progress: Progress): Promise<void> {
    try {
      this.#work = layOutWork(this.heap, corpus, this.#threads);
      const done = Channel.open(this.heap, this.#work.done);
      const adding = this.#crew.runOnEach<Added>('addShares', this.#work);
      const [answers] = await Promise.all([adding.finally(() => done.close()), follow(done, progress)]);
      const full = answers.find((answer) => answer.full !== undefined)?.full;
      if (full !== undefined) throw tooSmall(this.#bytes, full);
    } catch (error) {
      await this.stop();
      throw error instanceof OutOfMemoryError ? tooSmall(this.#bytes, error.message) : error;
    }
  }

  read(): Promise<number[]> {
    return this.#crew.runOnEach('countUses');
  }

  /** Frees everything, each block from another thread than allocated it. */
  async free(): Promise<Freed> {
    const all = this.#liveBlocks;
    this.index.clear();
    const ofMain = this.#liveBlocks;
    await this.#crew.run('destroyAll', this.#work);
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
    return this.#crew.stop();
  }
}

/** Draws the bar as shares are done, until the channel is closed. */
async function follow(done: Channel<number>, progress: Progress): Promise<void> {
  for await (const bytes of done) progress.add(bytes);
}

function tooSmall(bytes: number, reason: string): UserError {
  return new UserError(
    `a heap of ${bytes} bytes is too small for the index: ${reason}; --bytes makes it larger`,
  );
}
