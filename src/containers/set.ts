/**
 * SharedSet: a set that the threads of a program read and change at the same time. A SharedMap without
 * values: integers lie in the slots of the tables, strings in entries of their own.
 *
 *     const seen = SharedSet.create(heap, string);
 *     if (seen.add(url)) visit(url);                          // one thread gets true
 *
 * Thread-safe, each operation as if it were alone on its key. Iteration goes shard by shard and sees each
 * as it is at one moment: a key that is there all along is given once, one that comes or goes meanwhile
 * once or not at all.
 */

import { type Address, NULL } from '../memory/address.ts';
import type { Field } from '../structs/field.ts';
import type { FieldInit, FieldValue } from '../structs/inference.ts';
import { INSPECT, type Inspector } from '../structs/place.ts';
import { addressOfHandle, Container, type Handle } from './container.ts';
import type { MapCore } from './map-core.ts';
import { closeMap, createMap, destroyMap, type MapOptions, openMap } from './map-create.ts';
import * as layout from './map-layout.ts';
import { verifyMap } from './map-repair.ts';
import { closedCore, type MapStats, mapStats, sumOf } from './map-stats.ts';
import { type ContainerStore, homeOf } from './store.ts';

/** How many keys an inspector shows. */
const SHOWN = 100;

// biome-ignore lint/suspicious/noExplicitAny: a set that was opened without its field takes what it finds
type Loose<F, T> = Field extends F ? any : T;
/** What a key reads as. */
type Value<F> = Loose<F, FieldValue<F>>;
/** What a key can be given as. */
type Init<F> = Loose<F, FieldInit<F>>;

/** Types only: the field that a handle was made for. */
declare const field: unique symbol;

/** What crosses to another thread, for its `SharedSet.open`. */
export interface SetHandle<K extends Field = Field> extends Handle<'SharedSet'> {
  readonly [field]?: K;
}

/** A set in the heap. Thread-safe; each thread opens its own object. */
export class SharedSet<K extends Field = Field> extends Container {
  /** As {@link release}: `using set = SharedSet.open(…)`. Only where `Symbol.dispose` is. */
  declare readonly [Symbol.dispose]: () => void;
  protected override readonly kind = 'SharedSet';
  private core: MapCore;

  private constructor(home: ContainerStore, address: Address, core: MapCore) {
    super(home, address);
    this.core = core;
  }

  /**
   * Makes an empty set, in the heap of `store`.
   *
   * @param key `string`, `i8` to `u32`, `i64` or `u64`
   * @throws TypeError, RangeError for other fields or options
   * @throws OutOfMemoryError when the heap has no room for it
   */
  static create<K extends Field>(store: ContainerStore, key: K, options: MapOptions = {}): SharedSet<K> {
    const home = homeOf(store);
    return SharedSet.at(home, createMap(home, key, undefined, options), key);
  }

  /**
   * Opens a set that another thread made.
   *
   * @param handle its `handle`
   * @param key the field it was made for; without it, it is found in the heap
   * @throws AttachError when it is of another kind, heap or key, or was destroyed
   */
  static open<K extends Field = Field>(store: ContainerStore, handle: SetHandle<K>, key?: K): SharedSet<K> {
    const home = homeOf(store);
    return SharedSet.at(home, addressOfHandle(home, handle, 'SharedSet'), key);
  }

  /** As {@link open}, by the address. */
  static at<K extends Field = Field>(store: ContainerStore, address: Address, key?: K): SharedSet<K> {
    const home = homeOf(store);
    return new SharedSet<K>(home, address, openMap(home, address, layout.SET_KIND, key, undefined));
  }

  /** For roots: `heap.roots.openOrCreate('seen', SharedSet.type(string), () => …)`. */
  static type<K extends Field>(key: K): { at(store: ContainerStore, address: Address): SharedSet<K> } {
    return { at: (store, address) => SharedSet.at(store, address, key) };
  }

  override get handle(): SetHandle<K> {
    return super.handle as SetHandle<K>;
  }

  /** Closes this object; the set stays. Twice does no harm. */
  override release(): void {
    if (this.address === NULL) return;
    if (this.core.isThere) this.core.usage?.publish();
    this.core = closedCore('SharedSet');
    super.release();
  }

  /**
   * Frees the set with all that it holds, for all threads. Waits for those at work in it; whoever uses it
   * later gets a ReferenceError. That goes by its bytes: once another set lies there, it is taken for this one.
   *
   * @throws ReferenceError once released, or destroyed
   * @throws LockTimeoutError, DeadlockError when a thread stays at work in it, or this one is: in a callback.
   *   The set is as it was
   */
  destroy(): void {
    this.checkLive();
    const { address, core } = this;
    core.check();
    closeMap(core);
    this.release();
    destroyMap(this.store, address);
  }

  /** How many keys the set holds. Of all shards one after the other: others may be changing it. */
  get size(): number {
    return sumOf(this.core, layout.COUNT);
  }

  /**
   * Adds a key. Returns whether it was not there: of several threads that add it, one gets true.
   *
   * @throws TypeError, RangeError when it cannot be a key of this set
   * @throws OutOfMemoryError when the heap has no room; the set is as it was
   */
  add(key: Init<K>): boolean {
    const { core } = this;
    return !core.has(core.keys.encode(key)) && !core.put(key, undefined, true);
  }

  /** Whether the key is there. */
  has(key: Init<K>): boolean {
    const { core } = this;
    return core.has(core.keys.encode(key));
  }

  /** Takes a key out. Returns whether it was there: of several threads that delete it, one gets true. */
  delete(key: Init<K>): boolean {
    return this.core.remove(this.core.keys.encode(key));
  }

  /** Takes all keys out, one shard after the other. */
  clear(): void {
    for (let index = 0; index < this.core.locks.length; index++) this.core.clearShard(index);
  }

  /** The keys, in no order. */
  *values(): IterableIterator<Value<K>> {
    const { core } = this;
    const read = (slot: number) => core.keys.read(core.entryOf(slot)) as Value<K>;
    for (let index = 0; index < core.locks.length; index++) yield* core.snapshot(index, read);
  }

  [Symbol.iterator](): IterableIterator<Value<K>> {
    return this.values();
  }

  /** The keys as an array; bigints as strings. */
  toJSON(): unknown[] | null {
    if (!this.isThere) return null;
    return Array.from(this.values(), (key) => (typeof key === 'bigint' ? String(key) : key));
  }

  /** Counters; hits, misses and evictions where the set has a limit. */
  stats(): MapStats {
    return mapStats(this.core);
  }

  /**
   * Checks the set's invariants, one shard after the other. For tests: it reads all of it.
   *
   * @throws HeapCorruptionError naming the address where one is broken
   */
  verify(): void {
    verifyMap(this.core);
  }

  /** Neither released nor destroyed. */
  private get isThere(): boolean {
    return this.address !== NULL && this.core.isThere;
  }

  [INSPECT](depth: number, options: object, inspect: Inspector): string {
    if (!this.isThere) return 'SharedSet (released)';
    const name = `SharedSet(${this.size})`;
    if (depth < 0) return `[${name}]`;
    const shown = new Set<unknown>();
    for (const key of this.values()) if (shown.size < SHOWN) shown.add(key);
    return `${name} ${inspect(shown, { ...options, depth }).replace(/^Set\(\d+\) /, '')}`;
  }
}

if (Symbol.dispose !== undefined) {
  Object.defineProperty(SharedSet.prototype, Symbol.dispose, { value: SharedSet.prototype.release });
}
