/**
 * Reader-writer lock: many readers or one writer. Each thread slot has a reader word of its own, so that
 * readers on different slots do not write the same word; a writer is named by an ordinary lock.
 *
 *     lock (8 bytes, see lock.ts)     free, or the writer's
 *     bound (u32)                     the highest slot that ever read
 *     readers, 1 KiB                  16 lines of 64 bytes; slot s is word s >>> 4 of one of them: 16
 *                                     slots in a row share no line, 8 no pair of lines; 255 have room
 *
 *     reader word     ┌ WANTED 1 ┬ generation 22 ┬ count 9 ┐
 *                     └──────────┴───────────────┴─────────┘
 *     count           how often the slot's thread reads at this moment, up to 510: it remembers what is more
 *     generation      which tenant of the slot they are of: only that one counts here, and when it is gone
 *                     a writer clears the count; the next tenant starts the word anew
 *     WANTED          a writer sleeps on the word until the count is 0
 *
 * A reader counts itself, then looks at the lock; a writer takes the lock, then looks at the counts. Both
 * are sequentially consistent, so one of the two sees the other.
 *
 * Fairness: a writer that has the lock keeps new readers out and waits for those inside. A reader that
 * was kept out queues for the lock as writers do, counts itself while it has it and gives it on: neither
 * side starves more than under the lock itself. A thread that reads already may read again at once.
 *
 * Cost: a read two additions and a load (40 to 50 ns); a write the lock and a load for each slot up to
 * the bound. A dead writer's lock is taken over, by readers too.
 *
 * Source: B. Hsieh, W. Weihl, "Scalable reader-writer locks for parallel systems", 1992 (a word for each
 * reader); the way through the lock is ours.
 */

import { DeadlockError, DetachedError, LockTimeoutError } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import { atomicAdd, atomicAnd, atomicLoad, atomicSub, compareExchange, notify } from '../memory/atomics.ts';
import type { Memory } from '../memory/memory.ts';
import type { AsyncWaitOptions } from './async-sleep.ts';
import type { Lock } from './lock.ts';
import { backOff } from './spin-lock.ts';
import { Thread } from './thread.ts';
import { awaitTurn, awaitTurnAsync, DONE, SPIN_ROUNDS, type Turn, timeoutOf } from './turn.ts';

/** Bytes of the reader words. They begin at a multiple of 64 and start as zeros. */
export const READERS_BYTES = 1024;

const LINES = 16;
const LINE_WORDS = 16;
const COUNT_BITS = 9;
const COUNT = (1 << COUNT_BITS) - 1;
/** The most readings that a word holds: one more is counted before it is seen to be too many. */
const MOST_COUNTED = COUNT - 1;
const WANTED = 1 << 31;
const EVERYBODY = 0x7fffffff;

/** One thread's handle of the lock. */
export class ReaderWriterLock {
  private readonly i32: Int32Array;
  private readonly lock: Lock;
  private readonly thread: Thread;
  private readonly lockIndex: number;
  private readonly bound: number;
  private readonly readers: number;
  /** Index of this thread's reader word. */
  private readonly mine: number;

  /**
   * @param lock the writers'
   * @param bound where the u32 lies that holds the highest slot
   * @param readers where the reader words lie
   */
  constructor(memory: Memory, lock: Lock, thread: Thread, bound: Address, readers: Address) {
    this.i32 = memory.i32;
    this.lock = lock;
    this.thread = thread;
    this.lockIndex = lock.address >>> 2;
    this.bound = bound >>> 2;
    this.readers = readers >>> 2;
    this.mine = this.wordOf(thread.slot);
    this.startWord();
    this.raiseBound();
  }

  /** A thread that reads or writes, for messages; undefined when none does. */
  get holder(): string | undefined {
    if (this.lock.owner !== 0) return this.thread.nameOf(this.lock.owner);
    const slot = this.readerFrom(1);
    return slot === 0 ? undefined : readerName(slot);
  }

  // ── Reading ─────────────────────────────────────────────────────────────────────────────────────

  /**
   * Enters as a reader.
   *
   * @throws DeadlockError when this thread writes
   * @throws LockTimeoutError naming the writer, BlockingNotAllowedError as `Lock.acquire`
   */
  read(timeout: number): void {
    if (this.enter()) return;
    // Most often it was a reader on its way through the lock, or a short write.
    for (let round = 0; round < SPIN_ROUNDS; round++) {
      backOff(round);
      if (atomicLoad(this.i32, this.lockIndex) === 0 && this.enter()) return;
    }
    this.lock.acquire(timeout);
    this.enterBehindLock();
  }

  /**
   * Enters as a reader unless a thread writes, or waits for that.
   *
   * @throws HeapCorruptionError as `Lock.acquire`
   */
  tryRead(): boolean {
    if (this.enter()) return true;
    this.lock.checkSound();
    if (!this.thread.isGone(this.lock.owner) || !this.lock.tryAcquire()) return false;
    this.enterBehindLock();
    return true;
  }

  /** Whether no thread can enter any more: see `Lock.isPoisoned`. */
  get isPoisoned(): boolean {
    return this.lock.isPoisoned;
  }

  /** As {@link read}, without blocking the thread; behind a writer of its own thread it queues. */
  async readAsync(options: AsyncWaitOptions): Promise<void> {
    options.signal?.throwIfAborted();
    if (this.enter()) return;
    await this.lock.acquireAsync(options);
    this.enterBehindLock();
  }

  /** The fast path of reading. False when the lock is taken, which need not be by the living. */
  enter(): boolean {
    if (!this.thread.isHere) throw new DetachedError();
    const before = atomicAdd(this.i32, this.mine, 1) & COUNT;
    if (before === 0 && atomicLoad(this.i32, this.lockIndex) === 0) return true;
    return this.enterAgain(before);
  }

  private enterAgain(before: number): boolean {
    if (before === 0) this.countOut();
    else if (before === MOST_COUNTED) this.countBeyond();
    // Who reads already goes in: a writer that waits for this thread would wait for ever.
    return before !== 0;
  }

  /** Ends one reading of this thread. Requires: it reads. A thread that has left its heap reads no more. */
  leave(): void {
    if (this.thread.isHere) this.countOut();
  }

  /** Requires: lock held. Whoever holds it need not look for writers: there is none. */
  private enterBehindLock(): void {
    if ((atomicAdd(this.i32, this.mine, 1) & COUNT) === MOST_COUNTED) this.countBeyond();
    this.lock.release();
  }

  private countOut(): void {
    const before = atomicSub(this.i32, this.mine, 1);
    if (before < 0 || (before & COUNT) === MOST_COUNTED) this.countedOut(before);
  }

  private countedOut(before: number): void {
    if ((before & COUNT) === MOST_COUNTED) this.countFromBeyond();
    else if ((before & COUNT) === 1) notify(this.i32, this.mine, EVERYBODY);
  }

  /** The word is full: what it was counted up by goes to the thread's own account. */
  private countBeyond(): void {
    atomicSub(this.i32, this.mine, 1);
    const beyond = beyondOf(this.thread);
    beyond.set(this.mine, (beyond.get(this.mine) ?? 0) + 1);
  }

  /** The word was full: it stays so while there are others on the thread's own account. */
  private countFromBeyond(): void {
    const beyond = beyondOf(this.thread);
    const others = beyond.get(this.mine) ?? 0;
    if (others === 0) return;
    beyond.set(this.mine, others - 1);
    atomicAdd(this.i32, this.mine, 1);
  }

  // ── Writing ─────────────────────────────────────────────────────────────────────────────────────

  /**
   * Enters as the writer.
   *
   * @throws DeadlockError when this thread reads or writes
   * @throws LockTimeoutError naming the writer or a reader, BlockingNotAllowedError as `Lock.acquire`
   */
  write(timeout: number): void {
    if (!this.thread.isHere) throw new DetachedError();
    if ((this.i32[this.mine]! & COUNT) !== 0) {
      throw new DeadlockError(this.lock.address, `${this.thread.nameOf(this.thread.token)}, for reading`);
    }
    let left = timeout;
    if (!this.lock.tryAcquire()) {
      const began = performance.now();
      this.lock.acquire(timeout);
      left -= performance.now() - began;
    }
    if (this.readerFrom(1) === 0) return;
    const drain = new Drain(this);
    try {
      awaitTurn(drain, this.thread, left, 'lockWriteAsync()');
    } catch (error) {
      drain.giveUp();
      this.lock.release();
      throw error;
    }
  }

  /** Enters as the writer if nobody else is in. */
  tryWrite(): boolean {
    if (!this.lock.tryAcquire()) return false;
    if (this.readerFrom(1) === 0) return true;
    this.lock.release();
    return false;
  }

  /** As {@link write}, without blocking the thread. It waits for readers of its own thread as for others. */
  async writeAsync(options: AsyncWaitOptions): Promise<void> {
    const began = performance.now();
    const timeout = timeoutOf(options, this.lock.timeout);
    await this.lock.acquireAsync(options);
    if (this.readerFrom(1) === 0) return;
    const drain = new Drain(this);
    try {
      await awaitTurnAsync(drain, timeout - (performance.now() - began), options.signal);
    } catch (error) {
      drain.giveUp();
      this.lock.release();
      throw error;
    }
  }

  /**
   * Ends the writing.
   *
   * @throws NotOwnerError when this thread does not write
   */
  endWrite(): void {
    this.lock.release();
  }

  /** Ends the writing for good: whoever comes gets a `ReferenceError`. Requires: this thread writes. */
  close(): void {
    this.lock.close();
  }

  // ── Reader words ────────────────────────────────────────────────────────────────────────────────

  /** The lowest slot from `first` on whose thread reads, or 0. Requires: lock held. */
  readerFrom(first: number): number {
    const { i32 } = this;
    const bound = atomicLoad(i32, this.bound);
    for (let slot = first; slot <= bound; slot++) {
      if ((atomicLoad(i32, this.wordOf(slot)) & COUNT) !== 0 && !this.clearGone(slot)) return slot;
    }
    return 0;
  }

  /** Clears the count of a reader that is gone. False when the slot's thread lives. */
  private clearGone(slot: number): boolean {
    const index = this.wordOf(slot);
    const seen = atomicLoad(this.i32, index);
    if (!this.thread.isGone(Thread.tokenOf(slot, seen >>> COUNT_BITS))) return (seen & COUNT) === 0;
    // A swap that fails found the word started anew: by the next tenant, which was not in yet.
    compareExchange(this.i32, index, seen, seen & ~(COUNT | WANTED));
    return (atomicLoad(this.i32, index) & COUNT) === 0;
  }

  /** Says that a writer is about to sleep on a slot's word. Returns what it holds then; 0 when nobody reads there. */
  want(slot: number): number {
    const index = this.wordOf(slot);
    for (;;) {
      const seen = atomicLoad(this.i32, index);
      if ((seen & COUNT) === 0) return 0;
      if (seen < 0 || compareExchange(this.i32, index, seen, seen | WANTED) === seen) return seen | WANTED;
    }
  }

  /** A writer does not sleep on a slot's word any more. */
  unwant(slot: number): void {
    atomicAnd(this.i32, this.wordOf(slot), ~WANTED);
  }

  /** Where a turn sleeps, and what it says when it waited too long. */
  get words(): Int32Array {
    return this.i32;
  }

  timedOut(slot: number, waitedMs: number): LockTimeoutError {
    return new LockTimeoutError(this.lock.address, slot, readerName(slot), waitedMs);
  }

  wordOf(slot: number): number {
    return wordOfSlot(this.readers, slot);
  }

  /** Makes the slot's word this thread's own: what its last tenant counted there is gone with it. */
  private startWord(): void {
    const { i32, mine, thread } = this;
    const own = thread.generation << COUNT_BITS;
    for (;;) {
      const seen = atomicLoad(i32, mine);
      if ((seen & ~(COUNT | WANTED)) === own) return;
      if (compareExchange(i32, mine, seen, own) !== seen) continue;
      if (seen < 0) notify(i32, mine, EVERYBODY);
      return;
    }
  }

  private raiseBound(): void {
    const { slot } = this.thread;
    for (;;) {
      const bound = atomicLoad(this.i32, this.bound);
      if (bound >= slot || compareExchange(this.i32, this.bound, bound, slot) === bound) return;
    }
  }
}

/** How often a thread reads beyond what its word holds, by the index of the word: by none, as a rule. */
const readingsBeyond = new WeakMap<Thread, Map<number, number>>();

function beyondOf(thread: Thread): Map<number, number> {
  let beyond = readingsBeyond.get(thread);
  if (beyond === undefined) {
    beyond = new Map();
    readingsBeyond.set(thread, beyond);
  }
  return beyond;
}

/** Index of a slot's reader word. */
function wordOfSlot(readers: number, slot: number): number {
  // Every other line first: processors fetch lines in pairs.
  const line = (slot * 2 + ((slot >>> 3) & 1)) % LINES;
  return readers + line * LINE_WORDS + (slot >>> 4);
}

function readerName(slot: number): string {
  return `a reader in thread slot ${slot}`;
}

/** The writer's wait until the readers that it found inside have left. Requires: lock held. */
class Drain implements Turn {
  readonly i32: Int32Array;
  seen = 0;
  private readonly owner: ReaderWriterLock;
  private slot = 1;

  constructor(owner: ReaderWriterLock) {
    this.owner = owner;
    this.i32 = owner.words;
  }

  attempt(): number {
    const { owner } = this;
    for (;;) {
      const slot = owner.readerFrom(this.slot);
      if (slot !== this.slot) owner.unwant(this.slot);
      if (slot === 0) return DONE;
      this.slot = slot;
      this.seen = owner.want(slot);
      if (this.seen !== 0) return owner.wordOf(slot);
    }
  }

  giveUp(): void {
    this.owner.unwant(this.slot);
  }

  timedOut(waitedMs: number): Error {
    return this.owner.timedOut(this.slot, waitedMs);
  }
}
