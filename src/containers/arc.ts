/**
 * Arc: a struct, or a container, with many owners in any threads. Weak: a link to it that does not own.
 * The blocks are drawn in `counts.ts`.
 *
 *     const arc = Arc.create(heap, Config, { port: 80 });
 *     worker.postMessage(arc.clone().move());        each thread has a reference of its own
 *     using mine = Arc.open(heap, handle, Config);   in the other thread
 *     mine.value.port;                               borrowed: good until `mine` is dropped
 *
 *     Arc ● ─▶ reference ●─┐                         Weak ● ─▶ reference ● ─ ─┐
 *     Arc ● ─▶ reference ●─┴─▶ target: counts, payload ◀ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┘
 *
 * The last Arc that is dropped drops the payload with all that it owns; its block goes with the last Weak.
 * Arcs that own each other in a circle never go: let one of them be a Weak.
 *
 * The counts are safe among threads, the payload is not guarded: put a Mutex or atomics into it.
 * An Arc object belongs to its thread, and references lie in the heap, also for an Arc made in an arena.
 */

import './field-words.ts';
import { HeapCorruptionError, hex, OutOfMemoryError } from '../errors.ts';
import { type Address, NULL } from '../memory/address.ts';
import { dropBlock, dropOwned } from '../structs/drop.ts';
import { Field } from '../structs/field.ts';
import type { AnyStructType, Init, schema, View, ViewMembers } from '../structs/inference.ts';
import { hashOfField, registerLayout } from '../structs/schema.ts';
import { addressOfHandle, type Container, checkHeader, type Handle, hashAt } from './container.ts';
import {
  addReference,
  beginCounting,
  checkTarget,
  layReference,
  layTarget,
  MOST_REFERENCES,
  PAYLOAD,
  STRONG_KIND,
  strongCount,
  targetOf,
  WEAK_KIND,
  weakCount,
} from './counts.ts';
import { OWNED_POINTER } from './owned-pointer.ts';
import { bindingIn, fill } from './owned-struct.ts';
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

/** What opens a container at an address: `SharedMap.type(string, u64)`, say. */
export interface ContainerType<V = unknown> {
  at(store: ContainerStore, address: Address): V;
}
/** What an Arc can own: a struct type, or what opens a container. */
export type ArcTarget = AnyStructType | ContainerType;
/** What `value` gives. */
export type ArcValue<T> = T extends AnyStructType ? View<T> : T extends ContainerType<infer V> ? V : never;

/** What `arc.move()` gives: plain, cloneable, to be opened once. */
export interface ArcHandle<T extends ArcTarget = AnyStructType> extends Handle<'Arc'> {
  /** Types only. */
  readonly [target]?: T;
}

/** What `weak.move()` gives. */
export interface WeakHandle<T extends ArcTarget = AnyStructType> extends Handle<'Weak'> {
  /** Types only. */
  readonly [target]?: T;
}

type UpgradedFrom<F> = TakenFrom<F> extends Weak<infer T> ? Arc<T> : never;

/** Objects of containers that Arcs own. */
const shared = new WeakSet<Partial<Container>>();

/** What Arc and Weak share: a reference block that names a target. */
abstract class Counted<T extends ArcTarget> extends Owner {
  /** The struct's type, or what opens the container. */
  readonly type: T;
  /** Where the counts are. */
  protected readonly target: Address;

  protected constructor(store: ContainerStore, reference: Address, type: T) {
    const home = homeOf(store);
    super(home, reference);
    this.type = type;
    this.target = targetOf(home, reference);
  }

  /** How many Arcs there are. It may have changed when you look at it. */
  get strongCount(): number {
    this.checkLive();
    return strongCount(this.store, this.target);
  }

  /** How many Weaks there are. It may have changed when you look at it. */
  get weakCount(): number {
    this.checkLive();
    return weakCount(this.store, this.target);
  }

  protected override get what(): string {
    const { kind, type } = this;
    return isStruct(type) ? `${kind} of ${type.name}` : `${kind} of a container`;
  }

  protected override end(address: Address): void {
    dropBlock(this.store, address);
  }
}

/** A struct or container with many owners: this is one of them. Each belongs to one thread. */
export class Arc<T extends ArcTarget = AnyStructType> extends Counted<T> {
  protected override readonly kind = 'Arc';
  #container: Partial<Container> | undefined;

  /** Use `create`, `of`, `open` or `clone`. */
  private constructor(store: ContainerStore, reference: Address, type: T) {
    super(store, reference, type);
    this.begin();
  }

  /**
   * Makes a struct and its first owner. Fields that `init` does not name are zero.
   *
   * @throws OutOfMemoryError when there is no room
   * @throws TypeError when `init` names an unknown field or holds what a field does not take
   */
  static create<T extends AnyStructType>(store: ContainerStore, type: T, init?: Init<T> | View<T>): Arc<T> {
    return new Arc(store, createShared(homeOf(store), type, init), type);
  }

  /**
   * Gives a container many owners: it is destroyed with the last of them. Do not destroy it otherwise.
   * This thread's object becomes the Arc's: it is closed when the Arc is dropped. Clones open their own.
   *
   * @throws TypeError when it is no container of this heap, lies in an arena, or has an owner already: an
   *   Arc, or the field of a struct
   */
  static of<C extends Container>(store: ContainerStore, container: C): Arc<ContainerType<C>> {
    const home = homeOf(store);
    const { address } = container.handle;
    if ((container as unknown as Arc).store !== home) {
      throw new TypeError(`Arc.of takes a container that lies in a block of heap ${home.id}`);
    }
    if (container.$isOwned || shared.has(container)) {
      throw new TypeError(`the container at ${hex(address)} has an owner already: Arc.of would be a second`);
    }
    const fill = (payload: number): void => {
      home.memory.u32[payload >>> 2] = address;
    };
    const hash = registerLayout(OWNED_POINTER, home);
    const type = container.constructor as unknown as ContainerType<C>;
    const arc = new Arc(home, makeShared(home, hash, OWNED_POINTER.size, 'a container', fill), type);
    arc.#container = container;
    shared.add(container);
    return arc;
  }

  /**
   * Receives the reference that another thread has sent with `move()`. Of several who try one gets it.
   *
   * @param type checked where given; else a struct type is found by what the block says. A container's
   *   has to be given: `SharedMap.type(string, u64)`
   * @throws TypeError, AttachError when the handle is of something else, was opened before, or is stale
   */
  static open<T extends ArcTarget>(store: ContainerStore, handle: Handle<'Arc'>, type: T): Arc<T>;
  static open<T extends ArcTarget>(store: ContainerStore, handle: ArcHandle<T>): Arc<T>;
  static open<T extends ArcTarget>(store: ContainerStore, handle: ArcHandle<T>, type?: T): Arc<T> {
    const found = openType(store, addressOfHandle(store, handle, 'Arc'), STRONG_KIND, type);
    return new Arc(store, receive(store, handle), found);
  }

  /**
   * Adopts the reference that `intoAddress()` gave up. That nobody else adopts it is up to the caller.
   *
   * @throws RangeError, AttachError when no Arc of the type lies there
   */
  static fromAddress<T extends ArcTarget>(store: ContainerStore, address: Address, type?: T): Arc<T> {
    const found = openType(store, address, STRONG_KIND, type);
    return new Arc(store, adopt(store, address), found);
  }

  /**
   * What `roots` open: a clone of the reference that the root stands for.
   *
   *     heap.roots.openOrCreate('config', Arc.type(Config), () => Arc.create(heap, Config).intoAddress());
   *
   * The root's own reference stays with it.
   */
  static type<T extends ArcTarget>(type: T): ContainerType<Arc<T>> {
    const at = (store: ContainerStore, address: Address): Arc<T> => {
      const found = openType(store, address, STRONG_KIND, type);
      const home = homeOf(store);
      return new Arc(home, cloneReference(home, address, STRONG_KIND), found);
    };
    return { at };
  }

  /** Whether two Arcs own the same. */
  static isSame<T extends ArcTarget>(one: Arc<T>, other: Arc<T>): boolean {
    one.checkLive();
    other.checkLive();
    return one.target === other.target && one.store.id === other.store.id;
  }

  /**
   * Another owner of what the field `arc(T)` of a view owns; null when it owns nothing.
   *
   * @throws TypeError when the struct has no such field
   */
  static clone<S extends AnyStructType, K extends TakenNames<S[typeof schema], Arc>>(
    view: ViewMembers<S>,
    field: K,
  ): TakenFrom<S[typeof schema][K]> | null {
    const { address, type, home } = fieldOfKind(view, field, 'Arc.clone', 'arc');
    const reference = home.memory.u32[address >>> 2]!;
    if (reference === 0) return null;
    return new Arc(home, cloneReference(home, reference, STRONG_KIND), type) as never;
  }

  /**
   * Moves the owner out of a field `arc(T)` of a view. The field is null then.
   *
   * @returns null when the field is
   * @throws TypeError when the struct has no such field
   */
  static take<S extends AnyStructType, K extends TakenNames<S[typeof schema], Arc>>(
    view: ViewMembers<S>,
    field: K,
  ): TakenFrom<S[typeof schema][K]> | null {
    const { address, bound } = fieldOfKind(view, field, 'Arc.take', 'arc');
    return bound.take!(address) as never;
  }

  /** Makes an Arc of a reference that this thread has come to own. */
  static $own<T extends ArcTarget>(store: ContainerStore, reference: Address, type: T): Arc<T> {
    return new Arc(store, reference, type);
  }

  /**
   * The struct, as a view that borrows: after a drop or move it shows nothing. Or the container.
   *
   * @throws UseAfterMoveError, ReferenceError when the Arc owns nothing any more
   * @throws TypeError when it is of a container and was opened without its type
   */
  get value(): ArcValue<T> {
    this.checkLive();
    const { type, target } = this;
    if (isStruct(type)) return this.borrow(type, target + PAYLOAD) as never;
    if ((type as unknown) === OWNED_POINTER) {
      throw new TypeError(
        'this Arc owns a container: open it with the type, Arc.open(heap, handle, SharedMap.type(…))',
      );
    }
    const { u32 } = this.store.memory;
    if (this.#container === undefined) {
      this.#container = type.at(this.store, u32[(target + PAYLOAD) >>> 2] as Address) as Partial<Container>;
      shared.add(this.#container);
    }
    return this.#container as never;
  }

  /**
   * Another owner of the same.
   *
   * @throws OutOfMemoryError when there is no room for a reference
   * @throws RangeError when there are 16,777,215 already
   * @throws LockTimeoutError when another thread does not get done with its counting
   */
  clone(): Arc<T> {
    this.checkLive();
    return new Arc(this.store, cloneReference(this.store, this.address, STRONG_KIND), this.type);
  }

  /** A link that does not own, and can be turned into an Arc as long as there is one. Throws as `clone`. */
  downgrade(): Weak<T> {
    this.checkLive();
    return Weak.$own(this.store, cloneReference(this.store, this.address, WEAK_KIND), this.type);
  }

  /**
   * Sends this reference to whoever opens the handle: one of them gets it. This Arc is of no use any more;
   * to keep one, `arc.clone().move()`.
   *
   * @throws UseAfterMoveError, ReferenceError when the Arc owns nothing any more
   */
  move(): ArcHandle<T> {
    this.#releaseContainer();
    return this.send();
  }

  override intoAddress(): Address {
    this.#releaseContainer();
    return super.intoAddress();
  }

  /** That of the value; null once dropped or moved. */
  toJSON(): unknown {
    if (this.address === NULL) return null;
    const { value } = this as { value: { toJSON?(): unknown } };
    return value.toJSON?.();
  }

  protected override end(address: Address): void {
    this.#releaseContainer();
    super.end(address);
  }

  #releaseContainer(): void {
    this.#container?.$closeObject?.();
    this.#container = undefined;
  }
}

/** A link to what Arcs own, which does not keep it. Belongs to one thread. */
export class Weak<T extends ArcTarget = AnyStructType> extends Counted<T> {
  protected override readonly kind = 'Weak';

  /** Use `arc.downgrade()`. */
  private constructor(store: ContainerStore, reference: Address, type: T) {
    super(store, reference, type);
    this.begin();
  }

  /** As `Arc.open`, for what `weak.move()` gave. */
  static open<T extends ArcTarget>(store: ContainerStore, handle: Handle<'Weak'>, type: T): Weak<T>;
  static open<T extends ArcTarget>(store: ContainerStore, handle: WeakHandle<T>): Weak<T>;
  static open<T extends ArcTarget>(store: ContainerStore, handle: WeakHandle<T>, type?: T): Weak<T> {
    const found = openType(store, addressOfHandle(store, handle, 'Weak'), WEAK_KIND, type);
    return new Weak(store, receive(store, handle), found);
  }

  /** As `Arc.fromAddress`, for what `weak.intoAddress()` gave. */
  static fromAddress<T extends ArcTarget>(store: ContainerStore, address: Address, type?: T): Weak<T> {
    const found = openType(store, address, WEAK_KIND, type);
    return new Weak(store, adopt(store, address), found);
  }

  /**
   * An Arc of what the field `weak(T)` of a view links to; null when that is gone, or was never set.
   *
   * @throws TypeError when the struct has no such field
   */
  static upgrade<S extends AnyStructType, K extends TakenNames<S[typeof schema], Weak>>(
    view: ViewMembers<S>,
    field: K,
  ): UpgradedFrom<S[typeof schema][K]> | null {
    const { address, type, home } = fieldOfKind(view, field, 'Weak.upgrade', 'weak');
    const reference = home.memory.u32[address >>> 2]!;
    if (reference === 0 || strongCount(home, targetOf(home, reference)) === 0) return null;
    const made = tryCloneReference(home, reference, STRONG_KIND);
    return made === NULL ? null : (Arc.$own(home, made, type) as never);
  }

  /** Makes a Weak of a reference that this thread has come to own. */
  static $own<T extends ArcTarget>(store: ContainerStore, reference: Address, type: T): Weak<T> {
    return new Weak(store, reference, type);
  }

  /**
   * A new Arc, or undefined when the last one is gone.
   *
   * @throws OutOfMemoryError, RangeError, LockTimeoutError as `Arc.clone`
   */
  upgrade(): Arc<T> | undefined {
    this.checkLive();
    if (strongCount(this.store, this.target) === 0) return undefined;
    const reference = tryCloneReference(this.store, this.address, STRONG_KIND);
    return reference === NULL ? undefined : Arc.$own(this.store, reference, this.type);
  }

  /** Another link to the same. Throws as `Arc.clone`. */
  clone(): Weak<T> {
    this.checkLive();
    return new Weak(this.store, cloneReference(this.store, this.address, WEAK_KIND), this.type);
  }

  /** As `arc.move()`. */
  move(): WeakHandle<T> {
    return this.send();
  }

  /** Where what it links to lies; null when that is gone, and once dropped or moved. */
  toJSON(): number | null {
    return this.address === NULL || this.strongCount === 0 ? null : this.target + PAYLOAD;
  }
}

// References -----------------------------------------------------------------------------------------

/**
 * A new struct with one reference.
 *
 * @returns the reference
 */
export function createShared(home: ContainerStore, type: AnyStructType, init: unknown): Address {
  const binding = bindingIn(type, home);
  return makeShared(home, type.hash, binding.size, `an Arc of ${type.name}`, (payload) => {
    if (init !== undefined) fill(binding, payload, init);
  });
}

function makeShared(
  home: ContainerStore,
  hash: number,
  size: number,
  what: string,
  fill: (payload: number) => void,
): Address {
  const target = layTarget(home, hash, size);
  if (target === NULL) throw new OutOfMemoryError(PAYLOAD + size, what);
  let reference: Address = NULL;
  try {
    reference = layReference(home, STRONG_KIND, hash);
    if (reference === NULL) throw new OutOfMemoryError(PAYLOAD, what);
    fill(target + PAYLOAD);
  } catch (error) {
    dropOwned(home, home.layouts.find(hash)!.owning, target + PAYLOAD);
    home.free(target);
    home.free(reference);
    throw error;
  }
  beginCounting(home, target, reference);
  return reference;
}

/**
 * Another reference to what `reference` names.
 *
 * @param kind STRONG_KIND or WEAK_KIND
 */
export function cloneReference(home: ContainerStore, reference: number, kind: number): Address {
  const made = tryCloneReference(home, reference, kind);
  if (made === NULL) {
    throw new HeapCorruptionError(targetOf(home, reference), 'a count of references is too low');
  }
  return made;
}

/** The same; NULL when the payload was dropped. */
export function tryCloneReference(home: ContainerStore, reference: number, kind: number): Address {
  return referenceTo(home, targetOf(home, reference), kind);
}

/** A new reference to a target; NULL when its payload was dropped. */
export function referenceTo(home: ContainerStore, shared: Address, kind: number): Address {
  const made = layReference(home, kind, hashAt(home, shared));
  if (made === NULL) throw new OutOfMemoryError(PAYLOAD, 'a reference');
  let added = false;
  try {
    added = addReference(home, shared, made);
  } finally {
    if (!added) home.free(made);
  }
  if (added) return made;
  if (kind === STRONG_KIND && strongCount(home, shared) === 0) return NULL;
  throw new RangeError(
    `what lies at ${hex(shared)} has ${MOST_REFERENCES} references, the most that are counted`,
  );
}

function openType<T extends ArcTarget>(store: ContainerStore, reference: Address, kind: number, type?: T): T {
  const isOfStruct = type === undefined || isStruct(type);
  const found = isOfStruct ? (typeAt(store, reference, kind, type as never) as T) : type;
  if (!isOfStruct) checkHeader(store, reference, kind, hashOfField(OWNED_POINTER));
  checkTarget(store, reference);
  return found;
}

function isStruct(type: ArcTarget): type is AnyStructType {
  return type instanceof Field && (type as Field).kind === 'struct';
}

function fieldOfKind(view: object, name: string, act: string, wanted: 'arc' | 'weak') {
  const { address, kind, field: bound, binding } = fieldOf(view, name, act);
  if (kind !== wanted) throw new TypeError(`${act}: ${binding.type.name}.${name} is ${kind}, not ${wanted}`);
  const { field } = binding.type.layout.fields[binding.names.indexOf(name)]!;
  const home = homeOf(binding.store as ContainerStore);
  return { address, bound, home, type: (field as unknown as { target: AnyStructType }).target };
}
