/**
 * Atomic fields: a word that several threads change at once, through a cell.
 *
 *     atomic(i32 | u32)   4 bytes   AtomicCell, 9 to 15 ns an operation; i32 can wait and notify
 *     atomic(i64 | u64)   8 bytes   the same over bigints
 *
 * A cell follows its view: each view makes one cell per field, at first use, and the cell works on the
 * word that the view stands on. Operations are sequentially consistent. The index is a quotient, not a
 * shift, so that the cell of a deleted view is refused by the engine (RangeError) wherever it stood.
 */

import {
  atomicAdd,
  atomicAnd,
  atomicExchange,
  atomicLoad,
  atomicOr,
  atomicStore,
  atomicSub,
  type BigWords,
  bigAdd,
  bigAnd,
  bigCompareExchange,
  bigExchange,
  bigLoad,
  bigOr,
  bigStore,
  bigSub,
  compareExchange,
  notify,
  type WaitResult,
  type Words,
  wait,
} from '../memory/atomics.ts';
import { type BoundField, Field, type init, show, type value } from './field.ts';
import { GUARD, INSPECT, Place } from './place.ts';
import { jsonOf, ScalarField, type ScalarValues } from './scalars.ts';
import type { StructStore } from './store.ts';

/** What `atomic` takes. */
export type AtomicKind = 'i32' | 'u32' | 'i64' | 'u64';

/** An atomic word of shared memory. All operations return what the word held before. */
export interface AtomicCell<V extends number | bigint> {
  load(): V;
  store(value: V): void;
  add(value: V): V;
  sub(value: V): V;
  and(value: V): V;
  or(value: V): V;
  exchange(value: V): V;
  /** Stores `value` if the word holds `expected`. */
  compareExchange(expected: V, value: V): V;
  toJSON(): number | string;
}

/** An atomic i32, which threads can sleep on. */
export interface WaitableCell extends AtomicCell<number> {
  /**
   * Sleeps while the word holds `expected`, until notified or `timeout` milliseconds are over.
   * A page's main thread may not block: there the engine throws a TypeError.
   */
  wait(expected: number, timeout?: number): WaitResult;
  /** Wakes up to `count` threads that wait on the word. Returns how many. */
  notify(count?: number): number;
}

/** The cell of each kind. */
export interface AtomicCells {
  i32: WaitableCell;
  u32: AtomicCell<number>;
  i64: AtomicCell<bigint>;
  u64: AtomicCell<bigint>;
}

abstract class Cell<Array> {
  /** Comes first, so that posting the cell throws at once. */
  readonly $guard: symbol = GUARD;
  protected readonly words: Array;
  protected readonly place: Place;
  protected readonly offset: number;

  constructor(words: Array, place: Place, offset: number) {
    this.words = words;
    this.place = place;
    this.offset = offset;
  }

  abstract load(): number | bigint;

  toJSON(): number | string {
    return jsonOf(this.load()) as number | string;
  }

  [INSPECT](): string {
    return `AtomicCell ${show(this.load())}`;
  }
}

class NumberCell extends Cell<Words> implements AtomicCell<number> {
  load(): number {
    return atomicLoad(this.words, this.index);
  }

  store(value: number): void {
    atomicStore(this.words, this.index, value);
  }

  add(value: number): number {
    return atomicAdd(this.words, this.index, value);
  }

  sub(value: number): number {
    return atomicSub(this.words, this.index, value);
  }

  and(value: number): number {
    return atomicAnd(this.words, this.index, value);
  }

  or(value: number): number {
    return atomicOr(this.words, this.index, value);
  }

  exchange(value: number): number {
    return atomicExchange(this.words, this.index, value);
  }

  compareExchange(expected: number, value: number): number {
    return compareExchange(this.words, this.index, expected, value);
  }

  protected get index(): number {
    return (this.place.address + this.offset) / 4;
  }
}

class SleepingCell extends NumberCell implements WaitableCell {
  wait(expected: number, timeout = Number.POSITIVE_INFINITY): WaitResult {
    return wait(this.words as Int32Array, this.index, expected, timeout);
  }

  notify(count = Number.POSITIVE_INFINITY): number {
    return notify(this.words as Int32Array, this.index, count);
  }
}

class BigCell extends Cell<BigWords> implements AtomicCell<bigint> {
  load(): bigint {
    return bigLoad(this.words, this.index);
  }

  store(value: bigint): void {
    bigStore(this.words, this.index, value);
  }

  add(value: bigint): bigint {
    return bigAdd(this.words, this.index, value);
  }

  sub(value: bigint): bigint {
    return bigSub(this.words, this.index, value);
  }

  and(value: bigint): bigint {
    return bigAnd(this.words, this.index, value);
  }

  or(value: bigint): bigint {
    return bigOr(this.words, this.index, value);
  }

  exchange(value: bigint): bigint {
    return bigExchange(this.words, this.index, value);
  }

  compareExchange(expected: bigint, value: bigint): bigint {
    return bigCompareExchange(this.words, this.index, expected, value);
  }

  protected get index(): number {
    return (this.place.address + this.offset) / 8;
  }
}

/** A field that is reached through an atomic cell. */
export class AtomicField<K extends AtomicKind = AtomicKind> extends Field {
  declare readonly [value]: AtomicCells[K];
  declare readonly [init]: ScalarValues[K];
  override readonly kind = 'atomic';
  override readonly size: number;
  override readonly align: number;
  /** The scalar that the word holds. */
  readonly scalar: K;

  constructor(scalar: ScalarField<K>) {
    super();
    this.scalar = scalar.kind;
    this.size = scalar.size;
    this.align = scalar.size;
  }

  override describe(): string {
    return `atomic(${this.scalar})`;
  }

  override bind({ memory }: StructStore): BoundField {
    const { scalar } = this;
    const cell = (place: Place, offset: number): NumberCell | BigCell => {
      if (scalar === 'i32') return new SleepingCell(memory.i32, place, offset);
      if (scalar === 'u32') return new NumberCell(memory.u32, place, offset);
      return new BigCell(scalar === 'i64' ? memory.i64 : memory.u64, place, offset);
    };
    const read = (address: number) => cell(new Place(address), 0);
    const write = (address: number, given: unknown): void => {
      const value = given instanceof NumberCell || given instanceof BigCell ? given.load() : given;
      read(address).store(value as never);
    };
    return { read, write, cell, json: (address) => read(address).toJSON() };
  }
}

/**
 * A field that several threads change at once: `p.count.add(1)`. It cannot be assigned to.
 *
 * @param field i32, u32, i64 or u64
 * @throws TypeError for any other field
 */
export function atomic<K extends AtomicKind>(field: ScalarField<K>): AtomicField<K> {
  if (field instanceof ScalarField && ['i32', 'u32', 'i64', 'u64'].includes(field.kind)) {
    return new AtomicField(field);
  }
  const got = field instanceof Field ? (field as Field).kind : show(field);
  throw new TypeError(`atomic takes i32, u32, i64 or u64; got ${got}`);
}
