/**
 * Box: a struct in a block of its own, with one owner. The block is drawn in `owned-struct.ts`.
 *
 *     const box = Box.create(heap, Point, { x: 1 });
 *     box.value.x += 1;                       borrowed: good until the box is dropped or moved
 *     worker.postMessage(box.move());         this Box is of no use any more
 *     Box.open(heap, handle, Point)           in the other thread: it owns the struct now
 *
 *     struct Node │ value │ left box(Node) │      the field owns its struct: it is dropped with the node
 *                           u32 address of a block, 0 for none
 *
 * A field reads as a view that borrows, or null. It takes a Box, whose block moves in; a view or an object
 * of field values, which are copied into a new block; or null. `Box.take(view, 'left')` moves it out.
 * What a field held before is dropped once the new value is in place, so views of it are stale then.
 *
 * A Box that comes to own itself, through fields of its struct, is out of anyone's reach and leaks: link
 * back with `ref`, or share with Arc and Weak.
 */

import './field-words.ts';
import { HeapCorruptionError, hex } from '../errors.ts';
import { type Address, NULL } from '../memory/address.ts';
import { type Binding, openBinding, shellOf } from '../structs/binding.ts';
import { type BoundField, Field, type init, show, type taken, type value } from '../structs/field.ts';
import type { AnyStructType, Init, schema, View, ViewMembers } from '../structs/inference.ts';
import type { StructStore } from '../structs/store.ts';
import { addressOfHandle, type Handle, HEADER_BYTES } from './container.ts';
import { assignOwned, BOX, createOwned, freeOwned, isOwnValue, link, loadOwned } from './owned-struct.ts';
import {
  adopt,
  fieldOf,
  Owner,
  receive,
  type TakenFrom,
  type TakenNames,
  type target,
  typeAt,
} from './owner.ts';
import { type ContainerStore, homeOf } from './store.ts';

/** What `box.move()` gives: plain, cloneable, to be opened once. */
export interface BoxHandle<T extends AnyStructType = AnyStructType> extends Handle<'Box'> {
  /** Types only. */
  readonly [target]?: T;
}

/** A struct with one owner. Belongs to the thread that made or opened it. */
export class Box<T extends AnyStructType = AnyStructType> extends Owner {
  protected override readonly kind = 'Box';
  /** The struct's type. */
  readonly type: T;

  /** Use `create`, `open` or `fromAddress`. */
  private constructor(store: ContainerStore, address: Address, type: T) {
    super(store, address);
    this.type = type;
    this.begin();
  }

  /**
   * Makes a struct and its owner. Fields that `init` does not name are zero.
   *
   * @param store the heap; in an arena it can be used and dropped, but not handed off
   * @param init field values, or a view whose fields are copied
   * @throws OutOfMemoryError when there is no room
   * @throws TypeError when `init` names an unknown field or holds what a field does not take. What was
   *   moved into it is dropped then
   */
  static create<T extends AnyStructType>(store: ContainerStore, type: T, init?: Init<T> | View<T>): Box<T> {
    return new Box(store, createOwned(store, type, init), type);
  }

  /**
   * Receives what another thread (or this one) has sent with `move()`. Of several who try one gets it.
   *
   * @param type checked where given; else found by what the block says
   * @throws TypeError, AttachError when the handle is of something else, was opened before, or is stale
   */
  static open<T extends AnyStructType>(store: ContainerStore, handle: Handle<'Box'>, type: T): Box<T>;
  static open<T extends AnyStructType>(store: ContainerStore, handle: BoxHandle<T>): Box<T>;
  static open<T extends AnyStructType>(store: ContainerStore, handle: BoxHandle<T>, type?: T): Box<T> {
    const found = typeAt(store, addressOfHandle(store, handle, 'Box'), BOX, type);
    return new Box(store, receive(store, handle), found);
  }

  /**
   * Adopts what `intoAddress()` gave up. That nobody else adopts it is up to the caller.
   *
   * @throws RangeError, AttachError when no Box of the type lies there
   */
  static fromAddress<T extends AnyStructType>(store: ContainerStore, address: Address, type?: T): Box<T> {
    const found = typeAt(store, address, BOX, type);
    return new Box(store, adopt(store, address), found);
  }

  /**
   * Moves the struct out of a field `box(T)` or `union(…)` of a view. The field is null then.
   *
   * @returns null when the field is
   * @throws TypeError when the struct has no such field
   */
  // biome-ignore lint/suspicious/noExplicitAny: a Box of whatever struct
  static take<S extends AnyStructType, K extends TakenNames<S[typeof schema], Box<any>>>(
    view: ViewMembers<S>,
    field: K,
  ): TakenFrom<S[typeof schema][K]> | null {
    const { address, kind, field: bound, binding } = fieldOf(view, field, 'Box.take');
    if (kind !== 'box' && kind !== 'union') {
      throw new TypeError(`Box.take: ${binding.type.name}.${field} is ${kind}, not a box or union`);
    }
    return bound.take!(address) as never;
  }

  /** Makes a Box of a block that this thread has come to own. */
  static $own<T extends AnyStructType>(store: ContainerStore, address: Address, type: T): Box<T> {
    return new Box(store, address, type);
  }

  /**
   * The struct. The view borrows: after a drop or move it shows nothing.
   *
   * @throws UseAfterMoveError, ReferenceError when the Box owns nothing any more
   */
  get value(): View<T> {
    this.checkLive();
    return this.borrow(this.type, this.address + HEADER_BYTES);
  }

  /**
   * Sends the struct to whoever opens the handle: one of them gets it. This Box is of no use any more.
   *
   * @throws UseAfterMoveError, ReferenceError when the Box owns nothing any more
   * @throws TypeError when it lies in an arena
   */
  move(): BoxHandle<T> {
    return this.send();
  }

  /** That of the struct; null once dropped or moved. */
  toJSON(): unknown {
    return this.address === NULL ? null : this.value.toJSON();
  }

  protected override get what(): string {
    return `Box of ${this.type.name}`;
  }

  protected override end(address: Address): void {
    freeOwned(this.store, this.type, address);
  }

  override $moveInto(home: ContainerStore, cell: number, path: string): void {
    const { address, type } = this;
    if (this.store === home && cell >= address && cell < address + HEADER_BYTES + type.size) {
      throw new TypeError(`${path} cannot own the Box that it lies in`);
    }
    super.$moveInto(home, cell, path);
  }
}

// The field ------------------------------------------------------------------------------------------

/** A field that owns a struct. */
export class BoxField<T extends AnyStructType = AnyStructType> extends Field {
  declare readonly [value]: View<T> | null;
  declare readonly [init]: Box<T> | View<T> | Init<T> | null;
  declare readonly [taken]: Box<T>;
  override readonly kind = 'box';
  override readonly size = 4;
  override readonly align = 4;
  /** The type of what it owns. */
  readonly target: T;

  constructor(target: T) {
    super();
    this.target = target;
  }

  override get owning(): readonly number[] {
    return AT_START;
  }

  override describe(): string {
    return `box(${JSON.stringify(this.target.name)})`;
  }

  override bind(store: StructStore, path: string): BoundField {
    const home = homeOf(store as ContainerStore);
    const type = this.target;
    // A shell: the target's layout may not be known yet, or be the one that is being bound.
    const shell = shellOf(type, store);
    const { u32 } = store.memory;
    const payloadAt = (address: number): number | undefined => {
      const block = u32[address >>> 2];
      if (block === 0 || block === undefined) return block;
      if (!shell.open) openBinding(type, store);
      if (u32[block >>> 2] !== BOX_WORD) throw strayOwned(address, block, shell, path);
      return block + HEADER_BYTES;
    };
    const { View } = shell;
    const read = (address: number) => {
      const payload = payloadAt(address);
      return payload === 0 ? null : payload === undefined ? undefined : new View(payload);
    };
    const write = (address: number, given: unknown): void => {
      // The view of a deleted struct has no cell: it writes nowhere.
      if (u32[address >>> 2] === undefined) return;
      if (given === null) link(home, address, 0);
      else if (given instanceof Box) moveIn(given, [type], home, address, path);
      else if (!isOwnValue(home, address, given)) assignOwned(home, address, type, given);
    };
    const load = (address: number) => {
      const payload = payloadAt(address);
      return payload === 0 ? null : payload === undefined ? undefined : loadOwned(shell, payload);
    };
    const take = (address: number) => {
      const block = home.takeOut(address);
      return block === 0 ? null : Box.$own(home, block, type);
    };
    return { read, write, load, take, json: (address) => read(address)?.toJSON() ?? null };
  }
}

const AT_START: readonly number[] = Object.freeze([0]);
// V8 folds a module's private constants, but loads imported ones at each use.
const BOX_WORD = BOX;

/** Moves a Box into the cell of a field that owns one of `types`. */
export function moveIn(
  box: Box,
  types: readonly AnyStructType[],
  home: ContainerStore,
  cell: number,
  path: string,
): void {
  if (types[0] !== box.type && !types.some(({ hash }) => hash === box.type.hash)) {
    throw new TypeError(
      `${path} owns ${types.map(({ name }) => name).join(' or ')}; got a Box of ${box.type.name}`,
    );
  }
  box.$moveInto(home, cell, path);
}

/** The error for an owning cell that leads to no owned struct. */
export function strayOwned(
  cell: number,
  block: number,
  { type }: Binding,
  path: string,
): HeapCorruptionError {
  return new HeapCorruptionError(cell, `${path} holds ${hex(block)}, where no ${type.name} lies`);
}

/**
 * A field that owns a struct of type `target`, or nothing. For the struct itself, or one that is defined
 * later, write it in a getter: `get left() { return box(Node); }`.
 *
 * @throws TypeError when `target` is no struct type
 */
export function box<T extends AnyStructType>(target: T): BoxField<T> {
  checkTarget('box', target);
  return new BoxField(target);
}

/** Throws unless `target` is a struct type. */
export function checkTarget(field: string, target: unknown): asserts target is AnyStructType {
  if (target instanceof Field && target.kind === 'struct') return;
  const later =
    target === undefined
      ? `; for one that is defined later, use a getter: get next() { return ${field}(Node); }`
      : '';
  throw new TypeError(`${field} takes a struct type, got ${show(target)}${later}`);
}
