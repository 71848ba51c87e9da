/** Reads the shared index where it lies: compares it with the plain one, and finds the top words. */

import { countOf, type PlainIndex } from './plain-index.ts';
import type { WordIndex } from './word-index.ts';

/** What the shared index holds, and whether that is what the plain one holds. */
export interface Comparison {
  readonly distinctWords: number;
  readonly postings: number;
  readonly equal: boolean;
}

/** Compares each word's count, and how often it comes in each file. */
export function compare(index: WordIndex, plain: PlainIndex): Comparison {
  let distinctWords = 0;
  let postings = 0;
  let differences = 0;
  for (const word of index.words()) {
    const expected = sorted(plain.get(index.textOf(word)) ?? []);
    const found = sorted(Array.from(index.postingsOf(word), ({ file, count }) => [file, count]).flat());
    const { count, files } = word;
    if (!sameNumbers(found, expected) || count !== countOf(expected) || files * 2 !== expected.length) {
      differences++;
    }
    distinctWords++;
    postings += files;
  }
  return { distinctWords, postings, equal: differences === 0 && distinctWords === plain.size };
}

/** Whether two plain indexes hold the same. */
export function isSame(a: PlainIndex, b: PlainIndex): boolean {
  if (a.size !== b.size) return false;
  for (const [word, postings] of a) {
    if (!sameNumbers(sorted(postings), sorted(b.get(word) ?? []))) return false;
  }
  return true;
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
export function topWords(index: WordIndex, length: number): TopWord[] {
  const top: TopWord[] = [];
  for (const word of index.words()) {
    const { count, files } = word;
    // Only words that make it into the list are copied out of the heap.
    if (top.length === length && count < (top.at(-1)?.count ?? Number.POSITIVE_INFINITY)) continue;
    top.push({ word: index.textOf(word), count, files });
    top.sort((a, b) => b.count - a.count || (a.word < b.word ? -1 : 1));
    if (top.length > length) top.pop();
  }
  return top;
}
