/**
 * oneOf: a string out of a fixed list, stored as its index in one byte.
 *
 *     oneOf('red', 'green', 'blue')        0 → 'red'   1 → 'green'   2 → 'blue'   3 … 255 → corrupt
 *
 * A zeroed struct reads as the first name. The order of the names is part of the layout.
 */

import { HeapCorruptionError } from '../errors.ts';
import { type BoundField, Field, type init, show, type value } from './field.ts';
import type { StructStore } from './store.ts';

/** One byte has room for so many names. */
const MAX_NAMES = 256;

/** A field that holds one of several names. */
export class OneOfField<Name extends string = string> extends Field {
  declare readonly [value]: Name;
  declare readonly [init]: Name;
  override readonly kind = 'oneOf';
  override readonly size = 1;
  override readonly align = 1;
  /** The names in the order of their indexes. */
  readonly names: readonly Name[];

  constructor(names: readonly Name[]) {
    super();
    this.names = names;
  }

  override describe(): string {
    return `oneOf(${this.names.map((name) => JSON.stringify(name)).join()})`;
  }

  override bind({ memory: { u8 } }: StructStore, path: string): BoundField {
    const { names } = this;
    const indexes = new Map<unknown, number>(names.map((name, index) => [name, index]));
    const read = (address: number): Name | undefined => {
      const index = u8[address >>> 0];
      if (index === undefined) return undefined;
      const name = names[index];
      if (name === undefined) {
        throw new HeapCorruptionError(
          address,
          `${path} holds ${index}, one of ${names.length} names is meant`,
        );
      }
      return name;
    };
    const write = (address: number, given: unknown): void => {
      const index = indexes.get(given);
      if (index === undefined) {
        throw new TypeError(`${path} takes one of ${names.map(show).join(', ')}; got ${show(given)}`);
      }
      u8[address >>> 0] = index;
    };
    return { read, write, json: read };
  }
}

/**
 * A field that holds one of the names given; one byte.
 *
 * @param names 1 to 256 different strings; the first is what a zeroed struct holds
 * @throws TypeError for other than strings, or a name given twice
 * @throws RangeError for no names or more than 256
 */
export function oneOf<const Names extends readonly [string, ...string[]]>(
  ...names: Names
): OneOfField<Names[number]> {
  if (names.length < 1 || names.length > MAX_NAMES) {
    throw new RangeError(`oneOf takes 1 to ${MAX_NAMES} names, got ${names.length}`);
  }
  const seen = new Set<unknown>();
  for (const name of names) {
    if (typeof name !== 'string') throw new TypeError(`oneOf takes strings, got ${show(name)}`);
    if (seen.has(name)) throw new TypeError(`oneOf was given ${show(name)} twice`);
    seen.add(name);
  }
  return new OneOfField([...names]);
}
