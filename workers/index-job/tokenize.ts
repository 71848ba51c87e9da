/**
 * The words of a text: runs of letters and digits of any script, in lower case. Longer runs than 64
 * characters count as several words. Every run of the job, shared or not, counts with this function.
 */

import { readFileSync } from 'node:fs';

/** The most characters in a word. */
const LONGEST_WORD = 64;

const LETTER_OR_DIGIT = /[\p{L}\p{N}]/u;
/** 1 for the letters and digits of ASCII: most texts hold few others. */
const ASCII = Uint8Array.from({ length: 128 }, (_, code) =>
  Number(LETTER_OR_DIGIT.test(String.fromCharCode(code))),
);

/** How often each word comes in a file. Bytes that are no UTF-8 separate words. */
export function countWordsOfFile(path: string): Map<string, number> {
  return countWords(readFileSync(path, 'utf8'));
}

/** How often each word comes in a text. */
export function countWords(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  const lower = text.toLowerCase();
  let at = 0;
  while (at < lower.length) {
    const end = endOfWord(lower, at);
    if (end > at) {
      const word = lower.slice(at, end);
      counts.set(word, (counts.get(word) ?? 0) + 1);
      at = end;
    } else {
      at++;
    }
  }
  return counts;
}

/** Where the word ends that starts at `start`; `start` itself when none does. */
function endOfWord(text: string, start: number): number {
  let at = start;
  for (let length = 0; length < LONGEST_WORD && at < text.length; length++) {
    const code = text.codePointAt(at)!;
    if (!isLetterOrDigit(code)) break;
    at += code > 0xffff ? 2 : 1;
  }
  return at;
}

function isLetterOrDigit(code: number): boolean {
  return code < 128 ? ASCII[code] === 1 : LETTER_OR_DIGIT.test(String.fromCodePoint(code));
}
