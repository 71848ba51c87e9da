/**
 * SpscRing: a bounded queue for one producer and one consumer; the cheapest way between two threads.
 *
 *     address ▶ ┌ kind ┬ hash ┬ capacity ┬ producer ┬ consumer ┬ taking ┐   128 ┌ tail ┐   256 ┌ head ┐
 *               └──────┴──────┴──────────┴──────────┴──────────┴────────┘       └──────┘       └──────┘
 *           384 ┌ items ┬ room ┐   512 ┌ value 0 ┬ value 1 ┬ …
 *               └ events ──────┘       └─────────┴─────────┴──
 *     tail      │ closed 1 │ position 31 │   written by the producer, but for `closed`
 *     head      │ position 31 │              written by the consumer
 *     producer, consumer                     thread tokens; 0 while nobody has sent or received
 *     taking    how far the consumer has come at most with taking out; only of values that own. Else up to the head
 *
 * Values are plain stores; one CAS of the tail publishes them, however many they are, and one store of the
 * head frees their cells. The CAS fails once `closed` is set: from then on the tail stands still, so a
 * consumer that has seen `closed` and has come to the tail is at the end. Each side keeps what it last saw of
 * the other's position and looks again only when that leaves no room, or no item.
 *
 * The first thread to send becomes the producer, the first to receive the consumer; another is refused until
 * the first calls `release`, leaves the heap or dies. What a thread that dies was sending was not sent. What it
 * was receiving the next consumer receives, unless it may have taken what the item owns (see item.ts).
 *
 * Invariant: tail - head is between 0 and the capacity, a power of two; cells from head to tail hold values.
 *
 * Source: L. Lamport, "Specifying concurrent program modules", 1983; the kept positions: FastForward and
 * MCRingBuffer, 2008 and 2010.
 */

import { addressOfHandle, type Handle, NO_BLOCK } from '../containers/container.ts';
import type { ContainerStore } from '../containers/store.ts';
import { HeapCorruptionError, RoleTakenError } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import { atomicLoad, atomicStore, compareExchange } from '../memory/atomics.ts';
import { checkInteger } from '../memory/layout.ts';
import { type Dropper, kindWord, registerKind } from '../structs/drop.ts';
import { checkField, type Field } from '../structs/field.ts';
import { type Received, type Sent, strideOf } from './item.ts';
import { CLOSED, ENDED, FULL_UP, NONE, Queue, SENT } from './queue.ts';
import { createBlock, dropItems, openBlock, type QueueShape, valuesStart } from './queue-block.ts';

// Offsets in bytes.
const PRODUCER = 12;
const CONSUMER = 16;
const TAKING = 20;

const MAX_CAPACITY = 2 ** 24;

const POSITION_MASK = 0x7fffffff;

/** `sleepers` of an event word: see `waiting.ts`. */
const SLEEPERS = 1;

const SHAPE: QueueShape = {
  kind: registerKind(kindWord('SPSC'), 'SpscRing', dropRing),
  name: 'a ring',
  stateBytes: 0,
};

/** Types only: what the ring of a handle carries. */
declare const carried: unique symbol;

/** A ring on its way to another thread. `T` is what is received, `I` what can be sent. */
export interface SpscRingHandle<T = unknown, I = T> extends Handle<'SpscRing'> {
  readonly [carried]?: { readonly received: T; readonly sent: I };
}

/** How a ring is made. */
export interface SpscRingOptions {
  /** How many items it holds at least: 1 to 16,777,216; rounded up to a power of two. */
  readonly capacity: number;
}

/** A bounded queue from one thread to another. Each thread opens its own object. */
export class SpscRing<T = unknown, I = T> extends Queue<T, I> {
  protected override readonly kind = 'SpscRing';
  protected override readonly stateBytes = 0;
  /** Of the first value, in bytes. */
  private readonly values: number;
  /** Of a value, in bytes. */
  private readonly stride: number;
  private readonly mask: number;
  // Indexes of words. The first two name this thread when it is the producer, the consumer; once released, none do.
  private producer: number;
  private consumer: number;
  private readonly taking: number;
  private readonly token: number;
  /** What the producer last saw of the head, and the consumer of the tail. */
  private seenHead: number;
  private seenTail: number;
  private isProducer = false;
  private isConsumer = false;

  private constructor(store: ContainerStore, address: Address, field: Field, capacity: number) {
    super(store, address, field, capacity);
    this.values = address + valuesStart(0, capacity);
    this.stride = strideOf(field);
    this.mask = capacity - 1;
    this.producer = (address + PRODUCER) >>> 2;
    this.consumer = (address + CONSUMER) >>> 2;
    this.taking = (address + TAKING) >>> 2;
    this.token = store.thread.token;
    this.seenHead = atomicLoad(this.i32, this.head);
    this.seenTail = this.seenHead;
  }

  /**
   * Makes an open, empty ring of a field.
   *
   * @throws TypeError when `field` is no field
   * @throws RangeError when the capacity is out of range
   * @throws OutOfMemoryError when the store has no room: 512 bytes and the items
   */
  static create<F extends Field>(
    store: ContainerStore,
    field: F,
    options: SpscRingOptions,
  ): SpscRing<Received<F>, Sent<F>> {
    checkField(field, 'a ring carries a field');
    checkInteger('capacity', options?.capacity, 1, MAX_CAPACITY);
    const capacity = 2 ** Math.ceil(Math.log2(options.capacity));
    return new SpscRing(store, createBlock(store, SHAPE, field, capacity), field, capacity);
  }

  /**
   * The ring that a handle stands for.
   *
   * @param field what it carries, to have it checked. Default: found by what the heap has registered
   * @throws AttachError when it is of another kind, field or heap, or was destroyed
   * @throws TypeError when it is no handle
   */
  static open<T, I>(store: ContainerStore, handle: SpscRingHandle<T, I>): SpscRing<T, I>;
  static open<F extends Field>(
    store: ContainerStore,
    handle: Handle,
    field: F,
  ): SpscRing<Received<F>, Sent<F>>;
  static open(store: ContainerStore, handle: Handle, field?: Field): SpscRing {
    return SpscRing.openAt(store, addressOfHandle(store, handle, 'SpscRing'), field);
  }

  /**
   * The ring at an address, which must be one of a block of the store.
   *
   * @throws AttachError when no ring of the field lies there
   * @throws RangeError when none can
   */
  static at<F extends Field>(
    store: ContainerStore,
    address: Address,
    field: F,
  ): SpscRing<Received<F>, Sent<F>> {
    return SpscRing.openAt(store, address, field) as SpscRing<Received<F>, Sent<F>>;
  }

  /** For the roots: `heap.roots.open('frames', SpscRing.type(Frame))`. */
  static type<F extends Field>(
    field: F,
  ): { at(store: ContainerStore, address: Address): SpscRing<Received<F>, Sent<F>> } {
    checkField(field, 'a ring carries a field');
    return { at: (store, address) => SpscRing.at(store, address, field) };
  }

  private static openAt(store: ContainerStore, address: Address, given: Field | undefined): SpscRing {
    const { field, capacity } = openBlock(store, SHAPE, address, given);
    if ((capacity & (capacity - 1)) !== 0) {
      throw new HeapCorruptionError(address, `a ring has a capacity of ${capacity}`);
    }
    return new SpscRing(store, address, field, capacity);
  }

  override get handle(): SpscRingHandle<T, I> {
    return super.handle as SpscRingHandle<T, I>;
  }

  /** Items inside. May have changed when you look at it. */
  override get length(): number {
    this.check();
    const head = atomicLoad(this.i32, this.head);
    return Math.min((atomicLoad(this.i32, this.tail) - head) & POSITION_MASK, this.capacity);
  }

  /** As a container's; and another thread may then be the producer or consumer that this one was. */
  override release(): void {
    if (this.isThere) {
      if (this.isProducer) compareExchange(this.i32, this.producer, this.token, 0);
      if (this.isConsumer) compareExchange(this.i32, this.consumer, this.token, 0);
    }
    this.producer = NO_BLOCK;
    this.consumer = NO_BLOCK;
    super.release();
  }

  // ── Sending ─────────────────────────────────────────────────────────────────────────────────────

  protected override put(value: I): number {
    const { i32 } = this;
    if (i32[this.producer] !== this.token && !this.become(PRODUCER)) return CLOSED;
    const tail = i32[this.tail]!;
    if (tail < 0) return CLOSED;
    if (this.room(tail) === 0) return FULL_UP;
    const address = this.valueAt(tail);
    this.items.write(address, value);
    // Publishes: the value. Pairs with the load in `filled`.
    if (compareExchange(i32, this.tail, tail, (tail + 1) & POSITION_MASK) !== tail) {
      this.items.drop(address);
      return CLOSED;
    }
    if ((atomicLoad(i32, this.itemsEvent) & SLEEPERS) !== 0) this.forItems.wakeSleepers(1);
    return SENT;
  }

  protected override putMany(values: readonly I[], from: number, to: number): number {
    const { i32 } = this;
    if (i32[this.producer] !== this.token && !this.become(PRODUCER)) return CLOSED;
    const tail = i32[this.tail]!;
    if (tail < 0) return CLOSED;
    const count = Math.min(to - from, this.room(tail));
    if (count === 0) return 0;
    const { run } = this.items;
    let written = 0;
    try {
      if (run !== undefined) {
        const first = Math.min(count, this.capacity - (tail & this.mask));
        run.put(this.valueAt(tail), values as readonly number[], from, first);
        if (first < count) run.put(this.values, values as readonly number[], from + first, count - first);
        written = count;
      }
      while (written < count) {
        this.items.write(this.valueAt(tail + written), values[from + written]!);
        written++;
      }
    } finally {
      // After an error, those before it.
      if (!this.publish(tail, written)) written = CLOSED;
    }
    return written;
  }

  /** Publishes what was written from the tail on. False when the ring was closed: then it is dropped. */
  private publish(tail: number, count: number): boolean {
    // Publishes: the values. Pairs with the load in `filled`.
    if (compareExchange(this.i32, this.tail, tail, (tail + count) & POSITION_MASK) !== tail) {
      for (let index = 0; index < count; index++) this.items.drop(this.valueAt(tail + index));
      return false;
    }
    if ((atomicLoad(this.i32, this.itemsEvent) & SLEEPERS) !== 0) this.forItems.wakeSleepers(1);
    return true;
  }

  /** How many free cells there are. Looks at the head when none seem to be. */
  private room(tail: number): number {
    const room = this.capacity - ((tail - this.seenHead) & POSITION_MASK);
    if (room > 0) return room;
    this.seenHead = atomicLoad(this.i32, this.head);
    return this.capacity - ((tail - this.seenHead) & POSITION_MASK);
  }

  protected override canPut(): boolean {
    const tail = atomicLoad(this.i32, this.tail);
    return tail < 0 || ((tail - atomicLoad(this.i32, this.head)) & POSITION_MASK) < this.capacity;
  }

  // ── Receiving ───────────────────────────────────────────────────────────────────────────────────

  protected override poll(): T | typeof NONE | typeof ENDED {
    const { i32 } = this;
    if (i32[this.consumer] !== this.token && !this.become(CONSUMER)) return ENDED;
    const head = i32[this.head]!;
    // Behind the head when another object of this thread has received.
    if (((this.seenTail - head - 1) & POSITION_MASK) > this.mask) {
      const closed = this.lookAtTail();
      if (head === this.seenTail) return closed ? ENDED : NONE;
    }
    const address = this.valueAt(head);
    if (this.items.owns) i32[this.taking] = (head + 1) & POSITION_MASK;
    let value: T;
    try {
      value = this.items.take(address) as T;
    } catch (error) {
      this.items.drop(address);
      throw error;
    } finally {
      this.free(head, 1);
    }
    return value;
  }

  protected override pollMany(into: T[], most: number): number {
    if (this.i32[this.consumer] !== this.token && !this.become(CONSUMER)) return CLOSED;
    const head = this.i32[this.head]!;
    const known = (this.seenTail - head) & POSITION_MASK;
    if (known < most || known > this.capacity) {
      const closed = this.lookAtTail();
      if (head === this.seenTail) return closed ? CLOSED : 0;
    }
    const count = Math.min(most, (this.seenTail - head) & POSITION_MASK);
    const { run } = this.items;
    let taken = 0;
    try {
      if (run !== undefined) {
        const first = Math.min(count, this.capacity - (head & this.mask));
        run.take(this.valueAt(head), into as number[], first);
        if (first < count) run.take(this.values, into as number[], count - first, first);
        taken = count;
      }
      while (taken < count) {
        if (this.items.owns) this.i32[this.taking] = (head + taken + 1) & POSITION_MASK;
        into[taken] = this.items.take(this.valueAt(head + taken)) as T;
        taken++;
      }
    } catch (error) {
      if (taken === 0) {
        this.items.drop(this.valueAt(head));
        this.free(head, 1);
        throw error;
      }
      // It comes first in the next call.
    }
    this.free(head, taken);
    return taken;
  }

  /** Gives cells back to the producer. */
  private free(head: number, count: number): void {
    // Publishes: that the cells are free. Pairs with the load in `room`.
    atomicStore(this.i32, this.head, (head + count) & POSITION_MASK);
    if ((atomicLoad(this.i32, this.roomEvent) & SLEEPERS) !== 0) this.forRoom.wakeSleepers(1);
  }

  /** Looks how far the producer has come, and whether it can go on. */
  private lookAtTail(): boolean {
    const tail = atomicLoad(this.i32, this.tail);
    this.seenTail = tail & POSITION_MASK;
    return tail < 0;
  }

  protected override canPoll(): boolean {
    const tail = atomicLoad(this.i32, this.tail);
    return tail < 0 || tail !== atomicLoad(this.i32, this.head);
  }

  // ── Inside ──────────────────────────────────────────────────────────────────────────────────────

  private valueAt(position: number): number {
    return this.values + (position & this.mask) * this.stride;
  }

  /** Makes this thread the producer or the consumer. False when the ring is gone. */
  private become(role: typeof PRODUCER | typeof CONSUMER): boolean {
    if (!this.isThere) return false;
    const { token, store, address, i32 } = this;
    const word = role === PRODUCER ? this.producer : this.consumer;
    let found = compareExchange(i32, word, 0, token);
    const isGone = found !== 0 && found !== token && store.thread.isGone(found);
    if (isGone && compareExchange(i32, word, found, token) === found) {
      if (role === PRODUCER) this.dropUnsent();
      else this.skipTaken();
      found = token;
    }
    if (found !== 0 && found !== token) {
      const name = role === PRODUCER ? 'producer' : 'consumer';
      throw new RoleTakenError(name, address, store.thread.nameOf(found));
    }
    if (role === PRODUCER) {
      this.isProducer = true;
      this.seenHead = atomicLoad(this.i32, this.head);
    } else {
      this.isConsumer = true;
      this.seenTail = atomicLoad(this.i32, this.head);
    }
    return true;
  }

  /** What the producer before this one has written and not published owns nothing any more. */
  private dropUnsent(): void {
    if (!this.items.owns) return;
    const tail = atomicLoad(this.i32, this.tail) & POSITION_MASK;
    const free = this.capacity - ((tail - atomicLoad(this.i32, this.head)) & POSITION_MASK);
    for (let index = 0; index < free; index++) this.items.drop(this.valueAt(tail + index));
  }

  /** What the consumer before this one has taken out, or may have, is given to nobody else. */
  private skipTaken(): void {
    const { i32, items } = this;
    const head = atomicLoad(i32, this.head);
    const begun = (i32[this.taking]! - head) & POSITION_MASK;
    if (!items.owns || begun > this.capacity) return;
    let taken = begun;
    // The last one it may not have come to.
    if (taken > 0 && items.isWhole(this.valueAt(head + taken - 1))) taken--;
    for (let index = 0; index < taken; index++) items.drop(this.valueAt(head + index));
    if (taken > 0) this.free(head, taken);
  }
}

function dropRing(dropper: Dropper, address: number): void {
  dropItems(dropper, address, 0);
  dropper.free(address);
}
