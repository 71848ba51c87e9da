/**
 * Owner: what Box, Arc, Weak and Rc share. One object that owns one block, until it gives it up.
 *
 *            ┌── drop(), Symbol.dispose ──▶ dropped    the block is freed, with all that it owns
 *     owns ──┼── move() ──────────────────▶ moved      FLIGHT: one other thread's open() receives it
 *            ├── intoAddress() ───────────▶ moved      SHARED: fromAddress() adopts it
 *            └── put into a field ────────▶ moved      SHARED: the field owns it
 *
 * Disposing twice, or after a move, does nothing; every other use of an owner that owns no more throws.
 * Views that `value` gave show nothing from then on (unless they were moved elsewhere).
 * An owner belongs to the thread that made it; posting it throws DataCloneError.
 */

import { AttachError, hex, UseAfterMoveError } from '../errors.ts';
import { type Address, NULL } from '../memory/address.ts';
import { releaseView } from '../structs/deleted-view.ts';
import type { taken } from '../structs/field.ts';
import type { AnyStructType, View } from '../structs/inference.ts';
import { INSPECT, type Inspector, type Place } from '../structs/place.ts';
import { fieldWithHash } from '../structs/schema.ts';
import { viewAt } from '../structs/struct.ts';
import { type RowView, rowOf, type StructView, unknownField } from '../structs/view.ts';
import { Container, checkHeader, type Handle, hashAt, makeHandle } from './container.ts';
import { forgetOwner, noteOwner, warnsOfLeaks } from './leaks.ts';
import { link } from './owned-struct.ts';
import { type ContainerStore, homeOf } from './store.ts';

/** Types only: what a handle gives when it is opened. */
export declare const target: unique symbol;

/** The names of a struct's fields that an owner of class `O` can be taken out of. */
export type TakenNames<S, O> = {
  [K in keyof S]: S[K] extends { readonly [taken]: O } ? K : never;
}[keyof S] &
  string;
/** The owner that a field gives. */
export type TakenFrom<F> = F extends { readonly [taken]: infer O } ? O : never;

/** An object that owns a block of the heap. */
export abstract class Owner extends Container {
  /** As {@link drop}: `using box = Box.create(…)`. Only where `Symbol.dispose` is. */
  declare readonly [Symbol.dispose]: () => void;
  #moved = false;
  /** The view that `value` gave last, where it stands now, and where it stood. */
  #view: View<AnyStructType> | undefined;
  #place: Place | undefined;
  #borrowed = 0;

  /** As people say it: `'Box of Point'`. */
  protected abstract get what(): string;

  /** Frees what was owned. */
  protected abstract end(address: Address): void;

  /** Has this object warned of when it leaks. Constructors call it last, when `what` is known. */
  protected begin(): void {
    if (warnsOfLeaks()) noteOwner(this, this.what, this.address);
  }

  /** Whether what was owned belongs to somebody else now. */
  get moved(): boolean {
    return this.#moved;
  }

  /**
   * An owner has no handle that could be had twice.
   *
   * @throws TypeError that says what to call instead
   */
  override get handle(): never {
    throw new TypeError(`the ${this.what} has one owner: move() gives a handle and the ownership with it`);
  }

  /** Frees the block and drops what it owns, however deep. Does nothing after a drop or a move. */
  drop(): void {
    if (this.address === NULL) return;
    this.end(this.leave(false));
  }

  /** As {@link drop}: an owner cannot be closed and keep its block. */
  override release(): void {
    this.drop();
  }

  /**
   * Gives up the block by its address, for `fromAddress`. It is marked as SHARED, which belongs to no
   * thread, so it outlives this one; nobody drops it unless somebody adopts it, exactly once.
   *
   * @throws UseAfterMoveError, ReferenceError when it owns nothing any more
   */
  intoAddress(): Address {
    this.checkLive();
    this.store.tryShare(this.address);
    return this.leave(true);
  }

  /**
   * Lets the cell of a field own the block. Fields call it.
   *
   * @param path the field, for messages
   * @throws TypeError when the block lies in an arena or in another heap
   */
  $moveInto(home: ContainerStore, cell: number, path: string): void {
    this.checkLive();
    if (this.store !== home) {
      const where = homeOf(this.store) === home ? 'an arena' : 'another heap';
      throw new TypeError(`${path} cannot own a ${this.what} that lies in ${where}`);
    }
    link(home, cell, this.leave(true));
  }

  /** Sends the block to whoever opens the handle. */
  protected send<H extends Handle>(): H {
    this.checkLive();
    const handle = makeHandle(this.store, this.kind, this.address);
    if (!this.store.trySend(this.address)) {
      throw new TypeError(`${this.what} at ${hex(this.address)} lies in an arena: it cannot be handed off`);
    }
    this.leave(true);
    return handle as H;
  }

  /** A view of the struct at `address`: the same each time, as long as it stays there. */
  protected borrow<T extends AnyStructType>(type: T, address: number): View<T> {
    // The caller may have moved the view elsewhere.
    if (this.#place?.address === address) return this.#view as View<T>;
    const view = viewAt(type, this.store, address);
    this.#view = view;
    this.#place = (view as unknown as RowView).$place;
    this.#borrowed = address;
    return view;
  }

  protected override checkLive(): void {
    if (this.address !== NULL) return;
    if (this.#moved) throw new UseAfterMoveError(this.what);
    throw new ReferenceError(`this ${this.what} was dropped`);
  }

  /** Ends what this object owns. Returns the block. */
  protected leave(moved: boolean): Address {
    const { address } = this;
    this.#moved = moved;
    forgetOwner(this);
    if (this.#place?.address === this.#borrowed) releaseView(this.#view!);
    this.#view = undefined;
    this.#place = undefined;
    super.release();
    return address;
  }

  [INSPECT](depth: number, options: object, inspect: Inspector): string {
    if (this.address === NULL) return `${this.what} (${this.#moved ? 'moved' : 'dropped'})`;
    const { value } = this as { value?: unknown };
    return value === undefined
      ? this.what
      : `${this.kind}(${inspect(value, { ...options, depth: depth - 1 })})`;
  }
}

if (Symbol.dispose !== undefined) {
  Object.defineProperty(Owner.prototype, Symbol.dispose, {
    value(this: Owner): void {
      this.drop();
    },
  });
}

/**
 * Receives the block that a handle of `move()` stands for.
 *
 * @throws AttachError when another thread has received it already
 */
export function receive(store: ContainerStore, { kind, address, generation }: Handle): Address {
  if (store.tryReceive(address, generation)) return address;
  throw new AttachError(`the ${kind} at ${hex(address)} is not on its way: it was received already`);
}

/**
 * Adopts what `intoAddress()` gave up.
 *
 * @throws AttachError when no block starts there
 */
export function adopt(store: ContainerStore, address: Address): Address {
  if (store.tryAdopt(address)) return address;
  throw new AttachError(`no live block starts at ${hex(address)}`);
}

/**
 * The struct type that the block of a kind at `address` was made for.
 *
 * @param type checked where given; else the one that this thread has declared
 * @throws RangeError, AttachError when it is something else
 */
export function typeAt<T extends AnyStructType>(
  store: ContainerStore,
  address: Address,
  word: number,
  type: T | undefined,
): T {
  checkHeader(store, address, word, type?.hash);
  return type ?? (fieldWithHash(hashAt(store, address), store) as unknown as T);
}

/** Where a field of a view lies, and its reader and writer. Throws for an unknown name. */
export function fieldOf(view: object, name: string, act: string) {
  const binding = rowOf(view, act);
  const index = binding.type.layout.indexes.get(name);
  if (index === undefined) throw unknownField(binding.type, name);
  const address = (view as StructView).$locate(index);
  const { kind } = binding.type.layout.fields[index]!;
  return { address, kind, field: binding.fields[index]!, binding };
}
