/** The index as a plain Map in one thread's own memory: what the shared one is compared with. */

import type { TextFile } from './corpus.ts';
import { countWordsOfFile } from './tokenize.ts';

/** Word → file, count, file, count, … */
export type PlainIndex = Map<string, number[]>;

/** What is told of a file that is to be indexed. */
export type NumberedFile = Pick<TextFile, 'number' | 'path'>;

/** Indexes some files. */
export function indexFiles(files: readonly NumberedFile[]): PlainIndex {
  const index: PlainIndex = new Map();
  for (const file of files) addFile(index, file);
  return index;
}

/** Adds a file's words. */
export function addFile(index: PlainIndex, { number, path }: NumberedFile): void {
  for (const [word, count] of countWordsOfFile(path)) {
    const postings = index.get(word);
    if (postings === undefined) index.set(word, [number, count]);
    else postings.push(number, count);
  }
}

/** Adds the index of other files. Takes over its arrays. */
export function merge(into: PlainIndex, index: PlainIndex): void {
  for (const [word, postings] of index) {
    const known = into.get(word);
    if (known === undefined) into.set(word, postings);
    else for (const number of postings) known.push(number);
  }
}

/** The uses of all words, in a plain index or a shared one. */
export function countUses(index: { values(): Iterable<readonly number[]> }): number {
  let uses = 0;
  for (const postings of index.values()) uses += countOf(postings);
  return uses;
}

/** The uses in some postings. */
export function countOf(postings: readonly number[]): number {
  let count = 0;
  for (let i = 1; i < postings.length; i += 2) count += postings[i]!;
  return count;
}
