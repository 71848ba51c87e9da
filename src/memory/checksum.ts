/**
 * Checksum: XXH32, which tells by 32 bits whether bytes were altered. Any change within one aligned
 * word changes it for certain, any other one but for a chance of 2^-32. It is fast, and no protection against
 * who alters bytes on purpose.
 *
 *     bytes ──▶ 16 at a time into four lanes ──▶ the lanes into one word ──▶ the last 0 to 15 bytes ──▶ mix
 *
 * Source: Y. Collet, "xxHash fast digest algorithm", specification 0.1.1.
 */

const PRIME_1 = 0x9e3779b1 | 0;
const PRIME_2 = 0x85ebca77 | 0;
const PRIME_3 = 0xc2b2ae3d | 0;
const PRIME_4 = 0x27d4eb2f;
const PRIME_5 = 0x165667b1;

/** Bytes that the four lanes take at a time. */
const STRIPE = 16;

/**
 * The checksum of bytes, a u32.
 *
 * @param bytes best at a multiple of 4 in their buffer: else they are copied first
 * @param seed the checksum of what comes before, for bytes in several pieces
 */
export function checksumOf(bytes: Uint8Array, seed = 0): number {
  // Not `slice`, which a Buffer has as another view of the same bytes.
  const { buffer, byteOffset, length } = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  const words = new Int32Array(buffer, byteOffset, length >>> 2);
  const stripes = (length - (length % STRIPE)) / 4;
  let hash = (stripes === 0 ? seed + PRIME_5 : lanesOf(words, stripes, seed)) + length;
  for (let i = stripes; i < words.length; i++) {
    hash = Math.imul(rotate(hash + Math.imul(words[i]!, PRIME_3), 17), PRIME_4);
  }
  for (let i = words.length * 4; i < length; i++) {
    hash = Math.imul(rotate(hash + Math.imul(bytes[i]!, PRIME_5), 11), PRIME_1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Four lanes over the first `count` words, a multiple of 4, and what they come to. */
function lanesOf(words: Int32Array, count: number, seed: number): number {
  let a = (seed + PRIME_1 + PRIME_2) | 0;
  let b = (seed + PRIME_2) | 0;
  let c = seed | 0;
  let d = (seed - PRIME_1) | 0;
  for (let i = 0; i < count; i += 4) {
    a = Math.imul(rotate(a + Math.imul(words[i]!, PRIME_2), 13), PRIME_1);
    b = Math.imul(rotate(b + Math.imul(words[i + 1]!, PRIME_2), 13), PRIME_1);
    c = Math.imul(rotate(c + Math.imul(words[i + 2]!, PRIME_2), 13), PRIME_1);
    d = Math.imul(rotate(d + Math.imul(words[i + 3]!, PRIME_2), 13), PRIME_1);
  }
  return rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
