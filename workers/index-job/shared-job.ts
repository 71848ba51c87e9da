/**
 * The job in shared memory: a pool of workers adds to one index in one heap; nothing but file names and
 * counts crosses between threads. Then the main thread reads the index where it lies.
 */

import { Heap, NULL, OutOfMemoryError } from '../../src/index.ts';
import { createHeapPool, type HeapPool } from '../../src/threads/piscina.ts';
import { bytesOf, type Corpus, shareOut, type TextFile } from './corpus.ts';
import { JobError } from './job-error.ts';
import type { JobOptions } from './options.ts';
import type { Progress } from './progress.ts';
import type { Added } from './task.ts';
import { WordIndex } from './word-index.ts';

/** A shared index, and the threads that made it. */
export interface SharedRun {
  readonly heap: Heap;
  readonly index: WordIndex;
  readonly words: number;
  /** The heap's `largestFree` before there was anything in it. */
  readonly largestFree: number;
  readonly pool: HeapPool;
}

/**
 * Indexes everything with as many workers as the options say.
 *
 * @throws JobError when the heap is too small
 */
export async function runShared(corpus: Corpus, options: JobOptions, progress: Progress): Promise<SharedRun> {
  const heap = createHeap(options);
  const { largestFree } = heap.stats();
  const index = createIndex(heap, options);
  const pool: HeapPool<readonly TextFile[], Added> = createHeapPool({
    heap,
    filename: new URL('task.js', import.meta.url).href,
    minThreads: options.threads,
    maxThreads: options.threads,
  });
  let words = 0;
  const addShare = async (share: readonly TextFile[]): Promise<void> => {
    const added = await pool.run(share);
    if ('full' in added) throw tooSmall(options, added.full);
    words += added.words;
    progress.add(bytesOf(share));
  };
  try {
    await Promise.all(shareOut(corpus, options.threads).map(addShare));
  } catch (error) {
    await pool.destroy();
    throw error;
  }
  return { heap, index, words, largestFree, pool };
}

function createHeap({ bytes, allocator, threads }: JobOptions): Heap {
  try {
    return Heap.create({ byteLength: bytes, allocator, maxThreads: threads + 1 });
  } catch (error) {
    if (error instanceof RangeError) throw new JobError(error.message);
    throw error;
  }
}

function createIndex(heap: Heap, options: JobOptions): WordIndex {
  try {
    return WordIndex.create(heap);
  } catch (error) {
    if (error instanceof OutOfMemoryError) throw tooSmall(options, error.message);
    throw error;
  }
}

function tooSmall({ bytes }: JobOptions, reason: string): JobError {
  return new JobError(`a heap of ${bytes} bytes is too small (${reason}): give it more with --bytes`);
}

/** How many blocks were freed, and by whom. */
export interface Freed {
  /** Blocks that workers have allocated and the main thread has freed. */
  readonly byMain: number;
  /** Blocks that the main thread has allocated and a worker has freed. */
  readonly byWorker: number;
}

/** Frees every block from another thread than allocated it. */
export async function freeAll({ index, pool }: SharedRun): Promise<Freed> {
  return { byMain: index.freeWords(), byWorker: await pool.run(null, { name: 'freeTable' }) };
}

/** Whether one block of `size` bytes can be had: the proof that nothing is left in between. */
export function canAllocate(heap: Heap, size: number): boolean {
  const block = heap.alloc(size);
  heap.free(block);
  return block !== NULL;
}
