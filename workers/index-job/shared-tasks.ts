/**
 * What the workers of the shared run do: take one share of the files after the other, until there are no
 * more. Their words are in the heap then, where every thread finds them.
 */

import { Channel, type Heap, OutOfMemoryError, SharedVec } from '../../src/index.ts';
import { countUses, indexFiles } from './plain-index.ts';
import { addUses, destroyWordIndex, openWordIndex } from './word-index.ts';
import { freeWork, Share, type Work } from './work.ts';

/** What became of a task. A thrown error would arrive without its class. */
export interface Added {
  /** What there was no room for. */
  readonly full?: string;
}

/** By name. Each gets what it was sent, and its thread's heap. */
export const sharedTasks = {
  /** Makes sure that this module is loaded. */
  ready(): void {},

  /** Counts the words of each share by itself, then adds them to what all threads have counted. */
  addShares(work: Work, heap: Heap): Added {
    const index = openWordIndex(heap);
    const paths = SharedVec.open(heap, work.paths);
    const done = Channel.open(heap, work.done);
    try {
      for (const { files, bytes } of Channel.open(heap, work.shares, Share)) {
        const counted = indexFiles(files.map((number) => ({ number, path: paths.at(number) })));
        for (const [word, uses] of counted) addUses(index, word, uses);
        done.send(bytes);
      }
      return {};
    } catch (error) {
      if (error instanceof OutOfMemoryError) return { full: error.message };
      throw error;
    }
  },

  /** Reads the whole index. Returns the uses of all words. */
  countUses(_: null, heap: Heap): number {
    return countUses(openWordIndex(heap));
  },

  /** Frees what the main thread has allocated. */
  destroyAll(work: Work, heap: Heap): void {
    destroyWordIndex(heap, openWordIndex(heap));
    freeWork(heap, work);
  },
};
