/**
 * What the workers of the shared run do. A task is told which files to read, and answers when their
 * words are in the heap, where every thread finds them.
 */

import { OutOfMemoryError } from '../../src/index.ts';
import { currentHeap } from '../../src/threads/piscina.ts';
import type { TextFile } from './corpus.ts';
import { indexFiles } from './plain-index.ts';
import { WordIndex } from './word-index.ts';

const heap = currentHeap();
const index = WordIndex.open(heap);

/** Counts the words of some files by itself, then adds them to what all threads have counted. */
export default function addFiles(files: readonly TextFile[]): { readonly full?: string } {
  try {
    for (const [word, postings] of indexFiles(files)) index.add(word, postings);
    return {};
  } catch (error) {
    // A thrown error would arrive without its class.
    if (error instanceof OutOfMemoryError) return { full: error.message };
    throw error;
  }
}

/** Makes sure that this module is loaded. */
export function ready(): void {}

/** Reads the whole index. Returns the uses of all words. */
export function countUses(): number {
  let uses = 0;
  for (const word of index.words()) {
    for (const posting of index.postingsOf(word)) uses += posting.count;
  }
  return uses;
}

/** Frees what the main thread has allocated. Returns how many blocks that were. */
export function freeTable(): number {
  return index.freeTable();
}

/** Gives back what this thread keeps for its next allocations. */
export function flush(): void {
  heap.flush();
}
