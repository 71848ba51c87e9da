/**
 * Scalar fields: numbers, bigints and bool, one element of a typed array each.
 *
 *     i8 u8 bool   1 byte      i16 u16   2      i32 u32 f32   4      i64 u64 f64   8
 *
 * Writing follows the typed arrays: a number that does not fit wraps (integers) or rounds (f32) and
 * never throws. Of another type than number (bigint for i64 and u64) nothing is taken in an `init`, by `set()`
 * or as an element; `view.x = given` leaves that to the typed array, which converts it and throws only between
 * numbers and bigints. bool is 0 or 1, and any other byte reads as true; it takes any value for its truth.
 *
 * Plain loads and stores: a value of 4 bytes or less is never torn between threads, but only locks and
 * `atomic` fields order it. An i64 or u64 may be torn on 32-bit processors.
 */

import { type BoundField, Field, type init, type value } from './field.ts';
import type { FixedArray } from './fixed-array.ts';
import { SCALAR_ACCESS, type ScalarKind } from './scalar-access.ts';
import type { StructStore } from './store.ts';

/** What each kind reads as. */
export interface ScalarValues {
  i8: number;
  u8: number;
  i16: number;
  u16: number;
  i32: number;
  u32: number;
  i64: bigint;
  u64: bigint;
  f32: number;
  f64: number;
  bool: boolean;
}

/** What an array of each kind reads as. */
export interface ScalarArrays {
  i8: Int8Array<SharedArrayBuffer>;
  u8: Uint8Array<SharedArrayBuffer>;
  i16: Int16Array<SharedArrayBuffer>;
  u16: Uint16Array<SharedArrayBuffer>;
  i32: Int32Array<SharedArrayBuffer>;
  u32: Uint32Array<SharedArrayBuffer>;
  i64: BigInt64Array<SharedArrayBuffer>;
  u64: BigUint64Array<SharedArrayBuffer>;
  f32: Float32Array<SharedArrayBuffer>;
  f64: Float64Array<SharedArrayBuffer>;
  bool: FixedArray<boolean>;
}

/** A field of one number, bigint or boolean. */
export class ScalarField<K extends ScalarKind = ScalarKind> extends Field {
  declare readonly [value]: ScalarValues[K];
  declare readonly [init]: ScalarValues[K];
  override readonly kind: K;
  override readonly size: number;
  override readonly align: number;

  constructor(kind: K, size: number) {
    super();
    this.kind = kind;
    this.size = size;
    this.align = size;
  }

  override describe(): string {
    return this.kind;
  }

  override bind(store: StructStore, path: string = this.kind): BoundField {
    const access = SCALAR_ACCESS[this.kind](store.memory, path);
    if (this.kind !== 'i64' && this.kind !== 'u64') return { ...access, json: access.read };
    return { ...access, json: (address) => jsonOf(access.read(address)) };
  }
}

/** A number as it is, a bigint as a string: `JSON.stringify` refuses bigints. */
export function jsonOf(scalar: unknown): unknown {
  return typeof scalar === 'bigint' ? String(scalar) : scalar;
}

/** An integer from -128 to 127: 1 byte. */
export const i8 = new ScalarField('i8', 1);
/** An integer from 0 to 255: 1 byte. */
export const u8 = new ScalarField('u8', 1);
/** An integer from -32,768 to 32,767: 2 bytes. */
export const i16 = new ScalarField('i16', 2);
/** An integer from 0 to 65,535: 2 bytes. */
export const u16 = new ScalarField('u16', 2);
/** An integer from -2^31 to 2^31 - 1: 4 bytes. */
export const i32 = new ScalarField('i32', 4);
/** An integer from 0 to 2^32 - 1: 4 bytes. */
export const u32 = new ScalarField('u32', 4);
/** A bigint from -2^63 to 2^63 - 1: 8 bytes. */
export const i64 = new ScalarField('i64', 8);
/** A bigint from 0 to 2^64 - 1: 8 bytes. */
export const u64 = new ScalarField('u64', 8);
/** A number of single precision: 4 bytes. */
export const f32 = new ScalarField('f32', 4);
/** A number: 8 bytes. */
export const f64 = new ScalarField('f64', 8);
/** A boolean: 1 byte. */
export const bool = new ScalarField('bool', 1);
