/**
 * arc(T) and weak(T): fields that share a struct, and that link to a shared one without keeping it.
 *
 *     cell │ address ●─┼─▶ reference ●──▶ target: counts, payload        blocks: see counts.ts
 *
 *     arc(T)   reads as a view that borrows, or null. Takes an Arc, which moves in (`arc.clone()` keeps
 *              one); a view of what Arcs own, for one more owner of that; an object of field values, for a
 *              new struct; null. A copy of a struct thus shares what its arc fields share.
 *     weak(T)  reads as a view that borrows, or null when what it linked to is gone: `Weak.upgrade(view,
 *              'parent')` keeps it. Takes a Weak, which moves in; a view of what Arcs own; null.
 *
 * To copy a field's reference while another thread may replace it, hold a lock, as for all plain fields.
 */

import { HeapCorruptionError, hex } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import { openBinding, shellOf } from '../structs/binding.ts';
import { type BoundField, Field, type init, show, type taken, type value } from '../structs/field.ts';
import type { AnyStructType, Init, View } from '../structs/inference.ts';
import type { StructStore } from '../structs/store.ts';
import { type RowView, StructView } from '../structs/view.ts';
import { Arc, createShared, referenceTo, Weak } from './arc.ts';
import { checkTarget } from './box.ts';
import { isTarget, PAYLOAD, STRONG_KIND, strongCount, targetOf, WEAK_KIND } from './counts.ts';
import { link, loadOwned } from './owned-struct.ts';
import { type ContainerStore, homeOf } from './store.ts';

// V8 folds a module's private constants, but loads imported ones at each use.
const TO_PAYLOAD = PAYLOAD;
const AT_START: readonly number[] = Object.freeze([0]);

/** What arc and weak fields share. */
abstract class SharingField<T extends AnyStructType> extends Field {
  override readonly size = 4;
  override readonly align = 4;
  /** The type of what it shares. */
  readonly target: T;

  constructor(target: T) {
    super();
    this.target = target;
  }

  override get owning(): readonly number[] {
    return AT_START;
  }

  override describe(): string {
    return `${this.kind}(${JSON.stringify(this.target.name)})`;
  }

  /** The kind word of the references that the cell holds. */
  protected abstract readonly references: number;

  /** The reader of a cell: a view, null, or undefined for the cell of a deleted struct. */
  protected reader(store: StructStore, path: string): (cell: number) => RowView | null | undefined {
    const { references, target } = this;
    const home = homeOf(store as ContainerStore);
    // A shell: the target's layout may not be known yet, or be the one that is being bound.
    const shell = shellOf(target, store);
    const { View } = shell;
    const { u32 } = store.memory;
    return (cell) => {
      const reference = u32[cell >>> 2];
      if (reference === 0) return null;
      if (reference === undefined) return undefined;
      if (!shell.open) openBinding(target, store);
      if (u32[reference >>> 2] !== references) {
        throw new HeapCorruptionError(cell, `${path} holds ${hex(reference)}, where no reference lies`);
      }
      const shared = targetOf(home, reference);
      if (references === WEAK_KIND && strongCount(home, shared) === 0) return null;
      return new View(shared + TO_PAYLOAD);
    };
  }
}

/** A field that is one of the owners of a struct. */
export class ArcField<T extends AnyStructType = AnyStructType> extends SharingField<T> {
  declare readonly [value]: View<T> | null;
  declare readonly [init]: Arc<T> | View<T> | Init<T> | null;
  declare readonly [taken]: Arc<T>;
  override readonly kind = 'arc';
  protected override readonly references = STRONG_KIND;

  override bind(store: StructStore, path: string): BoundField {
    const home = homeOf(store as ContainerStore);
    const type = this.target;
    const shell = shellOf(type, store);
    const { u32 } = store.memory;
    const read = this.reader(store, path);
    const write = (cell: number, given: unknown): void => {
      // The view of a deleted struct has no cell: it writes nowhere.
      if (u32[cell >>> 2] === undefined) return;
      if (given === null) link(home, cell, 0);
      else if (given instanceof Arc) moveIn(given, type, home, cell, path);
      else {
        const shared = sharedBy(given, type, home);
        const reference =
          shared === undefined ? createShared(home, type, given) : referenceTo(home, shared, STRONG_KIND);
        link(home, cell, reference);
      }
    };
    const load = (cell: number): unknown => {
      const view = read(cell);
      return view ? loadOwned(shell, view.$place.address, true) : view;
    };
    const take = (cell: number): unknown => {
      const reference = home.takeOut(cell);
      return reference === 0 ? null : Arc.$own(home, reference, type);
    };
    return { read, write, load, take, json: (cell) => read(cell)?.toJSON() ?? null };
  }
}

/** A field that links to what Arcs own. */
export class WeakField<T extends AnyStructType = AnyStructType> extends SharingField<T> {
  declare readonly [value]: View<T> | null;
  declare readonly [init]: Weak<T> | View<T> | null;
  declare readonly [taken]: Weak<T>;
  override readonly kind = 'weak';
  protected override readonly references = WEAK_KIND;

  override bind(store: StructStore, path: string): BoundField {
    const home = homeOf(store as ContainerStore);
    const type = this.target;
    const { u32 } = store.memory;
    const read = this.reader(store, path);
    const write = (cell: number, given: unknown): void => {
      // The view of a deleted struct has no cell: it writes nowhere.
      if (u32[cell >>> 2] === undefined) return;
      if (given === null) link(home, cell, 0);
      else if (given instanceof Weak) moveIn(given, type, home, cell, path);
      else {
        const shared = sharedBy(given, type, home);
        if (shared === undefined) {
          throw new TypeError(
            `${path} takes a Weak, a view of what an Arc owns, or null; got ${show(given)}`,
          );
        }
        link(home, cell, referenceTo(home, shared, WEAK_KIND));
      }
    };
    const take = (cell: number): unknown => {
      const reference = home.takeOut(cell);
      return reference === 0 ? null : Weak.$own(home, reference, type);
    };
    // A link, not a part: a copy has null in its place, and JSON the address, as for a ref.
    const json = (cell: number): unknown => read(cell)?.address ?? null;
    return { read, write, load: () => null, take, json };
  }
}

/** The target whose payload a view shows; undefined when `given` is no such view. */
function sharedBy(given: unknown, type: AnyStructType, home: ContainerStore): Address | undefined {
  if (!(given instanceof StructView) || given.$row === undefined) return undefined;
  if (given.$row.store.layouts !== home.layouts || given.$row.type.hash !== type.hash) return undefined;
  const shared = (given as RowView).$place.address - TO_PAYLOAD;
  return isTarget(home, shared) ? (shared as Address) : undefined;
}

function moveIn(
  given: Arc | Weak,
  type: AnyStructType,
  home: ContainerStore,
  cell: number,
  path: string,
): void {
  if (given.type.hash !== type.hash) {
    throw new TypeError(
      `${path} shares a ${type.name}; got ${show(given)} of ${given.type.name ?? 'a container'}`,
    );
  }
  given.$moveInto(home, cell, path);
}

/**
 * A field that is one of the owners of a struct of type `target`, or owns nothing. For the struct itself, or
 * one that is defined later, write it in a getter: `get next() { return arc(Node); }`.
 *
 * @throws TypeError when `target` is no struct type
 */
export function arc<T extends AnyStructType>(target: T): ArcField<T> {
  checkTarget('arc', target);
  return new ArcField(target);
}

/**
 * A field that links to a struct that Arcs own, without keeping it: `get parent() { return weak(Node); }`.
 *
 * @throws TypeError when `target` is no struct type
 */
export function weak<T extends AnyStructType>(target: T): WeakField<T> {
  checkTarget('weak', target);
  return new WeakField(target);
}
