/**
 * Transfer list: where the thread caches of one size class exchange blocks.
 *
 *      0      8           12      16            24      32             40          48            128
 *     ┌──────┬───────────┬───────┬─────────────┬───────┬──────────────┬───────────┬─────────────┬ ─ ┐
 *     │ lock │ head unit │ count │ allocations │ frees │ acquisitions │ contended │ raced frees │   │
 *     └──────┴───────────┴───────┴─────────────┴───────┴──────────────┴───────────┴─────────────┴ ─ ┘
 *     ▲ one line and its neighbour for each class, so that classes do not share cache lines
 *
 *     a block on the list: its first word is the unit of the next one, its ownership TRANSFER
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
const FREES = 3;
const ACQUISITIONS = 4;
const CONTENDED = 5;
const RACED = 6;

/** One thread's handle of a class's list. */
export class TransferList {
  readonly lock: Lock;
  readonly #u32: Uint32Array;
  readonly #f64: Float64Array;
  readonly #word: number;
  readonly #double: number;

  constructor(memory: Memory, address: Address, options: LockOptions) {
    this.lock = new ParkLock(memory, address, options);
    this.#u32 = memory.u32;
    this.#f64 = memory.f64;
    this.#word = address >>> 2;
    this.#double = address >>> 3;
  }

  /** Takes the lock and counts. */
  acquire(): void {
    const contended = this.lock.acquire();
    this.#f64[this.#double + ACQUISITIONS]! += 1;
    if (contended) this.#f64[this.#double + CONTENDED]! += 1;
  }

  /** Blocks of this class that two threads freed at the same moment, as far as published. */
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
    return this.#u32[this.#word + COUNT]!;
  }

  /** Allocations that caches of this class have served, as far as published. */
  get allocations(): number {
    return this.#f64[this.#double + ALLOCATIONS]!;
  }

  /** Takes a block from the list, which is not empty, and returns its unit. Requires: lock held. */
  pop(): number {
    const unit = this.#u32[this.#word + HEAD]!;
    if (unit === 0 || unit * 2 >= this.#u32.length) {
      throw new HeapCorruptionError(unit * UNIT, 'a link of a transfer list leads nowhere');
    }
    this.#u32[this.#word + HEAD] = this.#u32[unit * 2]!;
    this.#u32[this.#word + COUNT]! -= 1;
    return unit;
  }

  /** Puts a block on the list. Requires: lock held, the block's ownership written. */
  push(unit: number): void {
    this.#u32[unit * 2] = this.#u32[this.#word + HEAD]!;
    this.#u32[this.#word + HEAD] = unit;
    this.#u32[this.#word + COUNT]! += 1;
  }

  /** Adds to the class's counters. Requires: lock held. */
  publish(allocations: number, frees: number, racedFrees: number): void {
    this.#f64[this.#double + ALLOCATIONS]! += allocations;
    this.#f64[this.#double + FREES]! += frees;
    this.#f64[this.#double + RACED]! += racedFrees;
  }

  /** Checks that the list holds `count` blocks of the class in state TRANSFER. Requires: lock held. */
  verify(ownershipOf: (unit: number) => number, classBits: number): void {
    let left = this.count;
    for (let unit = this.#u32[this.#word + HEAD]!; unit !== 0; unit = this.#u32[unit * 2]!) {
      const word = unit * 2 < this.#u32.length ? ownershipOf(unit) : 0;
      if (stateOf(word) !== TRANSFER || classBitsOf(word) !== classBits || left-- === 0) {
        throw new HeapCorruptionError(unit * UNIT, 'a transfer list holds a block that is not its own');
      }
    }
    if (left !== 0)
      throw new HeapCorruptionError(
        this.lock.address,
        `a transfer list has ${left} blocks fewer than it counts`,
      );
  }
}
