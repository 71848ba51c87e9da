/**
 * Roots: names for addresses, which is how threads meet. A list of entries in blocks of the heap.
 *
 *      root list ──▶ ┌ next u32 ─┬ target u32 ─┬ maker i32 ─┬ name length u32 ┬ name, UTF-8 ┐ ──▶ … ──▶ 0
 *                    │ address   │ address     │            │ bytes           │             │
 *                    └───────────┴─────────────┴────────────┴─────────────────┴─────────────┘
 *      maker   0       the entry is complete
 *              token   that thread is making what the name will stand for
 *
 * One lock guards the list; the store that links an entry, unlinks it, or clears `maker`, commits. So the list
 * is right at every single store, and who takes the lock over has nothing to repair: an entry that is not
 * linked is the thread's that made it or took it away (its deed says so, see sync/deed.ts). A thread
 * that finds a name in the making sleeps on the superblock's change word, which goes up and is notified
 * at each change: entries come and go, that word stays. No user code runs under the lock. When the maker is
 * gone the next in line puts its own token there, and makes it: it looks after each slice.
 */

import {
  BlockingNotAllowedError,
  DeadlockError,
  HeapCorruptionError,
  LockTimeoutError,
  OutOfMemoryError,
} from '../errors.ts';
import { type Address, NULL, UNIT } from '../memory/address.ts';
import { atomicAdd, atomicLoad, notify, wait, waitAsync } from '../memory/atomics.ts';
import type { Memory } from '../memory/memory.ts';
import { show } from '../structs/field.ts';
import { clearDeed, LINK, noteDeed, TAKE } from '../sync/deed.ts';
import { type Lock, SLICE_MS } from '../sync/lock.ts';
import type { Thread } from '../sync/thread.ts';
import { ROOT_CHANGE, ROOT_LIST } from './superblock.ts';

const ENTRY_BYTES = 16;
const LONGEST_NAME = 1024;
// Indexes of 32-bit words from the entry's start.
const NEXT = 0;
const TARGET = 1;
const MAKER = 2;
const NAME_LENGTH = 3;

/** Where an address is asked for: the name is the caller's to make. */
const MINE = 1;

/** Something that lies in the heap and knows where. */
export interface Placed {
  readonly address: Address;
}

/** How the roots open what a name stands for: a struct type, or anything of its shape. */
export interface Openable<H, V extends Placed> {
  at(heap: H, address: Address): V;
}

/** What the roots need of their heap. */
export interface RootStore {
  readonly id: string;
  readonly memory: Memory;
  alloc(size: number): Address;
  free(address: Address): void;
  tryShare(address: Address): boolean;
  tryAdopt(address: Address): boolean;
}

/** The heap's table of names. Thread-safe. */
export class Roots<H extends RootStore> {
  readonly #heap: H;
  #lock: Lock;
  /** The allocator's: when that is poisoned so are the names for what lies in its blocks. */
  #blocks: Lock;
  readonly #thread: Thread;
  readonly #timeout: number;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;
  /** How far the walk over the list has come: one of more entries than the heap can hold is a circle. */
  #steps = 0;

  /** @throws HeapCorruptionError when the heap is poisoned: nobody attaches to it */
  constructor(heap: H, lock: Lock, blocks: Lock, thread: Thread, timeout: number) {
    this.#heap = heap;
    this.#lock = lock;
    this.#blocks = blocks;
    this.#thread = thread;
    this.#timeout = timeout;
    this.#u32 = heap.memory.u32;
    this.#i32 = heap.memory.i32;
    blocks.checkSound();
  }

  /** Gives the table up: every later use throws what `lock` throws. */
  release(lock: Lock): void {
    this.#lock = lock;
    this.#blocks = lock;
  }

  #acquire(): void {
    this.#blocks.checkSound();
    this.#lock.acquire();
  }

  /**
   * Lets a name stand for an address, or for where a view lies. Marks the block as shared.
   *
   * @param name 1 to 1,024 bytes of UTF-8
   * @throws TypeError, RangeError on a bad name or address
   * @throws OutOfMemoryError when there is no room for the entry
   */
  set(name: string, target: Address | Placed): void {
    const bytes = encodeName(name);
    const address = this.#addressOf(target);
    const spare = this.#newEntry(bytes, address, 0);
    this.#heap.tryShare(address);
    this.#acquire();
    let unused: Address = NULL;
    try {
      const entry = this.#find(bytes);
      if (entry === NULL) {
        this.#link(spare);
      } else {
        this.#u32[(entry >>> 2) + TARGET] = address;
        this.#i32[(entry >>> 2) + MAKER] = 0;
        unused = spare;
      }
    } finally {
      this.#lock.release();
    }
    this.#changed();
    this.#heap.free(unused);
  }

  /** What a name stands for, or `NULL` when it stands for nothing (yet). */
  get(name: string): Address {
    const bytes = encodeName(name);
    this.#acquire();
    try {
      const entry = this.#find(bytes);
      return entry === NULL || this.#makerOf(entry) !== 0 ? NULL : this.#targetOf(entry);
    } finally {
      this.#lock.release();
    }
  }

  /** Whether a name stands for something. */
  has(name: string): boolean {
    return this.get(name) !== NULL;
  }

  /**
   * Opens what a name stands for: `roots.open('index', Index)`. `undefined` when it stands for nothing.
   */
  open<V extends Placed>(name: string, X: Openable<H, V>): V | undefined {
    checkOpenable(X);
    const address = this.get(name);
    return address === NULL ? undefined : X.at(this.#heap, address);
  }

  /**
   * Opens what a name stands for, making it first if need be. However many threads race, one makes it and
   * the others wait. When `make` throws, the next thread in line makes it.
   *
   * @param make runs with no lock held; returns what the name shall stand for
   * @throws LockTimeoutError naming the maker, when it was not done within the heap's `lockTimeout`
   * @throws DeadlockError when `make` asks for the name that it is making
   * @throws BlockingNotAllowedError when another thread is at it and this one may not wait
   */
  openOrCreate<V extends Placed>(name: string, X: Openable<H, V>, make: () => Address | Placed): V {
    const bytes = encodeName(name);
    checkOpenable(X);
    checkMake(make);
    const began = performance.now();
    for (;;) {
      const seen = atomicLoad(this.#i32, ROOT_CHANGE);
      const found = this.#openOrClaim(bytes);
      if (found === MINE) return this.#make(bytes, X, make);
      if (found > 0) return X.at(this.#heap, found as Address);
      this.#checkWait(began, -found);
      if (!this.#thread.mayBlock) throw new BlockingNotAllowedError(ROOT_CHANGE * 4, 'openOrCreateAsync()');
      wait(this.#i32, ROOT_CHANGE, seen, SLICE_MS);
    }
  }

  /** As {@link openOrCreate}, without blocking the thread while another one makes it. */
  async openOrCreateAsync<V extends Placed>(
    name: string,
    X: Openable<H, V>,
    make: () => Address | Placed,
  ): Promise<V> {
    const bytes = encodeName(name);
    checkOpenable(X);
    checkMake(make);
    const began = performance.now();
    for (;;) {
      const seen = atomicLoad(this.#i32, ROOT_CHANGE);
      const found = this.#openOrClaim(bytes);
      if (found === MINE) return this.#make(bytes, X, make);
      if (found > 0) return X.at(this.#heap, found as Address);
      this.#checkWait(began, -found);
      await waitAsync(this.#i32, ROOT_CHANGE, seen, SLICE_MS);
    }
  }

  /** Takes a name away. What it stood for stays. Returns whether it stood for something. */
  delete(name: string): boolean {
    const bytes = encodeName(name);
    this.#acquire();
    let entry: Address;
    try {
      entry = this.#find(bytes);
      if (entry !== NULL && this.#makerOf(entry) !== 0) entry = NULL;
      if (entry !== NULL) this.#unlink(entry);
    } finally {
      this.#lock.release();
    }
    if (entry === NULL) return false;
    this.#changed();
    this.#heap.free(entry);
    return true;
  }

  /** All names that stand for something, in the order in which they were set first. */
  names(): string[] {
    const found: Uint8Array[] = [];
    this.#acquire();
    try {
      for (let entry = this.#first(); entry !== NULL; entry = this.#after(entry)) {
        if (this.#makerOf(entry) === 0) found.push(this.#nameOf(entry).slice());
      }
    } finally {
      this.#lock.release();
    }
    return found.map((bytes) => new TextDecoder().decode(bytes)).reverse();
  }

  /** The target's address; MINE when the name is now this thread's to make; minus the maker's token. */
  #openOrClaim(bytes: Uint8Array): number {
    // Most names are there already: opening them takes no room.
    const there = this.#lookUp(bytes, NULL);
    if (there !== 0) return there;
    const spare = this.#newEntry(bytes, NULL, this.#thread.token);
    const found = this.#lookUp(bytes, spare);
    if (found === 0) return MINE;
    this.#heap.free(spare);
    return found;
  }

  /** As `#openOrClaim`; when there is no entry, 0, and `spare` is linked. */
  #lookUp(bytes: Uint8Array, spare: Address): number {
    this.#acquire();
    try {
      const entry = this.#find(bytes);
      if (entry === NULL) {
        if (spare !== NULL) this.#link(spare);
        return 0;
      }
      const maker = this.#makerOf(entry);
      if (maker === 0) return this.#targetOf(entry);
      if (!this.#thread.isGone(maker)) return -maker;
      this.#i32[(entry >>> 2) + MAKER] = this.#thread.token;
      return MINE;
    } finally {
      this.#lock.release();
    }
  }

  #make<V extends Placed>(bytes: Uint8Array, X: Openable<H, V>, make: () => Address | Placed): V {
    let address: Address;
    try {
      address = this.#addressOf(make());
    } catch (error) {
      this.#settle(bytes, NULL);
      throw error;
    }
    this.#heap.tryShare(address);
    return X.at(this.#heap, this.#settle(bytes, address));
  }

  /** Completes the entry that this thread was making, or takes it away for `NULL`. */
  #settle(bytes: Uint8Array, address: Address): Address {
    let unused: Address = NULL;
    let settled = address;
    this.#acquire();
    try {
      const entry = this.#find(bytes);
      if (entry === NULL || this.#makerOf(entry) !== this.#thread.token) {
        // Somebody set the name meanwhile: theirs stands.
        settled = entry === NULL ? address : this.#targetOf(entry);
      } else if (address === NULL) {
        this.#unlink(entry);
        unused = entry;
      } else {
        this.#u32[(entry >>> 2) + TARGET] = address;
        this.#i32[(entry >>> 2) + MAKER] = 0;
      }
    } finally {
      this.#lock.release();
    }
    this.#changed();
    this.#heap.free(unused);
    return settled;
  }

  #checkWait(began: number, maker: number): void {
    if (maker === this.#thread.token) throw new DeadlockError(ROOT_CHANGE * 4, this.#thread.nameOf(maker));
    const waited = performance.now() - began;
    if (waited >= this.#timeout)
      throw new LockTimeoutError(ROOT_CHANGE * 4, maker, this.#thread.nameOf(maker), waited);
  }

  #changed(): void {
    atomicAdd(this.#i32, ROOT_CHANGE, 1);
    notify(this.#i32, ROOT_CHANGE, Number.POSITIVE_INFINITY);
  }

  #addressOf(target: Address | Placed): Address {
    const address = typeof target === 'object' && target !== null ? target.address : target;
    if (address >>> 0 !== address || address === NULL || address >= this.#heap.memory.byteLength) {
      throw new RangeError(`a root stands for an address in the heap or for a view, got ${show(target)}`);
    }
    if (address !== target && liesElsewhere(target as Placed, this.#heap)) {
      throw new TypeError(`a root stands for what lies in its own heap, ${show(target)} lies in another one`);
    }
    return address;
  }

  #newEntry(bytes: Uint8Array, target: Address, maker: number): Address {
    const entry = this.#heap.alloc(ENTRY_BYTES + bytes.length);
    if (entry === NULL) throw new OutOfMemoryError(ENTRY_BYTES + bytes.length, 'a root needs an entry');
    const word = entry >>> 2;
    this.#u32[word + TARGET] = target;
    this.#i32[word + MAKER] = maker;
    this.#u32[word + NAME_LENGTH] = bytes.length;
    this.#heap.memory.u8.set(bytes, entry + ENTRY_BYTES);
    return entry;
  }

  #find(bytes: Uint8Array): Address {
    for (let entry = this.#first(); entry !== NULL; entry = this.#after(entry)) {
      const name = this.#nameOf(entry);
      if (name.length === bytes.length && name.every((byte, i) => byte === bytes[i])) return entry;
    }
    return NULL;
  }

  #first(): Address {
    this.#steps = 0;
    return this.#checked(this.#u32[ROOT_LIST]!);
  }

  #after(entry: Address): Address {
    if (++this.#steps * ENTRY_BYTES > this.#heap.memory.byteLength) {
      throw new HeapCorruptionError(entry, 'the root list runs in a circle');
    }
    return this.#checked(this.#u32[(entry >>> 2) + NEXT]!);
  }

  #checked(entry: number): Address {
    if (entry % UNIT !== 0 || (entry !== 0 && entry + ENTRY_BYTES > this.#heap.memory.byteLength)) {
      throw new HeapCorruptionError(entry, 'a root entry lies outside the heap');
    }
    return entry as Address;
  }

  #nameOf(entry: Address): Uint8Array {
    const length = this.#u32[(entry >>> 2) + NAME_LENGTH]!;
    if (length > LONGEST_NAME)
      throw new HeapCorruptionError(entry, `a root name of ${length} bytes cannot be`);
    return this.#heap.memory.u8.subarray(entry + ENTRY_BYTES, entry + ENTRY_BYTES + length);
  }

  #targetOf(entry: Address): Address {
    return this.#u32[(entry >>> 2) + TARGET]! as Address;
  }

  #makerOf(entry: Address): number {
    return this.#i32[(entry >>> 2) + MAKER]!;
  }

  #link(entry: Address): void {
    this.#u32[(entry >>> 2) + NEXT] = this.#u32[ROOT_LIST]!;
    noteDeed(this.#thread, entry, ROOT_LIST * 4, LINK);
    this.#heap.tryShare(entry);
    this.#u32[ROOT_LIST] = entry;
    clearDeed(this.#thread);
  }

  #unlink(entry: Address): void {
    let link = ROOT_LIST;
    for (let at = this.#first(); at !== entry && at !== NULL; at = this.#after(at)) link = (at >>> 2) + NEXT;
    noteDeed(this.#thread, entry, link * 4, TAKE);
    this.#u32[link] = this.#u32[(entry >>> 2) + NEXT]!;
    this.#heap.tryAdopt(entry);
    clearDeed(this.#thread);
  }
}

/** Whether a view, an array or a container says that it lies in another heap than this one. */
export function liesElsewhere(placed: Placed, { id }: { readonly id: string }): boolean {
  type Store = { readonly id?: string } | undefined;
  const { $binding, store } = placed as { $binding?: { store: Store }; store?: Store };
  const home = ($binding?.store ?? store)?.id;
  return home !== undefined && home !== id;
}

function checkOpenable(X: unknown): void {
  if (typeof (X as { at?: unknown } | null | undefined)?.at !== 'function') {
    throw new TypeError(
      `what a root is opened as is a struct, or a container and its types, SharedMap.type(string, u32); got ${show(X)}`,
    );
  }
}

function checkMake(make: unknown): void {
  if (typeof make !== 'function') throw new TypeError(`make must be a function, got ${show(make)}`);
}

function encodeName(name: string): Uint8Array {
  if (typeof name !== 'string') throw new TypeError(`a root's name is a string, got ${show(name)}`);
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length > LONGEST_NAME) {
    throw new RangeError(`a root's name has 1 to ${LONGEST_NAME} bytes of UTF-8, got ${bytes.length}`);
  }
  return bytes;
}
