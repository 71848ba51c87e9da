/**
 * Channel: a bounded queue for many producers and many consumers. No locks: cells are claimed. The bytes are
 * drawn in channel-cells.ts.
 *
 *     of this turn │ a sender whose turn it is   │ a receiver whose turn it is
 *     EMPTY        │ claims: WRITING(me)         │ nothing there; the end, when closed; tail past it: frees it
 *     WRITING(who) │ passes on                   │ waits for it; when who is gone: frees it
 *     FULL         │ passes on                   │ claims: READING(me)       FULL_REST: as FULL, see below
 *     READING(who) │ passes on                   │ passes on                 LEAVING(who): as READING, see below
 *     VOID         │ passes on                   │ frees it: EMPTY of the next turn, and passes on
 *     turn before  │ full                        │ nothing there, the end; READING, who is gone: claims it
 *     turn after   │ passes on                   │ passes on
 *
 * One CAS claims a cell and names its claimer; one store commits: FULL the sending, EMPTY of the next turn
 * the receiving. A run of cells is claimed by its first, and one CAS of the tail (head) over the rest,
 * which others reach only past the first: they change by plain stores, and the first commits all: last where
 * they are sent; as LEAVING, before they are given back, where several were received.
 *
 * What a thread that dies was sending was not sent: its claims are freed by the receiver who comes to them.
 * What it was receiving another one receives, though out of order, unless it may have taken what the item
 * owns (see item.ts): who finds the channel empty for a slice, or closed, looks at all cells. A receiver that
 * gives a claim up leaves it in the same way, as READING(nobody): behind it others may have claimed already.
 *
 * Invariants: 1. No cell before the tail (head) can be claimed but by whoever moved it: both move one way.
 * 2. Once `closed` is set no further cell becomes FULL
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
import * as cells from './channel-cells.ts';
import { ChannelCells } from './channel-cells.ts';
import type { Received, Sent } from './item.ts';
import { BATCH, CLOSED, ENDED, FULL_UP, NONE, SENT } from './queue.ts';
import { createBlock, dropItems, openBlock, type QueueShape } from './queue-block.ts';

/** At most so many cells: leaves 11 bits for turns. */
const MAX_CAPACITY = 2 ** 20;

// Copies: V8 does not fold what is imported.
const { POSITION_MASK, CLAIMER_MASK, SPAN_MASK, STATE_MASK, STATE_BYTES } = cells;
const { EMPTY, WRITING, FULL, READING, VOID, FULL_REST, LEAVING, NOBODY } = cells;

/** `sleepers` of an event word: see `waiting.ts`. */
const SLEEPERS = 1;

const IS_SENT = SENT;
const IS_FULL_UP = FULL_UP;
const IS_CLOSED = CLOSED;
const MOST = BATCH;

/** After how many vain looks for each cell a receiver that does not wait looks at all of them, for what the dead held. */
const LOOKS_PER_CELL = 8;
const LEAST_LOOKS = 64;
const MOST_LOOKS = 1024;

/** The cell at the head has changed: an attempt has to look again. */
const AGAIN: unique symbol = Symbol('again');
/** The claim of a dead receiver is this thread's now. */
const INHERITED: unique symbol = Symbol('inherited');

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
export class Channel<T = unknown, I = T> extends ChannelCells<T, I> {
  protected override readonly kind = 'Channel';
  protected override readonly stateBytes = STATE_BYTES;
  /** Of the last `runOf`. */
  private runLength = 0;
  /** The most items that are received at once. */
  private readonly most: number;
  /** How many more vain looks there may be before one at all cells. */
  private patience: number;

  private constructor(store: ContainerStore, address: Address, field: Field, capacity: number) {
    super(store, address, field, capacity);
    // Of several that own, and are copied, it could not be told how far a thread that died had come.
    this.most = this.items.copies ? 1 : BATCH;
    this.patience = this.fullPatience;
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
    const capacity = options?.capacity;
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
    this.check();
    const head = this.countUpTo(atomicLoad(this.i32, this.head));
    const length = this.countUpTo(atomicLoad(this.i32, this.tail) & POSITION_MASK) - head;
    const all = this.countUpTo(POSITION_MASK + 1);
    const wrapped = length < -all / 2 ? length + all : length;
    // Receivers pass over the voided cells of a closed channel: then its head is past its tail.
    return Math.max(0, Math.min(wrapped, this.capacity));
  }

  // ── Sending ─────────────────────────────────────────────────────────────────────────────────────

  protected override put(value: I): number {
    const { i32, tail } = this;
    if (i32[this.word] !== this.kindWord) return IS_CLOSED;
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
    if (i32[this.word] !== this.kindWord) return IS_CLOSED;
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
    const { i32, head } = this;
    if (i32[this.word] !== this.kindWord) return ENDED;
    for (;;) {
      const at = i32[head]!;
      const cell = this.cellOf(at);
      const turn = this.turnOf(at);
      const seen = i32[cell]!;
      const state = seen & ~SPAN_MASK;
      if (state !== (turn | FULL) && state !== (turn | FULL_REST)) {
        const answer = this.takeLeft(this.look(at));
        if (answer !== AGAIN) return answer;
        continue;
      }
      if (compareExchange(i32, cell, seen, turn | this.reading) !== seen) continue;
      const next = this.next(at);
      const found = compareExchange(i32, head, at, next);
      if (found !== at && !this.isPlausible(at, found)) {
        this.leave(cell, turn);
        continue;
      }
      const value = this.takeOut(at, cell, turn);
      if ((atomicLoad(i32, this.roomEvent) & SLEEPERS) !== 0) this.forRoom.wakeSleepers(1);
      if ((i32[this.itemsEvent]! & SLEEPERS) !== 0) this.wakeReceiver(next);
      return value;
    }
  }

  protected override pollMany(into: T[], most: number): number {
    const { i32, head } = this;
    if (i32[this.word] !== this.kindWord) return IS_CLOSED;
    for (;;) {
      const first = i32[head]!;
      const cell = this.cellOf(first);
      const turn = this.turnOf(first);
      const seen = i32[cell]!;
      const state = seen & ~SPAN_MASK;
      if (state !== (turn | FULL) && state !== (turn | FULL_REST)) {
        const answer = this.takeLeft(this.look(first));
        if (answer === AGAIN) continue;
        if (answer === NONE || answer === ENDED) return answer === ENDED ? IS_CLOSED : 0;
        into[0] = answer;
        return 1;
      }
      if (compareExchange(i32, cell, seen, turn | this.reading) !== seen) continue;
      const known = seen & SPAN_MASK;
      const end = this.runOf(this.next(first), known, Math.min(most, this.most) - 1, FULL, FULL_REST);
      let count = this.runLength;
      const found = compareExchange(i32, head, first, end);
      if (found !== first) {
        if (!this.isPlausible(first, found)) {
          this.leave(cell, turn);
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
   * The same for a run of claimed cells, up to an item that cannot be taken: whoever comes to that drops it, and
   * throws. It and the rest are left to all, this thread's next vain look among them.
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
        if (count > 1) this.leave(this.cellOf(first) + 1, this.turnOf(first));
        this.freeRun(first, 1);
        throw error;
      }
      this.leave(this.cellOf(first) + taken, this.turnOf(first));
    }
    this.freeRun(first, taken);
    return taken;
  }

  /** Gives the first `count` cells of a claimed run back to the senders. */
  private freeRun(first: number, count: number): void {
    const { i32 } = this;
    const cell = this.cellOf(first);
    const free = this.nextTurn(this.turnOf(first)) | EMPTY;
    if (count > 1) {
      // The first tells that all of the run was received.
      atomicStore(i32, cell, this.turnOf(first) | LEAVING | (this.reading & CLAIMER_MASK));
      i32.fill(free, cell + 1, cell + count);
    }
    // Publishes: that all of the run is free, which no sender gets at but past its first cell.
    atomicStore(i32, cell, free | (count - 1));
    if ((atomicLoad(i32, this.roomEvent) & SLEEPERS) !== 0) this.forRoom.wakeSleepers(count);
  }

  /** Leaves a claimed cell, and what follows in its run, as one that has died does. The head stays where it is. */
  private leave(cell: number, turn: number): void {
    atomicStore(this.i32, cell, turn | READING | NOBODY);
    this.patience = 0;
    this.forItems.wake(Number.POSITIVE_INFINITY);
  }

  /** Looks at the cell at the head, which was not full. Frees it when void; passes on when it is in hand. */
  private look(at: number): typeof NONE | typeof ENDED | typeof AGAIN | typeof INHERITED {
    const { i32 } = this;
    // Before the cell: what was not claimed when the channel was seen closed will never be full.
    const tail = atomicLoad(i32, this.tail);
    const nothing = tail < 0 ? ENDED : NONE;
    const cell = this.cellOf(at);
    const turn = this.turnOf(at);
    const seen = atomicLoad(i32, cell);
    if (this.isBefore(seen, turn)) return this.inherit(this.lapBefore(at), seen) ? INHERITED : nothing;
    if (((seen ^ turn) & this.turnMask) === 0) {
      const state = seen & STATE_MASK;
      if (state === EMPTY) return this.isPassed(at, tail) ? this.giveUp(at, seen) : nothing;
      if (state === WRITING) return this.isLost(seen) ? this.giveUp(at, seen) : NONE;
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
    const tail = atomicLoad(i32, this.tail);
    const turn = this.turnOf(at);
    const seen = atomicLoad(i32, this.cellOf(at));
    const state = seen & STATE_MASK;
    if (this.isBefore(seen, turn)) return tail < 0 || this.isLeft(seen, this.turnOf(this.lapBefore(at)));
    if (((seen ^ turn) & this.turnMask) !== 0) return true;
    if (state === EMPTY) return tail < 0 || this.isPassed(at, tail);
    return state !== WRITING || this.isLost(seen);
  }

  // ── What the dead held ──────────────────────────────────────────────────────────────────────────

  /**
   * Frees a cell at the head that a sender had claimed and will not fill. A cell that the tail has passed and
   * that is EMPTY was the rest of a run: it is only seen once the first of the run was given up.
   */
  private giveUp(at: number, seen: number): typeof AGAIN {
    const { i32 } = this;
    const cell = this.cellOf(at);
    const turn = this.turnOf(at);
    if (compareExchange(i32, cell, seen, turn | this.writing) !== seen) return AGAIN;
    this.items.drop(this.valueAt(at));
    this.emptyRest(at, turn);
    // Publishes: that the cell is free, and owns nothing.
    atomicStore(i32, cell, this.nextTurn(turn) | EMPTY);
    compareExchange(i32, this.head, at, this.next(at));
    this.forRoom.wake(1);
    return AGAIN;
  }

  /** What follows in the run of a cell that is given up was filled, but not published: all of a run or nothing. */
  private emptyRest(first: number, turn: number): void {
    const { i32 } = this;
    const tail = atomicLoad(i32, this.tail) & POSITION_MASK;
    for (let at = this.next(first); this.turnOf(at) === turn && this.isPassed(at, tail); at = this.next(at)) {
      const state = atomicLoad(i32, this.cellOf(at)) & ~SPAN_MASK;
      if (state === (turn | EMPTY)) continue;
      if (state !== (turn | FULL_REST)) return;
      this.items.drop(this.valueAt(at));
      i32[this.cellOf(at)] = turn | EMPTY;
    }
  }

  /** What `look` answers, or an item that a receiver had claimed which is gone. */
  private takeLeft(
    answer: typeof NONE | typeof ENDED | typeof AGAIN | typeof INHERITED,
  ): T | typeof NONE | typeof ENDED | typeof AGAIN {
    if (answer === AGAIN) return answer;
    if (answer === NONE && --this.patience >= 0) return answer;
    this.patience = this.fullPatience;
    if (answer !== INHERITED) {
      const at = this.findLeft();
      if (at < 0) return answer;
      if (!this.inherit(at, atomicLoad(this.i32, this.cellOf(at)))) return AGAIN;
    }
    // There may be more where it comes from.
    this.patience = 0;
    const at = this.inherited;
    const cell = this.cellOf(at);
    const turn = this.turnOf(at);
    let value: T | typeof AGAIN = AGAIN;
    if ((this.i32[cell]! & STATE_MASK) === READING && this.items.isWhole(this.valueAt(at))) {
      value = this.takeOut(at, cell, turn);
    } else {
      this.items.drop(this.valueAt(at));
      atomicStore(this.i32, cell, this.nextTurn(turn) | EMPTY);
    }
    this.forRoom.wake(1);
    return value;
  }

  private get fullPatience(): number {
    return Math.min(Math.max(LOOKS_PER_CELL * this.capacity, LEAST_LOOKS), MOST_LOOKS);
  }

  protected override isStuck(): boolean {
    if (this.findLeft() < 0) return false;
    // The next vain look is one too many.
    this.patience = 0;
    return true;
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
