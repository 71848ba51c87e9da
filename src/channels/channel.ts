/**
 * Channel: a bounded queue for many producers and many consumers. No locks: cells are claimed.
 *
 *     address ▶ kind, hash, capacity   128 ┌ tail ┐   256 ┌ head ┐   384 ┌ items ┬ room ┐   512 ┌ state 0 ┬ …
 *               (queue-block.ts)           └──────┘       └──────┘       └ events ──────┘       │ values │ …
 *     state     │ turn 14 │ state 3 │ low 15 │     tail      │ closed 1 │ position 31 │   lap, then index in it
 *     turn      the position's lap
 *     low       of a claim: slot generation 7, slot 8; EMPTY, FULL: how many after it certainly are so too
 *
 *     of this turn │ a sender whose turn it is   │ a receiver whose turn it is
 *     EMPTY        │ claims: WRITING(me)         │ nothing there; the end, when closed
 *     WRITING(who) │ passes on                   │ waits for it
 *     FULL         │ passes on                   │ claims: READING(me)       FULL_REST: as FULL, see below
 *     READING(who) │ passes on                   │ passes on
 *     VOID         │ passes on                   │ frees it: EMPTY of the next turn, and passes on
 *     turn before  │ full                        │ nothing there; the end, when closed
 *     turn after   │ passes on                   │ passes on
 *
 * One CAS claims a cell and names its claimer; one store commits: FULL the sending, EMPTY of the next turn
 * the receiving. A run of cells is claimed by its first, and one CAS of the tail (head) over the rest,
 * which others reach only past the first: they change by plain stores, and the first, last, commits all.
 * So what a dead thread held is known: its cell, and behind it to the next one claimed the EMPTY (FULL) ones.
 *
 * Invariants: 1. No cell before the tail (head) can be claimed but by whoever moved it: both move one way,
 * but that a receiver who gives up takes the head back. 2. Once `closed` is set no further cell becomes FULL
 * whose claim had not moved the tail before. Source: D. Vyukov, "Bounded MPMC queue", 2010, with the claim
 * in the cell in place of the counter.
 */

import { addressOfHandle, type Handle } from '../containers/container.ts';
import type { ContainerStore } from '../containers/store.ts';
import type { Address } from '../memory/address.ts';
import { atomicLoad, atomicStore, compareExchange } from '../memory/atomics.ts';
import { checkInteger } from '../memory/layout.ts';
import { type Dropper, kindWord, registerKind } from '../structs/drop.ts';
import { checkField, type Field } from '../structs/field.ts';
import { type Received, type Sent, strideOf } from './item.ts';
import { BATCH, CLOSED, ENDED, FULL_UP, NONE, Queue, SENT } from './queue.ts';
import {
  createBlock,
  dropItems,
  ITEMS_START,
  openBlock,
  type QueueShape,
  valuesStart,
} from './queue-block.ts';

/** Bytes of a cell's state word. */
const STATE_BYTES = 4;

/** At most so many cells: leaves 11 bits for turns. */
const MAX_CAPACITY = 2 ** 20;

const POSITION_BITS = 31;
const POSITION_MASK = 0x7fffffff;

// The state word.
const CLAIMER_MASK = 0x7fff;
/** Of an EMPTY and a FULL cell: how many after it are for certain EMPTY, or filled with it. */
const SPAN_MASK = 0x7fff;
const STATE_MASK = 7 << 15;
const EMPTY = 0 << 15;
const WRITING = 1 << 15;
const FULL = 2 << 15;
const READING = 3 << 15;
const VOID = 4 << 15;
const FULL_REST = 5 << 15;
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

const SHAPE: QueueShape = {
  kind: registerKind(kindWord('CHAN'), 'Channel', dropChannel),
  name: 'a channel',
  stateBytes: STATE_BYTES,
};

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
  protected override readonly stateBytes = STATE_BYTES;
  /** Index of the first state word. */
  private readonly cells: number;
  /** Of the first value, in bytes. */
  private readonly values: number;
  /** Of a value, in bytes. */
  private readonly stride: number;
  /** Low bits of a position: the index in its lap. */
  private readonly indexMask: number;
  private readonly lapShift: number;
  /** The bits of a state word that hold the turn. */
  private readonly turnMask: number;
  /** What this thread claims with. */
  private readonly writing: number;
  private readonly reading: number;
  /** Of the last `runOf`. */
  private runLength = 0;

  private constructor(store: ContainerStore, address: Address, field: Field, capacity: number) {
    super(store, address, field, capacity);
    this.cells = (address + ITEMS_START) >>> 2;
    this.values = address + valuesStart(STATE_BYTES, capacity);
    this.stride = strideOf(field);
    this.lapShift = 32 - Math.clz32(capacity - 1);
    this.indexMask = (1 << this.lapShift) - 1;
    this.turnMask = ((1 << Math.min(TURN_BITS, POSITION_BITS - this.lapShift)) - 1) << TURN_SHIFT;
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
  ): Channel<Received<F>, Sent<F>> {
    checkField(field, 'a channel carries a field');
    const { capacity } = options;
    checkInteger('capacity', capacity, 1, MAX_CAPACITY);
    return new Channel(store, createBlock(store, SHAPE, field, capacity), field, capacity);
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
  ): Channel<Received<F>, Sent<F>>;
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
  ): Channel<Received<F>, Sent<F>> {
    return Channel.openAt(store, address, field) as Channel<Received<F>, Sent<F>>;
  }

  /** For the roots: `heap.roots.open('jobs', Channel.type(Job))`. */
  static type<F extends Field>(
    field: F,
  ): { at(store: ContainerStore, address: Address): Channel<Received<F>, Sent<F>> } {
    checkField(field, 'a channel carries a field');
    return { at: (store, address) => Channel.at(store, address, field) };
  }

  private static openAt(store: ContainerStore, address: Address, given: Field | undefined): Channel {
    const { field, capacity } = openBlock(store, SHAPE, address, given);
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
    return this.cells + (at & this.indexMask);
  }

  /** The bits that the state word has while it is the position's turn. */
  private turnOf(at: number): number {
    return ((at >>> this.lapShift) << TURN_SHIFT) & this.turnMask;
  }

  private nextTurn(turn: number): number {
    return (turn + ONE_TURN) & this.turnMask;
  }

  /** Where a position's value lies, in bytes. */
  private valueAt(at: number): number {
    return this.values + (at & this.indexMask) * this.stride;
  }

  /** Whether it is the turn of a position and its cell is in `state`. */
  private isIn(state: number, at: number): boolean {
    return (this.i32[this.cellOf(at)]! & ~SPAN_MASK) === (this.turnOf(at) | state);
  }

  /** Whether a state word is of a turn before `turn`. Turns wrap: the nearer half comes before. */
  private isBefore(state: number, turn: number): boolean {
    const turns = (state - turn) & this.turnMask;
    return turns !== 0 && turns >>> 0 > this.turnMask >>> 1;
  }

  /** Which position of the lap around the head has this index and turn. */
  private positionOf(index: number, turn: number): number {
    const lap = (atomicLoad(this.i32, this.head) & ~this.indexMask) | index;
    return this.turnOf(lap) === turn ? lap : (lap - this.indexMask - 1) & POSITION_MASK;
  }

  /**
   * Whether a claim of the cell at `at` holds although the tail or head was not there. Others may have passed
   * on over it, by a lap at most. It does not hold when this thread had looked at the position so many
   * laps ago that the turns have come round since.
   */
  private isPlausible(at: number, found: number): boolean {
    return ((found - at) & POSITION_MASK) <= this.indexMask + 1;
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
      if ((seen & ~SPAN_MASK) !== (turn | EMPTY)) {
        if (this.isBefore(seen, turn)) return IS_FULL_UP;
        compareExchange(i32, tail, at, this.next(at));
        continue;
      }
      if (compareExchange(i32, cell, seen, turn | this.writing) !== seen) continue;
      const next = this.next(at);
      const found = compareExchange(i32, tail, at, next);
      if (found !== at && !this.confirm(at, cell, turn, found)) continue;
      this.fill(at, cell, turn, value);
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
      const cell = this.cellOf(first);
      const turn = this.turnOf(first);
      const seen = i32[cell]!;
      if ((seen & ~SPAN_MASK) !== (turn | EMPTY)) {
        if (this.isBefore(seen, turn)) return 0;
        compareExchange(i32, tail, first, this.next(first));
        continue;
      }
      if (compareExchange(i32, cell, seen, turn | this.writing) !== seen) continue;
      const known = seen & SPAN_MASK;
      const end = this.runOf(this.next(first), known, Math.min(to - from, MOST) - 1, EMPTY, EMPTY);
      let count = this.runLength;
      const found = compareExchange(i32, tail, first, end);
      if (found !== first) {
        if (!this.confirm(first, cell, turn, found)) continue;
        // Others have moved the tail over the first cell, so the rest is not this thread's.
        count = 0;
      }
      this.fillRun(first, values, from, count + 1);
      if ((i32[this.roomEvent]! & SLEEPERS) !== 0) this.wakeSender(end);
      return count + 1;
    }
  }

  /**
   * How many cells in a row, from `at` on, are in `state` or `rest` of their turn, up to `most`: `runLength`.
   * The first `known` are. A run ends with its lap at the latest.
   * Answers the position after them. Since nobody passes the claimed cell before them but by the tail (head),
   * one CAS of that takes them all.
   */
  private runOf(at: number, known: number, most: number, state: number, rest: number): number {
    const { i32 } = this;
    const index = at & this.indexMask;
    const left = index === 0 ? 0 : Math.min(most, this.capacity - index);
    const turn = this.turnOf(at);
    const cell = this.cellOf(at);
    let count = Math.min(known, left);
    while (count < left) {
      const seen = i32[cell + count]! & ~SPAN_MASK;
      if (seen !== (turn | rest)) {
        if (seen !== (turn | state)) break;
        // Pairs with the store that published a run or item with its first cell.
        atomicLoad(i32, cell + count);
      }
      count++;
    }
    this.runLength = count;
    return count === 0 ? at : this.next(at + count - 1);
  }

  /** Whether a sender's claim holds. Else the cell is voided. */
  private confirm(at: number, cell: number, turn: number, found: number): boolean {
    if (found >= 0 && this.isPlausible(at, found)) return true;
    compareExchange(this.i32, cell, turn | this.writing, turn | VOID);
    this.voided();
    return false;
  }

  /** Writes the value into a claimed cell and publishes it. When it cannot be written the cell is void. */
  private fill(at: number, cell: number, turn: number, value: I): void {
    let state = VOID;
    try {
      this.items.write(this.valueAt(at), value);
      state = FULL;
    } finally {
      // Publishes: the value. Pairs with the CAS that claims the cell in `poll`.
      atomicStore(this.i32, cell, turn | state);
      if (state === VOID) this.voided();
    }
  }

  /** The same for a run of claimed cells. From a value on that cannot be written they are void. */
  private fillRun(first: number, values: readonly I[], from: number, count: number): void {
    const { items, stride } = this;
    const address = this.valueAt(first);
    let filled = 0;
    try {
      if (items.run !== undefined) {
        items.run.put(address, values as readonly number[], from, count);
        filled = count;
      }
      while (filled < count) {
        items.write(address + filled * stride, values[from + filled]!);
        filled++;
      }
    } finally {
      this.publishRun(first, filled, count);
    }
  }

  /** Of the `count` cells of a claimed run the first `filled` become full, the others void. */
  private publishRun(first: number, filled: number, count: number): void {
    const { i32 } = this;
    const cell = this.cellOf(first);
    const turn = this.turnOf(first);
    if (filled > 1) i32.fill(turn | FULL_REST, cell + 1, cell + filled);
    if (filled < count) i32.fill(turn | VOID, cell + filled, cell + count);
    // Publishes: all of the run, which nobody gets at but past its first cell. Pairs with `poll` and `runOf`.
    atomicStore(i32, cell, turn | (filled === 0 ? VOID : FULL | (filled - 1)));
    if ((atomicLoad(i32, this.itemsEvent) & SLEEPERS) !== 0) this.forItems.wakeSleepers(count);
    if (filled < count) this.voided();
  }

  /** After cells were voided: if nothing comes before them they need not wait for a receiver. */
  private voided(): void {
    const { i32, head } = this;
    this.forItems.wake(Number.POSITIVE_INFINITY);
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
    if (this.isIn(EMPTY, at)) this.forRoom.wakeSleepers(1);
  }

  // ── Receiving ───────────────────────────────────────────────────────────────────────────────────

  protected override poll(): T | typeof NONE | typeof ENDED {
    if (!this.live) this.checkLive();
    const { i32, head } = this;
    for (;;) {
      const at = i32[head]!;
      const cell = this.cellOf(at);
      const turn = this.turnOf(at);
      const seen = i32[cell]!;
      const state = seen & ~SPAN_MASK;
      if (state !== (turn | FULL) && state !== (turn | FULL_REST)) {
        const answer = this.look(at);
        if (answer !== AGAIN) return answer;
        continue;
      }
      if (compareExchange(i32, cell, seen, turn | this.reading) !== seen) continue;
      const next = this.next(at);
      const found = compareExchange(i32, head, at, next);
      if (found !== at && !this.isPlausible(at, found)) {
        this.unclaim(cell, turn, seen);
        continue;
      }
      const value = this.takeOut(at, cell, turn);
      if ((atomicLoad(i32, this.roomEvent) & SLEEPERS) !== 0) this.forRoom.wakeSleepers(1);
      if ((i32[this.itemsEvent]! & SLEEPERS) !== 0) this.wakeReceiver(next);
      return value;
    }
  }

  protected override pollMany(into: T[], most: number): number {
    if (!this.live) this.checkLive();
    const { i32, head } = this;
    for (;;) {
      const first = i32[head]!;
      const cell = this.cellOf(first);
      const turn = this.turnOf(first);
      const seen = i32[cell]!;
      const state = seen & ~SPAN_MASK;
      if (state !== (turn | FULL) && state !== (turn | FULL_REST)) {
        const answer = this.look(first);
        if (answer !== AGAIN) return answer === ENDED ? IS_CLOSED : 0;
        continue;
      }
      if (compareExchange(i32, cell, seen, turn | this.reading) !== seen) continue;
      const known = seen & SPAN_MASK;
      const end = this.runOf(this.next(first), known, Math.min(most, MOST) - 1, FULL, FULL_REST);
      let count = this.runLength;
      const found = compareExchange(i32, head, first, end);
      if (found !== first) {
        if (!this.isPlausible(first, found)) {
          this.unclaim(cell, turn, seen);
          continue;
        }
        count = 0;
      }
      const taken = this.takeOutRun(first, count + 1, into);
      if ((i32[this.itemsEvent]! & SLEEPERS) !== 0) this.wakeReceiver(end);
      return taken;
    }
  }

  /** Takes the value out of a claimed cell. What cannot be taken is dropped. */
  private takeOut(at: number, cell: number, turn: number): T {
    const value = this.valueAt(at);
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

  /**
   * The same for a run of claimed cells, up to an item that cannot be taken: that one comes first in the next
   * call, which drops it, puts the rest back and throws.
   */
  private takeOutRun(first: number, count: number, into: T[]): number {
    const { items, stride } = this;
    const address = this.valueAt(first);
    let taken = 0;
    try {
      if (items.run !== undefined) {
        items.run.take(address, into as number[], count);
        taken = count;
      }
      while (taken < count) {
        into[taken] = items.take(address + taken * stride) as T;
        taken++;
      }
    } catch (error) {
      if (taken === 0) {
        items.drop(address);
        if (count > 1) this.putBack(first + 1);
        this.freeRun(first, 1);
        throw error;
      }
      this.putBack(first + taken);
    }
    this.freeRun(first, taken);
    return taken;
  }

  /** Gives the first `count` cells of a claimed run back to the senders. */
  private freeRun(first: number, count: number): void {
    const { i32 } = this;
    const cell = this.cellOf(first);
    const free = this.nextTurn(this.turnOf(first)) | EMPTY;
    if (count > 1) i32.fill(free, cell + 1, cell + count);
    // Publishes: that all of the run is free, which no sender gets at but past its first cell.
    atomicStore(i32, cell, free | (count - 1));
    if ((atomicLoad(i32, this.roomEvent) & SLEEPERS) !== 0) this.forRoom.wakeSleepers(count);
  }

  /** Gives up the rest of a run: the head goes back to it. It may lie anywhere before the first full cell. */
  private putBack(at: number): void {
    atomicStore(this.i32, this.head, at);
    this.forItems.wake(Number.POSITIVE_INFINITY);
  }

  /** Gives up a claim that was none. Whoever passed on over the cell meanwhile finds it again. */
  private unclaim(cell: number, turn: number, state: number): void {
    const claim = turn | this.reading;
    // Without its span: others may have taken what came after it.
    if (compareExchange(this.i32, cell, claim, state & ~SPAN_MASK) !== claim) return;
    this.putBack(this.positionOf(cell - this.cells, turn));
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
      if (state === FULL || state === FULL_REST) return AGAIN;
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
    if (this.isBefore(seen, turn) || (seen & ~SPAN_MASK) === (turn | EMPTY)) return closed;
    return ((seen ^ turn) & this.turnMask) !== 0 || (seen & STATE_MASK) !== WRITING;
  }

  /** As `wakeSender`, for a receiver while there is an item at `at`. */
  private wakeReceiver(at: number): void {
    if (this.isIn(FULL, at)) this.forItems.wakeSleepers(1);
  }
}

function dropChannel(dropper: Dropper, address: number): void {
  dropItems(dropper, address, STATE_BYTES);
  dropper.free(address);
}
