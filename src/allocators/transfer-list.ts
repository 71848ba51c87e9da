/**
 * Transfer list: where the thread caches of one size class exchange blocks.
 *
 *      0      8           12      16            24            32             40              128
 *     ┌──────┬───────────┬───────┬─────────────┬─────────────┬──────────────┬───────────┬ ─ ─ ─ ┐
 *     │ lock │ head unit │ count │ allocations │ raced frees │ acquisitions │ contended │       │
 *     └──────┴───────────┴───────┴─────────────┴─────────────┴──────────────┴───────────┴ ─ ─ ─ ┘
 *     ▲ one line and its neighbour for each class, so that classes do not share cache lines
 *
 *     a bundle, in the payload of its first block         all of its blocks are TRANSFER
 *     ┌ next u32 ────┬ members u32 ┬ unit u32 ┬ unit u32 ┬ …
 *     │ first block  │ count       │ member 0 │ member 1 │    as many as the payload has words left
 *     └──────────────┴─────────────┴──────────┴──────────┴ ─
 *      of the bundle below, 0 for none
 *
 * The newest block is the last member of the bundle at the head. Who takes blocks reads their units side
 * by side, and need not wait for one block's cache line to learn of the next.
 *
 * All but the lock is read and written by the lock's holder.
 */

import { HeapCorruptionError } from '../errors.ts';
import { type Address, UNIT } from '../memory/address.ts';
import type { Memory } from '../memory/memory.ts';
import type { Lock, LockOptions } from '../sync/lock.ts';
import { ParkLock } from '../sync/park-lock.ts';
import { classBitsOf, stateOf, TRANSFER } from './ownership.ts';

/** Bytes from list to list. */
export const LIST_BYTES = 128;

// Indexes of 32-bit words, and of f64 elements, from the list's start.
const HEAD = 2;
const COUNT = 3;
const ALLOCATIONS = 2;
const RACED = 3;
const ACQUISITIONS = 4;
const CONTENDED = 5;

// Indexes of 32-bit words from the payload of a bundle's first block.
const NEXT = 0;
const MEMBERS = 1;
const UNITS = 2;

/** One thread's handle of a class's list. */
export class TransferList {
  readonly lock: Lock;
  private readonly u32: Uint32Array;
  readonly #f64: Float64Array;
  private readonly word: number;
  /** How many units a block has room for besides the bundle's own two words. */
  private readonly room: number;
  readonly #double: number;

  constructor(memory: Memory, address: Address, blockBytes: number, options: LockOptions) {
    this.room = blockBytes / 4 - UNITS;
    this.lock = new ParkLock(memory, address, options);
    this.u32 = memory.u32;
    this.#f64 = memory.f64;
    this.word = address >>> 2;
    this.#double = address >>> 3;
  }

  /** Takes the lock and counts. */
  acquire(): void {
    const contended = this.lock.acquire();
    this.#f64[this.#double + ACQUISITIONS]! += 1;
    if (contended) this.#f64[this.#double + CONTENDED]! += 1;
  }

  /** Blocks that two threads freed at the same moment, as far as published here. */
  get racedFrees(): number {
    return this.#f64[this.#double + RACED]!;
  }

  /** How often the lock was taken. */
  get lockAcquisitions(): number {
    return this.#f64[this.#double + ACQUISITIONS]!;
  }

  /** How often another thread held it then. */
  get lockContended(): number {
    return this.#f64[this.#double + CONTENDED]!;
  }

  /** How many blocks the list holds. */
  get count(): number {
    return this.u32[this.word + COUNT]!;
  }

  /** Allocations that caches have served, as far as published here. */
  get allocations(): number {
    return this.#f64[this.#double + ALLOCATIONS]!;
  }

  /**
   * Takes up to `wanted` blocks from the list, the newest first, and writes their units into `units` from
   * `at` on. Returns how many there were. Requires: lock held.
   */
  take(wanted: number, units: Int32Array, at: number): number {
    const { u32, word } = this;
    const taken = Math.min(wanted, u32[word + COUNT]!);
    let head = u32[word + HEAD]!;
    for (let left = taken, to = at; left > 0; ) {
      const bundle = this.bundleAt(head);
      let members = u32[bundle + MEMBERS]!;
      for (; members > 0 && left > 0; left--, to++) units[to] = u32[bundle + UNITS + --members]!;
      u32[bundle + MEMBERS] = members;
      if (left === 0) break;
      units[to++] = head;
      left--;
      head = u32[bundle + NEXT]!;
    }
    u32[word + HEAD] = head;
    u32[word + COUNT]! -= taken;
    return taken;
  }

  /** Forgets all blocks. Requires: lock held. */
  clear(): void {
    this.u32[this.word + HEAD] = 0;
    this.u32[this.word + COUNT] = 0;
  }

  /** Puts a block on the list. Requires: lock held, the block's ownership written. */
  push(unit: number): void {
    const { u32, word } = this;
    const head = u32[word + HEAD]!;
    if (head !== 0) {
      const bundle = this.bundleAt(head);
      const members = u32[bundle + MEMBERS]!;
      if (members < this.room) {
        u32[bundle + UNITS + members] = unit;
        u32[bundle + MEMBERS] = members + 1;
        u32[word + COUNT]! += 1;
        return;
      }
    }
    u32[unit * 2 + NEXT] = head;
    u32[unit * 2 + MEMBERS] = 0;
    u32[word + HEAD] = unit;
    u32[word + COUNT]! += 1;
  }

  /** Index of the first word of the bundle that a unit leads, checked to be one. */
  private bundleAt(unit: number): number {
    const index = unit * 2;
    if (unit === 0 || index + UNITS > this.u32.length || this.u32[index + MEMBERS]! > this.room) {
      throw new HeapCorruptionError(unit * UNIT, 'a link of a transfer list leads nowhere');
    }
    return index;
  }

  /** Adds to the list's counters. Requires: lock held. */
  publish(allocations: number, racedFrees: number): void {
    this.#f64[this.#double + ALLOCATIONS]! += allocations;
    this.#f64[this.#double + RACED]! += racedFrees;
  }

  /** Checks that the list holds `count` blocks of the class in state TRANSFER. Requires: lock held. */
  verify(ownershipOf: (unit: number) => number, classBits: number): void {
    const { u32 } = this;
    let left = this.count;
    const check = (unit: number): void => {
      const word = unit * 2 < u32.length ? ownershipOf(unit) : 0;
      if (stateOf(word) !== TRANSFER || classBitsOf(word) !== classBits || left-- === 0) {
        throw new HeapCorruptionError(unit * UNIT, 'a transfer list holds a block that is not its own');
      }
    };
    for (let head = u32[this.word + HEAD]!; head !== 0; head = u32[head * 2 + NEXT]!) {
      check(head);
      const bundle = this.bundleAt(head);
      const end = bundle + UNITS + u32[bundle + MEMBERS]!;
      for (let at = bundle + UNITS; at < end; at++) check(u32[at]!);
    }
    if (left !== 0)
      throw new HeapCorruptionError(
        this.lock.address,
        `a transfer list has ${left} blocks fewer than it counts`,
      );
  }
}
