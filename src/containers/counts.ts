/**
 * Counts of references: who shares a block, and how many, even when a thread dies while it counts.
 *
 *     reference ┌ kind ┬ hash ┬ target ●─┬ 0 ┐        a small block: one for each Arc and each Weak
 *               └──────┴──────┴──────────┴───┘
 *     target    ┌ kind ┬ hash ┬ strong ┬ weak ┬ payload …
 *               └──────┴──────┴────────┴──────┴──────────
 *               0      4      8        12     16
 *
 *     strong, weak: │ count 24 │ slot 8 │
 *       n, 0     n references; nobody is counting
 *       n, me    the thread in slot `me` is adding or taking off ONE reference, as its deed says
 *
 *     note the deed │ CAS {n,0} → {n,me} │ write reference.target │ store {n±1,0} │ clear the deed
 *
 * When the thread dies, whoever proves that settles the deed before anybody is told (sync/deed.ts): ADD is
 * done if the reference names its target, DROP is brought to its end. So a word names a slot only as long as
 * its tenant lives, and never another tenant: a slot is given back without a deed, or freed after it was
 * settled. Each reference that names a target is counted, whoever died wherever, and a walk over the dead
 * thread's references finds the rest. A count is never too low.
 * Who takes off the last reference owns the target from then on, as any block of its own: should it die
 * while it drops the payload, the next one finds the target among what it owned, and drops it.
 * Together the strong ones count as one weak reference, whose "target" is the target's kind word:
 * it turns from ARC_ to ENDED when the payload has been dropped. Then `weak` goes down; at 0 the block goes.
 * 1. strong > 0 → kind = ARC_ → weak > 0.     2. kind = ENDED → strong = 0.
 *
 * Cost: one CAS and one store, some 25 ns. Others wait for those few stores, in slices, and look whether
 * the one who counts is gone.
 */

import { HeapCorruptionError, hex, LockTimeoutError } from '../errors.ts';
import { type Address, NULL } from '../memory/address.ts';
import { atomicLoad, atomicStore, compareExchange, wait } from '../memory/atomics.ts';
import { type Dropper, registerKind } from '../structs/drop.ts';
import {
  ADD,
  clearDeed,
  DROP,
  END,
  LINK,
  noteCount,
  noteDeed,
  noteLast,
  OWN,
  SLOT_BITS,
} from '../sync/deed.ts';
import { SLICE_MS } from '../sync/lock.ts';
import { backOff } from '../sync/spin-lock.ts';
import { HEADER_BYTES, hashAt, layHeader } from './container.ts';
import type { ContainerStore } from './store.ts';

/** From a target's start to its payload, in bytes. */
export const PAYLOAD = 16;
/** Bytes of a reference. */
const REFERENCE_BYTES = 16;
/** From a reference's start to the address of its target, in bytes. */
const TARGET = HEADER_BYTES;
/** From a target's start to its counts, in bytes. */
const STRONG = 8;
const WEAK = 12;

const SLOT = (1 << SLOT_BITS) - 1;
/** The most references that a target can have. */
export const MOST_REFERENCES: number = 2 ** 24 - 1;

const SPIN_ROUNDS = 8;
const FIRST_NAP_MS = 0.05;

/** The kind word of what Arcs share. */
export const TARGET_KIND: number = registerKind('ARC_', (dropper, address) => {
  // It was its thread's own: a thread died while it dropped it.
  endPayload(dropper, address as Address);
});
/** Its kind word once the payload was dropped. */
const ENDED: number = registerKind('ARCX', (dropper, address) => {
  dropper.free(address);
});
/** The kind word of an Arc's reference. */
export const STRONG_KIND: number = registerKind('AREF', (dropper, address) => {
  const store = storeOf(dropper);
  const target = targetOf(store, address);
  if (target !== NULL) {
    checkTarget(store, address);
    if (takeOff(store, target, address + TARGET, DROP, target + STRONG) === 0) endPayload(dropper, target);
  }
  dropper.free(address);
});
/** The kind word of a Weak's reference. */
export const WEAK_KIND: number = registerKind('AWEK', (dropper, address) => {
  const store = storeOf(dropper);
  const target = targetOf(store, address);
  if (target !== NULL) {
    checkTarget(store, address);
    if (takeOff(store, target, address + TARGET, DROP, target + WEAK) === 0) freeTarget(store, target);
  }
  dropper.free(address);
});

/**
 * The last strong reference is gone: the payload's fields go, and the weak reference of all strong ones.
 * Requires: this thread's deed, or the header, says that the target is its own. The fields want the deed for
 * themselves, so the header says it for as long; of those with Weaks a target is nobody's.
 */
function endPayload(dropper: Dropper, target: Address): void {
  const store = storeOf(dropper);
  store.tryAdopt(target);
  clearDeed(store.thread);
  dropper.pushOwned(dropper.owningOf(hashAt(store, target)), target + PAYLOAD);
  noteDeed(store.thread, target, 0, OWN);
  store.tryShare(target);
  if (takeOff(store, target, target, END, target + WEAK) === 0) freeTarget(store, target);
}

/** Frees a target that only this thread's deed knows: first its header says whose it is. */
function freeTarget(store: ContainerStore, target: Address): void {
  store.tryAdopt(target);
  clearDeed(store.thread);
  store.memory.u32[target >>> 2] = 0;
  store.free(target);
}

function storeOf(dropper: Dropper): ContainerStore {
  return dropper.store as unknown as ContainerStore;
}

/** What a reference names; NULL while it is being made. */
export function targetOf(store: ContainerStore, reference: number): Address {
  return store.memory.u32[(reference + TARGET) >>> 2] as Address;
}

/** Whether a block at `address` is the target of references: a whole block whose payload lives. */
export function isTarget(store: ContainerStore, address: number): boolean {
  return (
    store.memory.u32[address >>> 2] === TARGET_KIND &&
    address % 8 === 0 &&
    store.generationOf(address as Address) !== -1
  );
}

/**
 * Checks what a reference names, before counts are changed there.
 *
 * @throws HeapCorruptionError when that is no target
 */
export function checkTarget(store: ContainerStore, reference: number): void {
  const target = targetOf(store, reference);
  const word = store.memory.u32[target >>> 2];
  if (target % 8 === 0 && (word === TARGET_KIND || word === ENDED)) return;
  throw new HeapCorruptionError(reference, `a reference leads to ${hex(target)}, where no target lies`);
}

/** How many strong references a target has. It may have changed when you look at it. */
export function strongCount(store: ContainerStore, target: Address): number {
  return atomicLoad(store.memory.i32, (target + STRONG) >>> 2) >>> SLOT_BITS;
}

/** How many Weaks a target has. */
export function weakCount(store: ContainerStore, target: Address): number {
  const all = atomicLoad(store.memory.i32, (target + WEAK) >>> 2) >>> SLOT_BITS;
  return store.memory.u32[target >>> 2] === TARGET_KIND ? all - 1 : all;
}

/**
 * A target with room for `size` bytes of payload, zeroed. It counts its first reference, but has none yet.
 *
 * @returns NULL when there is no room
 */
export function layTarget(store: ContainerStore, hash: number, size: number): Address {
  const target = store.allocZeroed(PAYLOAD + size);
  if (target === NULL) return NULL;
  const { i32 } = store.memory;
  i32[(target + STRONG) >>> 2] = 1 << SLOT_BITS;
  i32[(target + WEAK) >>> 2] = 1 << SLOT_BITS;
  layHeader(store, target, TARGET_KIND, hash);
  return target;
}

/**
 * A reference that names nothing yet.
 *
 * @param kind STRONG_KIND or WEAK_KIND
 * @returns NULL when there is no room
 */
export function layReference(store: ContainerStore, kind: number, hash: number): Address {
  const reference = store.allocZeroed(REFERENCE_BYTES);
  if (reference !== NULL) layHeader(store, reference, kind, hash);
  return reference;
}

/** Gives a new target its first reference. */
export function beginCounting(store: ContainerStore, target: Address, reference: Address): void {
  const cell = reference + TARGET;
  noteDeed(store.thread, target, cell, LINK);
  store.tryShare(target);
  // Commits: from here on the reference owns the target. Until then it was this thread's alone.
  store.memory.u32[cell >>> 2] = target;
  clearDeed(store.thread);
}

/**
 * Lets a new reference name a target that has references, and counts it.
 *
 * @returns false, with nothing changed, when the target's payload was dropped (strong) or there are
 *   MOST_REFERENCES already
 * @throws LockTimeoutError when another thread does not get done with its counting
 */
export function addReference(store: ContainerStore, target: Address, reference: Address): boolean {
  const { u32, i32 } = store.memory;
  const weak = u32[reference >>> 2] === WEAK_KIND;
  const word = target + (weak ? WEAK : STRONG);
  const { thread } = store;
  noteCount(thread, target, reference + TARGET, ADD, word, target);
  const count = beginChange(store, word);
  const added = count > 0 && count < MOST_REFERENCES;
  if (added) u32[(reference + TARGET) >>> 2] = target;
  // Publishes: the reference. Pairs with the swap in `beginChange`.
  atomicStore(i32, word >>> 2, (added ? count + 1 : count) << SLOT_BITS);
  clearDeed(thread);
  return added;
}

/**
 * Empties the cell that stands for a reference, and counts it off. With the last one the target becomes this
 * thread's own, and its deed goes on saying so.
 *
 * @param op DROP for a reference's cell, END for the target's kind word
 * @returns how many are left
 */
function takeOff(store: ContainerStore, target: Address, cell: number, op: number, word: number): number {
  const { u32, i32 } = store.memory;
  const { thread } = store;
  const after = op === END ? ENDED : 0;
  noteCount(thread, target, cell, op, word, after);
  const count = beginChange(store, word);
  if (count === 0) {
    atomicStore(i32, word >>> 2, 0);
    clearDeed(thread);
    throw new HeapCorruptionError(word, 'a count of references is too low');
  }
  if (count === 1) noteLast(thread);
  u32[cell >>> 2] = after;
  // Publishes: the reference is gone. Pairs with the swap in `beginChange`.
  atomicStore(i32, word >>> 2, (count - 1) << SLOT_BITS);
  if (count > 1) clearDeed(thread);
  return count - 1;
}

/** Takes a count word for this thread. Returns the count. */
function beginChange(store: ContainerStore, word: number): number {
  const { i32 } = store.memory;
  const index = word >>> 2;
  const seen = i32[index]!;
  const { slot } = store.thread;
  if ((seen & SLOT) === 0 && compareExchange(i32, index, seen, seen | slot) === seen)
    return seen >>> SLOT_BITS;
  return beginContended(store, word);
}

function beginContended(store: ContainerStore, word: number): number {
  const { i32 } = store.memory;
  const { thread, lockTimeout } = store;
  const index = word >>> 2;
  const began = performance.now();
  let nap = FIRST_NAP_MS;
  for (let round = 0; ; round++) {
    const seen = atomicLoad(i32, index);
    if ((seen & SLOT) === 0) {
      if (compareExchange(i32, index, seen, seen | thread.slot) === seen) return seen >>> SLOT_BITS;
      continue;
    }
    if (round < SPIN_ROUNDS) {
      backOff(round);
      continue;
    }
    const waited = performance.now() - began;
    if (thread.isTenantGone(seen & SLOT)) continue;
    if (waited >= lockTimeout) {
      clearDeed(thread);
      throw new LockTimeoutError(word, seen & SLOT, `thread slot ${seen & SLOT}`, waited);
    }
    if (!thread.mayBlock) {
      backOff(round);
      continue;
    }
    // Nobody notifies: the word's change is seen when the nap is over.
    wait(i32, index, seen, nap);
    nap = Math.min(nap * 2, SLICE_MS);
  }
}
