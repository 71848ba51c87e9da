/**
 * Arrays of a fixed length inside a struct, as C's `T name[n]`.
 *
 *     array(f64, 3)        reads as Float64Array(3) over the shared bytes
 *     bytes(16)            reads as Uint8Array(16) over the shared bytes
 *     array(ref(Node), 2)  reads as FixedArray: at(i), set(i, value)      structs, bools, oneOf, atomics too
 *
 * Assignment copies exactly n elements. Each read makes a new object (some 100 ns for a typed array):
 * keep it in a variable where it is used more than once. It stays where it is when the view moves on.
 */

import { ADDRESS_LIMIT } from '../memory/address.ts';
import { checkInteger } from '../memory/layout.ts';
import type { Memory, ViewConstructor } from '../memory/memory.ts';
import { type BoundField, checkField, Field, type init, type value } from './field.ts';
import { elementsOf, FixedArray, wrongCount } from './fixed-array.ts';
import type { ElementArray, FieldInit } from './inference.ts';
import type { ScalarKind } from './scalar-access.ts';
import { jsonOf, ScalarField } from './scalars.ts';
import type { StructStore } from './store.ts';

/** The typed array of each kind of scalar that has one. */
const TYPED_ARRAYS: { readonly [K in Exclude<ScalarKind, 'bool'>]: ViewConstructor } = {
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
  f32: Float32Array,
  f64: Float64Array,
};

/** The typed array whose elements `field` is, if it is a number or a bigint. */
export function typedArrayOf(field: Field): ViewConstructor | undefined {
  if (!(field instanceof ScalarField)) return undefined;
  const kind: ScalarKind = field.kind;
  return kind === 'bool' ? undefined : TYPED_ARRAYS[kind];
}

/** A field of `count` equal fields, one after another. */
export class ArrayField<Element extends Field = Field> extends Field {
  declare readonly [value]: ElementArray<Element>;
  declare readonly [init]: Iterable<FieldInit<Element>> | ArrayLike<FieldInit<Element>>;
  override readonly kind: 'array' | 'bytes' = 'array';
  /** What the array is made of. */
  readonly element: Element;
  /** How many elements it has. */
  readonly count: number;

  constructor(element: Element, count: number) {
    super();
    this.element = element;
    this.count = count;
  }

  override get size(): number {
    return this.element.size * this.count;
  }

  override get align(): number {
    return this.element.align;
  }

  override get owning(): readonly number[] {
    const { owning, size } = this.element;
    return owning.length === 0
      ? owning
      : Array.from({ length: this.count }, (_, index) => owning.map((inner) => index * size + inner)).flat();
  }

  override describe(): string {
    return `array(${this.element.describe()},${this.count})`;
  }

  override spell(): string {
    return `array(${this.element.spell()},${this.count})`;
  }

  override bind(store: StructStore, path: string): BoundField {
    const View = typedArrayOf(this.element);
    return View === undefined
      ? this.#bindElements(store, path)
      : this.#bindTypedArray(store.memory, View, path);
  }

  #bindTypedArray({ buffer, byteLength }: Memory, View: ViewConstructor, path: string): BoundField {
    const { count, size } = this;
    // Any of them for the compiler, which would compare each with each.
    const Typed = View as Uint8ArrayConstructor;
    const read = (address: number): Uint8Array | undefined =>
      address > byteLength - size ? undefined : new Typed(buffer, address, count);
    const write = (address: number, given: unknown): void => {
      const target = read(address);
      if (target === undefined) return;
      // A typed array is copied as a whole, which also serves the array itself and what overlaps it.
      if (!isTypedArray(given)) target.set(elementsOf(given, count, path) as ArrayLike<number>);
      else if (given.length !== count) throw wrongCount(given.length, count, path);
      else target.set(given);
    };
    const load = (address: number): unknown => read(address)?.slice();
    return { read, write, load, json: (address) => Array.from(read(address) ?? [], jsonOf) };
  }

  #bindElements(store: StructStore, path: string): BoundField {
    const { count, size } = this;
    const stride = this.element.size;
    const field = this.element.bind(store, `${path}[]`);
    const { byteLength } = store.memory;
    const read = (address: number): FixedArray | undefined =>
      address > byteLength - size ? undefined : new FixedArray(field, address, count, stride, path);
    const write = (address: number, given: unknown): void => {
      const elements = elementsOf(given, count, path);
      for (let index = 0; index < count; index++) field.write(address + index * stride, elements[index]);
    };
    const element = field.load ?? field.read;
    const load = (address: number): unknown =>
      Array.from({ length: count }, (_, index) => element(address + index * stride));
    return { read, write, load, json: (address) => read(address)?.toJSON() };
  }
}

function isTypedArray(given: unknown): given is Uint8Array {
  return ArrayBuffer.isView(given) && 'length' in given;
}

/** A field of raw bytes. */
export class BytesField extends ArrayField<ScalarField<'u8'>> {
  override readonly kind = 'bytes';

  override describe(): string {
    return `bytes(${this.count})`;
  }

  override spell(): string {
    return this.describe();
  }
}

const BYTE = new ScalarField('u8', 1);

/**
 * A field of `count` equal fields.
 *
 * @param count 1 to 2^32 - 1; the struct as a whole must stay below 4 GiB
 * @throws TypeError when `field` is no field
 * @throws RangeError when `count` is out of range
 */
export function array<Element extends Field>(field: Element, count: number): ArrayField<Element> {
  checkField(field, 'array takes a field');
  checkInteger('the count of array', count, 1, ADDRESS_LIMIT - 1);
  return new ArrayField(field, count);
}

/**
 * A field of `count` raw bytes, read as a `Uint8Array` over the shared bytes.
 *
 * @param count 1 to 2^32 - 1; the struct as a whole must stay below 4 GiB
 * @throws RangeError when `count` is out of range
 */
export function bytes(count: number): BytesField {
  checkInteger('the count of bytes', count, 1, ADDRESS_LIMIT - 1);
  return new BytesField(BYTE, count);
}
