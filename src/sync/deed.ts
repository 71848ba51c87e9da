/**
 * Deed: what a thread is about to do to a structure that others see, noted in its slot. When the thread
 * dies, whoever proves it looks there what was still done, and settles the rest.
 *
 *     ┌ block u32 ┬ link u32 ┬ before 29 │ op 3 ┬ count u32 ┬ after u32 ┐
 *     └───────────┴──────────┴──────────────────┴───────────┴───────────┘   at `thread.deed` in `thread.words`
 *
 *     op     link                          settled
 *     NONE                                 nothing was going on
 *     LINK   the cell that shall own it    the cell holds `block`: `before`, which was there (8-aligned, or 0),
 *                                          is the thread's own. If not, `block` is
 *     TAKE   the cell that owned it        the cell holds `block` no more: it is the thread's own
 *     ADD    a reference's target, 0       named: the cell holds `after`: the count goes up; if not, it stays
 *     DROP   a reference's target          named: the cell gets `after`, the count goes down
 *     END    the target's kind word        as DROP; not begun yet: `block`, the target, is the thread's own
 *     LAST   as DROP, and the count is 1   as DROP; `block` is the thread's own
 *     OWN                                  `block` is the thread's own: noted so, or settled
 *     MOVE   a word that says what owns    the word is `after`: what `block` owned is another's, and it is of no
 *            what `block` owned            kind. If not, it owns that still (structs/drop.ts)
 *
 * `count` leads to a word │ count 24 │ slot 8 │ that names the thread while it is changed: containers/counts.ts.
 * Bit 0 of `link`: the cell's low 6 bits are flags. One deed at a time; written before what it tells of and
 * cleared behind it, `op` last and first, with plain stores.
 *
 * Invariant: a thread that is gone has no deed that is not settled. So no word names a slot whose thread is
 * gone, and whoever takes over a lock of the thread finds its cells as they were judged.
 */

import type { Address } from '../memory/address.ts';
import { atomicLoad, atomicStore } from '../memory/atomics.ts';
import type { Memory } from '../memory/memory.ts';
import type { Thread } from './thread.ts';

// Indexes from the deed's start.
const BLOCK = 0;
const LINK_WORD = 1;
const OP = 2;
const COUNT = 3;
const AFTER = 4;
/** Words of a deed. */
export const DEED_WORDS = 5;

const NONE = 0;
/** A cell shall hold a block. */
export const LINK = 1;
/** A cell shall no longer hold a block, which is the thread's then. */
export const TAKE = 2;
/** A reference shall be added to a count. */
export const ADD = 3;
/** A reference shall be taken off a count. */
export const DROP = 4;
/** The strong references of a target shall be taken off its weak count: they were one together. */
export const END = 5;
/** It is the last reference that is taken off: the block is the thread's then. */
export const LAST = 6;
/** The block is the thread's own, whatever its header says. */
export const OWN = 7;
/** What a block owns goes to another, by the store of one word. */
const MOVE = 8;

/** Of `link`: the cell's low 6 bits are flags. */
export const FLAGGED = 1;
const FLAGS = 63;
/** Of the third word: what is not the address of what was there before. */
const OPS = 7;

/** Bits of a count word that name who changes it. */
export const SLOT_BITS = 8;
const SLOT = (1 << SLOT_BITS) - 1;

/**
 * Notes what this thread is about to do to a cell.
 *
 * @param op with `LINK` the address of what the cell held before, if anything: `LINK | before`
 */
export function noteDeed({ words, deed }: Thread, block: number, link: number, op: number): void {
  words[deed + BLOCK] = block;
  words[deed + LINK_WORD] = link;
  words[deed + OP] = op;
}

/**
 * Notes that this thread is about to change a count.
 *
 * @param block the target
 * @param link the cell that goes with the count
 * @param op `ADD`, `DROP` or `END`
 * @param count where the count word lies
 * @param after what the cell shall hold
 */
export function noteCount(
  { words, deed }: Thread,
  block: number,
  link: number,
  op: number,
  count: number,
  after: number,
): void {
  words[deed + BLOCK] = block;
  words[deed + LINK_WORD] = link;
  words[deed + COUNT] = count;
  words[deed + AFTER] = after;
  words[deed + OP] = op;
}

/** Notes that what `block` owns shall be another's once the word at `link` is `after`. */
export function noteMove({ words, deed }: Thread, block: number, link: number, after: number): void {
  words[deed + BLOCK] = block;
  words[deed + LINK_WORD] = link;
  words[deed + AFTER] = after;
  words[deed + OP] = MOVE;
}

/** It turns out that the reference is the last one. Requires: the count word names this thread. */
export function noteLast({ words, deed }: Thread): void {
  words[deed + OP] = LAST;
}

/** The deed is done, or was given up. */
export function clearDeed({ words, deed }: Thread): void {
  words[deed + OP] = NONE;
}

/** Whether a deed is noted. */
export function hasDeed(words: Int32Array, deed: number): boolean {
  return words[deed + OP] !== NONE;
}

/** Who takes blocks out of cells. */
export interface Taker {
  readonly memory: Memory;
  readonly thread: Thread;
  /** Makes a block this thread's: see `Locked.tryAdopt`. */
  tryAdopt(address: Address): boolean;
}

/**
 * Takes a block out of the cell that owns it, so that at every store it is the cell's or the thread's.
 *
 * @param cell address of the cell
 * @param flags 63 where the cell's low 6 bits are no part of the address, else 0
 * @param after what the cell holds then
 * @returns the block, this thread's now; 0 when there was none
 */
export function takeOut(taker: Taker, cell: number, flags: number = 0, after: number = 0): Address {
  const { u32 } = taker.memory;
  const block = ((u32[cell >>> 2]! & ~flags) >>> 0) as Address;
  if (block === 0) return block;
  noteDeed(taker.thread, block, flags === 0 ? cell : cell | FLAGGED, TAKE);
  u32[cell >>> 2] = after;
  taker.tryAdopt(block);
  clearDeed(taker.thread);
  return block;
}

/**
 * Settles the deed of a thread that is dead. Doing it again, after a death at any store too, comes to the
 * same. Requires: nobody else settles it at the time, and nobody knows of the death yet.
 *
 * @param words where the deed lies, at `deed`
 * @param slot the dead thread's
 * @returns the address of a block that turns out to be the dead thread's own, or 0
 */
export function settleDeed(memory: Memory, words: Int32Array, deed: number, slot: number): number {
  const block = words[deed + BLOCK]! >>> 0;
  if (words[deed + OP] === MOVE) {
    const { i32 } = memory;
    if (i32[words[deed + LINK_WORD]! >>> 2] === words[deed + AFTER]) i32[block >>> 2] = 0;
    words[deed + OP] = NONE;
    return 0;
  }
  const op = words[deed + OP]! & OPS;
  if (op === NONE || op === OWN) return op === NONE ? 0 : block;
  let own = 0;
  if (op >= ADD) own = settleCount(memory, words, deed, slot);
  else if (!isLinked(memory, words, deed)) own = block;
  else if (op === LINK) own = (words[deed + OP]! & ~OPS) >>> 0;
  words[deed + BLOCK] = own;
  words[deed + OP] = own === 0 ? NONE : OWN;
  return own;
}

/** Whether the cell of a deed `LINK` or `TAKE` holds its block. */
function isLinked({ i32 }: Memory, words: Int32Array, deed: number): boolean {
  const link = words[deed + LINK_WORD]!;
  const flags = (link & FLAGGED) === 0 ? 0 : FLAGS;
  return (i32[link >>> 2]! & ~flags) === words[deed + BLOCK];
}

/** Brings a count to an end that names the dead thread. Returns the block that is the thread's own, or 0. */
function settleCount({ i32 }: Memory, words: Int32Array, deed: number, slot: number): number {
  const block = words[deed + BLOCK]! >>> 0;
  const cell = words[deed + LINK_WORD]! >>> 2;
  const count = words[deed + COUNT]! >>> 2;
  const after = words[deed + AFTER]!;
  const op = words[deed + OP]! & OPS;
  const seen = atomicLoad(i32, count);
  const before = seen >>> SLOT_BITS;
  if ((seen & SLOT) !== slot) return op === LAST || (op === END && i32[cell] !== after) ? block : 0;
  if (op === ADD || before === 0) {
    const added = before !== 0 && i32[cell] === after ? 1 : 0;
    atomicStore(i32, count, (before + added) << SLOT_BITS);
    return 0;
  }
  if (before === 1) words[deed + OP] = LAST;
  i32[cell] = after;
  atomicStore(i32, count, (before - 1) << SLOT_BITS);
  return before === 1 ? block : 0;
}
