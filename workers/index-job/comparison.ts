/** Compares indexes, and finds the top words. Reads a shared one by copies, a word at a time. */

import { countOf, type PlainIndex } from './plain-index.ts';
import type { WordIndex } from './word-index.ts';

/** Whether an index holds the same as a plain one: each word, and how often it comes in each file. */
export function isSame(index: WordIndex | PlainIndex, plain: PlainIndex): boolean {
  if (index.size !== plain.size) return false;
  for (const [word, postings] of index) {
    if (!sameNumbers(sorted(postings), sorted(plain.get(word) ?? []))) return false;
  }
  return true;
}

/** In how many files each word comes, added up. */
export function countPostings(index: WordIndex | PlainIndex): number {
  let postings = 0;
  for (const ofWord of index.values()) postings += ofWord.length / 2;
  return postings;
}

/** file, count, file, count, … in the order of the files: threads add them in any order. */
function sorted(postings: readonly number[]): number[] {
  const pairs = Array.from({ length: postings.length / 2 }, (_, i) => [
    postings[i * 2]!,
    postings[i * 2 + 1]!,
  ]);
  return pairs.sort(([a], [b]) => a! - b!).flat();
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((number, i) => number === b[i]);
}

/** A frequent word. */
export interface TopWord {
  readonly word: string;
  readonly count: number;
  readonly files: number;
}

/** The most frequent words; of equally frequent ones those that come first in the alphabet. */
export function topWords(index: WordIndex | PlainIndex, length: number): TopWord[] {
  const top: TopWord[] = [];
  for (const [word, postings] of index) {
    const count = countOf(postings);
    if (top.length === length && count < (top.at(-1)?.count ?? Number.POSITIVE_INFINITY)) continue;
    top.push({ word, count, files: postings.length / 2 });
    top.sort((a, b) => b.count - a.count || (a.word < b.word ? -1 : 1));
    if (top.length > length) top.pop();
  }
  return top;
}
