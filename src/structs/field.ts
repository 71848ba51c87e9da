/**
 * Field: what stands in a schema, and what it becomes in one heap.
 *
 *     schema      { x: f64,                next: ref(Node) }        Field: size, alignment, description
 *                      │ bind(store)            │
 *     heap        BoundField               BoundField               read(address), write(address, value)
 *                      │ at offset 0            │ at offset 8
 *     view        accessor x               accessor next            read(place.address + offset)
 *
 * `read` and `write` are closures over the heap's own typed arrays, which the engine sees as constants
 * once they are inlined. Scalars have accessors of their own (see `scalar-access.ts`).
 */

import { show as showValue } from '../errors.ts';
import type { Place } from './place.ts';
import type { StructStore } from './store.ts';

/** Types only: what reading a field gives. No property of this name exists. */
export declare const value: unique symbol;
/** Types only: what a field can be set to. No property of this name exists. */
export declare const init: unique symbol;
/** Types only: what moving the value out of an owning field gives, where that is more than a copy. */
export declare const taken: unique symbol;

const NOTHING: readonly number[] = Object.freeze([]);

/** A field's kind, size and alignment, apart from any heap. The fields of a schema are these. */
export abstract class Field {
  /** The word that it is made with: `'f64'`, `'array'`, `'ref'`, … */
  abstract readonly kind: string;
  /** Bytes, as C's `sizeof`. May resolve a struct's layout. */
  abstract readonly size: number;
  /** Bytes, as C's `_Alignof`. May resolve a struct's layout. */
  abstract readonly align: number;
  /**
   * Offsets of the addresses (u32, 0 for none) of the blocks that the field owns, in bytes from its start:
   * what is dropped with the struct. Empty for most.
   */
  get owning(): readonly number[] {
    return NOTHING;
  }

  /** All that the layout hash has to tell apart: `'array(f64,3)'`, `'ref("Node")'`. */
  abstract describe(): string;

  /** As a schema spells it, structs by their names alone: what `fieldSpelled` (schema.ts) reads. */
  spell(): string {
    return this.describe();
  }

  /**
   * The field's reader and writer for the bytes of one heap.
   *
   * @param path the field's name in messages: `'Line.points'`
   */
  abstract bind(store: StructStore, path: string): BoundField;
}

/** The getter and setter of a row view's property; `this` is the view. */
export type RowAccessor = Required<Pick<PropertyDescriptor, 'get' | 'set'>>;

/** A field in the bytes of one heap. Addresses are not checked here: whoever makes a view has done so. */
export interface BoundField {
  /** The value at `address`; a view or an array of its own for what is larger than a number. */
  read(address: number): unknown;
  /** Copies `value` to `address`. What an owning field held before is dropped: fresh bytes must be zero. */
  write(address: number, value: unknown): void;
  /** The value, sharing no bytes with the heap; undefined where `read` already gives such. */
  load?(address: number): unknown;
  /** Moves the value out of an owning field, which then owns nothing; undefined for other fields. */
  take?(address: number): unknown;
  /** The value in terms of JSON: bigints as strings, refs as addresses. */
  json(address: number): unknown;
  /** The value for an inspector, where that is not what `read` gives. */
  show?(address: number): unknown;
  /** The property of a row view, for the kinds that are faster without a call of `read` and `write`. */
  accessor?(offset: number): RowAccessor;
  /** Makes the object that follows a view for good. A field with cells cannot be assigned to. */
  cell?(place: Place, offset: number): object;
}

/**
 * Throws unless `field` is one.
 *
 * @param wanted the start of the message: `'array takes a field'`
 * @throws TypeError that says how to write a field, and how one of a later struct
 */
export function checkField(field: unknown, wanted: string): asserts field is Field {
  if (field instanceof Field) return;
  const later =
    field === undefined
      ? ' (a struct that is defined later, or the struct itself, goes in a getter: get next() { return ref(Node); })'
      : '';
  throw new TypeError(`${wanted}, such as f64, ref(Node) or another struct; got ${show(field)}${later}`);
}

/** A value as messages name it: fields and structs by their names, all else as `show` of errors.ts has it. */
export function show(given: unknown): string {
  if (!(given instanceof Field)) return showValue(given);
  const { name } = given as { name?: unknown };
  return typeof name === 'string' ? `struct ${name}` : `the field ${given.kind}`;
}
