/**
 * Deed: what a thread is about to do to a structure that others see, noted in its slot. Whoever recovers
 * a dead thread looks there whether the one store that matters was still made.
 *
 *     ┌ block u32 ┬ link u32 ┬ op ┐
 *     └───────────┴──────────┴────┘      at `thread.deed` in `thread.words`
 *
 *     op    link                         was it done?
 *     NONE                               nothing was going on
 *     LINK  the cell that shall own it   the cell holds `block`; if not, nobody owns the block
 *     TAKE  the cell that owned it       the cell is 0; if not, the block is still the cell's
 *     ADD   a count word                 the reference `block` names its target: count the word up
 *     DROP  a count word                 the reference `block` names none any more: count it down
 *
 * ADD and DROP matter only while the count word names the dead thread (see containers/counts.ts).
 * A deed is written before what it tells of and cleared behind it, `op` last and first: plain stores, read
 * by others only after the thread's death is proven. One deed at a time.
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

/** Notes what this thread is about to do. */
export function noteDeed({ words, deed }: Thread, block: number, link: number, op: number): void {
  words[deed + BLOCK] = block;
  words[deed + LINK_WORD] = link;
  words[deed + OP] = op;
}

/** The deed is done, or was given up. */
export function clearDeed({ words, deed }: Thread): void {
  words[deed + OP] = NONE;
}
