/**
 * Deed: what a thread is about to do to a structure that others see, noted in its slot. Whoever recovers
 * a dead thread looks there whether the one store that matters was still made.
 *
 *     ┌ block u32 ┬ link u32 ┬ before 29 │ op 3 ┐
 *     └───────────┴──────────┴──────────────────┘      at `thread.deed` in `thread.words`
 *
 *     op    link                         was it done?
 *     NONE                               nothing was going on
 *     LINK  the cell that shall own it   the cell holds `block`, and what was there `before` (8-aligned, or 0) is
 *                                        the thread's. If not, `block` is, and `before` still the cell's
 *     TAKE  the cell that owned it       the cell holds `block` no more; if it does, the block is still the cell's
 *     ADD   a count word                 the reference `block` names its target: count the word up
 *     DROP  a count word                 the reference `block` names none any more: count it down
 *
 * ADD and DROP matter only while the count word names the dead thread (see containers/counts.ts).
 * Bit 0 of `link`: the cell's low 6 bits are flags. A deed is written before what it tells of and cleared
 * behind it, `op` last and first: plain stores, read by others only after the thread's death is proven, and
 * before it is told: whoever takes over a lock of the thread may change the cell. One deed at a time.
 */

import type { Thread } from './thread.ts';

// Indexes from the deed's start.
const BLOCK = 0;
const LINK_WORD = 1;
const OP = 2;

const NONE = 0;
/** A cell shall hold a block. */
export const LINK = 1;
/** A cell shall no longer hold a block, which is the thread's then. */
export const TAKE = 2;
/** A reference shall be added to a count. */
export const ADD = 3;
/** A reference shall be taken off a count. */
export const DROP = 4;

/** Of `link`: the cell's low 6 bits are flags. */
export const FLAGGED = 1;
const FLAGS = 63;
/** Of the last word: what is not the address of what was there before. */
export const OPS = 7;

/** Whether the cell of a deed `LINK` or `TAKE` holds its block. */
export function isLinked(u32: Uint32Array, block: number, link: number): boolean {
  const flags = (link & FLAGGED) === 0 ? 0 : FLAGS;
  return (u32[link >>> 2]! & ~flags) >>> 0 === block >>> 0;
}

/**
 * Notes what this thread is about to do.
 *
 * @param op with `LINK` the address of what the cell held before, if anything: `LINK | before`
 */
export function noteDeed({ words, deed }: Thread, block: number, link: number, op: number): void {
  words[deed + BLOCK] = block;
  words[deed + LINK_WORD] = link;
  words[deed + OP] = op;
}

/** The deed is done, or was given up. */
export function clearDeed({ words, deed }: Thread): void {
  words[deed + OP] = NONE;
}
