/**
 * SharedMap: a hash map that the threads of a program read and change at the same time.
 *
 *     const counts = SharedMap.create(heap, string, u32);
 *     counts.add('word', 1);                                  // from any thread
 *
 * Keys are string, i8 to u32 (numbers), i64 or u64 (bigints); values any field: scalars, string, bytes, a
 * struct, box, arc. Thread-safe, each operation as if it were alone on its key. Writers of different shards do
 * not wait for each other, readers wait for nobody but for a writer at the same shard, and store nothing.
 * Values of owning fields are read under the shard's lock.
 *
 * Callbacks of `with` and `update` run under the lock of the key's shard: keep them short. In them the
 * same map may be read; writing to it throws DeadlockError when the other key lies in the same shard, and
 * two threads that nest in opposite orders run into LockTimeoutError. Callbacks of all else run under none.
 *
 * Iteration goes shard by shard and sees the keys of each as they are at one moment: an entry that is there
 * all along is given once, one that comes or goes meanwhile once or not at all. What is given are copies.
 * i32 and u32 are added to without a lock (see map-cells.ts): their values may change while they are read.
 */

import { type Address, NULL } from '../memory/address.ts';
import { typedArrayOf } from '../structs/array-field.ts';
import { releaseView } from '../structs/deleted-view.ts';
import { type BoundField, type Field, show } from '../structs/field.ts';
import type { FieldInit, FieldValue } from '../structs/inference.ts';
import { INSPECT, type Inspector } from '../structs/place.ts';
import type { StructType } from '../structs/struct.ts';
import { type RowView, rowOf, StructView } from '../structs/view.ts';
import { addressOfHandle, Container, type Handle } from './container.ts';
import type { Loaded, Taken } from './loaded.ts';
import type { Cells } from './map-cells.ts';
import type { MapCore } from './map-core.ts';
import { closeMap, createMap, destroyMap, type MapOptions, openMap } from './map-create.ts';
import * as layout from './map-layout.ts';
import { verifyMap } from './map-repair.ts';
import { closedCore, type MapStats, mapStats, sumOf } from './map-stats.ts';
import { type ContainerStore, homeOf } from './store.ts';

const { TABLE, MAP_KIND } = layout;

/** How many entries an inspector shows. */
const SHOWN = 100;

// biome-ignore lint/suspicious/noExplicitAny: a map that was opened without its fields takes what it finds
type Loose<F, T> = Field extends F ? any : T;
/** What a key or value reads as. */
type Value<F> = Loose<F, FieldValue<F>>;
/** What a key or value can be given as. */
type Init<F> = Loose<F, FieldInit<F>>;
/** A copy of a value. */
type Copy<F> = Loose<F, Loaded<F>>;
/** A value that left the map: what owns is moved out. */
type Moved<F> = Loose<F, Taken<F>>;

/** Types only: the fields that a handle was made for. */
declare const fields: unique symbol;

/** What crosses to another thread, for its `SharedMap.open`. */
export interface MapHandle<K extends Field = Field, V extends Field = Field> extends Handle<'SharedMap'> {
  readonly [fields]?: [key: K, value: V];
}

/** A hash map in the heap. Thread-safe; each thread opens its own object. */
export class SharedMap<K extends Field = Field, V extends Field = Field> extends Container {
  /** As {@link release}: `using map = SharedMap.open(…)`. Only where `Symbol.dispose` is. */
  declare readonly [Symbol.dispose]: () => void;
  protected override readonly kind = 'SharedMap';
  private core: MapCore;
  private readonly field: BoundField;
  private readonly load: (address: number) => unknown;
  /** Whether a value can be read while another thread changes it, to be thrown away then. */
  private readonly loose: boolean;
  /** `'number'` or `'bigint'` where only such are taken. */
  private readonly scalar: string | undefined;
  /** Whether values are written in place, by one store. */
  private readonly cell: boolean;
  readonly #value: Field;
  /** Wraps and rounds as the values do. */
  readonly #one: Float64Array | undefined;

  private constructor(home: ContainerStore, address: Address, core: MapCore, value: Field) {
    super(home, address);
    this.core = core;
    this.field = core.value!;
    this.load = this.field.load ?? this.field.read;
    this.loose = value.owning.length === 0;
    this.scalar = scalarOf(value);
    this.cell = layout.isCell(value);
    this.#value = value;
    const Typed = typedArrayOf(value) as Float64ArrayConstructor | undefined;
    this.#one = Typed && new Typed(1);
  }

  // ── Make and open ───────────────────────────────────────────────────────────────────────────────

  /**
   * Makes an empty map, in the heap of `store`.
   *
   * @param key `string`, `i8` to `u32`, `i64` or `u64`
   * @param value any field but `atomic`
   * @throws TypeError, RangeError for other fields or options
   * @throws OutOfMemoryError when the heap has no room for it
   */
  static create<K extends Field, V extends Field>(
    store: ContainerStore,
    key: K,
    value: V,
    options: MapOptions = {},
  ): SharedMap<K, V> {
    const home = homeOf(store);
    const address = createMap(home, key, value ?? null, options);
    return SharedMap.at(home, address, key, value);
  }

  /**
   * Opens a map that another thread made.
   *
   * @param handle its `handle`
   * @param key, value the fields it was made for; without them they are found in the heap
   * @throws AttachError when it is of another kind, heap or schema, or was destroyed
   */
  static open<K extends Field = Field, V extends Field = Field>(
    store: ContainerStore,
    handle: MapHandle<K, V>,
    key?: K,
    value?: V,
  ): SharedMap<K, V> {
    const home = homeOf(store);
    return SharedMap.at(home, addressOfHandle(home, handle, 'SharedMap'), key, value);
  }

  /** As {@link open}, by the address. */
  static at<K extends Field = Field, V extends Field = Field>(
    store: ContainerStore,
    address: Address,
    key?: K,
    value?: V,
  ): SharedMap<K, V> {
    const home = homeOf(store);
    const core = openMap(home, address, MAP_KIND, key, value);
    return new SharedMap<K, V>(home, address, core, core.valueField!);
  }

  /** For roots: `heap.roots.openOrCreate('cache', SharedMap.type(string, u64), () => …)`. */
  static type<K extends Field, V extends Field>(
    key: K,
    value: V,
  ): { at(store: ContainerStore, address: Address): SharedMap<K, V> } {
    return { at: (store, address) => SharedMap.at(store, address, key, value) };
  }

  override get handle(): MapHandle<K, V> {
    return super.handle as MapHandle<K, V>;
  }

  /** Closes this object; the map stays. Twice does no harm. */
  override release(): void {
    if (this.address === NULL) return;
    if (this.core.isThere) this.core.usage?.publish();
    this.core = closedCore('SharedMap');
    super.release();
  }

  /**
   * Frees the map with all that it holds, for all threads. Waits for those at work in it; whoever uses it
   * later gets a ReferenceError. That goes by its bytes: once another map lies there, it is taken for this one.
   *
   * @throws ReferenceError once released, or destroyed
   * @throws LockTimeoutError, DeadlockError when a thread stays at work in it, or this one is: in a callback.
   *   The map is as it was
   */
  destroy(): void {
    this.checkLive();
    const { address, core } = this;
    core.check();
    closeMap(core);
    this.release();
    destroyMap(this.store, address);
  }

  // ── Read ────────────────────────────────────────────────────────────────────────────────────────

  /** How many entries the map holds. Of all shards one after the other: others may be changing it. */
  get size(): number {
    return sumOf(this.core, layout.COUNT);
  }

  /**
   * A copy of the value, or undefined: a plain object for a struct, a string for a string.
   *
   * @param into a view of the same struct type, whose struct gets the bytes instead: no garbage. When the
   *   key is not there its bytes are undefined if another thread was just deleting it, else as they were
   * @throws TypeError, RangeError when `key` cannot be one of this map
   */
  get(key: Init<K>): Copy<V> | undefined;
  get<T extends object>(key: Init<K>, into: T): T | undefined;
  get(key: unknown, into?: object): unknown {
    if (into !== undefined) return this.#getInto(key, into);
    const { core } = this;
    const hash = core.keys.encode(key);
    return this.loose ? core.read(hash, this.load) : core.readLocked(hash, this.load);
  }

  /** Whether the key is there. */
  has(key: Init<K>): boolean {
    const { core } = this;
    return core.has(core.keys.encode(key));
  }

  /**
   * Runs `fn` on the value in place, under the shard's lock: a view of a struct, which may be changed, and
   * shows nothing any more afterwards. Typed arrays over bytes must not be kept.
   *
   * @returns what `fn` returns; undefined when the key is not there, without a call
   * @throws TypeError when `fn` returns a promise; DeadlockError when called in a callback of a key of the same shard
   */
  with<R>(key: Init<K>, fn: (value: Value<V>) => R): R | undefined {
    const { core } = this;
    const hash = core.keys.encode(key);
    const shard = core.shardOf(hash);
    const lock = core.lockOf(hash);
    lock.acquire();
    try {
      const slot = core.slots.find(core.i32[shard + TABLE]!, hash);
      core.usage?.note(shard, slot);
      if (slot < 0) return undefined;
      const value = this.field.read(core.valueOf(slot));
      const weight = this.loose ? 0 : (core.usage?.weightOf(slot) ?? 0);
      core.begin(shard);
      try {
        return synchronous(fn(value as Value<V>));
      } finally {
        if (value instanceof StructView && this.#value.kind === 'struct') releaseView(value);
        if (!this.loose) core.usage?.changed(shard, slot, weight);
      }
    } finally {
      lock.release();
      core.usage?.dropVictims();
    }
  }

  // ── Write ───────────────────────────────────────────────────────────────────────────────────────

  /**
   * Sets the value of a key.
   *
   * @throws TypeError, RangeError when key or value do not fit the fields
   * @throws OutOfMemoryError when the heap has no room; the map is as it was
   */
  set(key: Init<K>, value: Init<V>): this {
    this.#checkValue(value);
    const { core } = this;
    if (!this.cell || !this.#setCell(key, value)) core.put(key, value, false);
    return this;
  }

  /**
   * Adds to a number or bigint, which starts from 0. Wraps and rounds as its typed array does.
   *
   * @returns the new value
   * @throws TypeError when values are no numbers or bigints, or `delta` is not what they are
   */
  add(key: Init<K>, delta: Value<V> & (number | bigint)): Value<V>;
  add(key: unknown, delta: unknown): unknown {
    if (typeof delta !== this.scalar) throw this.#refusedDelta(delta);
    const { core } = this;
    const hash = core.keys.encode(key);
    const shard = core.shardOf(hash);
    if (core.cells !== undefined) {
      const sum = core.cells.add(shard, hash, delta as number);
      if (sum !== undefined) return sum;
    }
    return this.#addLocked(key, delta, hash, shard);
  }

  #addLocked(key: unknown, delta: unknown, hash: number, shard: number): unknown {
    const { core, field } = this;
    const lock = core.lockOf(hash);
    const { i32 } = core;
    lock.acquire();
    const slot = core.slots.find(i32[shard + TABLE]!, hash);
    if (slot < 0) {
      lock.release();
      return this.#addNew(key, delta);
    }
    core.begin(shard);
    let sum: unknown;
    if (core.cells?.holds(slot)) {
      sum = core.cells.addLocked(slot, delta as number);
    } else {
      const address = core.valueOf(slot);
      field.write(address, (field.read(address) as number) + (delta as number));
      sum = field.read(address);
    }
    if (core.usage !== undefined) core.usage.note(shard, slot);
    lock.release();
    return sum;
  }

  /**
   * Replaces a value by what `fn` makes of it, under the shard's lock.
   *
   * @param fn gets a copy of the value, or `initial` when the key is not there (then without the lock, and
   *   once more if another thread inserts the key meanwhile). Of i32 and u32: once more if another thread adds
   *   to the value meanwhile
   * @returns the new value as `fn` gave it; undefined when there is neither a value nor `initial`
   */
  update<W extends Init<V>>(key: Init<K>, fn: (value: Copy<V>) => W, initial?: Copy<V>): W | undefined;
  update(key: unknown, fn: (value: never) => unknown, initial?: unknown): unknown {
    for (;;) {
      const replaced = this.#updatePresent(key, fn);
      if (replaced !== undefined || initial === undefined) return replaced;
      const value = synchronous(fn(initial as never));
      this.#checkValue(value);
      if (this.#insert(key, value)) return value;
    }
  }

  /**
   * A copy of the value; when the key is not there, inserts one first.
   *
   * @param value the value, or a function that makes it. It runs without a lock: of two threads that make
   *   one for the same key, the first to insert wins, and both get that value
   */
  getOrInsert(key: Init<K>, value: Init<V> | (() => Init<V>)): Copy<V>;
  getOrInsert(key: unknown, value: unknown): unknown {
    for (;;) {
      const found = this.get(key as never);
      if (found !== undefined) return found;
      const made = typeof value === 'function' ? synchronous(value()) : value;
      this.#checkValue(made);
      this.#insert(key, made);
    }
  }

  /** Takes a key out and drops its value. Returns whether it was there. */
  delete(key: Init<K>): boolean {
    return this.core.remove(this.core.keys.encode(key));
  }

  /**
   * Takes a key out and gives its value, or undefined. What the value owns goes to the caller: a box stays
   * a box; of a struct it is a copy as {@link get} gives it.
   */
  take(key: Init<K>): Moved<V> | undefined;
  take(key: unknown): unknown {
    const { core } = this;
    const hash = core.keys.encode(key);
    const shard = core.shardOf(hash);
    const lock = core.lockOf(hash);
    let entry: Address = NULL;
    let value: unknown;
    lock.acquire();
    try {
      const slot = core.slots.find(core.i32[shard + TABLE]!, hash);
      if (slot < 0) return undefined;
      const inSlot = core.u32[slot] === layout.TAKEN;
      if (inSlot && core.cells === undefined) value = this.load(core.valueOf(slot));
      entry = core.unlink(shard, slot);
      if (inSlot && core.cells !== undefined) value = core.unlinked;
    } finally {
      lock.release();
    }
    if (entry === NULL) return value;
    try {
      return (this.field.take ?? this.load)(entry + core.headBytes + core.valueAt);
    } finally {
      core.dropEntry(entry);
    }
  }

  /** Drops all entries, one shard after the other. */
  clear(): void {
    for (let index = 0; index < this.core.locks.length; index++) this.core.clearShard(index);
  }

  // ── Iterate ─────────────────────────────────────────────────────────────────────────────────────

  /** The keys, in no order. */
  keys(): IterableIterator<Value<K>> {
    const { core } = this;
    return this.#iterate((slot) => core.keys.read(core.entryOf(slot)) as Value<K>);
  }

  /** Copies of the values, in the order of {@link keys}. */
  values(): IterableIterator<Copy<V>> {
    const { core, load } = this;
    return this.#iterate((slot) => load(core.valueOf(slot)) as Copy<V>);
  }

  /** Keys with copies of their values. */
  entries(): IterableIterator<[Value<K>, Copy<V>]> {
    const { core, load } = this;
    return this.#iterate((slot) => [core.keys.read(core.entryOf(slot)), load(core.valueOf(slot))] as never);
  }

  [Symbol.iterator](): IterableIterator<[Value<K>, Copy<V>]> {
    return this.entries();
  }

  /** Calls `fn` for each entry, under no lock. */
  forEach(fn: (value: Copy<V>, key: Value<K>, map: this) => void): void {
    for (const [key, value] of this.entries()) fn(value, key, this);
  }

  /** A plain object: keys as strings, values in terms of JSON. */
  toJSON(): Record<string, unknown> | null {
    if (!this.isThere) return null;
    const { core, field } = this;
    const entries = this.#iterate((slot) => {
      return [String(core.keys.read(core.entryOf(slot))), field.json(core.valueOf(slot))] as const;
    });
    return Object.fromEntries(entries);
  }

  /** Counters; hits, misses and evictions where the map has a limit. */
  stats(): MapStats {
    return mapStats(this.core);
  }

  /**
   * Checks the map's invariants, one shard after the other. For tests: it reads all of it.
   *
   * @throws HeapCorruptionError naming the address where one is broken
   */
  verify(): void {
    verifyMap(this.core);
  }

  [INSPECT](depth: number, options: object, inspect: Inspector): string {
    if (!this.isThere) return 'SharedMap (released)';
    const name = `SharedMap(${this.size})`;
    if (depth < 0) return `[${name}]`;
    const shown = new Map<unknown, unknown>();
    for (const [key, value] of this.entries()) if (shown.size < SHOWN) shown.set(key, value);
    return `${name} ${inspect(shown, { ...options, depth }).replace(/^Map\(\d+\) /, '')}`;
  }

  // ── Steps ───────────────────────────────────────────────────────────────────────────────────────

  /** Neither released nor destroyed. */
  private get isThere(): boolean {
    return this.address !== NULL && this.core.isThere;
  }

  *#iterate<R>(read: (slot: number) => R): IterableIterator<R> {
    const { core } = this;
    for (let index = 0; index < core.locks.length; index++) yield* core.snapshot(index, read);
  }

  /** Writes a scalar in place. False when the key is not there. */
  #setCell(key: unknown, value: unknown): boolean {
    const { core } = this;
    const hash = core.keys.encode(key);
    const shard = core.shardOf(hash);
    const lock = core.lockOf(hash);
    lock.acquire();
    try {
      const slot = core.slots.find(core.i32[shard + TABLE]!, hash);
      if (slot < 0) return false;
      core.begin(shard);
      this.field.write(core.valueOf(slot), value);
      core.usage?.touch(shard, slot);
      return true;
    } finally {
      lock.release();
    }
  }

  /** Inserts a key that is not there. False when it is by now: then nothing changed. */
  #insert(key: unknown, value: unknown): boolean {
    return !this.core.put(key, value, true);
  }

  #addNew(key: unknown, delta: unknown): unknown {
    if (!this.#insert(key, delta)) return this.add(key as never, delta as never);
    // What the field makes of 0 + delta; in the map it may have changed since.
    return this.#one!.fill(delta as never)[0];
  }

  #updatePresent(key: unknown, fn: (value: never) => unknown): unknown {
    const { core } = this;
    const hash = core.keys.encode(key);
    const shard = core.shardOf(hash);
    const lock = core.lockOf(hash);
    let old: Address = NULL;
    lock.acquire();
    try {
      const slot = core.slots.find(core.i32[shard + TABLE]!, hash);
      if (slot < 0) return undefined;
      if (core.cells?.holds(slot)) return this.#updateCell(core.cells, slot, fn);
      const value = synchronous(fn(this.load(core.valueOf(slot)) as never));
      this.#checkValue(value);
      if (this.cell) {
        core.begin(shard);
        this.field.write(core.valueOf(slot), value);
        core.usage?.note(shard, slot);
      } else {
        const entry = core.newEntry(key, value);
        core.usage?.checkWeight(entry);
        core.begin(shard);
        old = core.replace(shard, slot, entry);
      }
      return value;
    } finally {
      lock.release();
      core.usage?.dropVictims();
      core.dropEntry(old);
    }
  }

  #updateCell(cells: Cells, slot: number, fn: (value: never) => unknown): unknown {
    for (;;) {
      const before = cells.read(slot);
      const value = synchronous(fn(before as never));
      this.#checkValue(value);
      if (cells.replace(slot, before, value as number)) return value;
    }
  }

  #getInto(key: unknown, into: object): unknown {
    const row = rowOf(into, 'get(key, into)');
    const { core } = this;
    const field = this.#value as StructType;
    if (field.kind !== 'struct' || row.type.hash !== field.hash || row.store.memory !== this.store.memory) {
      throw new TypeError(
        `get(key, into) takes a view of ${field.spell()} in the same heap, got ${show(into)}`,
      );
    }
    if (!this.loose)
      throw new TypeError(`get(key, into) copies bytes, and ${field.name} owns what they link: use with()`);
    const { address } = (into as RowView).$place;
    if (address > row.limit) throw new TypeError(`get(key, into) takes no view of a deleted ${field.name}`);
    const { u8 } = this.store.memory;
    const copy = (from: number): object => {
      u8.copyWithin(address, from, from + field.size);
      return into;
    };
    return core.read(core.keys.encode(key), copy);
  }

  #checkValue(value: unknown): void {
    const { scalar } = this;
    if (scalar !== undefined && typeof value !== scalar) {
      throw new TypeError(`a value of ${this.#value.spell()} must be a ${scalar}, got ${show(value)}`);
    }
    if (value === undefined) throw new TypeError(`a value of ${this.#value.spell()} cannot be undefined`);
  }

  #refusedDelta(delta: unknown): TypeError {
    if (this.scalar === undefined) {
      return new TypeError(
        `add() wants values that are numbers or bigints; these are ${this.#value.spell()}`,
      );
    }
    return new TypeError(`add() wants a ${this.scalar} for ${this.#value.spell()}, got ${show(delta)}`);
  }
}

/** What `typeof` has to say of a scalar's values; undefined for what is checked otherwise. */
function scalarOf({ kind }: Field): string | undefined {
  if (kind === 'i64' || kind === 'u64') return 'bigint';
  return ['i8', 'u8', 'i16', 'u16', 'i32', 'u32', 'f32', 'f64'].includes(kind) ? 'number' : undefined;
}

/** Refuses a promise: what a callback does later is not done under the lock. */
function synchronous<R>(result: R): R {
  if (typeof (result as { then?: unknown } | null | undefined)?.then !== 'function') return result;
  throw new TypeError('the callback of a SharedMap must be synchronous, and it returned a promise');
}

if (Symbol.dispose !== undefined) {
  Object.defineProperty(SharedMap.prototype, Symbol.dispose, { value: SharedMap.prototype.release });
}
