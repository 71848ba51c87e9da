/**
 * Column views: an element of a structure of arrays, whose fields lie in a column each.
 *
 *     array of 4 Points, columns      │ x x x x │ y y y y │ id id id id │
 *     bases                           ▲         ▲         ▲
 *     field at bases[k] + index * size of field k
 *
 * They read and write like other views, at one more load and a multiplication per access. An element
 * has no address of its own, so it can be neither linked to nor deleted; `array.at(i, into)` moves it.
 */

import type { Binding } from './binding.ts';
import type { BoundField, RowAccessor } from './field.ts';
import { GUARD } from './place.ts';
import { adopt, atomicAssigned, type StructView } from './view.ts';

/** Where a column view stands: one shape for all struct types, as `Place` is for rows. */
export class ColumnPlace {
  // `declare`: see `Place`.
  declare index: number;
  /** The address of each column. */
  declare bases: readonly number[];
  declare readonly guard: symbol;

  constructor(index: number, bases: readonly number[]) {
    this.index = index;
    this.bases = bases;
    this.guard = GUARD;
  }
}

/** A view of an element of a structure of arrays. */
export interface ColumnView extends StructView {
  readonly $place: ColumnPlace;
}

/** Makes column views; does not check the index. */
export type ColumnClass = new (index: number, bases: readonly number[]) => ColumnView;

/** The class of a type's column views in one heap; made at first use. */
export function columnClassOf(binding: Binding): ColumnClass {
  binding.Column ??= makeColumnClass(binding);
  return binding.Column;
}

function makeColumnClass(binding: Binding): ColumnClass {
  class Column {
    declare readonly $place: ColumnPlace;
    constructor(index: number, bases: readonly number[]) {
      this.$place = new ColumnPlace(index, bases);
    }
  }
  adopt(Column, binding);
  const { fields, names } = binding;
  const sizes = binding.type.layout.fields.map(({ size }) => size);
  fields.forEach((field, index) => {
    const accessor = columnAccessor(binding, field, index, sizes[index]!);
    Object.defineProperty(Column.prototype, names[index]!, {
      enumerable: true,
      configurable: true,
      ...accessor,
    });
  });
  Object.defineProperty(Column.prototype, '$locate', {
    value(this: ColumnView, field: number): number {
      return this.$place.bases[field]! + this.$place.index * sizes[field]!;
    },
  });
  const refuse = () => {
    throw new TypeError(`an element of a columns array of ${binding.type.name} has no address of its own`);
  };
  Object.defineProperty(Column.prototype, 'address', { get: refuse, set: refuse });
  return Column as unknown as ColumnClass;
}

function columnAccessor(
  { type, names }: Binding,
  { read, write, cell }: BoundField,
  field: number,
  size: number,
): RowAccessor & ThisType<ColumnView> {
  return {
    get() {
      const { bases, index } = this.$place;
      return read(bases[field]! + index * size);
    },
    set(given: unknown) {
      if (cell !== undefined) throw atomicAssigned(type.name, names[field]!);
      const { bases, index } = this.$place;
      write(bases[field]! + index * size, given);
    },
  };
}
