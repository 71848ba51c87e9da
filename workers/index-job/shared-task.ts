/**
 * What the workers of the shared run do: take one share of the files after the other, until there are no
 * more. Their words are in the heap then, where every thread finds them. Between two tasks a worker rests:
 * what it keeps for its next allocations can be taken back by a thread that runs out of room.
 */

import { Channel, OutOfMemoryError, SharedVec } from '../../src/index.ts';
import { currentHeap, heapTask } from '../../src/threads/piscina.ts';
import { countUses as countUsesOf, indexFiles } from './plain-index.ts';
import { addUses, destroyWordIndex, openWordIndex } from './word-index.ts';
import { freeWork, Share, type Work } from './work.ts';

const index = openWordIndex(currentHeap());

/** What became of a task. A thrown error would arrive without its class. */
export interface Added {
  /** What there was no room for. */
  readonly full?: string;
}

/** Counts the words of each share by itself, then adds them to what all threads have counted. */
export const addShares = heapTask((work: Work, heap): Added => {
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
});

/** Makes sure that this module is loaded. */
export const ready = heapTask(() => {});

/** Reads the whole index. Returns the uses of all words. */
export const countUses = heapTask(() => countUsesOf(index));

/** Frees what the main thread has allocated. */
export const destroyAll = heapTask((work: Work, heap) => {
  destroyWordIndex(heap, index);
  freeWork(heap, work);
});
