/**
 * How each kind of scalar is read and written: as a field of a row view, and at any address.
 *
 *     p.x              f64[(p.$place.address + offset) >>> 3]       accessor(offset)
 *     elements, JSON   f64[address >>> 3]                           read(address), write(address, value)
 *
 * The same few lines for each kind, on purpose. V8 keeps type feedback per function literal, not per
 * closure: one literal for all kinds would be megamorphic. And an accessor that called `read` would
 * pass it the address as an argument, which has to be exact for a deoptimisation: two more checks at
 * each access, measured at 15 to 40 % of a loop.
 */

import { show } from '../errors.ts';
import type { Memory } from '../memory/memory.ts';
import type { BoundField, RowAccessor } from './field.ts';
import type { Place } from './place.ts';

/** What an accessor sees of its view. */
interface Row {
  readonly $place: Place;
}

/** A scalar in the bytes of one heap. */
export type ScalarAccess = Required<Pick<BoundField, 'read' | 'write' | 'accessor'>>;

export type ScalarKind = keyof typeof SCALAR_ACCESS;

export const SCALAR_ACCESS = {
  i8: ({ i8 }: Memory, path = 'i8'): ScalarAccess => ({
    read: (address) => i8[address >>> 0],
    write: (address, given) => {
      if (typeof given !== 'number') refuse(path, 'number', given);
      i8[address >>> 0] = given;
    },
    accessor: (offset): RowAccessor => ({
      get(this: Row) {
        return i8[(this.$place.address + offset) >>> 0];
      },
      set(this: Row, given: number) {
        i8[(this.$place.address + offset) >>> 0] = given;
      },
    }),
  }),
  u8: ({ u8 }: Memory, path = 'u8'): ScalarAccess => ({
    read: (address) => u8[address >>> 0],
    write: (address, given) => {
      if (typeof given !== 'number') refuse(path, 'number', given);
      u8[address >>> 0] = given;
    },
    accessor: (offset): RowAccessor => ({
      get(this: Row) {
        return u8[(this.$place.address + offset) >>> 0];
      },
      set(this: Row, given: number) {
        u8[(this.$place.address + offset) >>> 0] = given;
      },
    }),
  }),
  i16: ({ i16 }: Memory, path = 'i16'): ScalarAccess => ({
    read: (address) => i16[address >>> 1],
    write: (address, given) => {
      if (typeof given !== 'number') refuse(path, 'number', given);
      i16[address >>> 1] = given;
    },
    accessor: (offset): RowAccessor => ({
      get(this: Row) {
        return i16[(this.$place.address + offset) >>> 1];
      },
      set(this: Row, given: number) {
        i16[(this.$place.address + offset) >>> 1] = given;
      },
    }),
  }),
  u16: ({ u16 }: Memory, path = 'u16'): ScalarAccess => ({
    read: (address) => u16[address >>> 1],
    write: (address, given) => {
      if (typeof given !== 'number') refuse(path, 'number', given);
      u16[address >>> 1] = given;
    },
    accessor: (offset): RowAccessor => ({
      get(this: Row) {
        return u16[(this.$place.address + offset) >>> 1];
      },
      set(this: Row, given: number) {
        u16[(this.$place.address + offset) >>> 1] = given;
      },
    }),
  }),
  i32: ({ i32 }: Memory, path = 'i32'): ScalarAccess => ({
    read: (address) => i32[address >>> 2],
    write: (address, given) => {
      if (typeof given !== 'number') refuse(path, 'number', given);
      i32[address >>> 2] = given;
    },
    accessor: (offset): RowAccessor => ({
      get(this: Row) {
        return i32[(this.$place.address + offset) >>> 2];
      },
      set(this: Row, given: number) {
        i32[(this.$place.address + offset) >>> 2] = given;
      },
    }),
  }),
  u32: ({ u32 }: Memory, path = 'u32'): ScalarAccess => ({
    read: (address) => u32[address >>> 2],
    write: (address, given) => {
      if (typeof given !== 'number') refuse(path, 'number', given);
      u32[address >>> 2] = given;
    },
    accessor: (offset): RowAccessor => ({
      get(this: Row) {
        return u32[(this.$place.address + offset) >>> 2];
      },
      set(this: Row, given: number) {
        u32[(this.$place.address + offset) >>> 2] = given;
      },
    }),
  }),
  i64: ({ i64 }: Memory, path = 'i64'): ScalarAccess => ({
    read: (address) => i64[address >>> 3],
    write: (address, given) => {
      if (typeof given !== 'bigint') refuse(path, 'bigint', given);
      i64[address >>> 3] = given;
    },
    accessor: (offset): RowAccessor => ({
      get(this: Row) {
        return i64[(this.$place.address + offset) >>> 3];
      },
      set(this: Row, given: bigint) {
        i64[(this.$place.address + offset) >>> 3] = given;
      },
    }),
  }),
  u64: ({ u64 }: Memory, path = 'u64'): ScalarAccess => ({
    read: (address) => u64[address >>> 3],
    write: (address, given) => {
      if (typeof given !== 'bigint') refuse(path, 'bigint', given);
      u64[address >>> 3] = given;
    },
    accessor: (offset): RowAccessor => ({
      get(this: Row) {
        return u64[(this.$place.address + offset) >>> 3];
      },
      set(this: Row, given: bigint) {
        u64[(this.$place.address + offset) >>> 3] = given;
      },
    }),
  }),
  f32: ({ f32 }: Memory, path = 'f32'): ScalarAccess => ({
    read: (address) => f32[address >>> 2],
    write: (address, given) => {
      if (typeof given !== 'number') refuse(path, 'number', given);
      f32[address >>> 2] = given;
    },
    accessor: (offset): RowAccessor => ({
      get(this: Row) {
        return f32[(this.$place.address + offset) >>> 2];
      },
      set(this: Row, given: number) {
        f32[(this.$place.address + offset) >>> 2] = given;
      },
    }),
  }),
  f64: ({ f64 }: Memory, path = 'f64'): ScalarAccess => ({
    read: (address) => f64[address >>> 3],
    write: (address, given) => {
      if (typeof given !== 'number') refuse(path, 'number', given);
      f64[address >>> 3] = given;
    },
    accessor: (offset): RowAccessor => ({
      get(this: Row) {
        return f64[(this.$place.address + offset) >>> 3];
      },
      set(this: Row, given: number) {
        f64[(this.$place.address + offset) >>> 3] = given;
      },
    }),
  }),
  bool: ({ u8 }: Memory): ScalarAccess => ({
    read: (address) => truth(u8[address >>> 0]),
    write: (address, given) => {
      u8[address >>> 0] = given ? 1 : 0;
    },
    accessor: (offset): RowAccessor => ({
      get(this: Row) {
        return truth(u8[(this.$place.address + offset) >>> 0]);
      },
      set(this: Row, given: unknown) {
        u8[(this.$place.address + offset) >>> 0] = given ? 1 : 0;
      },
    }),
  }),
};

/** Throws because a field takes no such value. A wrong one that an accessor is given, a typed array converts. */
function refuse(path: string, wanted: 'number' | 'bigint', given: unknown): never {
  throw new TypeError(`${path} takes a ${wanted}, got ${show(given)}`);
}

/** Undefined beyond the memory, where the views of deleted structs stand. */
function truth(byte: number | undefined): boolean | undefined {
  return byte === undefined ? undefined : byte !== 0;
}
