/**
 * SharedVec: a list that grows, of any field or struct. See vec-storage.ts for its bytes.
 *
 *     const samples = SharedVec.create(heap, f64, [1, 2, 3]);      samples.push(4);  samples.at(-1)
 *     const points = SharedVec.create(heap, Point);                points.push({ x: 1 });  points.at(0).x
 *     struct('Node', { name: string, get children() { return vec(Node); } })
 *
 * Indexes below 0 count from the end, as in `Array.prototype.at`; an index outside throws RangeError, as
 * everywhere in this library. `push`, `insert` and `set` copy a value in; a struct's fields that are left
 * out are zero. `at` of a struct, an array or a vec is a view of what lies in the vec: it is valid until
 * the vec grows, or the element is moved (`insert`, `remove`, `sort`, …). `pop`, `remove` and `swapRemove`
 * move an owned value out, and give a copy of any other, as `toArray` does.
 *
 * Changing a vec is for one thread at a time. A call that throws leaves the vec as it was.
 */

// The declarations name Symbol.dispose: users whose `lib` has none get it from here.
/// <reference lib="esnext.disposable" preserve="true" />

import './field-words.ts';
import { type Address, NULL } from '../memory/address.ts';
import { checkInteger } from '../memory/layout.ts';
import { checkField, type Field, show } from '../structs/field.ts';
import { outOfRange } from '../structs/fixed-array.ts';
import type {
  AnyStructType,
  ElementArray,
  FieldInit,
  FieldValue,
  schema,
  ViewMembers,
} from '../structs/inference.ts';
import { INSPECT, type Inspector, type Place } from '../structs/place.ts';
import type { ScalarField } from '../structs/scalars.ts';
import { fieldWithHash, hashOfField } from '../structs/schema.ts';
import { type RowView, StructView } from '../structs/view.ts';
import { addressOfHandle, type Handle, hashAt } from './container.ts';
import { type Elements, elementsOf } from './elements.ts';
import type { Loaded, Taken } from './loaded.ts';
import { fieldOf, type TakenFrom, type TakenNames } from './owner.ts';
import { type ContainerStore, homeOf } from './store.ts';
import { sortElements } from './vec-sort.ts';
import { checkExtent, checkVec, createBlock, VEC_NAME, VecStorage } from './vec-storage.ts';

// Words from the block's start: copies, because the engine folds a module's own constants.
const DATA = 2;
const LENGTH = 3;
const CAPACITY = 4;

/** How many elements an inspector shows. */
const SHOWN = 100;
/** What no caller can give as `into`. */
const NO_VIEW: object = {};

/** What nothing is known about: reads as unknown, takes anything. */
// biome-ignore lint/suspicious/noExplicitAny: any field would read as NotAField
type Unknown = any;

/** Types only: what the elements of a handle's vec are. */
declare const elementOf: unique symbol;

/** What crosses to another thread, for `SharedVec.open`. */
export interface VecHandle<E extends Field = Unknown> extends Handle<'SharedVec'> {
  readonly [elementOf]?: E;
}

/** What a vec starts with. */
export interface VecOptions {
  /** Room for so many elements. Default 0: the first push makes room. */
  readonly capacity?: number;
}

/** The typed array over a vec's elements: of numbers and bigints. */
export type VecArray<E> =
  E extends ScalarField<'bool'> ? never : E extends ScalarField ? ElementArray<E> : never;

/** Tells which of two elements comes first, as for `Array.prototype.sort`. */
export type Compare<E> = (a: FieldValue<E>, b: FieldValue<E>) => number;

/** A list that grows, in the heap. For one thread at a time: put it behind a Mutex, or hand it on. */
export class SharedVec<E extends Field = Field> extends VecStorage<E> {
  /** As {@link release}: the vec stays. Only where `Symbol.dispose` is. */
  declare readonly [Symbol.dispose]: () => void;
  private readonly isOwning: boolean;
  /** The view that `at` moved last, and where it stands: see struct-array.ts. */
  private into = NO_VIEW;
  private place: Place | undefined;

  /** Use {@link SharedVec.create}, `open`, `at`, or a field `vec(T)`. */
  constructor(store: ContainerStore, elements: Elements<E>, block: Address, cell: number) {
    super(store, elements, block, cell);
    this.isOwning = elements.owning.length > 0;
  }

  /**
   * Makes a vec.
   *
   * @param element what it is a list of: a field or a struct
   * @param start its first elements, or `{ capacity }` for room alone
   * @throws TypeError when `element` is no field, or does not take one of the first elements
   * @throws RangeError when `capacity` is no integer from 0
   * @throws OutOfMemoryError when there is no room
   */
  static create<E extends Field>(
    store: ContainerStore,
    element: E,
    start: VecOptions | Iterable<FieldInit<E>> = {},
  ): SharedVec<E> {
    checkField(element, 'SharedVec.create takes a field');
    if (typeof start !== 'object' || start === null) {
      throw new TypeError(`SharedVec.create takes first elements or { capacity }, got ${show(start)}`);
    }
    const elements = elementsOf(element, store);
    const made = new SharedVec(store, elements, createBlock(store, elements.hash), 0);
    try {
      if (Symbol.iterator in start) made.extend(start);
      else made.reserve(start.capacity ?? 0);
    } catch (error) {
      made.destroy();
      throw error;
    }
    return made;
  }

  /**
   * Opens what another thread made, by its handle.
   *
   * @param element what it was made for; without it the heap tells, and this thread must have declared
   *   the structs in it
   * @throws TypeError, AttachError when it is no handle of such a vec in this heap, or one destroyed since
   */
  static open<E extends Field = Unknown>(
    store: ContainerStore,
    handle: VecHandle<E>,
    element?: E,
  ): SharedVec<E> {
    return SharedVec.at(store, addressOfHandle(store, handle, VEC_NAME), element);
  }

  /**
   * The vec at `address`.
   *
   * @throws RangeError, AttachError when no such vec lies there
   */
  static at<E extends Field = Unknown>(store: ContainerStore, address: Address, element?: E): SharedVec<E> {
    if (element !== undefined) checkField(element, 'SharedVec.at takes a field');
    checkVec(store, address, element && hashOfField(element));
    const field = element ?? (fieldWithHash(hashAt(store, address), store) as E);
    return new SharedVec(store, elementsOf(field, store), address, 0);
  }

  /**
   * Moves the vec out of a field `vec(E)` of a view. The field is an empty vec then.
   *
   * @throws TypeError when the struct has no such field
   */
  // biome-ignore lint/suspicious/noExplicitAny: a vec of whatever
  static take<S extends AnyStructType, K extends TakenNames<S[typeof schema], SharedVec<any>>>(
    view: ViewMembers<S>,
    field: K,
  ): TakenFrom<S[typeof schema][K]> {
    const { address, kind, field: bound, binding } = fieldOf(view, field, 'SharedVec.take');
    if (kind !== 'vec')
      throw new TypeError(`SharedVec.take: ${binding.type.name}.${field} is ${kind}, not a vec`);
    return bound.take!(address) as never;
  }

  /** What roots open a vec by: `heap.roots.open('samples', SharedVec.type(f64))`. */
  static type<E extends Field>(element: E): { at(store: ContainerStore, address: Address): SharedVec<E> } {
    checkField(element, 'SharedVec.type takes a field');
    return { at: (store, address) => SharedVec.at(store, address, element) };
  }

  /** What it is a list of. */
  get element(): E {
    return this.elements.field;
  }

  // ── One element ─────────────────────────────────────────────────────────────────────────────────

  /**
   * The element at `index`; of structs a view: `into` if given, moved there; else a new one.
   *
   * @param index from 0, or below 0 from the end
   * @throws RangeError when there is no such element
   * @throws TypeError when `into` is no view of this struct and heap
   */
  at(index: number, into?: FieldValue<E>): FieldValue<E> {
    const { u32, elements } = this;
    if (u32[this.self] !== this.block && !this.open()) throw this.refused(index, 0);
    const length = u32[this.head + LENGTH]!;
    const position = index >>> 0 === index && index < length ? index : this.fromEnd(index, length);
    const address = u32[this.head + DATA]! + position * elements.stride;
    if (into === undefined) return elements.read(address) as FieldValue<E>;
    if ((into as object) !== this.into) this.remember(into);
    this.place!.address = address;
    return into;
  }

  /**
   * Replaces the element at `index`. What it owned is dropped. To change some fields of a struct:
   * `vec.at(index).set({ … })`.
   *
   * @param index from 0, or below 0 from the end
   * @throws RangeError when there is no such element
   * @throws TypeError when the field does not take the value
   */
  set(index: number, value: FieldInit<E>): void {
    if (this.isOwning || typeof value === 'object' || typeof value === 'function') {
      this.setStaged(index, value);
      return;
    }
    const { u32, elements } = this;
    if (u32[this.self] !== this.block && !this.open()) throw this.refused(index, 0);
    const length = u32[this.head + LENGTH]!;
    const position = index >>> 0 === index && index < length ? index : this.fromEnd(index, length);
    elements.write(u32[this.head + DATA]! + position * elements.stride, value);
  }

  private setStaged(index: number, value: unknown): void {
    this.addressOf(index);
    const { elements } = this;
    const staged = elements.stage(value);
    let address: number;
    try {
      address = this.addressOf(index);
    } catch (error) {
      elements.unstage(staged);
      throw error;
    }
    const dropper = elements.replace(staged, address);
    elements.home.free(staged);
    dropper.run();
  }

  /**
   * Appends values.
   *
   * @returns the length then
   * @throws TypeError when the field does not take a value
   * @throws OutOfMemoryError when there is no room
   */
  push(value: FieldInit<E>, ...more: FieldInit<E>[]): number {
    if (more.length > 0) return this.extend([value, ...more]);
    if (this.isOwning || typeof value === 'object' || typeof value === 'function') {
      return this.insertStaged(undefined, value);
    }
    const { u32, elements } = this;
    if (u32[this.self] !== this.block) this.require();
    let length = u32[this.head + LENGTH]!;
    if (length >= u32[this.head + CAPACITY]!) length = this.roomForOne();
    elements.write(u32[this.head + DATA]! + length * elements.stride, value);
    // Publishes: the element. Pairs with the loads of the length by readers.
    u32[this.head + LENGTH] = length + 1;
    return length + 1;
  }

  /**
   * Inserts a value before the element at `index`; what follows moves up.
   *
   * @param index 0 to length, or below 0 from the end
   * @returns the length then
   * @throws RangeError when there is no such place
   * @throws TypeError when the field does not take the value
   * @throws OutOfMemoryError when there is no room
   */
  insert(index: number, value: FieldInit<E>): number {
    if (index !== this.length) this.addressOf(index);
    return this.insertStaged(index, value);
  }

  /** At the end without an index. */
  private insertStaged(index: number | undefined, value: unknown): number {
    const { elements, u32 } = this;
    const { stride } = elements;
    const staged = elements.stage(value);
    let length: number;
    let position: number;
    try {
      this.require();
      length = this.roomForOne();
      position = index === undefined || index === length ? length : this.fromEnd(index, length);
    } catch (error) {
      elements.unstage(staged);
      throw error;
    }
    const data = u32[this.head + DATA]!;
    const address = data + position * stride;
    if (position < length) {
      // Left out while they move: no cell may own what another one owns.
      u32[this.head + LENGTH] = position;
      this.store.memory.u8.copyWithin(address + stride, address, data + length * stride);
    }
    elements.moveStaged(staged, address, (this.head + LENGTH) * 4, length + 1);
    return length + 1;
  }

  /** Takes the last element away and gives its value; undefined when there is none. */
  pop(): Taken<E> | undefined {
    const { length, u32, elements } = this;
    if (length === 0) return undefined;
    if (this.isOwning) return this.swapRemove(length - 1);
    const value = elements.load(u32[this.head + DATA]! + (length - 1) * elements.stride);
    u32[this.head + LENGTH] = length - 1;
    return value as Taken<E>;
  }

  /**
   * Takes an element away and gives its value; what follows moves down.
   *
   * @param index from 0, or below 0 from the end
   * @throws RangeError when there is no such element
   */
  remove(index: number): Taken<E> {
    const { elements, u32 } = this;
    const { stride } = elements;
    const address = this.addressOf(index);
    const value = this.moveOut(address);
    const { head } = this;
    const dropper = elements.dropper(address, this.isOwning ? 1 : 0);
    const length = u32[head + LENGTH]!;
    const data = u32[head + DATA]!;
    // Left out while they move: no cell may own what another one owns.
    u32[head + LENGTH] = (address - data) / stride;
    this.store.memory.u8.copyWithin(address, address + stride, data + length * stride);
    if (this.isOwning) this.disown(data + (length - 1) * stride);
    u32[head + LENGTH] = length - 1;
    dropper.run();
    return value;
  }

  /**
   * Takes an element away and gives its value; the last one takes its place, however long the vec.
   *
   * @param index from 0, or below 0 from the end
   * @throws RangeError when there is no such element
   */
  swapRemove(index: number): Taken<E> {
    const { elements, u32 } = this;
    const address = this.addressOf(index);
    const value = this.moveOut(address);
    const { head } = this;
    const dropper = elements.dropper(address, this.isOwning ? 1 : 0);
    const length = u32[head + LENGTH]! - 1;
    const last = u32[head + DATA]! + length * elements.stride;
    // Publishes: the end of the last element, which nobody owns until it is copied.
    u32[head + LENGTH] = length;
    if (last !== address) {
      elements.copy(last, address);
      if (this.isOwning) this.disown(last);
    }
    dropper.run();
    return value;
  }

  /** The value of an element: moved where there is something to move, else copied. */
  private moveOut(address: number): Taken<E> {
    const { bound } = this.elements;
    return (bound.take === undefined ? this.elements.load(address) : bound.take(address)) as Taken<E>;
  }

  /** The element at `address` is a copy of what lies elsewhere now: it owns nothing. */
  private disown(address: number): void {
    for (const offset of this.elements.owning) this.u32[(address + offset) >>> 2] = NULL;
  }

  // ── All elements ────────────────────────────────────────────────────────────────────────────────

  /**
   * Appends all values of an iterable: a typed array of the elements' kind in one go.
   *
   * @returns the length then
   * @throws TypeError when it is no iterable, or the field does not take a value
   * @throws OutOfMemoryError when there is no room; then nothing was appended
   */
  extend(values: Iterable<FieldInit<E>>): number {
    const { length } = this;
    if (values instanceof SharedVec) return this.extend(values.snapshot() as Iterable<FieldInit<E>>);
    if (typeof values !== 'object' || values === null || !(Symbol.iterator in values)) {
      throw new TypeError(`a vec of ${this.elements.name} takes an iterable, got ${show(values)}`);
    }
    const { Typed } = this.elements;
    if (Typed !== undefined && values instanceof Typed) return this.extendTyped(values as never);
    try {
      if (Array.isArray(values) && values.length > 0) {
        this.require();
        this.grow(length + values.length);
      }
      for (const value of values) this.push(value);
    } catch (error) {
      if (this.length > length) this.truncate(length);
      throw error;
    }
    return this.length;
  }

  private extendTyped(given: Uint8Array): number {
    if (given.length === 0) return this.length;
    // Growth may free what lies in this memory.
    const values = given.buffer === (this.store.memory.buffer as unknown) ? given.slice() : given;
    this.require();
    const { u32 } = this;
    this.grow(u32[this.head + LENGTH]! + values.length);
    const { head } = this;
    const length = u32[head + LENGTH]!;
    this.view(u32[head + CAPACITY]!).set(values, length);
    // Publishes: the elements. Pairs with the loads of the length by readers.
    u32[head + LENGTH] = length + values.length;
    return length + values.length;
  }

  /** Drops all elements from `length` on; does nothing when there are no more. The capacity stays. */
  truncate(length: number): void {
    checkInteger('length', length, 0, Number.MAX_SAFE_INTEGER);
    const before = this.length;
    if (length >= before) return;
    const { u32, head, elements } = this;
    for (let left = before; this.isOwning && left > length; left--) {
      const dropper = elements.dropper(u32[head + DATA]! + (left - 1) * elements.stride, 1);
      u32[head + LENGTH] = left - 1;
      dropper.run();
    }
    u32[head + LENGTH] = length;
  }

  /** Drops all elements. The capacity stays. */
  clear(): void {
    this.truncate(0);
  }

  /**
   * Has room for `capacity` elements in all, so that pushing up to there moves nothing.
   *
   * @throws RangeError when `capacity` is no integer from 0
   * @throws OutOfMemoryError when there is no room
   */
  reserve(capacity: number): void {
    checkInteger('capacity', capacity, 0, Number.MAX_SAFE_INTEGER);
    if (capacity <= this.capacity) return;
    this.require();
    if (!this.tryResize(capacity)) throw this.outOfRoom(capacity);
  }

  /** Gives back room that is not used. When there is no room to move to, it stays as it is. */
  shrink(): void {
    const { length } = this;
    if (length === this.capacity) return;
    if (length === 0) this.freeData();
    else this.tryResize(length);
  }

  /**
   * Sorts in place. The order is stable. Views of elements show others afterwards.
   *
   * @param compare as for `Array.prototype.sort`; of structs it gets views. Left out: numbers, bigints and
   *   booleans by value (not as texts; NaN last), strings as `<` has it
   * @throws TypeError without `compare` for elements that have no order, or when `compare` changes the vec
   */
  sort(compare?: Compare<E>): this {
    if (this.length > 1) sortElements(this.elements, () => this.extent(), compare as never);
    return this;
  }

  /** Where the elements lie, and the word of their count. */
  private extent(): { readonly data: number; readonly length: number; readonly lengthIndex: number } {
    const { length } = this;
    if (length > 0) checkExtent(this.store.memory, this.block, this.elements.stride);
    return { data: this.u32[this.head + DATA]!, length, lengthIndex: this.head + LENGTH };
  }

  /** The elements, the first one first: what they are when their turn comes. */
  *[Symbol.iterator](): IterableIterator<FieldValue<E>> {
    for (let index = 0; index < this.length; index++) yield this.at(index);
  }

  /** A plain array of copies, which share no bytes with the heap; of structs plain objects. */
  toArray(): Loaded<E>[] {
    const { data, length } = this.extent();
    const { elements } = this;
    if (length === 0) return [];
    if (elements.Typed !== undefined) return Array.from(this.view(length) as never);
    const loaded: unknown[] = [];
    for (let index = 0; index < length; index++) loaded.push(elements.load(data + index * elements.stride));
    return loaded as Loaded<E>[];
  }

  /**
   * The elements as a typed array over the shared bytes, for loops at full speed. Valid until the vec
   * grows beyond its capacity, shrinks or is destroyed; elements that are pushed later are not in it.
   *
   * @throws TypeError when the elements are neither numbers nor bigints
   */
  asTypedArray(): VecArray<E> {
    const { Typed, name } = this.elements;
    if (Typed === undefined)
      throw new TypeError(`a vec of ${name} has no typed array: numbers and bigints have`);
    return this.view(this.length) as never;
  }

  /** A plain array of the elements; bigints as strings, refs as addresses. Null once released. */
  toJSON(): unknown[] | null {
    if (this.isClosed) return null;
    const { data, length } = this.extent();
    const { bound, stride } = this.elements;
    return Array.from({ length }, (_, index) => bound.json(data + index * stride));
  }

  [INSPECT](depth: number, options: object, inspect: Inspector): string {
    if (this.isClosed) return `${VEC_NAME} (released)`;
    const { data, length } = this.extent();
    const { name, stride, bound } = this.elements;
    const title = `${VEC_NAME}(${length}) of ${name}`;
    if (depth < 0) return `[${title}]`;
    const { read, show: shown = read } = bound;
    const some = Array.from({ length: Math.min(length, SHOWN) }, (_, index) => shown(data + index * stride));
    const rest = length > SHOWN ? ` and ${length - SHOWN} more` : '';
    return `${title} ${inspect(some, { ...options, depth })}${rest}`;
  }

  /**
   * Gives the vec's block to the cell of a field: this object is of no use any more, and a field that
   * owned the block is empty. For fields.
   *
   * @param path the field's name in messages
   * @returns NULL for an empty vec without a block
   */
  $moveInto(elements: Elements, path: string): Address {
    if (this.elements.hash !== elements.hash || this.store !== homeOf(elements.home)) {
      const where = this.store === homeOf(this.store) ? '' : ' in an arena';
      throw new TypeError(
        `${path} takes a vec of ${elements.name} in the same heap; got one of ${this.elements.name}${where}`,
      );
    }
    return this.giveUp();
  }

  /** As {@link $moveInto}, of a vec that was made for the field. */
  $giveUp(): Address {
    return this.giveUp();
  }

  /** Whether the field with this cell owns the vec. */
  $isOwnedBy(cell: number): boolean {
    return this.isOwnedBy(cell);
  }

  /** What can be appended to another vec, or to this one. */
  private snapshot(): Iterable<unknown> {
    return this.elements.Typed === undefined ? this.toArray() : this.view(this.length).slice();
  }

  private view(length: number): Uint8Array {
    const data = length === 0 ? NULL : this.u32[this.head + DATA]!;
    return this.store.memory.view(this.elements.Typed!, data as Address, length) as Uint8Array;
  }

  private addressOf(index: number): number {
    const { length, elements } = this;
    const position = index >>> 0 === index && index < length ? index : this.fromEnd(index, length);
    return this.u32[this.head + DATA]! + position * elements.stride;
  }

  private fromEnd(index: number, length: number): number {
    const position = index < 0 ? index + length : index;
    if (position >>> 0 === position && position < length) return position;
    throw this.refused(index, length);
  }

  private refused(index: number, length: number): RangeError {
    return outOfRange(`the vec of ${this.elements.name}`, index, length);
  }

  private remember(into: unknown): void {
    const isView = into instanceof StructView && into.$row !== undefined;
    const { field } = this.elements;
    if (!isView || field.kind !== 'struct' || into.$row.type !== (field as unknown as AnyStructType)) {
      const got = into instanceof StructView ? `a view of ${into.$binding.type.name}` : show(into);
      throw new TypeError(
        `at(index, into) takes a view of ${this.elements.name} of the same heap; got ${got}`,
      );
    }
    this.into = into;
    this.place = (into as RowView).$place;
  }
}

if (Symbol.dispose !== undefined) {
  Object.defineProperty(SharedVec.prototype, Symbol.dispose, { value: SharedVec.prototype.release });
}
