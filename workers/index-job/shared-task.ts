/**
 * What the workers of the shared run do. A task is told which files to read, and answers when their
 * words are in the heap, where every thread finds them. Between two tasks a worker rests: what it keeps
 * for its next allocations can be taken back by a thread that runs out of room.
 */

import { OutOfMemoryError } from '../../src/index.ts';
import { currentHeap, heapTask } from '../../src/threads/piscina.ts';
import type { TextFile } from './corpus.ts';
import { indexFiles } from './plain-index.ts';
import { WordIndex } from './word-index.ts';

const index = WordIndex.open(currentHeap());

/** What became of a task. A thrown error would arrive without its class. */
export interface Added {
  /** What there was no room for. */
  readonly full?: string;
}

/** Counts the words of some files by itself, then adds them to what all threads have counted. */
export default heapTask((files: readonly TextFile[]): Added => {
  try {
    for (const [word, postings] of indexFiles(files)) index.add(word, postings);
    return {};
  } catch (error) {
    if (error instanceof OutOfMemoryError) return { full: error.message };
    throw error;
  }
});

/** Makes sure that this module is loaded. */
export const ready = heapTask(() => {});

/** Reads the whole index. Returns the uses of all words. */
export const countUses = heapTask(() => {
  let uses = 0;
  for (const word of index.words()) {
    for (const posting of index.postingsOf(word)) uses += posting.count;
  }
  return uses;
});

/** Frees what the main thread has allocated. Returns how many blocks that were. */
export const freeTable = heapTask(() => index.freeTable());
