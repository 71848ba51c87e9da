/**
 * Loaded: the type of what `load` gives for a field, a value that shares no bytes with the heap.
 *
 *     f64, oneOf, string        as the field reads
 *     array(f64, 3)             a typed array of its own
 *     a struct                  a plain object of loaded fields
 *     array(T, n), vec(T)       a plain array of loaded elements
 */

import type { ArrayField } from '../structs/array-field.ts';
import type { Field } from '../structs/field.ts';
import type { AnyStructType, ElementArray, FieldValue, schema } from '../structs/inference.ts';
import type { ScalarField } from '../structs/scalars.ts';
import type { VecField } from './vec-field.ts';

/** A copy of a field's value. */
export type Loaded<F> = F extends AnyStructType
  ? LoadedFields<F[typeof schema]>
  : F extends VecField<infer E>
    ? Loaded<E>[]
    : F extends ArrayField<infer E>
      ? E extends ScalarField
        ? ElementArray<E>
        : Loaded<E>[]
      : FieldValue<F>;

/** A copy of a struct. */
export type LoadedFields<S> = { -readonly [K in keyof S]: S[K] extends Field ? Loaded<S[K]> : never };
