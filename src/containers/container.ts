/**
 * Container: the one shape of all that is created in a heap and opened in other threads.
 *
 *     address ▶ ┌ kind word ┬ layout hash ┬ the container's own …
 *               └───────────┴─────────────┴───────────────────
 *               0           4             8
 *
 *     X.create(heap, …)         makes one
 *     x.handle                  a plain object of less than 100 bytes, for postMessage or a pool's task
 *     X.open(heap, x.handle)    the same one in another thread
 *     x.release()               closes this thread's object (as `using` does); what is shared stays
 *     x.destroy()               frees it, for all threads
 *
 * The kind says what lies there, the hash which fields it was made for: opening it as something else is
 * refused, and so is a handle whose block was freed since (its generation went up).
 */

import { AttachError, hex } from '../errors.ts';
import { type Address, NULL, UNIT } from '../memory/address.ts';
import { kindName } from '../structs/drop.ts';
import { show } from '../structs/field.ts';
import { GUARD } from '../structs/place.ts';
import type { ContainerStore } from './store.ts';

/** Indexes of the header's words. */
const KIND = 0;
const HASH = 1;
/** Index of a word of the heap that is no kind word: a released object looks at it. */
export const NO_BLOCK = 0;
/** Bytes of the header. */
export const HEADER_BYTES = 8;

/** What crosses to another thread: plain, cloneable, less than 100 bytes however large the container. */
export interface Handle<Kind extends string = string> {
  readonly kind: Kind;
  /** The heap's id. */
  readonly heap: string;
  readonly address: Address;
  /** Of the block: tells it from a later one at the same address. */
  readonly generation: number;
}

/** One thread's object for something that lies in a heap. */
export abstract class Container {
  /** Comes first, so that posting the container itself throws at once. */
  readonly $guard: symbol = GUARD;
  protected readonly store: ContainerStore;
  #address: Address;

  constructor(store: ContainerStore, address: Address) {
    // In plain JavaScript any class can be called with new.
    if (typeof address !== 'number' || address % UNIT !== 0) {
      throw new TypeError(
        `what lies in a heap is made by ${new.target.name}.create(…), or opened by open(…)`,
      );
    }
    this.store = store;
    this.#address = address;
  }

  /** The word that the handle names the kind by: the class's name. */
  protected abstract readonly kind: string;

  /** Where it lies; NULL once released or destroyed. */
  get address(): Address {
    return this.#address;
  }

  /**
   * What to send to another thread, for its `open`. Marks the block as shared.
   *
   * @throws ReferenceError once released
   */
  get handle(): Handle {
    this.checkLive();
    this.store.tryShare(this.#address);
    return makeHandle(this.store, this.kind, this.#address);
  }

  /** Closes this object; what it stood for stays. Twice does no harm. */
  release(): void {
    this.#address = NULL;
  }

  /** Closes this object, also where `release` means something else (a Semaphore's). */
  $closeObject(): void {
    this.release();
  }

  /** Whether a field owns what this object stands for, so that nobody else can. */
  get $isOwned(): boolean {
    return false;
  }

  /** Throws once released. */
  protected checkLive(): void {
    if (this.#address === NULL) throw new ReferenceError(`this ${this.kind} was released or destroyed`);
  }
}

/** The handle of a block. */
export function makeHandle<Kind extends string>(
  store: ContainerStore,
  kind: Kind,
  address: Address,
): Handle<Kind> {
  return { kind, heap: store.id, address, generation: store.generationOf(address) };
}

/** Writes the two words. */
export function layHeader(store: ContainerStore, address: Address, kind: number, hash: number): void {
  const { u32 } = store.memory;
  u32[(address >>> 2) + KIND] = kind;
  u32[(address >>> 2) + HASH] = hash;
}

/** The layout hash of what lies at `address`. */
export function hashAt(store: ContainerStore, address: Address): number {
  return store.memory.u32[(address >>> 2) + HASH]!;
}

/**
 * The address that a handle stands for.
 *
 * @throws TypeError when it is no handle
 * @throws AttachError when it is of another kind or heap, or what it stood for was freed
 */
export function addressOfHandle(store: ContainerStore, handle: Handle, kind: string): Address {
  if (
    typeof handle !== 'object' ||
    handle === null ||
    typeof handle.kind !== 'string' ||
    '$guard' in handle
  ) {
    throw new TypeError(`open wants the handle of ${named(kind)}, got ${show(handle)}`);
  }
  if (handle.kind !== kind)
    throw new AttachError(`the handle is of ${named(handle.kind)}, not of ${named(kind)}`);
  if (handle.heap !== store.id) {
    throw new AttachError(`the handle is of ${named(kind)} in heap ${handle.heap}, not in heap ${store.id}`);
  }
  checkPlace(store, handle.address, kind);
  if (store.generationOf(handle.address) !== handle.generation) {
    throw new AttachError(`the ${kind} at ${hex(handle.address)} was destroyed since its handle was made`);
  }
  return handle.address;
}

/**
 * Checks that a container of a kind lies at `address`.
 *
 * @param hash which fields it must have been made for, where the caller says so
 * @throws RangeError when nothing can lie there
 * @throws AttachError when something else does
 */
export function checkHeader(store: ContainerStore, address: Address, kind: number, hash?: number): void {
  checkPlace(store, address, kindName(kind));
  const { u32 } = store.memory;
  const found = u32[(address >>> 2) + KIND]!;
  if (found !== kind) {
    throw new AttachError(`at ${hex(address)} lies ${kindName(found)}, not ${kindName(kind)}`);
  }
  const made = u32[(address >>> 2) + HASH]!;
  if (hash !== undefined && made !== hash) {
    const names = `${layoutName(store, made)}, not for ${layoutName(store, hash)}`;
    throw new AttachError(`the ${kindName(kind)} at ${hex(address)} was made for ${names}`);
  }
}

/** `an Arc`, `a Box`. */
function named(kind: string): string {
  return `${/^[AO]/.test(kind) ? 'an' : 'a'} ${kind}`;
}

function checkPlace(store: ContainerStore, address: number, kind: string): void {
  const last = store.memory.byteLength - HEADER_BYTES;
  if (address >>> 0 !== address || address === NULL || address % UNIT !== 0 || address > last) {
    throw new RangeError(
      `no ${kind} can lie at ${typeof address === 'number' ? hex(address) : show(address)}`,
    );
  }
}

function layoutName(store: ContainerStore, hash: number): string {
  const name = store.layouts.find(hash)?.name.replace(/^:/, '') ?? 'what this heap has not held yet';
  return `${name} (layout ${hex(hash)})`;
}
