/**
 * Views: a struct's fields as properties. One class per struct type and heap, made of closures.
 *
 *     view ──► place { address }        p.x   →   f64[(place.address + 0) >>> 3]
 *       └────► prototype: x, y, address, addressOf, set, toJSON
 *
 * Once inlined, offsets and typed arrays are constants for the engine: a field access costs about what
 * the bare typed array does. The classes of different structs share their function literals and thus
 * their feedback, so all that varies is held in constants of the closure, and what moves views of many
 * types works on their places.
 */

import { hex } from '../errors.ts';
import { type Address, GiB, NULL } from '../memory/address.ts';
import type { Binding } from './binding.ts';
import { type BoundField, type RowAccessor, show } from './field.ts';
import type { AnyStructType } from './inference.ts';
import { INSPECT, type Inspector, Place } from './place.ts';

/** What views of rows and of columns share. */
export abstract class StructView {
  /** The type and the heap; on the prototype. */
  declare readonly $binding: Binding;
  /** The same where the view has an address: undefined for an element of columns. */
  declare readonly $row: Binding | undefined;

  /** The address of the field at `index` of the schema. */
  abstract $locate(index: number): number;

  /** Assigns several fields; those left out keep their values. */
  set(init: unknown): void {
    const { fields, type } = this.$binding;
    const source = sourceOf(this.$binding, init);
    for (const name in source) {
      const index = indexOf(type, name);
      const given = source[name];
      if (given !== undefined) fields[index]!.write(this.$locate(index), given);
    }
  }

  /** The address that the ref field named `field` holds. */
  addressOf(field: string): Address {
    const { type, store } = this.$binding;
    return store.memory.u32[this.$locate(refIndex(type, field)) >>> 2] as Address;
  }

  /** A plain object of the fields: bigints as strings, refs as addresses. */
  toJSON(): Record<string, unknown> {
    const { names, fields } = this.$binding;
    const entries = names.map((name, index) => [name, fields[index]!.json(this.$locate(index))] as const);
    return Object.fromEntries(entries);
  }

  [INSPECT](depth: number, options: object, inspect: Inspector): string {
    const { type, names, fields } = this.$binding;
    if (depth < 0) return `[${type.name}]`;
    if (isDeleted(this)) return `${type.name} (deleted)`;
    const entries = names.map((name, index) => {
      const { read, show: shown = read } = fields[index]!;
      return [name, shown(this.$locate(index))] as const;
    });
    return `${type.name} ${inspect(Object.fromEntries(entries), { ...options, depth })}`;
  }
}

/** Whether a view has a property of this name itself, so that no field can have it. */
export function isViewMember(name: string): boolean {
  return name === 'address' || name in StructView.prototype;
}

/** A view of a struct whose fields lie together, as in C. */
export interface RowView extends StructView {
  readonly $place: Place;
  /** The cells of the atomic fields that were used, by the field's index. */
  $cells?: object[];
  address: number;
}

/** Makes row views; does not check the address. */
export type RowClass = new (address: number) => RowView;

/** A class of its own for one type in one heap; `defineRowAccessors` completes it. */
export function makeRowClass(binding: Binding): RowClass {
  // No `extends`: a chain of constructors costs time at each view that is made.
  class Row {
    declare readonly $place: Place;
    constructor(address: number) {
      this.$place = new Place(address);
    }
  }
  adopt(Row, binding);
  Object.defineProperty(Row.prototype, '$row', { value: binding });
  return Row as unknown as RowClass;
}

/** Makes the prototype of `View` that of a view of this binding. */
export function adopt(View: { readonly prototype: object }, binding: Binding): void {
  Object.setPrototypeOf(View.prototype, StructView.prototype);
  Object.defineProperty(View, 'name', { value: binding.type.name });
  Object.defineProperty(View.prototype, '$binding', { value: binding });
}

/** Gives the binding's views their properties. */
export function defineRowAccessors(binding: Binding): void {
  const { View, fields, names, offsets } = binding;
  const { prototype } = View;
  const define = (name: string, property: PropertyDescriptor) => {
    Object.defineProperty(prototype, name, { configurable: true, ...property });
  };
  fields.forEach((field, index) => {
    define(names[index]!, { enumerable: true, ...rowAccessor(binding, field, index) });
  });
  define('$locate', {
    value(this: RowView, index: number): number {
      return this.$place.address + offsets[index]!;
    },
  });
  define('address', addressAccessor(binding));
  define('addressOf', { value: addressOfMethod(binding) });
}

function rowAccessor(binding: Binding, field: BoundField, index: number): RowAccessor & ThisType<RowView> {
  const { read, write, accessor, cell } = field;
  const offset = binding.offsets[index]!;
  if (accessor !== undefined) return accessor(offset);
  if (cell !== undefined) return cellAccessor(cell, index, offset, binding);
  return {
    get() {
      return read((this.$place.address + offset) >>> 0);
    },
    set(given: unknown) {
      write((this.$place.address + offset) >>> 0, given);
    },
  };
}

function cellAccessor(
  make: NonNullable<BoundField['cell']>,
  index: number,
  offset: number,
  { type, names }: Binding,
): RowAccessor & ThisType<RowView> {
  return {
    get() {
      this.$cells ??= [];
      this.$cells[index] ??= make(this.$place, offset);
      return this.$cells[index];
    },
    set() {
      throw atomicAssigned(type.name, names[index]!);
    },
  };
}

/** The error for `view.count = 1` where `count` is atomic. */
export function atomicAssigned(struct: string, field: string): TypeError {
  return new TypeError(`${struct}.${field} is atomic: use ${field}.store(value)`);
}

/** For each alignment, the views whose elements are of that size. */
const ELEMENTS = { 1: 'u8', 2: 'u16', 4: 'u32', 8: 'f64' } as const;

/**
 * Checks an address without a branch that throws, because such a branch keeps V8 from peeling the loop
 * that moves a view, and with that from hoisting what does not change (up to 1.8 times slower).
 *
 *     address        0x…28  →  less 8:  0x…20  →  rotated right by 3:  index 0x…04 of `gate`
 *     misaligned     0x…2c  →           0x…24  →                       0x80…04, beyond `gate`
 *     NULL           0      →       2^32 - 8   →                       2^29 - 1, beyond `gate`
 *
 * `gate` is a window on the memory with one element for each address where the struct has room, so that
 * the engine's own bounds check decides. What it reads there is never used.
 *
 * Where all addresses are below 2 GiB, `| 0` says that one is an integer: that costs nothing where the
 * engine has it as a 32-bit integer already, while `>>> 0` has it look at the sign (a tenth of the loop).
 */
function addressAccessor(binding: Binding): RowAccessor & ThisType<RowView> {
  const { limit, mask, store } = binding;
  const align = (mask + 1) as keyof typeof ELEMENTS;
  const shift = 31 - Math.clz32(align);
  const gate = store.memory[ELEMENTS[align]].subarray(0, Math.max(0, Math.floor(limit / align)));
  const get = function (this: RowView): number {
    const { address } = this.$place;
    return address > limit ? NULL : address;
  };
  if (store.memory.byteLength <= 2 * GiB) {
    return {
      get,
      set(value: number) {
        const over = (value - align) | 0;
        const index = ((over >>> shift) | (over << (32 - shift))) >>> 0;
        if (gate[(value | 0) === value ? index : -1] === undefined) refuseMove(this, binding, value);
        this.$place.address = value;
      },
    };
  }
  return {
    get,
    set(value: number) {
      const over = (value - align) | 0;
      const index = ((over >>> shift) | (over << (32 - shift))) >>> 0;
      if (gate[value >>> 0 === value ? index : -1] === undefined) refuseMove(this, binding, value);
      this.$place.address = value;
    },
  };
}

/** `addressOf` for the first ref is a comparison away, for others a look-up. */
function addressOfMethod({ type, store, offsets }: Binding): (this: RowView, field: string) => Address {
  const { u32 } = store.memory;
  const first = type.layout.fields.find(({ kind }) => kind === 'ref');
  const name = first?.name;
  const offset = first?.offset ?? 0;
  return function addressOf(field) {
    const from = field === name ? offset : offsets[refIndex(type, field)]!;
    return u32[(this.$place.address + from) >>> 2] as Address;
  };
}

function refIndex({ name, layout }: AnyStructType, field: string): number {
  const index = layout.indexes.get(field);
  if (index !== undefined && layout.fields[index]!.kind === 'ref') return index;
  throw new TypeError(`${name} has no ref field named ${show(field)}`);
}

/**
 * Assigns the fields that `init` has to the struct at `address`, which is not checked.
 *
 * @throws TypeError when `init` names an unknown field or holds what a field does not take; fields
 *   before that one are assigned
 */
export function assign(binding: Binding, address: number, init: unknown): void {
  const { fields, names, offsets, type } = binding;
  const source = sourceOf(binding, init);
  let index = -1;
  for (const name in source) {
    // Fields mostly come in the order of the schema: then no name has to be looked up.
    index = names[index + 1] === name ? index + 1 : indexOf(type, name);
    const given = source[name];
    if (given !== undefined) fields[index]!.write(address + offsets[index]!, given);
  }
}

/**
 * A plain object of the fields' values that shares no bytes with the heap.
 *
 * @param copy what to put them into
 */
export function loadStruct(
  { fields, names, offsets }: Binding,
  address: number,
  copy: Record<string, unknown> = {},
): Record<string, unknown> {
  for (let index = 0; index < fields.length; index++) {
    const { read, load = read } = fields[index]!;
    copy[names[index]!] = load(address + offsets[index]!);
  }
  return copy;
}

function indexOf(type: AnyStructType, field: string): number {
  const index = type.layout.indexes.get(field);
  if (index === undefined) throw unknownField(type, field);
  return index;
}

/** What `set` and `init` take: an object of field values, or a view of the same layout. */
function sourceOf({ type, names }: Binding, init: unknown): Record<string, unknown> {
  if (typeof init !== 'object' || init === null) {
    throw new TypeError(`${type.name} takes an object of field values, got ${show(init)}`);
  }
  if (!(init instanceof StructView)) return init as Record<string, unknown>;
  const from = init.$binding.type;
  if (from.hash !== type.hash) throw new TypeError(`${type.name} takes no view of ${from.name}`);
  const view = init as unknown as Record<string, unknown>;
  return Object.fromEntries(names.map((name) => [name, view[name]]));
}

/** The error for a name that the struct does not have. */
export function unknownField({ name }: AnyStructType, field: string): TypeError {
  return new TypeError(`${name} has no field named ${show(field)}`);
}

/**
 * The binding of a view that has an address.
 *
 * @param act what is to be done, for the message
 * @param hint what else could be done
 * @throws TypeError for anything else
 */
export function rowOf(view: unknown, act: string, hint = ''): Binding {
  if (!(view instanceof StructView))
    throw new TypeError(`${act} takes a view of a struct, got ${show(view)}${hint}`);
  if (view.$row === undefined) {
    throw new TypeError(`${act}: an element of a columns array of ${view.$binding.type.name} has no address`);
  }
  return view.$row;
}

/** The offsets of what the struct of a view owns; none for what is no view. */
export function owningOf(view: unknown): readonly number[] {
  return view instanceof StructView && view.$row !== undefined ? view.$row.type.owning : [];
}

function isDeleted(view: StructView): boolean {
  return view.$row !== undefined && (view as RowView).$place.address > view.$row.limit;
}

/** The views that lost their prototype (see `deleted-view.ts`), and the binding that they had. */
export const displaced = new WeakMap<object, Binding>();

/** Throws, unless the view was displaced: then it returns to its own binding. */
function refuseMove(view: RowView, binding: Binding, address: number): void {
  const home = displaced.get(view);
  if (home === undefined || home === binding) throw refusedAddress(binding, address);
  Object.setPrototypeOf(view, home.View.prototype);
  displaced.delete(view);
  view.address = address;
}

/** The error for an address where no struct of this type can lie: says which of the rules it breaks. */
export function refusedAddress(binding: Binding, address: unknown): RangeError {
  const {
    name,
    layout: { align, size },
  } = binding.type;
  if (address === 0) return new RangeError(`no ${name} lies at NULL (address 0)`);
  if (typeof address !== 'number' || address >>> 0 !== address) {
    return new RangeError(`not an address of ${name}: ${show(address)} (want an integer from 1 to 2^32 - 1)`);
  }
  if (address % align !== 0)
    return new RangeError(`${hex(address)} is not aligned to the ${align} bytes of ${name}`);
  const end = hex(binding.store.memory.byteLength);
  return new RangeError(
    `${name} (${size} bytes) at ${hex(address)} reaches past the end of the memory (${end})`,
  );
}
