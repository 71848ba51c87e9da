/**
 * Types that follow from a schema: what a view reads, what an `init` may hold, what a column is.
 *
 *     const Node = struct('Node', { value: f64, get next() { return ref(Node); } });
 *     type Node = View<typeof Node>;        // { value: number; next: Node | null } and a view's methods
 *
 * Recursion works because nothing looks into a getter while `Node` is still being inferred: the type
 * parameter of `struct()` is constrained by `Record<string, any>`, which the compiler compares without
 * asking for the types of properties; and what has to be checked at once, that plain properties are
 * fields, is asked only of properties that are not readonly, as getters are. A getter that returns no
 * field gets the type NotAField in its view, and a TypeError at first use.
 *
 * Reading and writing have one type, because mapped types allow no more: `p.pos = { x: 1 }` and
 * `p.samples = [1, 2, 3]` do work, but for the compiler they are `p.set({ pos: { x: 1 } })` and
 * `p.samples.set([1, 2, 3])`.
 */

import type { Address } from '../memory/address.ts';
import type { Field, init, value } from './field.ts';
import type { FixedArray } from './fixed-array.ts';
import type { ScalarArrays, ScalarField } from './scalars.ts';
import type { StructLayout } from './struct-layout.ts';

/** Types only: the schema of a struct type. */
export declare const schema: unique symbol;
/** Types only: the struct type of a view. */
export declare const viewOf: unique symbol;

/** Any struct type, without a look at its fields. */
export interface AnyStructType extends Field {
  readonly kind: 'struct';
  readonly name: string;
  /** Counts up with each type that this thread makes. */
  readonly id: number;
  readonly hash: number;
  readonly layout: StructLayout;
  // biome-ignore lint/suspicious/noExplicitAny: what it is compared with must not be looked into
  readonly [schema]: any;
}

/** What a schema is inferred as. */
// biome-ignore lint/suspicious/noExplicitAny: any other type would have the compiler ask getters for theirs
export type LooseSchema = Record<string, any>;

/** Stands where a schema holds something else than a field. */
export interface NotAField {
  readonly 'a schema holds fields': 'f64, array(u8, 4), ref(Node), another struct, …';
}

/** Asks that every property that is not a getter be a field. */
export type FieldsOnly<S> = {
  [K in keyof S as IsReadonly<S, K> extends true ? never : K]: S[K] extends Field ? S[K] : NotAField;
};

/** Whether K is a getter (or readonly), found out from modifiers alone: the types stay unasked. */
type IsReadonly<S, K extends keyof S> =
  Same<Bare<Pick<S, K>>, Writable<Bare<Pick<S, K>>>> extends true ? false : true;
type Bare<S> = { [K in keyof S]: 0 };
type Writable<S> = { -readonly [K in keyof S]: S[K] };
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** What a field reads as. */
export type FieldValue<F> = F extends { readonly [value]: infer V } ? V : NotAField;
/** What a field can be initialised with. */
export type FieldInit<F> = F extends { readonly [init]: infer I } ? I : NotAField;
/** What an array of `F` reads as: a typed array for numbers and bigints. */
export type ElementArray<F> =
  F extends ScalarField<infer K> ? ScalarArrays[K] : FixedArray<FieldValue<F>, FieldInit<F>>;

/** A struct in the shared bytes: its fields and a view's own members. */
export type View<T extends AnyStructType> = ViewFields<T[typeof schema]> & ViewMembers<T>;
/** The same as {@link View}: `type Point = InferView<typeof Point>`. */
export type InferView<T extends AnyStructType> = View<T>;
/** Field values to start with or to assign; fields that are left out stay as they are (new: zero). */
export type Init<T extends AnyStructType> = InitFields<T[typeof schema]>;

export type InitFields<S> = { -readonly [K in keyof S]?: FieldInit<S[K]> };
interface Atomic {
  readonly kind: 'atomic';
}
interface Ref {
  readonly kind: 'ref';
}

/** Atomic fields cannot be assigned to: they have cells. */
export type ViewFields<S> = {
  -readonly [K in keyof S as S[K] extends Atomic ? never : K]: FieldValue<S[K]>;
} & {
  readonly [K in keyof S as S[K] extends Atomic ? K : never]: FieldValue<S[K]>;
};

/** The names of the fields that hold an address. */
export type RefNames<S> = { [K in keyof S]: S[K] extends Ref ? K : never }[keyof S] & string;

/** What every view has besides its fields. No field may have one of these names. */
export interface ViewMembers<T extends AnyStructType> {
  /** Types only: views of different structs are different types. */
  readonly [viewOf]: T;
  /**
   * Where the struct lies, in bytes from the buffer's start. Assigning moves the view, without garbage:
   * a RangeError unless a struct of this type can lie there. NULL once the struct was deleted.
   */
  get address(): Address;
  set address(address: number);
  /** The address that a ref field holds, without making a view of what is there. */
  addressOf(field: RefNames<T[typeof schema]>): Address;
  /** Assigns several fields; those left out keep their values. */
  set(init: Init<T> | View<T>): void;
  /** A plain object of the fields: bigints as strings, refs as addresses. */
  toJSON(): Record<string, unknown>;
}
