/** fmix32: what keys and masks are made with. */

/**
 * A 32-bit hash of a 32-bit number: each bit of the one changes about half of the other's.
 *
 * Source: the finalizer of MurmurHash3, A. Appleby.
 */
export function fmix32(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
