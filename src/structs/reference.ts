/**
 * ref: a nullable link to another struct of the same heap.
 *
 *     u32 │ address of the target, 0 for null │
 *
 * A ref never owns: who deletes the target has to clear the ref. Assigning a view stores its address,
 * after the target's block was marked as shared (its address now lies where any thread can read it).
 * Reading makes a view; `addressOf` gives the address alone and makes no garbage.
 */

import { HeapCorruptionError, hex } from '../errors.ts';
import { type Binding, openBinding, shellOf } from './binding.ts';
import { type BoundField, Field, type init, show, type value } from './field.ts';
import type { AnyStructType, View } from './inference.ts';
import { INSPECT } from './place.ts';
import type { StructStore } from './store.ts';
import { type RowView, StructView } from './view.ts';

/** A field that links to a struct. */
export class RefField<T extends AnyStructType = AnyStructType> extends Field {
  declare readonly [value]: View<T> | null;
  declare readonly [init]: View<T> | null;
  override readonly kind = 'ref';
  override readonly size = 4;
  override readonly align = 4;
  /** The type of what it links to. */
  readonly target: T;

  constructor(target: T) {
    super();
    this.target = target;
  }

  override describe(): string {
    return `ref(${JSON.stringify(this.target.name)})`;
  }

  override bind(store: StructStore, path: string): BoundField {
    // A shell: the target's layout may not be known yet, or be the one that is being bound.
    const target = shellOf(this.target, store);
    const { View } = target;
    const { u32 } = store.memory;
    const read = (address: number): RowView | null | undefined => {
      const to = u32[address >>> 2];
      if (to === 0) return null;
      if (to === undefined) return undefined;
      if (!target.open) openBinding(target.type, store);
      if ((to & target.mask) !== 0 || to > target.limit) throw strayRef(address, to, target, path);
      return new View(to);
    };
    const write = (address: number, given: unknown): void => {
      const to = given === null ? 0 : addressOfTarget(given, target, path);
      if (to !== 0) (store.layouts.home ?? store).tryShare(to as never);
      u32[address >>> 2] = to;
    };
    const show = (address: number) => {
      const to = u32[address >>> 2];
      return to === 0 || to === undefined ? null : new RefLabel(`${target.type.name} at ${hex(to)}`);
    };
    return { read, write, show, json: (address) => u32[address >>> 2] || null };
  }
}

/** How an inspector shows a ref: following it might never end. */
class RefLabel {
  readonly #label: string;

  constructor(label: string) {
    this.#label = label;
  }

  [INSPECT](): string {
    return `<${this.#label}>`;
  }
}

function addressOfTarget(given: unknown, target: Binding, path: string): number {
  const view = given as RowView;
  if (!(given instanceof StructView) || !isRowOf(target, view.$row)) {
    throw new TypeError(
      `${path} takes a view of ${target.type.name} in the same heap, or null; got ${named(given)}`,
    );
  }
  const to = view.$place.address;
  if (to > view.$row!.limit) throw new TypeError(`${path} cannot link to a deleted ${target.type.name}`);
  return to;
}

/** Two types of one name in one heap have one layout: the registry has seen to that. */
function isRowOf(target: Binding, row: Binding | undefined): boolean {
  if (row === target) return true;
  return (
    row !== undefined && row.store.layouts === target.store.layouts && row.type.name === target.type.name
  );
}

function named(given: unknown): string {
  if (!(given instanceof StructView)) return show(given);
  const { name } = given.$binding.type;
  return (given as RowView).$row === undefined
    ? `${name} in columns, which has no address`
    : `a view of ${name}`;
}

function strayRef(address: number, to: number, target: Binding, path: string): HeapCorruptionError {
  return new HeapCorruptionError(address, `${path} holds ${hex(to)}, where no ${target.type.name} can lie`);
}

/**
 * A field that links to a struct of type `target`, or to nothing. For the struct itself, or one that is
 * defined later, write it in a getter: `get next() { return ref(Node); }`.
 *
 * @throws TypeError when `target` is no struct type
 */
export function ref<T extends AnyStructType>(target: T): RefField<T> {
  if ((target as unknown) instanceof Field && target.kind === 'struct') return new RefField(target);
  const later =
    target === undefined
      ? '; for one that is defined later, use a getter: get next() { return ref(Node); }'
      : '';
  throw new TypeError(`ref takes a struct type, got ${show(target)}${later}`);
}
