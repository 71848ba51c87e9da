/**
 * FixedArray: a window on a fixed number of equal fields at equal distances.
 *
 *     array(ref(Node), 3) in a struct        │ ref │ ref │ ref │              stride = size
 *     column('id') of an array of structs    │ id   …   │ id   …   │ id   …   stride = the struct's size
 *     ▲ address
 *
 * Arrays of numbers and bigints need no such window inside a struct: there they are typed arrays.
 * Making one costs an object; it stays where it is when the view that it came from moves on.
 */

import { type BoundField, show } from './field.ts';
import { GUARD, INSPECT, type Inspector } from './place.ts';

/** Elements in the shared bytes that are read and written one at a time. */
export class FixedArray<Value = unknown, Init = Value> {
  /** Comes first, so that posting the array throws at once. */
  readonly $guard: symbol = GUARD;
  /** Where the first element lies, in bytes. */
  readonly address: number;
  /** How many elements there are. */
  readonly length: number;
  readonly #stride: number;
  readonly #field: BoundField;
  readonly #path: string;

  /** @param stride bytes from one element to the next */
  constructor(field: BoundField, address: number, length: number, stride: number, path: string) {
    this.address = address;
    this.length = length;
    this.#stride = stride;
    this.#field = field;
    this.#path = path;
  }

  /**
   * The element at `index`, 0 to length - 1.
   *
   * @throws RangeError for any other index
   */
  at(index: number): Value {
    return this.#field.read(this.#locate(index)) as Value;
  }

  /**
   * Copies `value` to the element at `index`, 0 to length - 1.
   *
   * @throws RangeError for any other index
   * @throws TypeError when the field does not take the value
   */
  set(index: number, value: Init): void {
    this.#field.write(this.#locate(index), value);
  }

  *[Symbol.iterator](): IterableIterator<Value> {
    for (let index = 0; index < this.length; index++) yield this.at(index);
  }

  /** A plain array of the elements; bigints as strings, refs as addresses. */
  toJSON(): unknown[] {
    return Array.from({ length: this.length }, (_, index) => this.#field.json(this.#locate(index)));
  }

  [INSPECT](depth: number, options: object, inspect: Inspector): string {
    const { read, show: shown = read } = this.#field;
    if (depth < 0) return `[${this.#path}]`;
    const elements = Array.from({ length: this.length }, (_, index) => shown(this.#locate(index)));
    return `${this.#path} ${inspect(elements, { ...options, depth })}`;
  }

  #locate(index: number): number {
    if (index >>> 0 !== index || index >= this.length) throw outOfRange(this.#path, index, this.length);
    return this.address + index * this.#stride;
  }
}

/** The error for an index outside an array. */
export function outOfRange(path: string, index: number, length: number): RangeError {
  const wanted = length === 0 ? 'has no elements' : `has indexes 0 to ${length - 1}`;
  return new RangeError(`${path} ${wanted}; got ${show(index)}`);
}

/**
 * The `count` elements of what was assigned to a fixed array.
 *
 * @throws TypeError when `given` is neither an array, an iterable nor array-like
 * @throws RangeError when it has more or fewer elements
 */
export function elementsOf(given: unknown, count: number, path: string): ArrayLike<unknown> {
  if (typeof given !== 'object' || given === null) throw noElements(given, count, path);
  const source = given as Partial<ArrayLike<unknown>> & Partial<Iterable<unknown>>;
  if (Array.isArray(given) || source[Symbol.iterator] === undefined) {
    if (typeof source.length !== 'number') throw noElements(given, count, path);
    if (source.length !== count) throw wrongCount(source.length, count, path);
    return source as ArrayLike<unknown>;
  }
  const elements: unknown[] = [];
  for (const element of source as Iterable<unknown>) {
    if (elements.length === count) throw wrongCount(undefined, count, path);
    elements.push(element);
  }
  if (elements.length !== count) throw wrongCount(elements.length, count, path);
  return elements;
}

function noElements(given: unknown, count: number, path: string): TypeError {
  return new TypeError(`${path} takes an array or an iterable of ${count} elements; got ${show(given)}`);
}

/** The error for a source of another length; undefined stands for more than `count`. */
export function wrongCount(got: number | undefined, count: number, path: string): RangeError {
  return new RangeError(`${path} takes exactly ${count} elements; got ${got ?? 'more'}`);
}
