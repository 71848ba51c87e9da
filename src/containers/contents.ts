/**
 * Contents: what a Mutex or RwLock guards, and how it is shown while the lock is held.
 *
 *     struct        a view of it                        hidden: reads undefined, writes nowhere
 *     other field   a cell: cell.value reads, sets      hidden: throws ReferenceError
 *
 * Whoever keeps what it was shown beyond the lock has nothing in hand: hiding moves it off the contents,
 * which costs one store. (What was read out of it, an array or a nested view, is not called back.)
 */

import './field-words.ts';
import type { Binding } from '../structs/binding.ts';
import { openBinding } from '../structs/binding.ts';
import { releaseView } from '../structs/deleted-view.ts';
import { dropOwned } from '../structs/drop.ts';
import { type BoundField, checkField, type Field } from '../structs/field.ts';
import type { AnyStructType, FieldInit, FieldValue, View } from '../structs/inference.ts';
import { GUARD, INSPECT, type Inspector, Place } from '../structs/place.ts';
import { fieldWithHash, hashOfField, registerLayout } from '../structs/schema.ts';
import type { RowView } from '../structs/view.ts';
import { hashAt } from './container.ts';
import { type ContainerStore, homeOf } from './store.ts';

/** Where a hidden cell stands. */
const HIDDEN = 0;

/** What a section under the lock gets: a view of a struct, a cell for any other field. */
export type Access<F extends Field> = Field extends F
  ? Loose
  : F extends AnyStructType
    ? View<F>
    : ValueCell<F>;
/** What `guard.value` gives: a view of a struct, the value of any other field. */
export type Guarded<F extends Field> = Field extends F
  ? Loose
  : F extends AnyStructType
    ? View<F>
    : FieldValue<F>;
/** What a lock guards that was opened without its field. */
// biome-ignore lint/suspicious/noExplicitAny: the bytes know the field, the compiler does not
type Loose = any;

/** The contents of a lock whose field is no struct, as long as the lock is held. */
export class ValueCell<F extends Field = Field> {
  /** Comes first, so that posting the cell throws at once. */
  readonly $guard: symbol = GUARD;
  readonly $place: Place;
  private readonly field: BoundField;

  constructor(field: BoundField, address: number) {
    this.field = field;
    this.$place = new Place(address);
  }

  /**
   * The value. Setting it copies; what an owning field held before is dropped.
   *
   * @throws ReferenceError when the lock is not held any more
   */
  get value(): FieldValue<F> {
    return this.field.read(this.where()) as FieldValue<F>;
  }

  set value(given: FieldInit<F>) {
    this.field.write(this.where(), given);
  }

  /** `{ value }` in terms of JSON; null when the lock is not held any more. */
  toJSON(): object | null {
    const { address } = this.$place;
    return address === HIDDEN ? null : { value: this.field.json(address) };
  }

  [INSPECT](_depth: number, options: object, inspect: Inspector): string {
    const shown = this.toJSON();
    return shown === null ? 'ValueCell (not held any more)' : `ValueCell ${inspect(shown, options)}`;
  }

  private where(): number {
    const { address } = this.$place;
    if (address === HIDDEN) throw new ReferenceError('the lock is not held any more');
    return address;
  }
}

/** What a guard of a lock says of itself. */
export function describeGuard({ bound, address }: Contents, held: boolean): object {
  return held ? { held, value: bound.json(address) } : { held };
}

/** What stands where the contents lie. */
export type Shown = (RowView | ValueCell) & { readonly $place: Place };

/** The contents of one lock, for one thread. */
export class Contents {
  readonly address: number;
  readonly bound: BoundField;
  readonly binding: Binding | undefined;
  /** Where what is hidden stands; -1 where that takes more than a store (a memory of 4 GiB). */
  readonly nowhere: number;
  private readonly home: ContainerStore;
  private readonly owning: readonly number[];

  constructor(store: ContainerStore, field: Field, address: number, path: string) {
    this.address = address;
    this.binding = isStruct(field) ? openBinding(field, store) : undefined;
    this.home = homeOf(store);
    this.owning = field.owning;
    this.bound = field.bind(this.home, path);
    this.nowhere = this.binding === undefined ? HIDDEN : (this.binding.nowhere ?? -1);
  }

  /** An object that shows the contents. */
  show(): Shown {
    return this.binding === undefined
      ? new ValueCell(this.bound, this.address)
      : new this.binding.View(this.address);
  }

  /** Shows them again. */
  reshow(shown: Shown): void {
    if (this.nowhere >= 0) shown.$place.address = this.address;
    else (shown as RowView).address = this.address;
  }

  /** Takes an object off the contents. */
  hide(shown: Shown): void {
    if (this.nowhere >= 0) shown.$place.address = this.nowhere;
    else releaseView(shown);
  }

  /** Drops what the value owns: that lies in the heap, wherever the lock does. */
  drop(): void {
    dropOwned(this.home, this.owning, this.address);
  }

  /** What `guard.value` gives. */
  valueOf(shown: Shown): unknown {
    return this.binding === undefined ? (shown as ValueCell).value : shown;
  }
}

/** The hash of a field, known to all threads from now on. */
export function registerField(store: ContainerStore, field: Field, maker: string): number {
  checkField(field, `${maker} takes a field`);
  return registerLayout(field, homeOf(store));
}

/** The field that a lock at `address` was made for: the one given, else the one that the heap names. */
export function fieldOf<F extends Field>(store: ContainerStore, address: number, field: F | undefined): F {
  return field ?? (fieldWithHash(hashAt(store, address as never), store) as F);
}

/** The hash that a given field must have; undefined when none was given. */
export function wantedHash(field: Field | undefined, opener: string): number | undefined {
  if (field === undefined) return undefined;
  checkField(field, `${opener} takes a field`);
  return hashOfField(field);
}

/** Writes the first value into zeroed bytes; drops what it wrote of it when it throws. */
export function initContents(store: ContainerStore, field: Field, address: number, init: unknown): void {
  if (init === undefined) return;
  try {
    field.bind(homeOf(store), field.kind).write(address, init);
  } catch (error) {
    dropOwned(homeOf(store), field.owning, address);
    throw error;
  }
}

function isStruct(field: Field): field is AnyStructType {
  return field.kind === 'struct';
}
