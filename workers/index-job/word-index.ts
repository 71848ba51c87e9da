/**
 * The word index in the heap, which all threads add to at once: a map of lists, the twin of the plain one.
 *
 *     SharedMap    "heap"   ──▶ SharedVec   file, count, file, count, …       so often in this file, so
 *                  "shared" ──▶ SharedVec   file, count                       often in that one
 *
 * A word's list is changed in place, under the lock of the word's shard: threads wait for each other only
 * when they meet in one of 256. Who reads gets copies, and may do so while others add.
 */

import { type Heap, SharedMap, string, u32, vec } from '../../src/index.ts';

/** Word → file, count, file, count, … */
const WORD_INDEX = SharedMap.type(string, vec(u32));
/** One thread's object for the index. */
export type WordIndex = ReturnType<typeof WORD_INDEX.at>;

const ROOT = 'word index';

/** As many as there can be: while the engine still compiles, who holds a lock holds it long. */
const SHARDS = 256;

/**
 * Makes an empty index and names it, so that the other threads can open it.
 *
 * @throws OutOfMemoryError when the heap is too small
 */
export function createWordIndex(heap: Heap): WordIndex {
  const index = SharedMap.create(heap, string, vec(u32), { shards: SHARDS });
  heap.roots.set(ROOT, index);
  return index;
}

/** Opens the index that another thread has created. */
export function openWordIndex(heap: Heap): WordIndex {
  const index = heap.roots.open(ROOT, WORD_INDEX);
  if (index === undefined) throw new ReferenceError('the heap holds no word index');
  return index;
}

/**
 * Adds uses of a word: any thread, at any time.
 *
 * @param added file, count, file, count, …; no file that was given for this word before
 * @throws OutOfMemoryError when the heap is full; the index is as it was
 */
export function addUses(index: WordIndex, word: string, added: readonly number[]): void {
  const length = index.with(word, (uses) => uses.extend(added));
  // A new word, unless another thread has just inserted it: then this adds to a copy of what is there.
  if (length === undefined) index.update(word, (uses) => uses.concat(added), []);
}

/** Frees the index with all that is in it, and its name: one thread, once nobody uses it any more. */
export function destroyWordIndex(heap: Heap, index: WordIndex): void {
  heap.roots.delete(ROOT);
  index.destroy();
}
