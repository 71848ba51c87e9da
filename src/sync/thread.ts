/**
 * Thread: how this thread names itself in lock words and block headers.
 *
 * A lock word and an ownership word must say who holds them, so that the living can tell what the
 * dead held. Inside a heap a thread is a slot with a generation; an allocator without a heap knows
 * the thread only by the runtime's thread id.
 *
 *     token   31 bits, never 0
 *             ┌ 0 ┬ generation 22 ┬ slot 8 ┐      a heap's thread slot
 *             └───┴───────────────┴────────┘
 *             ┌ 1 ┬ thread id + 1          ┐      no heap
 *             └───┴────────────────────────┘
 *
 * The record is two words, each a lock's address in 8-byte units, as Linux keeps for robust futexes:
 *
 *     pending   the lock that is being taken or given back right now, or 0
 *     held      head of the list of held locks, linked through their `nextHeld`, or 0
 *
 * In a heap the record lies in the thread's slot, where others can read it after its death, and so does the
 * deed that the thread is about (see `deed.ts`), some words behind it.
 *
 * What names a thread by its token outlives the thread: `isGone` tells whether it has. Whoever meets the name
 * of a thread that is gone puts right what that one has left there.
 */

import { keepsOrder, mayBlock, threadId } from '#platform';
import { DetachedError } from '../errors.ts';
import { atomicLoad, atomicStore } from '../memory/atomics.ts';
import type { Memory } from '../memory/memory.ts';

const SLOT_BITS = 8;
const GENERATION_MASK = (1 << 22) - 1;
const STANDALONE = 1 << 30;
const IN_ORDER = keepsOrder();
/** Words from the record of locks to the deed. */
const DEED_AT = 9;

/** What is known of the threads behind tokens. */
export interface Census {
  /** Names the thread behind a token, for messages. */
  nameOf(token: number): string;
  /**
   * Whether the thread that a token names is dead, or has left. Once true it stays so.
   *
   * @param mask the bits of the token that are known, the slot's among them: what a word with little room keeps.
   *   A later tenant of the slot with the same bits then passes for the one that is gone, until it goes too
   */
  isGone(token: number, mask?: number): boolean;
  /** Whether the thread is known to have died, rather than left. It may be forgotten with the next tenant. */
  hasDied?(token: number): boolean;
  /** The token of a slot's tenant, or 0. */
  tokenAt?(slot: number): number;
}

/** Outside a heap nothing is known of the others. */
const STRANGERS: Census = { nameOf: describeToken, isGone: () => false };

/** One thread's identity towards one memory. */
export class Thread {
  /** What lock words hold: a positive 31-bit integer. */
  readonly token: number;
  /** The thread slot, 1 to 255; 0 outside a heap. */
  readonly slot: number;
  /** How often the slot has been taken, low 22 bits. */
  readonly generation: number;
  /** Whether this thread may sleep in a wait. */
  readonly mayBlock: boolean;
  /** The words that hold the record. */
  readonly words: Int32Array;
  /** Index of `pending` in `words`. */
  readonly pending: number;
  /** Index of `held` in `words`. */
  readonly held: number;
  /** Index of the deed in `words`; outside a heap past their end, where writes go nowhere. */
  readonly deed: number;
  /** Whether it has not left its heap. */
  isHere = true;
  readonly #census: Census;

  private constructor(
    slot: number,
    generation: number,
    token: number,
    words: Int32Array,
    record: number,
    census: Census,
  ) {
    this.slot = slot;
    this.generation = generation;
    this.token = token;
    this.words = words;
    this.pending = record;
    this.held = record + 1;
    this.deed = record + DEED_AT;
    this.mayBlock = mayBlock();
    this.#census = census;
  }

  /** Names the thread behind a token, for messages. */
  nameOf(token: number): string {
    return this.#census.nameOf(token);
  }

  /** Whether the thread that a token names is dead, or has left the heap: see {@link Census}. */
  isGone(token: number, mask?: number): boolean {
    return this.#census.isGone(token, mask);
  }

  /** Whether the thread that a token names is known to have died, rather than left the heap. */
  hasDied(token: number): boolean {
    return this.#census.hasDied?.(token) ?? false;
  }

  /** Whether the tenant of a slot is gone. For words that name a slot without its generation. */
  isTenantGone(slot: number): boolean {
    return this.#census.isGone(this.#census.tokenAt?.(slot) ?? 0);
  }

  /**
   * Keeps this thread's loads and stores before it before those after it, but for a store and a later load. A load
   * does where the processor keeps such orders itself, and only has to hold the compiler; on ARM64 it would not. There
   * a store does, which waits for what comes before it, and a load, which does not pass that store and is waited for
   * by what comes after. The word is one that no other thread writes, so that this takes no shared line away.
   */
  fence(): void {
    const { words, pending } = this;
    if (!IN_ORDER) atomicStore(words, pending, words[pending]!);
    atomicLoad(words, pending);
  }

  /** Ends the thread's part in its heap: whatever needs its record (locks, counts) throws from now on. */
  leave(): void {
    this.isHere = false;
    Object.defineProperty(this, 'words', {
      get(): never {
        throw new DetachedError();
      },
    });
  }

  /** The calling thread as a heap's slot knows it. `record` is the index in `words` where its record begins. */
  static inSlot(
    slot: number,
    generation: number,
    words: Int32Array,
    record: number,
    census: Census = STRANGERS,
  ): Thread {
    const token = Thread.tokenOf(slot, generation);
    return new Thread(slot, generation & GENERATION_MASK, token, words, record, census);
  }

  /** The token of a slot's tenant. */
  static tokenOf(slot: number, generation: number): number {
    return ((generation & GENERATION_MASK) << SLOT_BITS) | slot;
  }

  /** The calling thread outside a heap: one identity for each memory. */
  static of(memory: Memory): Thread {
    let thread = standalone.get(memory);
    if (thread === undefined) {
      const token = STANDALONE | (threadId() + 1);
      thread = new Thread(0, 0, token, new Int32Array(2), 0, STRANGERS);
      standalone.set(memory, thread);
    }
    return thread;
  }
}

const standalone = new WeakMap<Memory, Thread>();

/** The slot that a token names, or 0 when it names no slot. */
export function slotOfToken(token: number): number {
  return (token & STANDALONE) === 0 ? token & ((1 << SLOT_BITS) - 1) : 0;
}

/** The generation that a token names. */
export function generationOfToken(token: number): number {
  return (token >>> SLOT_BITS) & GENERATION_MASK;
}

/** Names a token without knowing the heap. */
export function describeToken(token: number): string {
  const slot = slotOfToken(token);
  return slot === 0
    ? `thread ${(token & ~STANDALONE) - 1}`
    : `thread slot ${slot} (generation ${generationOfToken(token)})`;
}
