/**
 * Loaded: the type of what `load` gives for a field, a value that shares no bytes with the heap.
 *
 *     f64, oneOf, string        as the field reads
 *     array(f64, 3)             a typed array of its own
 *     a struct                  a plain object of loaded fields
 *     array(T, n), vec(T)       a plain array of loaded elements
 *     box(T), arc(T)            a plain object of loaded fields, or null
 *
 * Taken: the same, but what owns is moved out and not copied: a Box, an Arc, a SharedVec.
 */

import type { ArrayField } from '../structs/array-field.ts';
import type { Field, taken } from '../structs/field.ts';
import type { AnyStructType, ElementArray, FieldValue, schema } from '../structs/inference.ts';
import type { ScalarField } from '../structs/scalars.ts';
import type { ArcField } from './arc-field.ts';
import type { BoxField } from './box.ts';
import type { VecField } from './vec-field.ts';

/** A copy of a field's value. */
export type Loaded<F> = F extends AnyStructType
  ? LoadedFields<F[typeof schema]>
  : F extends VecField<infer E>
    ? Loaded<E>[]
    : F extends ArrayField<infer E>
      ? E extends ScalarField
        ? TypedArrayOf<E>
        : Loaded<E>[]
      : F extends BoxField<infer T> | ArcField<infer T>
        ? LoadedFields<T[typeof schema]> | null
        : FieldValue<F>;

type TypedArrayOf<E> = E extends ScalarField<'bool'> ? boolean[] : ElementArray<E>;

/** A field's value, moved out. */
export type Taken<F> = F extends { readonly [taken]: infer O } ? O : Loaded<F>;

/** A copy of a struct. */
export type LoadedFields<S> = { -readonly [K in keyof S]: S[K] extends Field ? Loaded<S[K]> : never };
