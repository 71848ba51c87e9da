/**
 * What the workers of the shared run do. A task is told which files to read and tells how many words it
 * has added: the words themselves are in the heap, where every thread finds them.
 */

import { OutOfMemoryError } from '../../src/index.ts';
import { currentHeap } from '../../src/threads/piscina.ts';
import type { TextFile } from './corpus.ts';
import { countWordsOfFile } from './tokenize.ts';
import { WordIndex } from './word-index.ts';

const index = WordIndex.open(currentHeap());

/** How many words were added, or why no more could be: an error would arrive without its class. */
export type Added = { readonly words: number } | { readonly full: string };

/** Adds the words of some files. */
export default function addFiles(files: readonly TextFile[]): Added {
  let words = 0;
  try {
    for (const { number, path } of files) {
      for (const [word, count] of countWordsOfFile(path)) {
        index.add(word, number, count);
        words += count;
      }
    }
    return { words };
  } catch (error) {
    if (error instanceof OutOfMemoryError) return { full: error.message };
    throw error;
  }
}

/** Frees what the main thread has allocated. Returns how many blocks that were. */
export function freeTable(): number {
  return index.freeTable();
}
