/**
 * struct(): declares a struct type from a schema of fields.
 *
 *     const Point = struct('Point', { x: f64, y: f64, id: u32 });
 *     const Node = struct('Node', { value: f64, get next() { return ref(Node); } });
 *
 * A type belongs to no heap. It is declared alike in every thread, and works out its layout when that
 * is first asked for: until then no getter of the schema is called, so that types may refer to
 * themselves and to each other in any order. `at`, `array` and `create` take the heap and register the
 * layout there, the first time.
 */

import { OutOfMemoryError } from '../errors.ts';
import { type Address, NULL } from '../memory/address.ts';
import { type Binding, openBinding } from './binding.ts';
import { dropOwned, TAIL_BYTES } from './drop.ts';
import { type BoundField, Field, type init, type value } from './field.ts';
import type { AnyStructType, FieldsOnly, Init, LooseSchema, schema, View } from './inference.ts';
import { declareStruct } from './schema.ts';
import type { StructStore } from './store.ts';
import {
  type ArrayLayout,
  createArray,
  openArray,
  type StructArray,
  type StructArrayHandle,
} from './struct-array.ts';
import {
  checkSchema,
  checkStructName,
  containsItself,
  type FieldLayout,
  resolveLayout,
  type StructLayout,
} from './struct-layout.ts';
import {
  assign,
  isViewMember,
  loadStruct,
  type RowView,
  refusedAddress,
  StructView,
  unknownField,
} from './view.ts';

let types = 0;

/** A struct type: its layout, and the views and arrays of it in any heap. Also a field of other structs. */
export class StructType<Fields = unknown, Name extends string = string> extends Field {
  declare readonly [schema]: Fields;
  declare readonly [value]: View<StructType<Fields, Name>>;
  declare readonly [init]: Init<StructType<Fields, Name>> | View<StructType<Fields, Name>>;
  override readonly kind = 'struct';
  readonly name: Name;
  /** Counts up with each type that this thread makes; heaps keep their bindings by it. */
  readonly id: number = types++;
  readonly #schema: object;
  #layout: StructLayout | undefined;
  #resolving = false;

  /** Use {@link struct}, which infers the types. */
  constructor(name: Name, schema: object) {
    super();
    checkStructName(name);
    checkSchema(name, schema, isViewMember);
    this.name = name;
    this.#schema = schema;
  }

  /**
   * The fields' places. Worked out at first use.
   *
   * @throws TypeError when a getter of the schema returns no field, or the struct contains itself
   * @throws RangeError when the struct would reach 4 GiB
   */
  get layout(): StructLayout {
    return this.#layout ?? this.#resolve();
  }

  /** Bytes, as C's `sizeof`. */
  override get size(): number {
    return this.layout.size;
  }

  /** Bytes, as C's `_Alignof`. */
  override get align(): number {
    return this.layout.align;
  }

  /** Tells layouts apart: a u32 over the names, kinds and offsets of the fields. */
  get hash(): number {
    return this.layout.hash;
  }

  /** The fields in the order of the schema. */
  get fields(): readonly FieldLayout[] {
    return this.layout.fields;
  }

  /**
   * The offset of a field in bytes.
   *
   * @throws TypeError for an unknown name
   */
  offsetOf(field: keyof Fields & string): number {
    const index = this.layout.indexes.get(field);
    if (index === undefined) throw unknownField(this, field);
    return this.layout.fields[index]!.offset;
  }

  /**
   * A view of the struct at `address`. That one lies there is up to the caller.
   *
   * @throws RangeError when none can: NULL, misaligned or past the end
   */
  at(store: StructStore, address: number): View<StructType<Fields, Name>> {
    return viewAt(this, store, address) as never;
  }

  /**
   * Allocates an array of zeroed structs.
   *
   * @param length how many, 0 or more
   * @param options `layout: 'columns'` for a structure of arrays
   * @throws TypeError for other options
   * @throws RangeError when `length` is no such integer
   * @throws OutOfMemoryError when the store has no room
   */
  array<L extends ArrayLayout = 'rows'>(
    store: StructStore,
    length: number,
    options: { readonly layout?: L } = {},
  ): StructArray<StructType<Fields, Name>, L> {
    return createArray(this, store, length, options) as never;
  }

  /**
   * Whether `given` is a view of this type: what tells the structs of a `union` apart.
   *
   *     if (Circle.is(shape)) shape.radius;
   */
  is(given: unknown): given is View<StructType<Fields, Name>> {
    if (!(given instanceof StructView)) return false;
    const { type } = given.$binding;
    return (type as unknown) === this || (type.name === this.name && type.hash === this.hash);
  }

  /**
   * Opens an array that another thread made, by its `handle`.
   *
   * @throws TypeError when `handle` is no handle of an array
   * @throws AttachError when it is of an array of another layout
   * @throws RangeError when the array would not lie inside the memory
   */
  arrayAt<H extends StructArrayHandle>(
    store: StructStore,
    handle: H,
  ): StructArray<StructType<Fields, Name>, H['layout']> {
    return openArray(this, store, handle) as never;
  }

  override get owning(): readonly number[] {
    return this.layout.owning;
  }

  override describe(): string {
    return this.layout.description;
  }

  override spell(): string {
    return JSON.stringify(this.name);
  }

  override bind(store: StructStore): BoundField {
    const binding = openBinding(this, store);
    const { View } = binding;
    const read = (address: number): RowView => new View(address);
    const write = (address: number, given: unknown): void => assign(binding, address, given);
    const load = (address: number): unknown => loadStruct(binding, address);
    return { read, write, load, json: (address) => read(address).toJSON() };
  }

  #resolve(): StructLayout {
    if (this.#resolving) throw containsItself(this.name);
    this.#resolving = true;
    try {
      this.#layout = resolveLayout(this.name, this.#schema);
    } finally {
      this.#resolving = false;
    }
    return this.#layout;
  }
}

/**
 * Declares a struct type. Declare it alike in every thread, in a module that all of them import.
 *
 * @param name 1 to 255 bytes of UTF-8; one layout under a name in one heap
 * @param schema a plain object of fields; a field that refers to the struct itself, or to one defined
 *   later, is a getter: `get next() { return ref(Node); }`
 * @throws TypeError for a bad name, no fields, a value that is no field, or a field name that views
 *   have themselves (`address`, `addressOf`, `set`, `toJSON` and those of every object)
 */
export function struct<const Name extends string, S extends LooseSchema>(
  name: Name,
  schema: S & NoInfer<FieldsOnly<S>>,
): StructType<S, Name> {
  const type = new StructType<S, Name>(name, schema);
  declareStruct(type);
  return type;
}

/** The type in this heap: one array read once it is known there. */
function bindingOf(type: AnyStructType, store: StructStore): Binding {
  return store?.layouts?.bound[type?.id] ?? openBinding(type, store);
}

/** As {@link StructType.at}, for any struct type. */
export function viewAt<T extends AnyStructType>(type: T, store: StructStore, address: number): View<T> {
  const binding = bindingOf(type, store);
  const whole = address >>> 0;
  if (whole !== address || (whole & binding.mask) !== 0 || whole > binding.limit || whole === 0) {
    throw refusedAddress(binding, address);
  }
  return new binding.View(address) as never;
}

/**
 * Allocates a struct, zeroed but for what `init` says. Nothing stays allocated when it throws.
 *
 * @throws OutOfMemoryError when the store has no room
 * @throws TypeError when `init` names an unknown field or holds what a field does not take
 */
export function create<T extends AnyStructType>(type: T, store: StructStore, init?: Init<T>): View<T> {
  const binding = bindingOf(type, store);
  const address: Address = binding.owns ? allocOwning(binding, store) : store.allocZeroed(binding.size);
  if (address === NULL) throw new OutOfMemoryError(binding.size, `a ${type.name}`);
  if (init !== undefined) initialize(binding, store, address, init);
  return new binding.View(address) as never;
}

/** A zeroed block that says what lies in it: so what it owns is found when its thread dies. */
function allocOwning({ size, type }: Binding, store: StructStore): Address {
  if (store.layTail === undefined) return store.allocZeroed(size);
  const address = store.allocZeroed(size + TAIL_BYTES);
  if (address !== NULL) store.layTail(address, type.hash);
  return address;
}

function initialize(binding: Binding, store: StructStore, address: Address, init: unknown): void {
  try {
    assign(binding, address, init);
  } catch (error) {
    dropOwned(binding.store, binding.type.owning, address);
    store.free(address);
    throw error;
  }
}
