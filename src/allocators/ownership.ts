/**
 * The ownership word: who holds a block. One word for each block, beside the geometry or in a map.
 *
 *      31    29 28        21 20           14 13      8 7           0
 *     ┌────────┬────────────┬───────────────┬─────────┬─────────────┐
 *     │ state 3│ slot 8     │ slot gen 7    │ class 6 │ block gen 8 │
 *     └────────┴────────────┴───────────────┴─────────┴─────────────┘
 *      slot       the thread slot that holds it; 0 is nobody in particular
 *      slot gen   that slot's generation, so that a slot's next tenant is told from its last
 *      class      the size class that a thread cache gave it; 0 is none
 *      block gen  goes up at each free, so that a handle can tell a reused block from its own
 *
 *                alloc                    send                 receive
 *      FREE ───────────▶ LIVE(slot) ───────────▶ FLIGHT(slot) ─────────▶ LIVE(slot)
 *       ▲   refill        │  │  │ share
 *       ├──────▶ HAND ────┘  │  └──────▶ SHARED
 *       │         ▲  ▲       │ its thread left
 *       │ flush   │  └free───┼──────────────── free ── SHARED, FLIGHT, ORPHAN
 *       └─────────┤          └────────▶ ORPHAN
 *                 ├──────▶ TRANSFER (on a class's transfer list, under its lock)
 *                 └──────▶ QUARANTINE (nobody's, kept back to catch late writes)
 *
 * Written by the thread that holds the block; by the holder of the allocator's lock while FREE, and
 * when it takes a block back: HAND(me), then FREE. Zeroed memory reads as FREE.
 */

/** In no hands: the allocator may give it out. */
export const FREE = 0;
/** In a thread's hands but not the user's: cached, being refilled or being freed. */
export const HAND = 1;
/** On a size class's transfer list. */
export const TRANSFER = 2;
/** The user's, allocated by a thread that still owns it. */
export const LIVE = 3;
/** The user's, on its way to another thread. */
export const FLIGHT = 4;
/** The user's, reachable from shared bytes: belongs to no thread. */
export const SHARED = 5;
/** The user's, left behind by a thread that is gone. */
export const ORPHAN = 6;
/** Freed, kept back for a while. */
export const QUARANTINE = 7;

/** The names of the states, as `blocks()` shows them; indexed by state. */
export const STATE_NAMES = [
  'free',
  'hand',
  'transfer',
  'live',
  'flight',
  'shared',
  'orphan',
  'quarantine',
] as const;
/** A state's name. */
export type BlockState = (typeof STATE_NAMES)[number];

const STATE_SHIFT = 29;
const SLOT_SHIFT = 21;
const SLOT_GENERATION_SHIFT = 14;
const SLOT_GENERATION_MASK = 0x7f;
const CLASS_SHIFT = 8;
const CLASS_MASK = 0x3f << CLASS_SHIFT;
const GENERATION_MASK = 0xff;
const OWNER_MASK = (0xff << SLOT_SHIFT) | (SLOT_GENERATION_MASK << SLOT_GENERATION_SHIFT);

/** The slot and slot generation bits of a thread: what its words carry. */
export function ownerBits(slot: number, slotGeneration: number): number {
  return (slot << SLOT_SHIFT) | ((slotGeneration & SLOT_GENERATION_MASK) << SLOT_GENERATION_SHIFT);
}

export function stateOf(word: number): number {
  return word >>> STATE_SHIFT;
}

export function slotOf(word: number): number {
  return (word >>> SLOT_SHIFT) & 0xff;
}

/** The slot and slot generation bits of a word, to compare with {@link ownerBits}. */
export function ownerOf(word: number): number {
  return word & OWNER_MASK;
}

export function generationOf(word: number): number {
  return word & GENERATION_MASK;
}

// V8 folds a module's private constants, but loads exported ones at each use.
const FIRST_HELD = LIVE;
const HELD_STATES = ORPHAN - LIVE;
const LIVE_BITS = LIVE << STATE_SHIFT;
const HAND_BITS = HAND << STATE_SHIFT;

/** Whether the user holds the block, whoever owns it: LIVE, FLIGHT, SHARED or ORPHAN. */
export function isHeld(word: number): boolean {
  return ((word >>> STATE_SHIFT) - FIRST_HELD) >>> 0 <= HELD_STATES;
}

/** A FREE block becomes the user's: LIVE(owner), no class, the block's generation kept. */
export function liveWord(word: number, owner: number): number {
  return LIVE_BITS | owner | (word & GENERATION_MASK);
}

/** A held block goes into a thread's hands: HAND(owner), class and generation kept. */
export function handWord(word: number, owner: number): number {
  return HAND_BITS | owner | (word & (CLASS_MASK | GENERATION_MASK));
}

/** A block goes into a thread's cache: `hand` is HAND(thread), `classBits` its class; the generation stays. */
export function classedHandWord(word: number, hand: number, classBits: number): number {
  return hand | classBits | (word & GENERATION_MASK);
}

/** The size class of a word, shifted as it stands there. */
export function classBitsOf(word: number): number {
  return word & CLASS_MASK;
}

/** A block in hands becomes FREE: no owner, no class, the next generation. */
export function freeWord(word: number): number {
  return (word + 1) & GENERATION_MASK;
}

/** The same block in another state, all else kept. */
export function withState(word: number, state: number): number {
  return (word & ~(7 << STATE_SHIFT)) | (state << STATE_SHIFT);
}

/** The word of bytes that lie between two spans: HAND of nobody, in a class that no block has. */
export function gapWord(): number {
  return (HAND << STATE_SHIFT) | CLASS_MASK;
}

/** A held block that belongs to no thread: SHARED or ORPHAN, class and generation kept. */
export function unownedWord(word: number, state: number): number {
  return (state << STATE_SHIFT) | (word & (CLASS_MASK | GENERATION_MASK));
}

/** A held block of a thread: LIVE or FLIGHT, class and generation kept. */
export function ownedWord(word: number, state: number, owner: number): number {
  return (state << STATE_SHIFT) | owner | (word & (CLASS_MASK | GENERATION_MASK));
}

/** Who has the block and of what class, whatever its generation. */
export function withoutGeneration(word: number): number {
  return word & ~GENERATION_MASK;
}

/** The same block without its size class: its size is about to change. */
export function withoutClass(word: number): number {
  return word & ~CLASS_MASK;
}
