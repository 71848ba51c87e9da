/**
 * Items: how the values of a field get into the bytes of a queue and out of them again.
 *
 *     scalars         write                               read
 *     structs         write                               load: a copy that shares no bytes
 *     owning fields   write, then FLIGHT on what it owns  take: what it owns is the receiver's (LIVE)
 *
 * What owns and cannot be taken as it is (a struct with a string in it) is loaded and then dropped.
 *
 * A thread that dies while it takes a value out has not received it: another one does. Not so where it may
 * have taken what the value owns: that is gone with it (a text that is empty cannot be told from one taken).
 */

import type { Taken } from '../containers/loaded.ts';
import type { ContainerStore } from '../containers/store.ts';
import { homeOf } from '../containers/store.ts';
import type { Address } from '../memory/address.ts';
import { alignUp, UNIT } from '../memory/address.ts';
import { dropOwned } from '../structs/drop.ts';
import { type Field, show, type taken } from '../structs/field.ts';
import type { FieldInit } from '../structs/inference.ts';
import { type RunCopy, runCopyOf } from './run-copy.ts';

/** What receiving an item gives: what owns is moved out, all else copied. */
export type Received<F> = Taken<F>;
/** What can be sent. */
export type Sent<F> = F extends { readonly [taken]: unknown } ? Exclude<FieldInit<F>, null> : FieldInit<F>;

/** A field's values in a queue of one heap. */
export interface Items {
  /** The `typeof` that values must have; undefined where `write` sees to it. */
  readonly wanted: 'number' | 'bigint' | undefined;
  /** Puts a value into bytes whose owning words are 0; they are 0 again when it throws. */
  write(address: number, value: unknown): void;
  /** Takes the value out; the owning words become 0. */
  take(address: number): unknown;
  /** Drops what the value owns; its owning words become 0. */
  drop(address: number): void;
  /** Whether values own anything. */
  readonly owns: boolean;
  /** Whether what a value owns is copied and then dropped, not taken as it is. */
  readonly copies: boolean;
  /** Whether a value that a thread died at is still whole. */
  isWhole(address: number): boolean;
  /** For numbers of 4 and 8 bytes: how many of them, one after the other, go in and out. */
  readonly run: RunCopy | undefined;
}

/** The field's values in this heap. */
export function bindItems(field: Field, store: ContainerStore, path: string): Items {
  const { read, load = read, take, write: assign } = field.bind(store, path);
  // A struct takes the fields that are given: those left out are zero, not what was sent a lap before.
  const write = coversAll(field) ? assign : zeroing(assign, field.size, store);
  const wanted = wantedType(field.kind);
  const { owning } = field;
  if (owning.length === 0) {
    const run = runCopyOf(field.kind, store.memory);
    return {
      wanted,
      write,
      take: load,
      drop: () => {},
      owns: false,
      copies: false,
      isWhole: () => true,
      run,
    };
  }
  const home = homeOf(store);
  const { u32 } = store.memory;
  const drop = (address: number): void => dropOwned(home, owning, address);
  const send = (address: number, value: unknown): void => {
    if (value === null || value === undefined) {
      throw new TypeError(`a queue of ${field.kind} carries no ${String(value)}: null stands for nothing`);
    }
    try {
      write(address, value);
    } catch (error) {
      drop(address);
      throw error;
    }
    for (const offset of owning) {
      const owned = u32[(address + offset) >>> 2] as Address;
      if (owned !== 0) home.trySend(owned);
    }
  };
  const takeCopy = (address: number): unknown => {
    try {
      return load(address);
    } finally {
      drop(address);
    }
  };
  // One word, which is 0 once taken; of others it cannot be told.
  const isWhole = (address: number): boolean => take !== undefined && u32[address >>> 2] !== 0;
  const copies = take === undefined;
  return { wanted, write: send, take: take ?? takeCopy, drop, owns: true, copies, isWhole, run: undefined };
}

/** Whether a value that is written covers all of the field's bytes. */
function coversAll({ kind }: Field): boolean {
  return kind !== 'struct' && kind !== 'array';
}

function zeroing(
  write: Items['write'],
  size: number,
  { memory }: ContainerStore,
): (address: number, value: unknown) => void {
  return (address, value) => {
    memory.u8.fill(0, address, address + size);
    write(address, value);
  };
}

function wantedType(kind: string): 'number' | 'bigint' | undefined {
  if (kind === 'i64' || kind === 'u64') return 'bigint';
  return /^([iu](8|16|32)|f(32|64))$/.test(kind) ? 'number' : undefined;
}

/** The error for a scalar of another type. */
export function refusedItem(field: Field, value: unknown): TypeError {
  const wanted = wantedType(field.kind);
  return new TypeError(`a queue of ${field.kind} carries a ${wanted}, got ${show(value)}`);
}

/** What a field and a registered layout have in common. */
export type Shape = Pick<Field, 'size' | 'align'>;

/** Bytes from one value to the next. */
export function strideOf(field: Shape): number {
  return alignUp(field.size, field.align > 4 ? UNIT : 4);
}
