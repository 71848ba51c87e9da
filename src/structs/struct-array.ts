/**
 * Arrays of structs: one block, `length` structs, in rows or in columns.
 *
 *     rows (default)   │ x y id │ x y id │ x y id │          as C's `Point points[3]`
 *     columns          │ x x x ·│ y y y ·│ id id id ·│       every column starts at a multiple of 8
 *     ▲ address
 *
 * `at(i)` makes a view; `at(i, into)` moves one and makes no garbage. To do that for many struct types
 * without megamorphic accesses, an array keeps the places of the last two views that it moved and
 * touches those, never the views (two, so that `at(i, a)` and `at(j, b)` can take turns).
 *
 * An array is a thread's handle of the block: `handle` goes to another thread, `arrayAt` reopens it
 * there. Freeing it in one thread leaves the others' handles dangling, as with any block.
 */

// The declarations name Symbol.dispose: users whose `lib` has none get it from here.
/// <reference lib="esnext.disposable" preserve="true" />

import { AttachError, hex, OutOfMemoryError } from '../errors.ts';
import { ADDRESS_LIMIT, type Address, alignUp, NULL, UNIT } from '../memory/address.ts';
import { checkInteger } from '../memory/layout.ts';
import { typedArrayOf } from './array-field.ts';
import { type Binding, openBinding } from './binding.ts';
import { type ColumnClass, ColumnPlace, type ColumnView, columnClassOf } from './column-view.ts';
import { type ArrayCells, arrayTailBytes, dropArray } from './drop.ts';
import { show } from './field.ts';
import { FixedArray, outOfRange } from './fixed-array.ts';
import type { AnyStructType, ElementArray, FieldInit, FieldValue, schema, View } from './inference.ts';
import { GUARD, INSPECT, type Inspector, Place } from './place.ts';
import type { StructStore } from './store.ts';
import { type RowClass, type RowView, refusedAddress, StructView, unknownField } from './view.ts';

/** Structs one after another, or each field in an array of its own. */
export type ArrayLayout = 'rows' | 'columns';

/** What another thread needs to reopen an array: a plain object, cloned in less than 100 bytes. */
export interface StructArrayHandle<L extends ArrayLayout = ArrayLayout> {
  /** The heap's id; none in a store that is no heap. */
  readonly heap: string | undefined;
  readonly address: Address;
  readonly length: number;
  /** The layout hash of the struct. */
  readonly hash: number;
  readonly layout: L;
}

/** All values of one field. In columns a typed array for numbers and bigints. */
export type Column<F, L extends ArrayLayout> = L extends 'columns'
  ? ElementArray<F>
  : FixedArray<FieldValue<F>, FieldInit<F>>;

/** An array of structs. */
export interface StructArray<T extends AnyStructType, L extends ArrayLayout = 'rows'> {
  readonly type: T;
  readonly layout: L;
  /** How many structs there are; 0 once freed. */
  readonly length: number;
  /** Where the array starts; NULL once freed. */
  readonly address: Address;
  /** Bytes in all. */
  readonly byteLength: number;
  /** For `Type.arrayAt` in another thread. Marks the block as shared. TypeError once freed. */
  readonly handle: StructArrayHandle<L>;
  /**
   * A view of the struct at `index`, 0 to length - 1: `into` if given, moved there; else a new one.
   *
   * @throws RangeError for any other index
   * @throws TypeError when `into` is no view of this type, heap and layout
   */
  at(index: number, into?: View<T>): View<T>;
  /**
   * All values of one field. In rows, and for what is no number or bigint, an object with `at(i)`,
   * `set(i, value)` and `length`; in columns a typed array over the shared bytes.
   *
   * @throws TypeError for an unknown field, or once freed
   */
  column<K extends keyof T[typeof schema] & string>(name: K): Column<T[typeof schema][K], L>;
  /** Makes a view of its own for each struct. */
  [Symbol.iterator](): IterableIterator<View<T>>;
  toJSON(): Record<string, unknown>[];
  /** Gives the block back, and drops what the structs own. Twice does no harm. */
  free(): void;
  [Symbol.dispose](): void;
}

abstract class ArrayOfStructs {
  /** Comes first, so that posting the array throws at once. */
  readonly $guard: symbol = GUARD;
  readonly type: AnyStructType;
  readonly byteLength: number;
  address: number;
  length: number;
  protected readonly binding: Binding;
  protected readonly store: StructStore;
  /** As many elements as the array: its bounds check is the array's. See `addressAccessor` in view.ts. */
  protected gate: Uint8Array;
  abstract readonly layout: ArrayLayout;

  constructor(binding: Binding, store: StructStore, address: number, length: number, byteLength: number) {
    this.type = binding.type;
    this.binding = binding;
    this.store = store;
    this.address = address;
    this.length = length;
    this.byteLength = byteLength;
    this.gate = store.memory.u8.subarray(address, address + length);
  }

  abstract at(index: number, into?: object): StructView;
  protected abstract columnAt(field: number): unknown;

  get handle(): StructArrayHandle {
    this.checkLive();
    this.store.tryShare(this.address as Address);
    return {
      heap: this.store.id,
      address: this.address as Address,
      length: this.length,
      hash: this.type.hash,
      layout: this.layout,
    };
  }

  column(name: string): unknown {
    this.checkLive();
    const field = this.type.layout.indexes.get(name);
    if (field === undefined) throw unknownField(this.type, name);
    return this.columnAt(field);
  }

  *[Symbol.iterator](): IterableIterator<StructView> {
    for (let index = 0; index < this.length; index++) yield this.at(index);
  }

  toJSON(): unknown[] {
    return Array.from(this, (view) => view.toJSON());
  }

  free(): void {
    const { address } = this;
    if (address === NULL) return;
    if (this.type.owning.length > 0) {
      dropArray(this.binding.store, address, cellsOf(this.binding, this.length, this.layout));
      this.store.layTail?.(address as Address, 0);
    }
    this.store.free(address as Address);
    this.address = NULL;
    this.length = 0;
    this.gate = this.gate.subarray(0, 0);
  }

  [INSPECT](depth: number, options: object, inspect: Inspector): string {
    const title = `${this.type.name}[${this.length}]`;
    if (this.address === NULL) return `${title} (freed)`;
    if (depth < 0) return `[${title}]`;
    const shown = Array.from({ length: Math.min(this.length, SHOWN) }, (_, index) => this.at(index));
    const rest = this.length > SHOWN ? ` and ${this.length - SHOWN} more` : '';
    return `${title} ${inspect(shown, { ...options, depth })}${rest}`;
  }

  protected checkLive(): void {
    if (this.address === NULL) throw new TypeError(`this array of ${this.type.name} was freed`);
  }

  /** Throws because `into` cannot be moved to an element. */
  protected refuseInto(into: unknown): never {
    const got = into instanceof StructView ? `a view of ${into.$binding.type.name}` : show(into);
    throw new TypeError(
      `at(index, into) takes a view of ${this.type.name} of the same heap, in ${this.layout}; got ${got}` +
        ' (the first one comes from at(0))',
    );
  }
}

/** How many elements an inspector shows. */
const SHOWN = 100;

/** What no caller can give as `into`. */
const NO_VIEW: object = {};

/** Structs one after another. */
class RowArray extends ArrayOfStructs {
  override readonly layout = 'rows';
  readonly #stride: number;
  readonly #View: RowClass;
  #into = NO_VIEW;
  #place = new Place(0);
  #otherInto = NO_VIEW;
  #otherPlace = new Place(0);

  constructor(binding: Binding, store: StructStore, address: number, length: number) {
    super(binding, store, address, length, length * binding.size);
    this.#stride = binding.size;
    this.#View = binding.View;
  }

  override at(index: number, into?: object): StructView {
    if (this.gate[index] === undefined) throw outOfRange(this.type.name, index, this.length);
    const address = this.address + index * this.#stride;
    if (into !== this.#into) return this.#atOther(address, into);
    this.#place.address = address;
    return into as StructView;
  }

  #atOther(address: number, into: object | undefined): StructView {
    if (into === undefined) return new this.#View(address);
    if (into !== this.#otherInto) this.#remember(into);
    const place = into === this.#into ? this.#place : this.#otherPlace;
    place.address = address;
    return into as StructView;
  }

  #remember(into: object): void {
    if (!(into instanceof StructView) || into.$row !== this.binding) this.refuseInto(into);
    this.#otherInto = this.#into;
    this.#otherPlace = this.#place;
    this.#into = into;
    this.#place = (into as RowView).$place;
  }

  protected override columnAt(field: number): unknown {
    const address = this.address + this.binding.offsets[field]!;
    const path = `${this.type.name}[].${this.binding.names[field]}`;
    return new FixedArray(this.binding.fields[field]!, address, this.length, this.#stride, path);
  }
}

/** A column for each field. */
class ColumnArray extends ArrayOfStructs {
  override readonly layout = 'columns';
  readonly #bases: readonly number[];
  readonly #View: ColumnClass;
  #into = NO_VIEW;
  #place: ColumnPlace;
  #otherInto = NO_VIEW;
  #otherPlace: ColumnPlace;

  constructor(binding: Binding, store: StructStore, address: number, length: number) {
    const { offsets, byteLength } = columnsOf(binding, length);
    super(binding, store, address, length, byteLength);
    this.#bases = offsets.map((offset) => address + offset);
    this.#View = columnClassOf(binding);
    this.#place = new ColumnPlace(0, this.#bases);
    this.#otherPlace = this.#place;
  }

  override at(index: number, into?: object): StructView {
    if (this.gate[index] === undefined) throw outOfRange(this.type.name, index, this.length);
    if (into !== this.#into) return this.#atOther(index, into);
    this.#move(this.#place, index);
    return into as StructView;
  }

  #atOther(index: number, into: object | undefined): StructView {
    if (into === undefined) return new this.#View(index, this.#bases);
    if (into !== this.#otherInto) this.#remember(into);
    this.#move(into === this.#into ? this.#place : this.#otherPlace, index);
    return into as StructView;
  }

  #move(place: ColumnPlace, index: number): void {
    place.index = index;
    // Another array of this type may have moved the view since.
    place.bases = this.#bases;
  }

  #remember(into: object): void {
    const isColumn = into instanceof StructView && into.$row === undefined && into.$binding === this.binding;
    if (!isColumn) this.refuseInto(into);
    this.#otherInto = this.#into;
    this.#otherPlace = this.#place;
    this.#into = into;
    this.#place = (into as ColumnView).$place;
  }

  protected override columnAt(field: number): unknown {
    const { field: element, size } = this.type.layout.fields[field]!;
    const base = this.#bases[field]!;
    const Typed = typedArrayOf(element);
    if (Typed !== undefined) return this.store.memory.view(Typed, base as Address, this.length);
    const path = `${this.type.name}[].${this.binding.names[field]}`;
    return new FixedArray(this.binding.fields[field]!, base, this.length, size, path);
  }
}

/** Where the columns of `length` structs start, from the array's address, and what they take in all. */
function columnsOf(binding: Binding, length: number): { offsets: number[]; byteLength: number } {
  const offsets: number[] = [];
  let byteLength = 0;
  for (const { size } of binding.type.layout.fields) {
    offsets.push(byteLength);
    byteLength = alignUp(byteLength + size * length, UNIT);
  }
  return { offsets, byteLength };
}

/** Where the owning words of `length` structs lie. */
function cellsOf(binding: Binding, length: number, layout: ArrayLayout): ArrayCells {
  const { owning, layout: row } = binding.type;
  if (layout === 'rows') {
    return { length, cells: owning.map((offset) => ({ offset, stride: binding.size })) };
  }
  const { offsets } = columnsOf(binding, length);
  const cells = row.fields.flatMap(({ field, size }, i) =>
    field.owning.map((offset) => ({ offset: offsets[i]! + offset, stride: size })),
  );
  return { length, cells };
}

function bytesOf(binding: Binding, length: number, layout: ArrayLayout): number {
  return layout === 'rows' ? length * binding.size : columnsOf(binding, length).byteLength;
}

function checkArrayLayout(layout: unknown): asserts layout is ArrayLayout {
  if (layout === 'rows' || layout === 'columns') return;
  throw new TypeError(`layout must be 'rows' or 'columns', got ${show(layout)}`);
}

function open(
  binding: Binding,
  store: StructStore,
  address: number,
  length: number,
  layout: ArrayLayout,
): ArrayOfStructs {
  const Class = layout === 'rows' ? RowArray : ColumnArray;
  return new Class(binding, store, address, length);
}

/**
 * Allocates a zeroed array.
 *
 * @param length how many structs, 0 or more
 * @throws RangeError when `length` is no such integer
 * @throws OutOfMemoryError when the store has no room
 */
export function createArray(
  type: AnyStructType,
  store: StructStore,
  length: number,
  options: { readonly layout?: ArrayLayout },
): ArrayOfStructs {
  checkInteger('length', length, 0, Number.MAX_SAFE_INTEGER);
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`the options of an array are an object, { layout: 'columns' }; got ${show(options)}`);
  }
  const { layout = 'rows', ...others } = options;
  for (const name in others) throw new TypeError(`an array has no option ${JSON.stringify(name)}`);
  checkArrayLayout(layout);
  const binding = openBinding(type, store);
  const byteLength = bytesOf(binding, length, layout);
  const cells = cellsOf(binding, length, layout);
  // Says what lies in it: so what it owns is found when its thread dies.
  const isTailed = cells.cells.length > 0 && store.layTail !== undefined;
  const room = byteLength + (isTailed ? arrayTailBytes(cells) : 0);
  const address = room < ADDRESS_LIMIT ? store.allocZeroed(room) : NULL;
  if (address === NULL)
    throw new OutOfMemoryError(byteLength, `an array of ${length} ${type.name} in ${layout}`);
  if (isTailed) store.layTail!(address, type.hash, cells);
  return open(binding, store, address, length, layout);
}

/**
 * Opens an array that another thread made.
 *
 * @throws TypeError when `handle` is no handle of an array
 * @throws AttachError when it is of an array of another layout
 * @throws RangeError when the array would not lie inside the memory
 */
export function openArray(
  type: AnyStructType,
  store: StructStore,
  handle: StructArrayHandle,
): ArrayOfStructs {
  if (typeof handle !== 'object' || handle === null) {
    throw new TypeError(`arrayAt takes the handle of an array of ${type.name}, got ${show(handle)}`);
  }
  const { address, length, hash, layout } = handle;
  checkArrayLayout(layout);
  checkInteger('handle.length', length, 0, ADDRESS_LIMIT);
  if (handle.heap !== store.id) {
    throw new AttachError(`the handle is of an array in heap ${handle.heap}, not in heap ${store.id}`);
  }
  if (hash !== type.hash) {
    throw new AttachError(
      `the handle is of an array with layout hash ${hex(hash)}, not of ${type.name} with ${hex(type.hash)}`,
    );
  }
  const binding = openBinding(type, store);
  const byteLength = bytesOf(binding, length, layout);
  const misplaced = address >>> 0 !== address || address === NULL || address % UNIT !== 0;
  if (misplaced) throw refusedAddress(binding, address);
  if (address + byteLength > store.memory.byteLength) {
    throw new RangeError(`${length} ${type.name} at ${hex(address)} reach past the end of the memory`);
  }
  return open(binding, store, address, length, layout);
}

if (Symbol.dispose !== undefined) {
  Object.defineProperty(ArrayOfStructs.prototype, Symbol.dispose, { value: ArrayOfStructs.prototype.free });
}
