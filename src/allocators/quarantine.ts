/**
 * Quarantine: freed blocks that are kept back, so that a second free or a late write meets a block that
 * nobody else has yet.
 *
 *      ┌ shelf: a quarter of the places ─┬ queue: the rest, and one ─────────┐
 *      │ unit │ unit │ …                 │ … │ unit │ unit │ unit │ …        │
 *      └──────┴──────┴───────────────────┴───┴──────┴──────┴──────┴──────────┘
 *       a new block changes places with       oldest         newest
 *       one at random, which joins the queue
 *
 * When a block is given out again cannot be foretold, but for a seed: the numbers are xorshift's, whose state
 * lies in the shared bytes. Entries are units xor a hash of secret and place: an overwritten one leads nowhere.
 *
 * Bounded in blocks and in bytes. All is read and written by the holder of the allocator's lock.
 */

import { type Address, NULL, UNIT } from '../memory/address.ts';
import type { Memory } from '../memory/memory.ts';

// Indexes from the first of the four 32-bit words that a quarantine needs besides its places.
const RANDOM = 0;
const OLDEST = 1;
const QUEUED = 2;
const KEPT_UNITS = 3;

/** Bytes of the places of a quarantine for so many blocks. */
export function placeBytes(blocks: number): number {
  return (blocks + 1) * 4;
}

/** One thread's handle of a quarantine. */
export class Quarantine {
  private readonly i32: Int32Array;
  private readonly word: number;
  private readonly places: number;
  private readonly shelf: number;
  private readonly queue: number;
  private readonly mostUnits: number;
  private readonly secret: number;

  /**
   * @param words index of its four words
   * @param places index of its first place
   * @param blocks how many it keeps at most
   * @param bytes how many it keeps at most
   */
  constructor(memory: Memory, words: number, places: number, blocks: number, bytes: number, secret: number) {
    this.i32 = memory.i32;
    this.word = words;
    this.places = places;
    this.shelf = blocks >>> 2;
    this.queue = blocks - this.shelf + 1;
    this.mostUnits = bytes >>> 3;
    this.secret = secret;
  }

  /** Empties it, and seeds it when `seed` is given. */
  clear(seed?: number): void {
    const { i32, word } = this;
    if (seed !== undefined) i32[word + RANDOM] = seed | 1;
    i32[word + OLDEST] = 0;
    i32[word + QUEUED] = 0;
    i32[word + KEPT_UNITS] = 0;
    for (let place = 0; place < this.shelf + this.queue; place++) this.set(place, 0);
  }

  /** Whether a block of so many bytes is worth its place. */
  takes(bytes: number): boolean {
    return this.queue > 1 && bytes >>> 3 <= this.mostUnits >>> 2;
  }

  /** Whether `takeOldest` must be called. */
  get isOverfull(): boolean {
    const { i32, word } = this;
    return i32[word + QUEUED] === this.queue || i32[word + KEPT_UNITS]! > this.mostUnits;
  }

  /** Usable bytes of the blocks that it keeps. */
  get bytes(): number {
    return this.i32[this.word + KEPT_UNITS]! * UNIT;
  }

  /** How many blocks it keeps. */
  count(): number {
    let kept = this.i32[this.word + QUEUED]!;
    for (let place = 0; place < this.shelf; place++) if (this.get(place) !== 0) kept++;
    return kept;
  }

  /** Keeps a block back. Requires: not overfull. */
  put(address: Address, bytes: number): void {
    const { i32, word } = this;
    i32[word + KEPT_UNITS]! += bytes >>> 3;
    let unit = address >>> 3;
    if (this.shelf > 0) {
      const place = this.random() % this.shelf;
      const shelved = this.get(place);
      this.set(place, unit);
      if (shelved === 0) return;
      unit = shelved;
    }
    const queued = i32[word + QUEUED]!;
    const place = i32[word + OLDEST]! + queued;
    this.set(this.shelf + (place < this.queue ? place : place - this.queue), unit);
    i32[word + QUEUED] = queued + 1;
  }

  /** Takes the block that has waited longest, or `NULL` when there is none. The caller says then `removed`. */
  takeOldest(): Address {
    const { i32, word } = this;
    const queued = i32[word + QUEUED]!;
    if (queued > 0) {
      const oldest = i32[word + OLDEST]!;
      i32[word + OLDEST] = oldest + 1 < this.queue ? oldest + 1 : 0;
      i32[word + QUEUED] = queued - 1;
      return this.takeFrom(this.shelf + oldest);
    }
    for (let place = 0; place < this.shelf; place++) if (this.get(place) !== 0) return this.takeFrom(place);
    return NULL;
  }

  /** Counts out a block that `takeOldest` gave. */
  removed(bytes: number): void {
    this.i32[this.word + KEPT_UNITS]! -= bytes >>> 3;
  }

  private takeFrom(place: number): Address {
    const unit = this.get(place);
    this.set(place, 0);
    return ((unit * UNIT) >>> 0) as Address;
  }

  private get(place: number): number {
    return this.i32[this.places + place]! ^ this.keyOf(place);
  }

  private set(place: number, unit: number): void {
    this.i32[this.places + place] = unit ^ this.keyOf(place);
  }

  private keyOf(place: number): number {
    return Math.imul(this.secret + place, 0x9e3779b1);
  }

  private random(): number {
    const { i32, word } = this;
    let state = i32[word + RANDOM]!;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    i32[word + RANDOM] = state;
    return state >>> 0;
  }
}
