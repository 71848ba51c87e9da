/**
 * Primitive: what the synchronisation objects share. Each is one block that never moves, so an address or
 * a handle is all that another thread needs.
 *
 *     address ▶ ┌ kind word ┬ layout hash or 0 ┬ words of its own …
 *               └───────────┴──────────────────┴────────────────────
 *
 * Every call looks at the kind word first: `destroy` clears it, and a released object looks at another
 * word, so that use after either throws. A block that was given out again since is not recognised; as
 * with `free`, whoever destroys must be the last to use it.
 */

import { BusyError, hex, OutOfMemoryError } from '../errors.ts';
import { type Address, NULL } from '../memory/address.ts';
import { type DropBlock, type KindText, kindName, registerKind } from '../structs/drop.ts';
import { INSPECT, type Inspector } from '../structs/place.ts';
import { addressOfHandle, Container, checkHeader, type Handle, layHeader, NO_BLOCK } from './container.ts';
import type { ContainerStore } from './store.ts';

/** One thread's object of a lock, semaphore, barrier, … in the heap. */
export abstract class Primitive extends Container {
  /** As {@link close}. Only where `Symbol.dispose` is. */
  declare readonly [Symbol.dispose]: () => void;
  protected readonly i32: Int32Array;
  /** Index of the kind word. */
  protected word: number;
  /** What the kind word holds, as the signed word that `i32` reads. */
  protected readonly kindWord: number;
  /** Index of the block's first word, also once the object is closed: a wait may still be going on. */
  protected readonly base: number;

  constructor(store: ContainerStore, address: Address, kind: number) {
    super(store, address);
    this.i32 = store.memory.i32;
    this.base = address >>> 2;
    this.word = this.base;
    this.kindWord = kind | 0;
  }

  /** Closes this thread's object; what it stands for stays, and so does what this thread holds of it. */
  close(): void {
    super.release();
    this.word = NO_BLOCK;
  }

  /** As {@link close}; for a Semaphore it gives permits back instead. */
  override release(): void {
    this.close();
  }

  override $closeObject(): void {
    this.close();
  }

  /**
   * Frees it, for all threads; none may use it any more.
   *
   * @throws BusyError when a thread holds it; nothing has changed
   * @throws ReferenceError once released or destroyed
   */
  destroy(): void {
    this.check();
    const { address } = this;
    const holder = this.seize();
    if (holder !== undefined) throw new BusyError(this.kind, address, holder);
    this.dropContents();
    freeBlock(this.store, address);
    this.close();
  }

  /** A plain object of its state at this moment; null once released or destroyed. */
  toJSON(): object | null {
    if (!this.isThere) return null;
    return { kind: this.kind, address: this.address, ...this.describe() };
  }

  [INSPECT](depth: number, options: object, inspect: Inspector): string {
    if (depth < 0) return `[${this.kind}]`;
    if (!this.isThere) return `${this.kind} (released)`;
    return `${this.kind} ${inspect(this.describe(), { ...options, depth })}`;
  }

  /** Makes sure that nobody uses it, from now on either. Returns who does, or undefined. */
  protected abstract seize(): string | undefined;

  /** Drops what its value owns. */
  protected dropContents(): void {}

  /** What there is to say of its state. */
  protected abstract describe(): object;

  /** Throws once released or destroyed. */
  protected check(): void {
    if (this.i32[this.word] !== this.kindWord) this.refuse();
  }

  /** Whether nobody has destroyed it, whether or not this object is closed: what a wait that goes on looks at. */
  protected get exists(): boolean {
    return this.i32[this.base] === this.kindWord;
  }

  /** The error for what {@link exists} no more. */
  protected destroyed(): ReferenceError {
    return new ReferenceError(`the ${this.kind} at ${hex(this.base * 4)} was destroyed`);
  }

  private get isThere(): boolean {
    return this.i32[this.word] === this.kindWord;
  }

  private refuse(): never {
    this.checkLive();
    throw this.destroyed();
  }
}

if (Symbol.dispose !== undefined) {
  Object.defineProperty(Primitive.prototype, Symbol.dispose, {
    value(this: Primitive) {
      this.close();
    },
  });
}

/**
 * A zeroed block with a header.
 *
 * @throws OutOfMemoryError when there is no room
 */
export function makeBlock(
  store: ContainerStore,
  kind: number,
  hash: number,
  bytes: number,
  align?: number,
): Address {
  const address = store.allocZeroed(bytes, align);
  if (address === NULL) throw new OutOfMemoryError(bytes, `a ${kindName(kind)}`);
  layHeader(store, address, kind, hash);
  return address;
}

/** Registers a kind whose blocks own nothing. */
export function registerPlainKind(text: KindText): number {
  return registerKind(text, (dropper, address) => freeBlock(dropper.store, address as Address));
}

/** Registers a kind whose blocks own what the field at `offset` does, whose layout hash they hold. */
export function registerOwningKind(text: KindText, offset: number): number {
  const drop: DropBlock = (dropper, address) => {
    const hash = dropper.store.memory.u32[(address >>> 2) + 1]!;
    dropper.pushOwned(dropper.owningOf(hash), address + offset);
    freeBlock(dropper.store, address as Address);
  };
  return registerKind(text, drop);
}

/** Frees a block; its kind word, which other threads' objects look at, says so. */
function freeBlock(store: Pick<ContainerStore, 'memory' | 'free'>, address: Address): void {
  store.memory.u32[address >>> 2] = 0;
  store.free(address);
}

/** The address behind a handle, with a block of that kind. */
export function openBlock(store: ContainerStore, handle: Handle, kind: number, hash?: number): Address {
  const address = addressOfHandle(store, handle, kindName(kind));
  checkHeader(store, address, kind, hash);
  return address;
}

/**
 * The result of a function that ran in a section.
 *
 * @throws TypeError when it is a promise: what it waits for would run outside
 */
export function settled<R>(result: R, syncForm: string, asyncForm: string): R {
  if (typeof (result as { then?: unknown } | null | undefined)?.then !== 'function') return result;
  throw new TypeError(`${syncForm} wants a synchronous function: use ${asyncForm} for async code`);
}
