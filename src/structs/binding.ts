/**
 * Binding: a struct type in one heap, for one thread. Made at first use, kept in the thread's handle
 * of the heap's layout registry, found again by the type's id in one array read.
 *
 *     registry.shells[id]  a view class without accessors, which refs can make views with
 *         │ openBinding: resolve the layout, register it in the shared bytes, bind the fields
 *         ▼
 *     registry.bound[id]   the same, with accessors: what `at`, `array` and `create` ask for
 *
 * Two steps, because structs link to each other and to themselves: binding a ref needs the target's
 * class, but neither its layout nor its fields.
 */

import { ADDRESS_LIMIT, alignUp, UNIT } from '../memory/address.ts';
import type { ColumnClass } from './column-view.ts';
import { type BoundField, show } from './field.ts';
import type { AnyStructType } from './inference.ts';
import { checkStore, type StructStore } from './store.ts';
import { defineRowAccessors, makeRowClass, type RowClass } from './view.ts';

/** A struct type in one heap. */
export class Binding {
  readonly type: AnyStructType;
  readonly store: StructStore;
  /** Makes views; does not check the address. */
  readonly View: RowClass;
  /** Makes the views of columns arrays; made when the first such array is. */
  Column: ColumnClass | undefined;
  /** Whether the rest is filled in. */
  open = false;
  /** Bytes. */
  size = 0;
  /** Whether it owns anything. */
  owns = false;
  /** Alignment - 1: address bits that must be 0. */
  mask = 0;
  /** The last address where the struct has room; above it views count as deleted. */
  limit = -1;
  /** In the order of the schema, as all the lists here. */
  fields: readonly BoundField[] = [];
  names: readonly string[] = [];
  offsets: readonly number[] = [];

  constructor(type: AnyStructType, store: StructStore) {
    this.type = type;
    this.store = store;
    this.View = makeRowClass(this);
  }

  /**
   * An address at which every access misses the memory: where the views of deleted structs stand.
   * Undefined when the memory leaves no such addresses below 4 GiB.
   */
  get nowhere(): number | undefined {
    const address = ADDRESS_LIMIT - alignUp(this.size, UNIT);
    return address >= this.store.memory.byteLength ? address : undefined;
  }
}

/** The type's class in this heap, with or without accessors yet. */
export function shellOf(type: AnyStructType, store: StructStore): Binding {
  const { shells } = store.layouts;
  const known = shells.get(type.id);
  if (known !== undefined) return known;
  const shell = new Binding(type, store.layouts.home ?? store);
  shells.set(type.id, shell);
  return shell;
}

/**
 * The type in this heap, ready for use. Hot paths look at `store.layouts.bound[type.id]` first.
 *
 * @throws TypeError when `store` is no heap or `type` no struct, when the layout cannot be resolved, or the heap
 *   holds another one of this name
 * @throws OutOfMemoryError when the heap has no room to register the layout
 */
export function openBinding(type: AnyStructType, store: StructStore): Binding {
  checkStore(store);
  if (type?.kind !== 'struct') throw new TypeError(`a struct type is wanted, got ${show(type)}`);
  const binding = shellOf(type, store);
  if (!binding.open) fill(binding, type, store);
  const { bound } = store.layouts;
  while (bound.length <= type.id) bound.push(undefined);
  bound[type.id] = binding;
  return binding;
}

function fill(binding: Binding, type: AnyStructType, store: StructStore): void {
  const { size, align, fields } = type.layout;
  store.layouts.register(type, store);
  binding.fields = fields.map(({ field, name }) => field.bind(binding.store, `${type.name}.${name}`));
  binding.names = fields.map(({ name }) => name);
  binding.offsets = fields.map(({ offset }) => offset);
  binding.size = size;
  binding.owns = type.owning.length > 0;
  binding.mask = align - 1;
  binding.limit = store.memory.byteLength - size;
  defineRowAccessors(binding);
  binding.open = true;
}
