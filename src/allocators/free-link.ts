/**
 * Free link: a word in the payload of a free block that leads an algorithm on: to the next free block, to the
 * one before, or, as a footer, down to the block's own header.
 *
 *      plain      units
 *      encoded    units xor mask         mask = a hash of key and the word's index
 *
 * Encoded links are those of an algorithm inside of `Checked`, which has the key. What is written over one reads
 * as a place that is hardly ever a free block, and who follows a link asks the block there, before anything is
 * changed: a link must lead back, a footer and its header must agree.
 *
 * An algorithm reads and writes its links by two methods of its own. Encoding is no mode in them: an algorithm
 * with a key has others in their place, so plain links cost what they did.
 *
 * Source: safe-linking, E. Itkin, 2020 (glibc 2.32); here each word has a mask of its own.
 */

import { fmix32 } from './fmix32.ts';

/** How an algorithm reads and writes its free links. `index` is of 32-bit words. */
export interface FreeLinks {
  linkAt(index: number): number;
  setLink(index: number, units: number): void;
}

/** The key of an allocator with a secret; never 0, which stands for none. */
export function linkKeyFrom(secret: number): number {
  return fmix32(~secret) || 1;
}

/** Free links that are encoded with a key. */
export function encodedLinks(i32: Int32Array, key: number): FreeLinks {
  return {
    linkAt: (index) => i32[index]! ^ fmix32(index ^ key),
    setLink: (index, units) => {
      i32[index] = units ^ fmix32(index ^ key);
    },
  };
}
