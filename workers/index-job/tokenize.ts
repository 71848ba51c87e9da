/**
 * The words of a text: runs of letters and digits of any script, in lower case. Longer runs than 64
 * characters count as several words. Every run of the job, shared or not, counts with this function.
 */

import { readFileSync } from 'node:fs';

/** The most bytes of UTF-8 that a word can have: 64 characters of up to 4 bytes. */
export const LONGEST_WORD_BYTES = 256;
const WORD = /[\p{L}\p{N}]{1,64}/gu;

/** How often each word comes in a text. */
export function countWords(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of text.toLowerCase().match(WORD) ?? []) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

/** How often each word comes in a file. Bytes that are no UTF-8 separate words. */
export function countWordsOfFile(path: string): Map<string, number> {
  return countWords(readFileSync(path, 'utf8'));
}
