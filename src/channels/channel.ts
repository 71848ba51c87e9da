/**
 * Channel: a bounded queue for many producers and many consumers. No locks: cells are claimed one by one.
 *
 *     address ▶ ┌ kind ┬ hash ┬ capacity ┐         128 ┌ tail ┐   256 ┌ head ┐   384 ┌ items ┬ room ┐
 *               └──────┴──────┴──────────┘             └──────┘       └──────┘       └ events ──────┘
 *           512 ┌ cell 0 ───────┬ cell 1 ───────┬ …
 *               │ state │ value │ state │ value │
 *               └───────┴───────┴───────┴───────┴──
 *     tail      │ closed 1 │ position 31 │       positions count cells: lap, then index in the lap
 *     state     │ turn 14 │ state 3 │ claimer: slot generation 7, slot 8 │       turn: the position's lap
 *
 *     of this turn │ a sender whose turn it is   │ a receiver whose turn it is
 *     EMPTY        │ claims: WRITING(me)         │ nothing there; the end, when closed
 *     WRITING(who) │ passes on                   │ waits for it
 *     FULL         │ passes on                   │ claims: READING(me)
 *     READING(who) │ passes on                   │ passes on
 *     VOID         │ passes on                   │ frees it: EMPTY of the next turn, and passes on
 *     turn before  │ full                        │ nothing there; the end, when closed
 *     turn after   │ passes on                   │ passes on
 *
 * One CAS claims a cell and names its claimer; one store commits: FULL the sending, EMPTY of the next turn
 * the receiving. So a cell that a dead thread left
 * names it: recovery voids what it was writing, and fills again what it was reading.
 *
 * Invariants: 1. Tail and head are never ahead of the first cell that is not claimed: they are hints, moved by
 * whoever passes on. 2. Once `closed` is set no cell becomes FULL that was not claimed, with tail moved, before.
 *
 * Source: D. Vyukov, "Bounded MPMC queue", 2010, with the claim in the cell in place of the counter.
 */

import {
  addressOfHandle,
  type Handle,
  HEADER_BYTES,
  hashAt,
  checkHeader,
  layHeader,
} from '../containers/container.ts';
import type { ContainerStore } from '../containers/store.ts';
import { HeapCorruptionError, OutOfMemoryError } from '../errors.ts';
import { type Address, NULL } from '../memory/address.ts';
import { atomicLoad, atomicOr, atomicStore, compareExchange } from '../memory/atomics.ts';
import { checkInteger } from '../memory/layout.ts';
import { type DropBlock, type Dropper, kindWord, registerKind } from '../structs/drop.ts';
import { checkField, type Field } from '../structs/field.ts';
import type { FieldInit } from '../structs/inference.ts';
import { fieldWithHash, hashOfField, registerLayout } from '../structs/schema.ts';
import { strideOf, type Received, alignOf } from './item.ts';
import { BATCH, CLOSED, ENDED, FULL_UP, NONE, Queue, SENT } from './queue.ts';

// Offsets in bytes.
const HASH = 4;
const CAPACITY = HEADER_BYTES;
const TAIL = 128;
const HEAD = 256;
const ITEMS = 384;
const ROOM = 388;
const CELLS = 512;
const LINE_BYTES = 128;
/** Bytes of a cell's state word. */
const STATE_BYTES = 4;

/** At most so many cells: leaves 11 bits for turns. */
const MAX_CAPACITY = 2 ** 20;

const CLOSED_BIT = 1 << 31;
const POSITION_BITS = 31;
const POSITION_MASK = 0x7fffffff;

// The state word.
const CLAIMER_MASK = 0x7fff;
const STATE_MASK = 7 << 15;
const EMPTY = 0 << 15;
const WRITING = 1 << 15;
const FULL = 2 << 15;
const READING = 3 << 15;
const VOID = 4 << 15;
const TURN_SHIFT = 18;
const ONE_TURN = 1 << TURN_SHIFT;
const TURN_BITS = 14;

/** `sleepers` of an event word: see `waiting.ts`. */
const SLEEPERS = 1;

// Copies: V8 does not fold what is imported.
const IS_SENT = SENT;
const IS_FULL_UP = FULL_UP;
const IS_CLOSED = CLOSED;
const MOST = BATCH;

/** The cell at the head has changed: an attempt has to look again. */
const AGAIN: unique symbol = Symbol('again');

const KIND = registerKind(kindWord('CHAN'), 'Channel', dropChannel);

/** Types only: what the channel of a handle carries. */
declare const carried: unique symbol;

/** A channel on its way to another thread. `T` is what is received, `I` what can be sent. */
export interface ChannelHandle<T = unknown, I = T> extends Handle<'Channel'> {
  readonly [carried]?: { readonly received: T; readonly sent: I };
}

/** How a channel is made. */
export interface ChannelOptions {
  /** How many items it holds at most: 1 to 1,048,576. Any number, not only powers of two. */
  readonly capacity: number;
}

/** A bounded queue among threads. Thread-safe; each thread opens its own object. */
export class Channel<T = unknown, I = T> extends Queue<T, I> {
  protected override readonly kind = 'Channel';
  protected override readonly dropBlock: DropBlock = dropChannel;
  // Indexes of words.
  private readonly tail: number;
  private readonly head: number;
  private readonly itemsEvent: number;
  private readonly roomEvent: number;
  private readonly cells: number;
  /** Of a cell, in words. */
  private readonly stride: number;
  /** From a cell to its value, in words. */
  private readonly valueWord: number;
  /** Low bits of a position: the index in its lap. */
  private readonly indexMask: number;
  private readonly lapShift: number;
  /** The bits of a state word that hold the turn. */
  private readonly turnMask: number;
  /** What this thread claims with. */
  private readonly writing: number;
  private readonly reading: number;
  /** Of the last `claim`. */
  private claimEnd = 0;

  private constructor(store: ContainerStore, address: Address, field: Field, capacity: number) {
    super(store, address, field, capacity, { items: (address + ITEMS) >>> 2, room: (address + ROOM) >>> 2 });
    this.tail = (address + TAIL) >>> 2;
    this.head = (address + HEAD) >>> 2;
    this.itemsEvent = (address + ITEMS) >>> 2;
    this.roomEvent = (address + ROOM) >>> 2;
    this.cells = (address + CELLS) >>> 2;
    this.stride = strideOf(field, STATE_BYTES) >>> 2;
    this.valueWord = alignOf(field) >>> 2;
    this.lapShift = lapShiftOf(capacity);
    this.indexMask = (1 << this.lapShift) - 1;
    this.turnMask = turnMaskOf(this.lapShift);
    const claimer = store.thread.token & CLAIMER_MASK;
    this.writing = WRITING | claimer;
    this.reading = READING | claimer;
  }

  /**
   * Makes an open, empty channel of a field: a scalar, `u32` for addresses, a struct (by value), or what is
   * owned (`string`, `box(T)`, `arc(T)`), which moves through it.
   *
   * @throws TypeError when `field` is no field
   * @throws RangeError when the capacity is out of range
   * @throws OutOfMemoryError when the store has no room: 512 bytes, and for each item 4 more than its size
   */
  static create<F extends Field>(
    store: ContainerStore,
    field: F,
    options: ChannelOptions,
  ): Channel<Received<F>, FieldInit<F>> {
    checkField(field, 'a channel carries a field');
    const { capacity } = options;
    checkInteger('capacity', capacity, 1, MAX_CAPACITY);
    const hash = registerLayout(field, store);
    const byteLength = CELLS + capacity * strideOf(field, STATE_BYTES);
    const address = store.allocZeroed(byteLength, LINE_BYTES);
    if (address === NULL) throw new OutOfMemoryError(byteLength, `a channel of ${capacity} items`);
    store.memory.u32[(address + CAPACITY) >>> 2] = capacity;
    layHeader(store, address, KIND, hash);
    return new Channel(store, address, field, capacity);
  }

  /**
   * The channel that a handle stands for.
   *
   * @param field what it carries, to have it checked. Default: found by what the heap has registered
   * @throws AttachError when it is of another kind, field or heap, or was destroyed
   * @throws TypeError when it is no handle
   */
  static open<T, I>(store: ContainerStore, handle: ChannelHandle<T, I>): Channel<T, I>;
  static open<F extends Field>(
    store: ContainerStore,
    handle: Handle,
    field: F,
  ): Channel<Received<F>, FieldInit<F>>;
  static open(store: ContainerStore, handle: Handle, field?: Field): Channel {
    return Channel.openAt(store, addressOfHandle(store, handle, 'Channel'), field);
  }

  /**
   * The channel at an address, which must be one of a block of the store.
   *
   * @throws AttachError when no channel of the field lies there
   * @throws RangeError when none can
   */
  static at<F extends Field>(
    store: ContainerStore,
    address: Address,
    field: F,
  ): Channel<Received<F>, FieldInit<F>> {
    return Channel.openAt(store, address, field) as Channel<Received<F>, FieldInit<F>>;
  }

  /** For the roots: `heap.roots.open('jobs', Channel.type(Job))`. */
  static type<F extends Field>(
    field: F,
  ): { at(store: ContainerStore, address: Address): Channel<Received<F>, FieldInit<F>> } {
    checkField(field, 'a channel carries a field');
    return { at: (store, address) => Channel.at(store, address, field) };
  }

  private static openAt(store: ContainerStore, address: Address, given: Field | undefined): Channel {
    if (given !== undefined) checkField(given, 'a channel carries a field');
    checkHeader(store, address, KIND, given && hashOfField(given));
    const field = given ?? fieldWithHash(hashAt(store, address), store);
    const capacity = store.memory.u32[(address + CAPACITY) >>> 2]!;
    const byteLength = CELLS + capacity * strideOf(field, STATE_BYTES);
    if (capacity === 0 || capacity > MAX_CAPACITY || byteLength > store.sizeOf(address)) {
      throw new HeapCorruptionError(address, `a channel has a capacity of ${capacity}`);
    }
    return new Channel(store, address, field, capacity);
  }

  override get handle(): ChannelHandle<T, I> {
    return super.handle as ChannelHandle<T, I>;
  }

  /** Items inside, those that are being put in or taken out included. May have changed when you look at it. */
  override get length(): number {
    this.checkLive();
    const head = this.countUpTo(atomicLoad(this.i32, this.head));
    const length = this.countUpTo(atomicLoad(this.i32, this.tail) & POSITION_MASK) - head;
    const all = this.countUpTo(POSITION_MASK + 1);
    const wrapped = length < -all / 2 ? length + all : length;
    // Receivers pass over the voided cells of a closed channel: then its head is past its tail.
    return Math.max(0, Math.min(wrapped, this.capacity));
  }

  override get closed(): boolean {
    this.checkLive();
    return atomicLoad(this.i32, this.tail) < 0;
  }

  // ── Positions and cells ─────────────────────────────────────────────────────────────────────────

  private next(at: number): number {
    const { indexMask } = this;
    const after = (at & indexMask) + 1 < this.capacity ? at + 1 : (at | indexMask) + 1;
    return after & POSITION_MASK;
  }

  /** How many cells come before a position. */
  private countUpTo(position: number): number {
    return Math.floor(position / (this.indexMask + 1)) * this.capacity + (position & this.indexMask);
  }

  /** Index of a position's state word. */
  private cellOf(at: number): number {
    return this.cells + (at & this.indexMask) * this.stride;
  }

  /** The bits that the state word has while it is the position's turn. */
  private turnOf(at: number): number {
    return ((at >>> this.lapShift) << TURN_SHIFT) & this.turnMask;
  }

  private nextTurn(turn: number): number {
    return (turn + ONE_TURN) & this.turnMask;
  }

  /** Where a cell's value lies, in bytes. */
  private valueAt(cell: number): number {
    return ((cell + this.valueWord) << 2) >>> 0;
  }

  /** Whether a state word is of a turn before `turn`. Turns wrap: the nearer half comes before. */
  private isBefore(state: number, turn: number): boolean {
    const turns = (state - turn) & this.turnMask;
    return turns !== 0 && turns >>> 0 > this.turnMask >>> 1;
  }

  /**
   * Claims up to `most` cells in a row, the first at `first`, that are in `state` of their turns. Answers how
   * many; `claimEnd` is the position after them.
   */
  private claim(first: number, most: number, state: number, claimed: number): number {
    const { i32 } = this;
    let at = first;
    let count = 0;
    while (count < most) {
      const cell = this.cellOf(at);
      const turn = this.turnOf(at);
      const wanted = turn | state;
      if (i32[cell] !== wanted || compareExchange(i32, cell, wanted, turn | claimed) !== wanted) break;
      at = this.next(at);
      count++;
    }
    this.claimEnd = at;
    return count;
  }

  // ── Sending ─────────────────────────────────────────────────────────────────────────────────────

  protected override put(value: I): number {
    const { i32, tail } = this;
    for (;;) {
      const at = i32[tail]!;
      if (at < 0) return IS_CLOSED;
      const cell = this.cellOf(at);
      const turn = this.turnOf(at);
      const seen = i32[cell]!;
      if (seen !== (turn | EMPTY)) {
        if (this.isBefore(seen, turn)) return IS_FULL_UP;
        compareExchange(i32, tail, at, this.next(at));
        continue;
      }
      if (compareExchange(i32, cell, seen, turn | this.writing) !== seen) continue;
      const next = this.next(at);
      const found = compareExchange(i32, tail, at, next);
      if (found !== at && !this.confirm(at, 1, found)) continue;
      this.fill(at, cell, turn, value, 1);
      if ((atomicLoad(i32, this.itemsEvent) & SLEEPERS) !== 0) this.forItems.wakeSleepers(1);
      if ((i32[this.roomEvent]! & SLEEPERS) !== 0) this.wakeSender(next);
      return IS_SENT;
    }
  }

  protected override putMany(values: readonly I[], from: number, to: number): number {
    const { i32, tail } = this;
    for (;;) {
      const first = i32[tail]!;
      if (first < 0) return IS_CLOSED;
      const count = this.claim(first, Math.min(to - from, MOST), EMPTY, this.writing);
      if (count === 0) {
        const seen = atomicLoad(i32, this.cellOf(first));
        if (this.isBefore(seen, this.turnOf(first))) return 0;
        if (seen !== (this.turnOf(first) | EMPTY)) compareExchange(i32, tail, first, this.next(first));
        continue;
      }
      const end = this.claimEnd;
      const found = compareExchange(i32, tail, first, end);
      if (found !== first && !this.confirm(first, count, found)) continue;
      let at = first;
      try {
        for (let index = 0; index < count; index++) {
          this.fill(at, this.cellOf(at), this.turnOf(at), values[from + index]!, count - index);
          at = this.next(at);
        }
      } finally {
        if ((atomicLoad(i32, this.itemsEvent) & SLEEPERS) !== 0) this.forItems.wakeSleepers(count);
      }
      if ((i32[this.roomEvent]! & SLEEPERS) !== 0) this.wakeSender(end);
      return count;
    }
  }

  /**
   * Whether a claim holds although the tail was not where it began. Others may have moved it over the cells
   * that are claimed, a lap at most. It does not hold when the channel is closed; nor when this thread had
   * looked at the tail so many laps ago that the turns have come round. Then the cells are voided.
   */
  private confirm(first: number, count: number, found: number): boolean {
    if (found >= 0 && ((found - first) & POSITION_MASK) <= this.indexMask + 1) return true;
    this.voidCells(first, count);
    return false;
  }

  /** Writes the value into a claimed cell. When it cannot be written, this and the `claimed - 1` after it are void. */
  private fill(at: number, cell: number, turn: number, value: I, claimed: number): void {
    try {
      this.items.write(this.valueAt(cell), value);
    } catch (error) {
      this.items.drop(this.valueAt(cell));
      this.voidCells(at, claimed);
      throw error;
    }
    // Publishes: the value. Pairs with the CAS that claims the cell in `poll` and `claim`.
    atomicStore(this.i32, cell, turn | FULL);
  }

  private voidCells(first: number, count: number): void {
    let at = first;
    for (let left = count; left > 0; left--) {
      atomicStore(this.i32, this.cellOf(at), this.turnOf(at) | VOID);
      at = this.next(at);
    }
    this.forItems.wake(Number.POSITIVE_INFINITY);
    // If nothing comes before them they need not wait for a receiver.
    const { i32, head } = this;
    for (let at = atomicLoad(i32, head); i32[this.cellOf(at)] === (this.turnOf(at) | VOID); ) {
      this.look(at);
      at = atomicLoad(i32, head);
    }
  }

  protected override canPut(): boolean {
    const at = atomicLoad(this.i32, this.tail);
    return at < 0 || !this.isBefore(atomicLoad(this.i32, this.cellOf(at)), this.turnOf(at));
  }

  /** Another sender may sleep while there is room at `at`: its wake-up went to one that was not in time. */
  private wakeSender(at: number): void {
    if (this.i32[this.cellOf(at)] === (this.turnOf(at) | EMPTY)) this.forRoom.wakeSleepers(1);
  }

  // ── Receiving ───────────────────────────────────────────────────────────────────────────────────

  protected override poll(): T | typeof NONE | typeof ENDED {
    if (!this.live) this.checkLive();
    const { i32, head } = this;
    for (;;) {
      const at = i32[head]!;
      const cell = this.cellOf(at);
      const turn = this.turnOf(at);
      const full = turn | FULL;
      if (i32[cell] === full) {
        if (compareExchange(i32, cell, full, turn | this.reading) !== full) continue;
        const next = this.next(at);
        compareExchange(i32, head, at, next);
        const value = this.takeOut(cell, turn);
        if ((atomicLoad(i32, this.roomEvent) & SLEEPERS) !== 0) this.forRoom.wakeSleepers(1);
        if ((i32[this.itemsEvent]! & SLEEPERS) !== 0) this.wakeReceiver(next);
        return value;
      }
      const answer = this.look(at);
      if (answer !== AGAIN) return answer;
    }
  }

  protected override pollMany(into: T[], most: number): number {
    if (!this.live) this.checkLive();
    const { i32, head } = this;
    for (;;) {
      const first = i32[head]!;
      const count = this.claim(first, Math.min(most, MOST), FULL, this.reading);
      if (count === 0) {
        const answer = this.look(first);
        if (answer === AGAIN) continue;
        return answer === ENDED ? IS_CLOSED : 0;
      }
      const end = this.claimEnd;
      compareExchange(i32, head, first, end);
      const taken = this.takeOutMany(first, count, into);
      if ((atomicLoad(i32, this.roomEvent) & SLEEPERS) !== 0) this.forRoom.wakeSleepers(taken);
      if ((i32[this.itemsEvent]! & SLEEPERS) !== 0) this.wakeReceiver(end);
      return taken;
    }
  }

  /** Takes the value out of a claimed cell. What cannot be taken is dropped. */
  private takeOut(cell: number, turn: number): T {
    const value = this.valueAt(cell);
    try {
      return this.items.take(value) as T;
    } catch (error) {
      this.items.drop(value);
      throw error;
    } finally {
      // Publishes: that the cell is free. Pairs with the CAS that claims it in `put` and `claim`.
      atomicStore(this.i32, cell, this.nextTurn(turn) | EMPTY);
    }
  }

  /** Takes the values out of claimed cells, up to one that cannot be taken: that one
   * comes first in the next call, which drops it and throws. */
  private takeOutMany(first: number, count: number, into: T[]): number {
    const { i32, items } = this;
    let at = first;
    let taken = 0;
    try {
      while (taken < count) {
        const cell = this.cellOf(at);
        into[taken] = items.take(this.valueAt(cell)) as T;
        atomicStore(i32, cell, this.nextTurn(this.turnOf(at)) | EMPTY);
        at = this.next(at);
        taken++;
      }
    } catch (error) {
      if (taken === 0) {
        this.putBack(this.next(at), count - 1);
        items.drop(this.valueAt(this.cellOf(at)));
        atomicStore(i32, this.cellOf(at), this.nextTurn(this.turnOf(at)) | EMPTY);
        throw error;
      }
      this.putBack(at, count - taken);
    }
    return taken;
  }

  /** Gives up claims of a receiver. The head goes back: it may be anywhere before the first full cell. */
  private putBack(first: number, count: number): void {
    if (count === 0) return;
    let at = first;
    for (let left = count; left > 0; left--) {
      atomicStore(this.i32, this.cellOf(at), this.turnOf(at) | FULL);
      at = this.next(at);
    }
    atomicStore(this.i32, this.head, first);
    this.forItems.wake(count);
  }

  /** Looks at the cell at the head, which was not full. Frees it when void; passes on when it is in hand. */
  private look(at: number): typeof NONE | typeof ENDED | typeof AGAIN {
    const { i32 } = this;
    // Before the cell: what was not claimed when the channel was seen closed will never be full.
    const nothing = atomicLoad(i32, this.tail) < 0 ? ENDED : NONE;
    const cell = this.cellOf(at);
    const turn = this.turnOf(at);
    const seen = atomicLoad(i32, cell);
    if (this.isBefore(seen, turn)) return nothing;
    if (((seen ^ turn) & this.turnMask) === 0) {
      const state = seen & STATE_MASK;
      if (state === EMPTY) return nothing;
      if (state === WRITING) return NONE;
      if (state === FULL) return AGAIN;
      if (state === VOID && compareExchange(i32, cell, seen, this.nextTurn(turn) | EMPTY) === seen) {
        this.forRoom.wake(1);
      }
    }
    compareExchange(i32, this.head, at, this.next(at));
    return AGAIN;
  }

  protected override canPoll(): boolean {
    const { i32 } = this;
    const at = atomicLoad(i32, this.head);
    const closed = atomicLoad(i32, this.tail) < 0;
    const turn = this.turnOf(at);
    const seen = atomicLoad(i32, this.cellOf(at));
    if (this.isBefore(seen, turn) || seen === (turn | EMPTY)) return closed;
    return ((seen ^ turn) & this.turnMask) !== 0 || (seen & STATE_MASK) !== WRITING;
  }

  /** As `wakeSender`, for a receiver while there is an item at `at`. */
  private wakeReceiver(at: number): void {
    if (this.i32[this.cellOf(at)] === (this.turnOf(at) | FULL)) this.forItems.wakeSleepers(1);
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────────

  protected override shut(): boolean {
    return atomicOr(this.i32, this.tail, CLOSED_BIT) >= 0;
  }
}

/** How many low bits of a position are the index: those of the next power of two. */
function lapShiftOf(capacity: number): number {
  return capacity === 1 ? 0 : 32 - Math.clz32(capacity - 1);
}

function turnMaskOf(lapShift: number): number {
  return ((1 << Math.min(TURN_BITS, POSITION_BITS - lapShift)) - 1) << TURN_SHIFT;
}

/** The drop function of the kind: drops what is inside, frees the block. No thread may use it any more. */
function dropChannel(dropper: Dropper, address: number): void {
  const { memory, layouts } = dropper.store;
  const layout = layouts.find(memory.u32[(address + HASH) >>> 2]!);
  if (layout !== undefined && layout.owning.length > 0) {
    const stride = strideOf(layout, STATE_BYTES);
    const end = address + CELLS + memory.u32[(address + CAPACITY) >>> 2]! * stride;
    for (let cell = address + CELLS; cell < end; cell += stride) {
      dropper.pushOwned(layout.owning, cell + alignOf(layout));
    }
  }
  dropper.free(address);
}
