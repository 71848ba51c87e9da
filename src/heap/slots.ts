/**
 * Thread slots: who is at work in the heap. One slot for each attached thread, 128 bytes apart, so that
 * threads do not share cache lines.
 *
 *       0              4            8       12        16     20     24                    36     40     44
 *      ┌──────────────┬────────────┬───────┬─────────┬──────┬──────┬───────────┬─────────┬──────┬──────┬──────┬ ─
 *      │ threadId + 1 │ generation │ probe │ pending │ held │ rest │ deed lock │ (unused)│ dead │ last │ sign │
 *      │ i32          │ u32        │ i32   │ record of locks│ i32  │           │         │ u32  │ i32  │ i32  │
 *      └──────────────┴────────────┴───────┴─────────┴──────┴──────┴───────────┴─────────┴──────┴──────┴──────┴ ─
 *       48                                     68                                                         128
 *      ┌──────────────────────────────────────┬ ─
 *      │ deed: block, link, op, count, after  │
 *      └──────────────────────────────────────┴ ─
 *      ▲ slots + (slot - 1) · 128
 *
 *      threadId + 1   0: nobody has the slot; below 0: a thread takes it, and is no tenant yet. Then it is minus the
 *                     thread's sign of life, or where it has none minus (BY_ID + threadId + 1)
 *      generation     goes up at each taking, so that words of the last tenant are told from this one's
 *      probe          scratch word: tells whether two buffers are the same memory
 *      pending, held  see sync/thread.ts
 *      deed           see sync/deed.ts; who settles it when the thread is dead holds the deed lock
 *      rest           0 at work, 1 idle: others may take its cache back, 2: one is about it, 3 drained: it has;
 *                     4 dead, and its cache was taken back
 *      dead           the generation whose thread is known to have died; it stays when the slot is freed
 *      last           threadId + 1 of the last tenant that is gone
 *      sign           the tenant's sign of life, or 0: others ask the runtime by it who has ended
 *
 * Slots are numbered from 1; 0 stands for nobody in block headers.
 */

import { hasEnded, signOfLife, threadId } from '#platform';
import type { BlockInfo } from '../allocators/allocator.ts';
import { ownerBits } from '../allocators/ownership.ts';
import { TooManyThreadsError } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import { atomicLoad, atomicStore, compareExchange, notify } from '../memory/atomics.ts';
import type { Memory } from '../memory/memory.ts';
import { DEED_WORDS, hasDeed, settleDeed } from '../sync/deed.ts';
import { loseLock } from '../sync/lock.ts';
import { ParkLock } from '../sync/park-lock.ts';
import { type Census, describeToken, generationOfToken, slotOfToken, Thread } from '../sync/thread.ts';

/** Bytes from slot to slot. */
export const SLOT_BYTES = 128;

// Indexes of 32-bit words from the slot's start.
const GENERATION = 1;
const PROBE = 2;
const RECORD = 3;
const REST = 5;
const DEED_LOCK = 6;
const DEAD = 9;
const LAST = 10;
const SIGN = 11;
const DEED = 12;
const EVERYBODY = 0x7fffffff;
const SLOTS_AT_MOST = 256;
/** How often waiters ask the runtime for a proof of a slot's thread, in ms. */
const ASK_EVERY_MS = 10;
/** A longer list of held locks than this is a broken one. */
const MOST_HELD = 1 << 12;

/** Above all signs of life and thread ids. */
const BY_ID = 2 ** 29;

const AT_WORK = 0;
const IDLE = 1;
const DRAINING = 2;
const DRAINED = 3;
const EMPTIED = 4;

/** What a slot says. */
export interface SlotInfo {
  /** 1 to maxThreads. */
  readonly slot: number;
  /** The runtime's thread id. */
  readonly threadId: number;
  /** How often the slot has been taken. */
  readonly generation: number;
  /** Whether it is idle, so that others may take its cache back. */
  readonly idle: boolean;
  /** Whether its thread is known to have died. */
  readonly dead: boolean;
}

/** The table of thread slots. Thread-safe: a slot is taken and given back by single stores. */
export class ThreadSlots implements Census {
  readonly maxThreads: number;
  /** Whether this thread has a proof that the thread with an id has died. Asked by those who wait for it. */
  isProvenDead: ((threadId: number) => boolean) | undefined;
  readonly #memory: Memory;
  readonly #i32: Int32Array;
  readonly #base: number;
  /** Who settles the deeds of the dead: the calling thread, which settles no other one's meanwhile. */
  #settler: Thread;
  /** When the runtime was last asked for each slot's thread, in ms: that takes microseconds. */
  readonly #askedAt = new Float64Array(SLOTS_AT_MOST).fill(Number.NEGATIVE_INFINITY);

  /** @param start first byte of the slots */
  constructor(memory: Memory, start: number, maxThreads: number) {
    this.maxThreads = maxThreads;
    this.#memory = memory;
    this.#i32 = memory.i32;
    this.#settler = Thread.of(memory);
    this.#base = start >>> 2;
  }

  /**
   * Takes a free slot for the calling thread.
   *
   * @throws TooManyThreadsError when there is none
   */
  take(): Thread {
    const i32 = this.#i32;
    const threadIdPlus1 = threadId() + 1;
    const sign = signOfLife();
    const taker = typeof sign === 'number' && sign > 0 ? sign : BY_ID + threadIdPlus1;
    for (let slot = 1; slot <= this.maxThreads; slot++) {
      const word = this.#wordOf(slot);
      if (atomicLoad(i32, word) !== 0 || compareExchange(i32, word, 0, -taker) !== 0) continue;
      const generation = i32[word + GENERATION]! + 1;
      i32[word + RECORD] = 0;
      i32[word + RECORD + 1] = 0;
      i32[word + REST] = AT_WORK;
      i32.fill(0, word + DEED, word + DEED + DEED_WORDS);
      this.#sign(slot, generation, sign);
      i32[word + GENERATION] = generation;
      // Publishes: whoever sees a tenant sees its generation, not that of a dead one before it.
      atomicStore(i32, word, threadIdPlus1);
      const census: Census = { nameOf: this.nameOf.bind(this), isGone: (token) => this.#hasEnded(token) };
      this.#settler = Thread.inSlot(slot, generation, i32, word + RECORD, census);
      return Thread.inSlot(slot, generation, i32, word + RECORD, this);
    }
    if (this.endTakings()) return this.take();
    throw new TooManyThreadsError(this.maxThreads);
  }

  /** Writes the calling thread's sign of life into its slot: at once, or when the runtime has given one. */
  #sign(slot: number, generation: number, sign: number | Promise<number>): void {
    const at = this.#wordOf(slot) + SIGN;
    this.#i32[at] = typeof sign === 'number' ? sign : 0;
    if (typeof sign === 'number') return;
    void sign.then((given) => {
      // It may have left meanwhile, and another thread may have come.
      if (this.isTenant({ slot, generation })) this.#i32[at] = given;
    });
  }

  /** Gives the calling thread's slot back. It must hold no lock. */
  giveBack(thread: Thread): void {
    this.free(thread.slot);
  }

  /** Lets other threads take a slot. Nothing that names its tenant without its generation may be left. */
  free(slot: number): void {
    const word = this.#wordOf(slot);
    this.#i32[word + LAST] = this.#i32[word]!;
    atomicStore(this.#i32, word, 0);
  }

  /**
   * Frees all slots of a heap that no thread has any more. Their generations stay and go on from there, and so
   * does what is known of who died: containers may hold their names.
   */
  vacate(): void {
    for (let slot = 1; slot <= this.maxThreads; slot++) {
      const words = this.#i32.subarray(this.#wordOf(slot), this.#wordOf(slot + 1));
      const { [GENERATION]: generation, [DEAD]: dead } = words;
      words.fill(0);
      words[GENERATION] = generation!;
      words[DEAD] = dead!;
    }
  }

  /** How often slots were taken: goes up with each thread that attaches. */
  takings(): number {
    let sum = 0;
    for (let slot = 1; slot <= this.maxThreads; slot++) sum += this.#i32[this.#wordOf(slot) + GENERATION]!;
    return sum;
  }

  /**
   * Frees the slots that threads were about to take when they died, as far as there is a proof.
   *
   * @param threadId of a thread that has died
   * @returns whether there was one
   */
  endTakings(threadId?: number): boolean {
    let found = false;
    for (let slot = 1; slot <= this.maxThreads; slot++) {
      const word = this.#wordOf(slot);
      const seen = atomicLoad(this.#i32, word);
      if (seen >= 0 || !this.#hasTakerEnded(-seen, threadId)) continue;
      if (compareExchange(this.#i32, word, seen, 0) === seen) found = true;
    }
    return found;
  }

  #hasTakerEnded(taker: number, dead: number | undefined): boolean {
    if (taker <= BY_ID) return hasEnded(taker);
    const id = taker - BY_ID - 1;
    return id === dead || this.isProvenDead?.(id) === true;
  }

  /** Whether the slot is still of this tenant. */
  isTenant({ slot, generation }: Pick<SlotInfo, 'slot' | 'generation'>): boolean {
    const word = this.#wordOf(slot);
    return atomicLoad(this.#i32, word) > 0 && this.#i32[word + GENERATION] === generation;
  }

  /** Whether a thread had a slot that is free now, or of another thread. */
  hadTenant(wanted: number | Pick<SlotInfo, 'slot' | 'generation'>): boolean {
    if (typeof wanted === 'object') {
      const { slot, generation } = wanted;
      return (
        slot >= 1 && slot <= this.maxThreads && generation <= this.#i32[this.#wordOf(slot) + GENERATION]!
      );
    }
    for (let slot = 1; slot <= this.maxThreads; slot++) {
      if (this.#i32[this.#wordOf(slot) + LAST] === wanted + 1) return true;
    }
    return false;
  }

  /** Wakes those who sleep on locks in the record of a dead thread: they find that their owner is gone. */
  wakeSleepers(slot: number): void {
    // Others take the locks over meanwhile and link them elsewhere: whoever is missed looks after a slice.
    for (const unit of this.#recorded(slot)) notify(this.#i32, unit * 2, EVERYBODY);
  }

  /** The locks in a thread's record, in 8-byte units: the one that is pending, then those that it holds. */
  *#recorded(slot: number): Generator<number> {
    const i32 = this.#i32;
    const record = this.#wordOf(slot) + RECORD;
    if (isLock(i32, i32[record]!)) yield i32[record]!;
    let unit = i32[record + 1]!;
    for (let steps = 0; steps < MOST_HELD && isLock(i32, unit); steps++) {
      yield unit;
      unit = i32[unit * 2 + 1]!;
    }
  }

  /**
   * Gives up on a tenant that was ended and may still run: what it holds is poisoned, so that nobody waits for
   * it. All else that is its own stays so. Returns the address of its slot.
   */
  lose({ slot, generation }: Pick<SlotInfo, 'slot' | 'generation'>): Address {
    const token = Thread.tokenOf(slot, generation);
    for (const unit of this.#recorded(slot)) loseLock(this.#i32, unit * 2, token);
    return (this.#wordOf(slot) * 4) as Address;
  }

  /**
   * Whether the thread has a lock, is about to take or give back one, or has a deed that is not done: what
   * the slot says is needed then, and count words may name the slot.
   */
  isBusy(thread: Thread): boolean {
    const i32 = this.#i32;
    return i32[thread.pending] !== 0 || i32[thread.held] !== 0 || hasDeed(i32, thread.deed);
  }

  /** The calling thread goes idle: others may take its cache back. */
  rest(thread: Thread): void {
    atomicStore(this.#i32, this.#wordOf(thread.slot) + REST, IDLE);
  }

  /** The calling thread goes back to work. Returns false when others have taken its cache, or are about it. */
  resume(thread: Thread): boolean {
    const rest = this.#wordOf(thread.slot) + REST;
    return compareExchange(this.#i32, rest, IDLE, AT_WORK) <= IDLE;
  }

  /** Whether who took the thread's cache back was done with it. If not so under the allocator's lock, it has died. */
  isDrained(thread: Thread): boolean {
    return atomicLoad(this.#i32, this.#wordOf(thread.slot) + REST) === DRAINED;
  }

  /** The calling thread is at work again after it was drained. */
  resumeDrained(thread: Thread): void {
    atomicStore(this.#i32, this.#wordOf(thread.slot) + REST, AT_WORK);
  }

  /**
   * Marks idle threads, whose caches the caller is to take back. Returns the owner bits of each; those too
   * at which another thread has died. Requires: allocator lock held.
   */
  drainIdle(): number[] {
    const owners: number[] = [];
    for (let slot = 1; slot <= this.maxThreads; slot++) {
      const word = this.#wordOf(slot);
      const rest = compareExchange(this.#i32, word + REST, IDLE, DRAINING);
      if (rest === IDLE || rest === DRAINING) owners.push(ownerBits(slot, this.#i32[word + GENERATION]!));
    }
    return owners;
  }

  /** The caches of those that `drainIdle` marked are taken back. Requires: allocator lock held since. */
  endDrain(): void {
    for (let slot = 1; slot <= this.maxThreads; slot++) {
      compareExchange(this.#i32, this.#wordOf(slot) + REST, DRAINING, DRAINED);
    }
  }

  /** Whether the cache of a dead thread was taken back before it is reaped. Requires: recovery lock held. */
  isDeadDrained(slot: number): boolean {
    return this.#i32[this.#wordOf(slot) + REST] === EMPTIED;
  }

  /** The cache of a dead thread was taken back. Requires: recovery lock held since. */
  endDeadDrain(slot: number): void {
    atomicStore(this.#i32, this.#wordOf(slot) + REST, EMPTIED);
  }

  /** All slots that are taken. */
  taken(): SlotInfo[] {
    const found: SlotInfo[] = [];
    for (let slot = 1; slot <= this.maxThreads; slot++) {
      const word = this.#wordOf(slot);
      const threadIdPlus1 = atomicLoad(this.#i32, word);
      if (threadIdPlus1 <= 0) continue;
      found.push({
        slot,
        threadId: threadIdPlus1 - 1,
        generation: this.#i32[word + GENERATION]!,
        idle: this.#i32[word + REST] !== AT_WORK,
        dead: this.#i32[word + DEAD] === this.#i32[word + GENERATION],
      });
    }
    return found;
  }

  /** The sign of life in a slot: see `Platform.signOfLife`. */
  signOf(slot: number): number {
    return this.#i32[this.#wordOf(slot) + SIGN]!;
  }

  /** Writes the scratch word of the calling thread's slot. */
  probe(slot: number, value: number): void {
    atomicStore(this.#i32, this.#wordOf(slot) + PROBE, value);
  }

  /** Reads what {@link probe} wrote. */
  probed(slot: number): number {
    return atomicLoad(this.#i32, this.#wordOf(slot) + PROBE);
  }

  /**
   * Notes that the thread in a slot is dead: nothing of it runs any more. Every thread sees it from now on.
   * Before that its deed is settled, so that nobody can come upon it half done.
   *
   * @param generation the tenant's, as {@link taken} gives it
   */
  markDead(slot: number, generation: number): void {
    const i32 = this.#i32;
    const word = this.#wordOf(slot);
    const settler = this.#settler;
    const lock = new ParkLock(this.#memory, ((word + DEED_LOCK) * 4) as Address, { thread: settler });
    // It may be asked for while the thread takes another lock.
    const pending = settler.words[settler.pending]!;
    lock.acquire();
    try {
      if (!this.isTenant({ slot, generation }) || i32[word + DEAD] === generation) return;
      settleDeed(this.#memory, i32, word + DEED, slot);
      atomicStore(i32, word + DEAD, generation);
    } finally {
      lock.release();
      settler.words[settler.pending] = pending;
    }
  }

  /**
   * The address of a block that turned out to be a dead thread's own when its deed was settled, or 0. Given
   * until {@link forgetOwn}.
   */
  ownOf(slot: number): Address {
    return settleDeed(this.#memory, this.#i32, this.#wordOf(slot) + DEED, slot) as Address;
  }

  /** The block's header says by now whose it is. */
  forgetOwn(slot: number): void {
    this.#i32.fill(0, this.#wordOf(slot) + DEED, this.#wordOf(slot) + DEED + DEED_WORDS);
  }

  /** As `Census.isGone`; the runtime is asked for a proof of a slot's thread every 10 ms at most. */
  isGone(token: number, mask: number = -1): boolean {
    if (!this.#hasEnded(token, mask)) return false;
    const slot = slotOfToken(token);
    const word = this.#wordOf(slot);
    const generation = this.#i32[word + GENERATION]!;
    const isSame = ((Thread.tokenOf(slot, generation) ^ token) & mask) === 0;
    const isTenant = isSame && this.isTenant({ slot, generation });
    if (isTenant && atomicLoad(this.#i32, word + DEAD) !== generation) this.markDead(slot, generation);
    return true;
  }

  /** Whether the tenant that a token names has left, is marked as dead, or is proven to be. */
  #hasEnded(token: number, mask: number = -1): boolean {
    const slot = slotOfToken(token);
    if (slot === 0 || slot > this.maxThreads) return false;
    const word = this.#wordOf(slot);
    const threadIdPlus1 = atomicLoad(this.#i32, word);
    const generation = this.#i32[word + GENERATION]!;
    if (threadIdPlus1 <= 0 || ((Thread.tokenOf(slot, generation) ^ token) & mask) !== 0) return true;
    if (atomicLoad(this.#i32, word + DEAD) === generation) return true;
    const now = performance.now();
    if (now - this.#askedAt[slot]! < ASK_EVERY_MS) return false;
    this.#askedAt[slot] = now;
    return this.#hasProof({ slot, threadId: threadIdPlus1 - 1 });
  }

  /** Marks a tenant as dead if there is a proof, and returns whether there is. */
  prove(tenant: Pick<SlotInfo, 'slot' | 'generation' | 'threadId'>): boolean {
    if (!this.#hasProof(tenant)) return false;
    this.markDead(tenant.slot, tenant.generation);
    return true;
  }

  #hasProof({ slot, threadId }: Pick<SlotInfo, 'slot' | 'threadId'>): boolean {
    return hasEnded(this.signOf(slot)) || this.isProvenDead?.(threadId) === true;
  }

  hasDied(token: number): boolean {
    const slot = slotOfToken(token);
    if (slot === 0 || slot > this.maxThreads || !this.isGone(token)) return false;
    const dead = atomicLoad(this.#i32, this.#wordOf(slot) + DEAD);
    return dead !== 0 && Thread.tokenOf(slot, dead) === token;
  }

  tokenAt(slot: number): number {
    if (slot > this.maxThreads) return 0;
    const word = this.#wordOf(slot);
    return atomicLoad(this.#i32, word) <= 0 ? 0 : Thread.tokenOf(slot, this.#i32[word + GENERATION]!);
  }

  nameOf(token: number): string {
    const slot = slotOfToken(token);
    if (slot === 0 || slot > this.maxThreads) return describeToken(token);
    const word = this.#wordOf(slot);
    const threadIdPlus1 = atomicLoad(this.#i32, word);
    const current = Thread.tokenOf(slot, this.#i32[word + GENERATION]!) === token;
    if (!current || threadIdPlus1 <= 0)
      return `a thread that is gone (slot ${slot}, generation ${generationOfToken(token)})`;
    return `thread ${threadIdPlus1 - 1} (slot ${slot})`;
  }

  #wordOf(slot: number): number {
    return this.#base + (slot - 1) * (SLOT_BYTES / 4);
  }
}

/** Whether a lock may lie at an address, given in 8-byte units. */
function isLock(i32: Int32Array, unit: number): boolean {
  return unit > 0 && unit * 2 + 1 < i32.length;
}

/** A thread that is attached. */
export interface ThreadInfo {
  readonly slot: number;
  readonly threadId: number;
  readonly generation: number;
  /** `'idle'`: between two tasks of a pool; its cache may be taken back by others. `'dead'`: to be reaped. */
  readonly state: 'active' | 'idle' | 'dead';
  /** Live blocks that it owns. */
  readonly ownedBlocks: number;
  /** Usable bytes of those. */
  readonly ownedBytes: number;
}

/** What each thread owns, by a walk over the blocks. */
export function threadInfos(slots: readonly SlotInfo[], blocks: Iterable<BlockInfo>): ThreadInfo[] {
  const sums = new Map<number, { count: number; bytes: number }>();
  for (const { state, owner, size } of blocks) {
    if (state !== 'live' && state !== 'flight') continue;
    const sum = sums.get(owner) ?? { count: 0, bytes: 0 };
    sums.set(owner, { count: sum.count + 1, bytes: sum.bytes + size });
  }
  return slots.map(({ slot, threadId, generation, idle, dead }) => ({
    slot,
    threadId,
    generation,
    state: dead ? 'dead' : idle ? 'idle' : 'active',
    ownedBlocks: sums.get(slot)?.count ?? 0,
    ownedBytes: sums.get(slot)?.bytes ?? 0,
  }));
}
