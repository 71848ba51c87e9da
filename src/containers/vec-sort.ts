/**
 * Sorting the elements of a vec, stable, by their bytes: nothing is dropped or made anew.
 *
 *     1. an order of the indexes is found, with views or copies of the elements where they lie
 *     2. the bytes are copied out and back in that order, while the length says that nothing is there
 *
 * The caller's `compare` runs in step 1 alone. When it has changed the vec meanwhile, nothing is moved.
 */

import type { BoundField, Field } from '../structs/field.ts';
import type { Elements } from './elements.ts';

/** Where the elements of a vec lie. */
export interface Extent {
  readonly data: number;
  readonly length: number;
  /** Index of the word that holds the length. */
  readonly lengthIndex: number;
}

type CompareAny = (a: unknown, b: unknown) => number;

/** Kinds of fields whose values `<` orders. */
const ORDERED: ReadonlySet<string> = new Set(['bool', 'string']);

/**
 * Sorts at least two elements.
 *
 * @throws TypeError without `compare` for elements that have no order, or when `compare` changed the vec
 */
export function sortElements(elements: Elements, extent: () => Extent, compare?: CompareAny): void {
  const before = extent();
  const { Typed, home, name } = elements;
  if (compare === undefined && Typed !== undefined) {
    home.memory.view(Typed, before.data as never, before.length).sort();
    return;
  }
  const order = orderOf(elements, before, compare ?? defaultCompare(elements));
  const after = extent();
  if (after.data !== before.data || after.length !== before.length) {
    throw new TypeError(`the vec of ${name} was changed while it was sorted`);
  }
  rearrange(elements, before, order);
}

function defaultCompare({ field, name }: Elements): CompareAny {
  if (ORDERED.has(field.kind)) return (a, b) => ((a as string) < (b as string) ? -1 : a === b ? 0 : 1);
  throw new TypeError(`sort needs a function that compares two elements, ${name}`);
}

function orderOf(
  { bound, stride }: Elements<Field>,
  { data, length }: Extent,
  compare: CompareAny,
): Uint32Array {
  const { read }: BoundField = bound;
  const values = Array.from({ length }, (_, index) => read(data + index * stride));
  const order = Array.from({ length }, (_, index) => index);
  return Uint32Array.from(order.sort((a, b) => compare(values[a], values[b])));
}

function rearrange(
  { home, stride }: Elements,
  { data, length, lengthIndex }: Extent,
  order: Uint32Array,
): void {
  const { u8, u32 } = home.memory;
  const bytes = new Uint8Array(u8.subarray(data, data + length * stride));
  // Left out while they move: no cell may own what another one owns.
  u32[lengthIndex] = 0;
  for (let index = 0; index < length; index++) {
    const from = order[index]! * stride;
    u8.set(bytes.subarray(from, from + stride), data + index * stride);
  }
  u32[lengthIndex] = length;
}
