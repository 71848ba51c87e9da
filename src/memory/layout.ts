/**
 * Layouts: what a caller may ask for. A size is a count of bytes, an alignment a power of two.
 *
 *     size    not a number, NaN, negative, fractional, infinite, above 2^53 - 1   RangeError
 *             an integer that is only too large                                   exhaustion: NULL
 *             0                                                                   a block like any other
 *     align   not a power of two from 1 to 2^52                                   RangeError
 *
 * Hot paths test `size >>> 0 === size` themselves and come here only when that fails.
 */

import { show } from '../errors.ts';

/** The alignment a caller gets without asking, in bytes. */
export const DEFAULT_ALIGN = 8;

/**
 * Throws unless `size` is a size.
 *
 * @throws RangeError naming what was given
 */
export function checkSize(size: number): void {
  if (Number.isSafeInteger(size) && size >= 0) return;
  throw new RangeError(`size must be an integer from 0 to 2^53 - 1, got ${show(size)}`);
}

/**
 * Throws unless `align` is an alignment.
 *
 * @throws RangeError naming what was given
 */
export function checkAlign(align: number): void {
  // `Math.log2` alone rounds 2^49 - 1 to 49.
  if (Number.isSafeInteger(align) && align > 0 && 2 ** Math.round(Math.log2(align)) === align) return;
  throw new RangeError(`align must be a power of two from 1 to 2^52, got ${show(align)}`);
}

/**
 * Throws unless `value` is an integer from `min` to `max`.
 *
 * @throws RangeError naming `name` and what was given
 */
export function checkInteger(name: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw new RangeError(`${name} must be an integer from ${min} to ${max}, got ${show(value)}`);
}
