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
import { type Address, NULL } from '../memory/address.ts';
import type { Binding } from './binding.ts';
import { type BoundField, show } from './field.ts';
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
    const { names, fields } = this.$binding;
    const source = checkInit(this.$binding, init);
    for (let index = 0; index < names.length; index++) {
      const given = source[names[index]!];
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
  fields.forEach((field, index) => {
    const { cell } = field;
    const accessor =
      cell === undefined
        ? rowAccessor(field, offsets[index]!)
        : cellAccessor(cell, index, offsets[index]!, `${binding.type.name}.${names[index]}`);
    Object.defineProperty(prototype, names[index]!, accessor);
  });
  Object.defineProperty(prototype, '$locate', {
    value(this: RowView, index: number): number {
      return this.$place.address + offsets[index]!;
    },
  });
  Object.defineProperty(prototype, 'address', addressAccessor(binding));
  Object.defineProperty(prototype, 'addressOf', { value: addressOfMethod(binding) });
}

function rowAccessor({ read, write }: BoundField, offset: number): PropertyDescriptor & ThisType<RowView> {
  return {
    enumerable: true,
    configurable: true,
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
  path: string,
): PropertyDescriptor & ThisType<RowView> {
  return {
    enumerable: true,
    configurable: true,
    get() {
      this.$cells ??= [];
      this.$cells[index] ??= make(this.$place, offset);
      return this.$cells[index];
    },
    set() {
      throw new TypeError(`${path} is atomic: use ${path.slice(path.lastIndexOf('.') + 1)}.store(value)`);
    },
  };
}

function addressAccessor(binding: Binding): PropertyDescriptor & ThisType<RowView> {
  const { limit, mask } = binding;
  return {
    configurable: true,
    get() {
      const { address } = this.$place;
      return address > limit ? NULL : address;
    },
    set(value: number) {
      const address = value >>> 0;
      if (address !== value || (address & mask) !== 0 || (address - 1) >>> 0 >= limit) {
        refuseMove(this, binding, value);
      }
      this.$place.address = address;
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
 * The values to assign, once all of their names are known to be fields.
 *
 * @throws TypeError that names the struct and what it does not know
 */
function checkInit(binding: Binding, init: unknown): Record<string, unknown> {
  const { name, layout } = binding.type;
  if (init instanceof StructView) {
    if (init.$binding.type.layout.hash === layout.hash) return init as unknown as Record<string, unknown>;
    throw new TypeError(`${name} takes no view of ${init.$binding.type.name}`);
  }
  if (typeof init !== 'object' || init === null) {
    throw new TypeError(`${name} takes an object of field values, got ${show(init)}`);
  }
  for (const key in init) {
    if (!layout.indexes.has(key)) throw new TypeError(`${name} has no field named ${show(key)}`);
  }
  return init as Record<string, unknown>;
}

/** Assigns the fields that `init` has to the struct at `address`, which is not checked. */
export function assign(binding: Binding, address: number, init: unknown): void {
  const { names, fields, offsets } = binding;
  const source = checkInit(binding, init);
  for (let index = 0; index < names.length; index++) {
    const given = source[names[index]!];
    if (given !== undefined) fields[index]!.write(address + offsets[index]!, given);
  }
}

/**
 * The binding of a view that has an address.
 *
 * @param act what is to be done, for the message
 * @throws TypeError for anything else
 */
export function rowOf(view: unknown, act: string): Binding {
  if (!(view instanceof StructView))
    throw new TypeError(`${act} takes a view of a struct, got ${show(view)}`);
  if (view.$row === undefined) {
    throw new TypeError(`${act}: an element of a columns array of ${view.$binding.type.name} has no address`);
  }
  return view.$row;
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
