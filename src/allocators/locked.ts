/**
 * Locked: one lock around any algorithm, which makes it safe for threads.
 *
 *      start                                      start + 128
 *      ├──────────────────────────┬────────────────┼───────────────────────────┐
 *      │ control 64               │ lock 64        │ the algorithm's region    │
 *      └──────────────────────────┴────────────────┴───────────────────────────┘
 *       used: lock acquisitions    word, nextHeld
 *       peak: contended ones
 *
 * A block is checked and taken under the lock, never before: of threads that free one block at the same
 * time just one gets through, and the others write nothing. (A mark set before the lock may land on the
 * block's next life.)
 *
 * A thread may die with the lock in its hands. Whoever takes it over rebuilds the algorithm from its headers
 * first (see `Algorithm.rebuild`), and nobody sees what was half done.
 *
 * Any thread may free what any other allocated. Each thread makes its own handle by `attach`.
 */

import { AttachError, hex } from '../errors.ts';
import { type Address, NULL, UNIT } from '../memory/address.ts';
import { compareExchange } from '../memory/atomics.ts';
import { checkInteger, DEFAULT_ALIGN } from '../memory/layout.ts';
import type { Memory } from '../memory/memory.ts';
import type { Lock, LockOptions } from '../sync/lock.ts';
import { ParkLock } from '../sync/park-lock.ts';
import { SpinLock } from '../sync/spin-lock.ts';
import type { Thread } from '../sync/thread.ts';
import {
  type Algorithm,
  checkAlgorithm,
  checkLayout,
  checkRegion,
  layControl,
  MEASURES,
  moveOrResize,
  type RegionOptions,
  sealControl,
  statsFrom,
} from './algorithm.ts';
import type { Allocator, AllocatorStats, BlockInfo } from './allocator.ts';
import { CONTROL_BYTES, checkControl, FIRST, KIND_LOCKED, PARAM, PEAK, USED } from './control.ts';
import { type AlgorithmClass, attachAlgorithm } from './kinds.ts';
import {
  FLIGHT,
  generationOf,
  isHeld,
  LIVE,
  ownedWord,
  SHARED,
  STATE_NAMES,
  slotOf,
  stateOf,
  unownedWord,
} from './ownership.ts';
import { type LiveBlocks, type Swept, sweep } from './sweep.ts';

/** How waiters wait: `'spin'` (with back-off) or `'park'` (spin briefly, then sleep). */
export type LockKind = 'spin' | 'park';

const LOCK_LINE = 64;
const HEADER = CONTROL_BYTES + LOCK_LINE;
const SPIN = 1;
const PARK = 2;
const ACQUISITIONS = USED;
const CONTENDED = PEAK;

/** What a locked allocator can be told. */
export interface LockedOptions<A extends Algorithm = Algorithm, O extends RegionOptions = RegionOptions>
  extends RegionOptions {
  /** The algorithm to put the lock around. */
  readonly allocator: AlgorithmClass<A, O>;
  /** Its own options. */
  readonly options?: Omit<O, keyof RegionOptions>;
  /** How waiters wait. Default `'park'`. */
  readonly lock?: LockKind;
  /** After how many ms a waiter throws `LockTimeoutError`. Default 10,000. Each handle has its own. */
  readonly lockTimeout?: number;
}

/** A thread-safe allocator: an algorithm and a lock. */
export class Locked<A extends Algorithm = Algorithm> implements Allocator {
  readonly memory: Memory;
  /** Where the control block lies: what `attach` wants. */
  readonly start: Address;
  /** The algorithm. Use it directly only while no other thread can. */
  readonly inner: A;
  /** The lock around it. */
  readonly lock: Lock;
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #double: number;

  /**
   * Lays out the lock and the algorithm.
   *
   * @throws RangeError when the region is misaligned, outside the memory or too small
   */
  static create<A extends Algorithm, O extends RegionOptions>(
    memory: Memory,
    options: LockedOptions<A, O>,
  ): Locked<A> {
    const region = checkRegion(memory, options, HEADER);
    const kind = lockCode(options.lock ?? 'park');
    checkAlgorithm(options.allocator);
    const inner = options.allocator.create(memory, {
      ...(options.options as O),
      start: region.start + HEADER,
      byteLength: region.end - region.start - HEADER,
      ...(options.thread === undefined ? {} : { thread: options.thread }),
    });
    layControl(memory, region, kind, region.start + HEADER, region.end);
    memory.u8.fill(0, region.start + CONTROL_BYTES, region.start + HEADER);
    const lock = lockAround(inner, region.start, kind, options.lockTimeout);
    sealControl(memory, region.start, KIND_LOCKED);
    return new Locked(inner, lock, region.start);
  }

  /**
   * Adopts the allocator that `create` laid out at `start`, reading its algorithm and lock from the bytes.
   *
   * @throws AttachError when there is none
   */
  static attach(memory: Memory, start: number, thread?: Thread, lockTimeout?: number): Locked {
    checkControl(memory, start, KIND_LOCKED);
    const word = start >>> 2;
    const kind = memory.u32[word + PARAM]!;
    if (memory.u32[word + FIRST]! * UNIT !== start + HEADER || (kind !== SPIN && kind !== PARK)) {
      throw new AttachError(`the locked allocator at ${hex(start)} has a header that contradicts itself`);
    }
    const inner = attachAlgorithm(memory, start + HEADER, thread);
    const lock = lockAround(inner, start, kind, lockTimeout);
    return new Locked(inner, lock, start);
  }

  private constructor(inner: A, lock: Lock, start: number) {
    this.memory = inner.memory;
    this.start = start as Address;
    this.inner = inner;
    this.lock = lock;
    this.#i32 = inner.memory.i32;
    this.#f64 = inner.memory.f64;
    this.#double = start >>> 3;
  }

  /** The same lock around a part of the algorithm, such as a hybrid's `temporary`. */
  over<P extends Algorithm>(part: P): Locked<P> {
    return new Locked(part, this.lock, this.start);
  }

  alloc(size: number, align: number = DEFAULT_ALIGN): Address {
    checkLayout(size, align);
    this.acquire();
    try {
      return this.inner.allocate(size, align);
    } finally {
      this.lock.release();
    }
  }

  allocZeroed(size: number, align: number = DEFAULT_ALIGN): Address {
    const address = this.alloc(size, align);
    if (address !== NULL) this.memory.zero(address, size);
    return address;
  }

  realloc(address: Address, size: number, align?: number): Address {
    return moveOrResize(this, this.inner, address, size, align);
  }

  resize(address: Address, size: number): boolean {
    checkLayout(size, DEFAULT_ALIGN);
    this.acquire();
    try {
      this.inner.heldIndex(address);
      return this.inner.resizeInPlace(address, size);
    } finally {
      this.lock.release();
    }
  }

  free(address: Address): void {
    if (address === NULL) return;
    this.acquire();
    try {
      this.inner.free(address);
    } finally {
      this.lock.release();
    }
  }

  sizeOf(address: Address): number {
    return this.inner.sizeOf(address);
  }

  /** Makes what the algorithm keeps back free at last, where it keeps anything back. */
  flush(): void {
    this.acquire();
    try {
      this.inner.flush();
    } finally {
      this.lock.release();
    }
  }

  /** Takes more bytes right above the region, where the algorithm can. Returns whether it did. */
  extend(bytes: number): boolean {
    checkInteger('bytes', bytes, 0, Number.MAX_SAFE_INTEGER);
    this.acquire();
    try {
      return this.inner.extend(bytes);
    } finally {
      this.lock.release();
    }
  }

  stats(): AllocatorStats {
    const numbers = new Float64Array(MEASURES);
    this.acquire();
    try {
      this.inner.measure(numbers);
    } finally {
      this.lock.release();
    }
    numbers[0]! += HEADER;
    return { ...statsFrom(numbers), ...this.lockStats() };
  }

  /** How often the lock was taken, and how often another thread held it then. */
  lockStats(): { lockAcquisitions: number; lockContended: number } {
    return {
      lockAcquisitions: this.#f64[this.#double + ACQUISITIONS]!,
      lockContended: this.#f64[this.#double + CONTENDED]!,
    };
  }

  /** Bytes of the lock and its control block. */
  get overheadBytes(): number {
    return HEADER;
  }

  /** All blocks as they were at one moment, in address order. */
  *blocks(): IterableIterator<BlockInfo> {
    for (let room = 1024; ; room *= 2) {
      const found = new Float64Array(room * 3);
      const count = this.#copyBlocks(found, room);
      if (count > room) continue;
      for (let i = 0; i < count * 3; i += 3) {
        const word = found[i + 2]!;
        const state = STATE_NAMES[stateOf(word)]!;
        yield { address: found[i] as Address, size: found[i + 1]!, state, owner: slotOf(word) };
      }
      return;
    }
  }

  verify(): void {
    this.acquire();
    try {
      this.inner.verify();
    } finally {
      this.lock.release();
    }
  }

  /**
   * Marks a held block as belonging to no thread, because its address lies in shared bytes now.
   *
   * @returns false, with nothing changed, when no held block starts at `address`
   */
  tryShare(address: Address): boolean {
    const index = this.inner.ownershipIndex(address);
    if (index < 0 || !isHeld(this.#i32[index]!)) return false;
    this.#i32[index] = unownedWord(this.#i32[index]!, SHARED);
    return true;
  }

  /**
   * Marks a block as on its way to another thread (FLIGHT), from this one. False when `address` is no
   * live block.
   */
  trySend(address: Address): boolean {
    const index = this.inner.ownershipIndex(address);
    if (index < 0 || !isHeld(this.#i32[index]!)) return false;
    this.#i32[index] = ownedWord(this.#i32[index]!, FLIGHT, this.inner.owner);
    return true;
  }

  /**
   * Takes over a block that is on its way (FLIGHT becomes LIVE, owned by this thread). False when it is
   * not: another thread has taken it, or nobody has sent it. Of several threads one gets it.
   *
   * @param generation how often the block was freed (see {@link generationOf}), to refuse a later one
   */
  tryReceive(address: Address, generation?: number): boolean {
    const index = this.inner.ownershipIndex(address);
    if (index < 0) return false;
    const word = this.#i32[index]!;
    if (generation !== undefined && generationOf(word) !== generation) return false;
    const received = ownedWord(word, LIVE, this.inner.owner);
    return stateOf(word) === FLIGHT && compareExchange(this.#i32, index, word, received) === word;
  }

  /** Makes this thread the owner of a held block that nobody else can reach. False when it is none. */
  tryAdopt(address: Address): boolean {
    const index = this.inner.ownershipIndex(address);
    if (index < 0 || !isHeld(this.#i32[index]!)) return false;
    this.#i32[index] = ownedWord(this.#i32[index]!, LIVE, this.inner.owner);
    return true;
  }

  /** Makes a thread that is dead the owner of a held block that nobody else can reach. False when it is none. */
  tryGive(address: Address, owner: number): boolean {
    const index = this.inner.ownershipIndex(address);
    if (index < 0 || !isHeld(this.#i32[index]!)) return false;
    this.#i32[index] = ownedWord(this.#i32[index]!, LIVE, owner);
    return true;
  }

  /** How often the block at `address` was freed (modulo 256), or -1 when it is no live block. */
  generationOf(address: Address): number {
    const index = this.inner.ownershipIndex(address);
    return index >= 0 && isHeld(this.#i32[index]!) ? generationOf(this.#i32[index]!) : -1;
  }

  /** Leaves this thread's LIVE blocks as ORPHAN, for a thread that goes while its blocks stay. Walks all blocks. */
  leave(): void {
    this.reclaimOf(this.inner.owner, 'become orphans');
  }

  /**
   * Takes back what a dead thread had: HAND blocks go back to the allocator. What is on its way or shared stays.
   * Walks all blocks, once more if the thread died with the lock.
   *
   * @param owner the slot and slot generation bits of the words to change
   * @param live what becomes of LIVE blocks: those that become the calling thread's are its to free
   */
  reclaimOf(owner: number, live: LiveBlocks): Swept {
    this.acquire();
    try {
      return sweep(this.inner, [owner], live);
    } finally {
      this.lock.release();
    }
  }

  /**
   * Checks that nobody has died with the lock and left what cannot be repaired.
   *
   * @throws HeapCorruptionError when it is so: then every call that takes the lock throws
   */
  checkSound(): void {
    this.lock.checkSound();
  }

  /** Takes the lock and counts. For wrappers that do more than one thing under it. */
  acquire(): void {
    const contended = this.lock.acquire();
    this.#f64[this.#double + ACQUISITIONS]! += 1;
    if (contended) this.#f64[this.#double + CONTENDED]! += 1;
  }

  /** Copies address, size and ownership of every block. Returns the count, above `room` if cut short. */
  #copyBlocks(out: Float64Array, room: number): number {
    const inner = this.inner;
    let count = 0;
    this.acquire();
    try {
      for (let address = inner.firstBlock(); address !== NULL; address = inner.blockAfter(address)) {
        if (count === room) return room + 1;
        out[count * 3] = address;
        out[count * 3 + 1] = inner.usableSize(address);
        out[count * 3 + 2] = inner.isFree(address) ? 0 : inner.ownershipAt(address) >>> 0;
        count++;
      }
      return count;
    } finally {
      this.lock.release();
    }
  }
}

function lockCode(kind: LockKind): number {
  if (kind === 'spin') return SPIN;
  if (kind === 'park') return PARK;
  throw new RangeError(`lock must be 'spin' or 'park', got ${String(kind)}`);
}

/** This thread's handle of the lock around `inner`, in the control block at `start`. */
function lockAround(inner: Algorithm, start: number, code: number, lockTimeout: number | undefined): Lock {
  const timeout = lockTimeout === undefined ? {} : { timeout: lockTimeout };
  const options: LockOptions = { thread: inner.thread, repair: () => inner.rebuild(), ...timeout };
  const address = (start + CONTROL_BYTES) as Address;
  const { memory } = inner;
  return code === SPIN ? new SpinLock(memory, address, options) : new ParkLock(memory, address, options);
}
