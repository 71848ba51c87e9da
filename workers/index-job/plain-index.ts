/** The same index as a plain Map in one thread's own memory: what the shared one is compared with. */

import type { Corpus } from './corpus.ts';
import type { Progress } from './progress.ts';
import { countWordsOfFile } from './tokenize.ts';

/** Word → file, count, file, count, … */
export type PlainIndex = Map<string, number[]>;

/** Adds `count` uses of a word in a file. */
export function addTo(index: PlainIndex, word: string, file: number, count: number): void {
  const postings = index.get(word);
  if (postings === undefined) index.set(word, [file, count]);
  else postings.push(file, count);
}

/** Adds the words of a file. Returns how many. */
export function addFileTo(index: PlainIndex, file: number, path: string): number {
  let words = 0;
  for (const [word, count] of countWordsOfFile(path)) {
    addTo(index, word, file, count);
    words += count;
  }
  return words;
}

/** Indexes everything in this thread. */
export function runPlain({ files }: Corpus, progress: Progress): { index: PlainIndex; words: number } {
  const index: PlainIndex = new Map();
  let words = 0;
  for (const { number, path, bytes } of files) {
    words += addFileTo(index, number, path);
    progress.add(bytes);
  }
  return { index, words };
}
