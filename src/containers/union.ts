/**
 * union: a field that owns a struct of one of several types. The block is a Box's, and its layout hash
 * says which type it is.
 *
 *     const Shape = struct('Shape', { id: u32, form: union(Circle, Square) });
 *
 *     cell │ address ●─┼─▶ ┌ 'BOX_' ┬ hash of Circle ┬ a Circle ───┐
 *
 *     shape.form                                a view of the one that it is, or null; it borrows
 *     if (Circle.is(shape.form)) …              tells which, also for the compiler
 *     shape.set({ form: { type: Circle, init: { radius: 2 } } })       a new one
 *     shape.set({ form: Box.create(heap, Square, …) })                 moved in
 *     Box.take(shape, 'form')                   moved out
 *
 * In all else it behaves as `box(T)` does. What `load` gives has the form `{ type, init }` too.
 */

import { type Binding, openBinding, shellOf } from '../structs/binding.ts';
import { type BoundField, Field, type init, show, type taken, type value } from '../structs/field.ts';
import type { AnyStructType, Init, View } from '../structs/inference.ts';
import type { StructStore } from '../structs/store.ts';
import { type RowView, StructView } from '../structs/view.ts';
import { Box, checkTarget, moveIn, strayOwned } from './box.ts';
import { HEADER_BYTES } from './container.ts';
import { assignOwned, BOX, isOwnValue, link, loadOwned } from './owned-struct.ts';
import { type ContainerStore, homeOf } from './store.ts';

// A union of types has to become a union of views, so each member is looked at by itself.
type ViewOfEach<T> = T extends AnyStructType ? View<T> : never;
type InitOfEach<T> = T extends AnyStructType ? Box<T> | View<T> | Variant<T> : never;
type BoxOfEach<T> = T extends AnyStructType ? Box<T> : never;

/** A new struct of one of the types of a union. */
export interface Variant<T extends AnyStructType = AnyStructType> {
  readonly type: T;
  /** Its fields; those left out are zero. */
  readonly init?: Init<T> | View<T>;
}

/** A field that owns a struct of one of the types `T`. */
export class UnionField<T extends AnyStructType = AnyStructType> extends Field {
  declare readonly [value]: ViewOfEach<T> | null;
  declare readonly [init]: InitOfEach<T> | null;
  declare readonly [taken]: BoxOfEach<T>;
  override readonly kind = 'union';
  override readonly size = 4;
  override readonly align = 4;
  /** The types that it may own. */
  readonly targets: readonly T[];

  constructor(targets: readonly T[]) {
    super();
    this.targets = targets;
  }

  override get owning(): readonly number[] {
    return AT_START;
  }

  override describe(): string {
    return `union(${this.targets.map(({ name }) => JSON.stringify(name)).join()})`;
  }

  override bind(store: StructStore, path: string): BoundField {
    const home = homeOf(store as ContainerStore);
    const types = this.targets;
    const shells = types.map((type) => shellOf(type, store));
    const { u32 } = store.memory;
    const variantAt = (cell: number, block: number): Binding => {
      const hash = u32[(block >>> 2) + 1]!;
      for (const shell of shells) {
        if (!shell.open) openBinding(shell.type, store);
        if (shell.type.hash === hash && u32[block >>> 2] === BOX_WORD) return shell;
      }
      throw strayOwned(cell, block, shells[0]!, path);
    };
    const read = (address: number): RowView | null | undefined => {
      const block = u32[address >>> 2];
      if (block === 0) return null;
      return block === undefined ? undefined : new (variantAt(address, block).View)(block + HEADER_BYTES);
    };
    const write = (address: number, given: unknown): void => {
      // The view of a deleted struct has no cell: it writes nowhere.
      if (u32[address >>> 2] === undefined) return;
      if (given === null) link(home, address, 0);
      else if (given instanceof Box) moveIn(given, types, home, address, path);
      else if (!isOwnValue(home, address, given)) {
        const { type, init = NO_FIELDS } = variantOf(given, types, path);
        assignOwned(home, address, type, init);
      }
    };
    const load = (address: number): unknown => {
      const block = u32[address >>> 2];
      if (block === 0 || block === undefined) return block === 0 ? null : undefined;
      const shell = variantAt(address, block);
      return { type: shell.type, init: loadOwned(shell, block + HEADER_BYTES) };
    };
    const json = (address: number): unknown => {
      const view = read(address);
      return view ? { type: view.$binding.type.name, init: view.toJSON() } : null;
    };
    const take = (address: number): unknown => {
      const block = u32[address >>> 2];
      if (block === 0 || block === undefined) return null;
      const { type } = variantAt(address, block);
      return Box.$own(home, home.takeOut(address), type);
    };
    return { read, write, load, take, json };
  }
}

const AT_START: readonly number[] = Object.freeze([0]);
const NO_FIELDS = Object.freeze({});
// V8 folds a module's private constants, but loads imported ones at each use.
const BOX_WORD = BOX;

/** What was assigned to a union, as the type and the fields of a new struct. */
function variantOf(given: unknown, types: readonly AnyStructType[], path: string): Variant {
  if (given instanceof StructView) {
    const { type } = given.$binding;
    const own = types.find(({ hash }) => hash === type.hash);
    if (own !== undefined) return { type: own, init: given as never };
    throw refused(types, path, `a view of ${type.name}`);
  }
  const { type, init } = (given ?? NO_FIELDS) as Partial<Variant>;
  if ((type as unknown) instanceof Field && types.some(({ hash }) => hash === type!.hash)) {
    return { type: type!, ...(init === undefined ? {} : { init }) };
  }
  throw refused(types, path, show(given));
}

function refused(types: readonly AnyStructType[], path: string, got: string): TypeError {
  const names = types.map(({ name }) => name).join(' or ');
  return new TypeError(
    `${path} takes a Box or a view of ${names}, null, or { type: ${types[0]!.name}, init: { … } }; got ${got}`,
  );
}

/**
 * A field that owns a struct of one of the given types, or nothing. `A.is(view)` tells which it is. For
 * types that are defined later, write it in a getter: `get left() { return union(Leaf, Branch); }`.
 *
 * @throws TypeError when a type is no struct type, none is given, or one is given twice
 */
export function union<const T extends readonly [AnyStructType, ...AnyStructType[]]>(
  ...targets: T
): UnionField<T[number]> {
  if (targets.length === 0) throw new TypeError('union takes one struct type or more');
  for (const target of targets) checkTarget('union', target);
  const names = targets.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new TypeError(`union is given ${twice} twice`);
  return new UnionField<T[number]>(targets);
}
