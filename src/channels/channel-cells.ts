/**
 * Channel cells: the words of a channel, where its positions lie, and what a dead receiver has left in them.
 *
 *     address ▶ kind, hash, capacity   128 ┌ tail ┐   256 ┌ head ┐   384 ┌ items ┬ room ┐   512 ┌ state 0 ┬ …
 *               (queue-block.ts)           └──────┘       └──────┘       └ events ──────┘       │ values │ …
 *     state     │ turn 14 │ state 3 │ low 15 │     tail      │ closed 1 │ position 31 │   lap, then index in it
 *     turn      the position's lap
 *     low       of a claim: slot generation 7, slot 8; EMPTY, FULL: how many after it certainly are so too
 *
 * So what a dead thread held is known: its cell, and behind it to the next one claimed the EMPTY (FULL) ones
 * that the tail (head) has passed. One that is gone is taken for the 128th tenant of its slot after it, as
 * long as that one is there: till then its claims stay.
 */

import type { ContainerStore } from '../containers/store.ts';
import type { Address } from '../memory/address.ts';
import { atomicLoad, compareExchange } from '../memory/atomics.ts';
import type { Field } from '../structs/field.ts';
import { strideOf } from './item.ts';
import { Queue } from './queue.ts';
import { ITEMS_START, valuesStart } from './queue-block.ts';

/** Bytes of a cell's state word. */
export const STATE_BYTES: number = 4;

const POSITION_BITS = 31;
export const POSITION_MASK: number = 0x7fffffff;

// The state word.
export const CLAIMER_MASK: number = 0x7fff;
/** The claimer of a cell that its receiver has given up: no thread has slot 0. */
export const NOBODY: number = 0;
/** Of an EMPTY and a FULL cell: how many after it are for certain EMPTY, or filled with it. */
export const SPAN_MASK: number = 0x7fff;
export const STATE_MASK: number = 7 << 15;
export const EMPTY: number = 0 << 15;
export const WRITING: number = 1 << 15;
export const FULL: number = 2 << 15;
export const READING: number = 3 << 15;
export const VOID: number = 4 << 15;
export const FULL_REST: number = 5 << 15;
export const LEAVING: number = 6 << 15;
const TURN_SHIFT = 18;
const ONE_TURN = 1 << TURN_SHIFT;
const TURN_BITS = 14;

/** A queue whose cells have states. */
export abstract class ChannelCells<T, I> extends Queue<T, I> {
  /** Index of the first state word. */
  protected readonly cells: number;
  /** Of the first value, in bytes. */
  protected readonly values: number;
  /** Of a value, in bytes. */
  protected readonly stride: number;
  /** Low bits of a position: the index in its lap. */
  protected readonly indexMask: number;
  protected readonly lapShift: number;
  /** The bits of a state word that hold the turn. */
  protected readonly turnMask: number;
  /** What this thread claims with. */
  protected readonly writing: number;
  protected readonly reading: number;
  /** The position whose claim was inherited last. */
  protected inherited = 0;

  protected constructor(store: ContainerStore, address: Address, field: Field, capacity: number) {
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

  // ── Positions and cells ─────────────────────────────────────────────────────────────────────────

  protected next(at: number): number {
    const { indexMask } = this;
    const after = (at & indexMask) + 1 < this.capacity ? at + 1 : (at | indexMask) + 1;
    return after & POSITION_MASK;
  }

  /** How many cells come before a position. */
  protected countUpTo(position: number): number {
    return Math.floor(position / (this.indexMask + 1)) * this.capacity + (position & this.indexMask);
  }

  /** Index of a position's state word. */
  protected cellOf(at: number): number {
    return this.cells + (at & this.indexMask);
  }

  /** The bits that the state word has while it is the position's turn. */
  protected turnOf(at: number): number {
    return ((at >>> this.lapShift) << TURN_SHIFT) & this.turnMask;
  }

  protected nextTurn(turn: number): number {
    return (turn + ONE_TURN) & this.turnMask;
  }

  /** Where a position's value lies, in bytes. */
  protected valueAt(at: number): number {
    return this.values + (at & this.indexMask) * this.stride;
  }

  /** Whether it is the turn of a position and its cell is in `state`. */
  protected isIn(state: number, at: number): boolean {
    return (this.i32[this.cellOf(at)]! & ~SPAN_MASK) === (this.turnOf(at) | state);
  }

  /** Whether a state word is of a turn before `turn`. Turns wrap: the nearer half comes before. */
  protected isBefore(state: number, turn: number): boolean {
    const turns = (state - turn) & this.turnMask;
    return turns !== 0 && turns >>> 0 > this.turnMask >>> 1;
  }

  /**
   * Whether a claim of the cell at `at` holds although the tail or head was not there. Others may have passed
   * on over it, by a lap at most. It does not hold when this thread had looked at the position so many
   * laps ago that the turns have come round since.
   */
  protected isPlausible(at: number, found: number): boolean {
    return ((found - at) & POSITION_MASK) <= this.indexMask + 1;
  }

  /** Whether the claimer of a cell is dead or has left, or has left the cell to others. */
  protected isLost(seen: number): boolean {
    const claimer = seen & CLAIMER_MASK;
    return claimer === NOBODY || this.store.thread.isGone(claimer, CLAIMER_MASK);
  }

  /** Whether the tail or head has gone past a position, by a lap at most. */
  protected isPassed(at: number, by: number): boolean {
    const ahead = (by - at) & POSITION_MASK;
    return ahead !== 0 && ahead <= this.indexMask + 1;
  }

  protected lapBefore(at: number): number {
    return (at - this.indexMask - 1) & POSITION_MASK;
  }

  /**
   * Takes over the claim of a receiver that is gone. The rest of its run stays its own, so that it is found;
   * of one that was LEAVING it is given back.
   */
  protected inherit(at: number, seen: number): boolean {
    const { i32 } = this;
    const cell = this.cellOf(at);
    const turn = this.turnOf(at);
    if (!this.isLeft(seen, turn)) return false;
    const state = seen & STATE_MASK;
    if (compareExchange(i32, cell, seen, turn | state | (this.reading & CLAIMER_MASK)) !== seen) return false;
    this.inherited = at;
    const head = atomicLoad(i32, this.head);
    const free = this.nextTurn(turn) | EMPTY;
    for (let next = this.next(at); this.turnOf(next) === turn && this.isPassed(next, head); ) {
      const found = atomicLoad(i32, this.cellOf(next));
      const isFull = (found & ~SPAN_MASK) === (turn | FULL) || (found & ~SPAN_MASK) === (turn | FULL_REST);
      if (isFull && state === READING) {
        compareExchange(i32, this.cellOf(next), found, seen);
        return true;
      }
      if (state === READING || !(isFull || found === free)) return true;
      i32[this.cellOf(next)] = free;
      next = this.next(next);
    }
    return true;
  }

  /** Whether a cell is claimed by a receiver that is gone, in this turn. */
  protected isLeft(seen: number, turn: number): boolean {
    const state = seen & STATE_MASK;
    const isClaimed = ((seen ^ turn) & this.turnMask) === 0 && (state === READING || state === LEAVING);
    return isClaimed && this.isLost(seen);
  }

  /** A position in the lap before the head whose receiver is gone; -1 when there is none. */
  protected findLeft(): number {
    const { i32 } = this;
    const head = atomicLoad(i32, this.head);
    for (let at = this.lapBefore(head); at !== head; at = this.next(at)) {
      const seen = atomicLoad(i32, this.cellOf(at));
      if (this.isLeft(seen, this.turnOf(at))) return at;
    }
    return -1;
  }
}
