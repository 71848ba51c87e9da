/**
 * Barrier: where a number of threads wait until all have come, again and again.
 *
 *     address ▶ ┌ 'BARR' ┬ 0 ┬ state ──────────────────────────────┬ parties ┬ resets ┬ bound ┐
 *               │        │   │ broken 1│ generation 19 │ arrived 12 │ u32     │ u32    │ u32   │
 *               ├────────┴───┴─────────────────────────────────────┴─────────┴────────┴───────┤
 *               │ members, one for each thread slot: │ generation 22 │ open 10 │ …            │ 1 KiB
 *               └─────────────────────────────────────────────────────────────────────────────┘
 *
 *     {g, a}       a of the parties have come in generation g; they sleep on the state
 *     {g+1, 0}     the last one came, and was the leader: one store lets all go
 *     {g, a}, broken   a party gave up: all of generation g get BrokenBarrierError, until `reset()`
 *
 *     member       how many objects of the barrier the slot's thread has open: then it is taken for a party
 *     bound        the highest slot that ever was a member
 *
 * A party that dies never comes. Who waits looks with each slice whether a member has died, and breaks the
 * barrier then. A thread that leaves the heap, or closes its objects, is no party any more.
 * All in one file: a layer under one word would be ceremony.
 *
 * Source: java.util.concurrent.CyclicBarrier, for what breaks it and how it is mended.
 */

import { BrokenBarrierError, LockTimeoutError } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import { atomicAdd, atomicLoad, atomicStore, compareExchange, notify } from '../memory/atomics.ts';
import { checkInteger } from '../memory/layout.ts';
import type { AsyncWaitOptions, WaitOptions } from '../sync/async-sleep.ts';
import { Thread } from '../sync/thread.ts';
import { awaitTurn, awaitTurnAsync, DONE, type Turn, timeoutOf } from '../sync/turn.ts';
import { checkHeader, type Handle } from './container.ts';
import { makeBlock, openBlock, Primitive, registerPlainKind } from './primitive.ts';
import type { ContainerStore } from './store.ts';

const STATE = 2;
const PARTIES = 3;
const RESETS = 4;
const BOUND = 5;
const MEMBERS = 6;
const BYTES = (MEMBERS + 256) * 4;

const OPEN_BITS = 10;
/** As many objects or more: they are not counted any more, and the thread stays a member. */
const MOST_OPEN = (1 << OPEN_BITS) - 1;

const ARRIVED_BITS = 12;
const ARRIVED = (1 << ARRIVED_BITS) - 1;
const GENERATIONS = 1 << 19;
const BROKEN = 1 << 31;
const EVERYBODY = 0x7fffffff;
/** Parties often come within microseconds of each other: spinning so long is cheaper than a sleep. */
const SPINS = 11;
/** How often who waits looks whether a member has died, in ms: about once a slice. */
const LOOK_MS = 40;

const KIND = registerPlainKind('BARR');

/** What `wait` says. */
export interface BarrierTurn {
  /** True for one of the parties: the one that came last. */
  readonly leader: boolean;
}

const LEADER: BarrierTurn = Object.freeze({ leader: true });
const FOLLOWER: BarrierTurn = Object.freeze({ leader: false });

/** A meeting point of a fixed number of parties. */
export class Barrier extends Primitive {
  protected override readonly kind = 'Barrier';
  private readonly count: number;

  private constructor(store: ContainerStore, address: Address) {
    super(store, address, KIND);
    this.count = this.i32[this.word + PARTIES]!;
    this.join();
  }

  /**
   * Makes a barrier.
   *
   * @param parties how many have to come, 1 to 4,095
   * @throws RangeError when it is no such integer
   * @throws OutOfMemoryError when there is no room
   */
  static create(store: ContainerStore, parties: number): Barrier {
    checkInteger('parties', parties, 1, ARRIVED);
    const address = makeBlock(store, KIND, 0, BYTES);
    store.memory.i32[(address >>> 2) + PARTIES] = parties;
    return new Barrier(store, address);
  }

  /**
   * The barrier behind another thread's `handle`.
   *
   * @throws AttachError when the handle is of something else, or of what was destroyed
   */
  static open(store: ContainerStore, handle: Handle): Barrier {
    return new Barrier(store, openBlock(store, handle, KIND));
  }

  /** The barrier at an address; `heap.roots.open('phase', Barrier)` calls it. Throws as {@link open}. */
  static at(store: ContainerStore, address: Address): Barrier {
    checkHeader(store, address, KIND);
    return new Barrier(store, address);
  }

  /** How many have to come. */
  get parties(): number {
    this.check();
    return this.count;
  }

  /** How many wait at the moment. */
  get waiting(): number {
    this.check();
    return this.load() & ARRIVED;
  }

  /** Whether a party gave up, or was found dead. Then every `wait` throws until `reset()`. */
  get broken(): boolean {
    this.check();
    return this.load() < 0;
  }

  /**
   * Waits until all parties have come.
   *
   * @param options `timeout` in ms; the heap's `lockTimeout` by default
   * @returns `leader: true` for one of them
   * @throws LockTimeoutError when the others did not come in time: the barrier is broken for all
   * @throws BrokenBarrierError when another party gave up or died, or the barrier was reset meanwhile
   * @throws ReferenceError when it was destroyed before all had come. The leader may destroy it: who has not
   *   returned by then knows of its turn as long as nobody writes to the bytes, and gets this error too if not
   * @throws BlockingNotAllowedError when this thread may not block; the barrier is broken then
   */
  wait(options?: WaitOptions): BarrierTurn {
    const timeout = timeoutOf(options, this.store.lockTimeout);
    const arrival = this.arrive();
    if (arrival === undefined) return LEADER;
    try {
      awaitTurn(arrival, this.store.thread, timeout, 'waitAsync()');
    } catch (error) {
      return this.giveUp(arrival, error);
    }
    return this.leave(arrival);
  }

  /**
   * As {@link wait}, without blocking the thread.
   *
   * @throws the signal's reason when it is aborted: the barrier is broken for all
   */
  async waitAsync(options?: AsyncWaitOptions): Promise<BarrierTurn> {
    const timeout = timeoutOf(options, this.store.lockTimeout);
    options?.signal?.throwIfAborted();
    const arrival = this.arrive();
    if (arrival === undefined) return LEADER;
    try {
      await awaitTurnAsync(arrival, timeout, options?.signal);
    } catch (error) {
      return this.giveUp(arrival, error);
    }
    return this.leave(arrival);
  }

  /** As any container's; and this thread is no party any more, unless it has another object of it open. */
  override close(): void {
    const { i32, word } = this;
    // After `destroy` the words may be another block's already.
    if (i32[word] === this.kindWord) {
      const index = this.memberIndex;
      const seen = atomicLoad(i32, index);
      const open = seen & MOST_OPEN;
      const isMine = seen >>> OPEN_BITS === this.store.thread.generation;
      if (isMine && open > 0 && open < MOST_OPEN) compareExchange(i32, index, seen, seen - 1);
    }
    super.close();
  }

  /** Breaks the barrier: who waits, and who comes until `reset()`, gets `BrokenBarrierError`. */
  abort(): void {
    this.check();
    this.breakUp(undefined);
  }

  /**
   * Makes a fresh barrier of it, without the parties that died. Who waits gets `BrokenBarrierError`. One thread should do it: of two that
   * race, the later may break up the new generation too.
   */
  reset(): void {
    this.check();
    const { i32, word } = this;
    // Broken first: this generation cannot be completed any more.
    const state = this.breakUp(undefined);
    for (let slot = this.deadMember(); slot !== 0; slot = this.deadMember()) this.forget(slot);
    atomicAdd(i32, word + RESETS, 1);
    // Publishes: the count of resets; pairs with the load in `Arrival.attempt`. Of several resets one does it.
    compareExchange(i32, word + STATE, state, nextState(generationOf(state)));
    notify(i32, word + STATE, EVERYBODY);
  }

  private load(): number {
    return atomicLoad(this.i32, this.base + STATE);
  }

  /** Counts this thread in. Returns what to wait for, or undefined when it was the last. */
  private arrive(): Arrival | undefined {
    this.check();
    const { i32, word } = this;
    for (;;) {
      const state = this.load();
      if (state < 0) throw new BrokenBarrierError(this.address, 'a party gave up or died; reset() mends it');
      // Counted only while the state is broken: the swap below tells whether it is still the same state.
      const resets = atomicLoad(i32, word + RESETS);
      const last = (state & ARRIVED) + 1 === this.count;
      const generation = generationOf(state);
      // Publishes: what each party has written before it came; pairs with the load in `Arrival.attempt`.
      const next = last ? nextState(generation) : state + 1;
      if (compareExchange(i32, word + STATE, state, next) !== state) continue;
      if (!last) return new Arrival(this, i32, word + STATE, generation, resets);
      if (this.count > 1) notify(i32, word + STATE, EVERYBODY);
      return undefined;
    }
  }

  private leave(arrival: Arrival): BarrierTurn {
    const { i32, index, broken, barrier } = arrival;
    const isReset = atomicLoad(i32, index - STATE + RESETS) !== arrival.resets;
    if (!this.exists) {
      // By the leader, maybe: the bytes tell, as long as nobody writes to them.
      if (!isReset && arrival.seen === nextState(arrival.generation)) return FOLLOWER;
      throw this.destroyed();
    }
    if (broken) throw new BrokenBarrierError(barrier, 'a party gave up or died');
    if (isReset) throw new BrokenBarrierError(barrier, 'it was reset');
    return FOLLOWER;
  }

  /** Whether a wait can go on. */
  get $exists(): boolean {
    return this.exists;
  }

  /** A party stops waiting: nobody of its generation can go on, unless all have come meanwhile. */
  private giveUp(arrival: Arrival, error: unknown): BarrierTurn {
    if (!this.exists) return this.leave(arrival);
    const state = this.breakUp(arrival.generation);
    if (generationOf(state) !== arrival.generation) return this.leave(arrival);
    throw error;
  }

  /** Marks the barrier as broken, if it is still in `generation`. Returns the state then. */
  private breakUp(generation: number | undefined): number {
    const { i32, base } = this;
    for (;;) {
      const state = this.load();
      if (state < 0 || (generation !== undefined && generationOf(state) !== generation)) return state;
      if (compareExchange(i32, base + STATE, state, state | BROKEN) !== state) continue;
      notify(i32, base + STATE, EVERYBODY);
      return state | BROKEN;
    }
  }

  // ── Members ─────────────────────────────────────────────────────────────────────────────────────

  private get memberIndex(): number {
    return this.word + MEMBERS + this.store.thread.slot;
  }

  /** This thread has one more object open. */
  private join(): void {
    const { i32, memberIndex } = this;
    const { generation, slot } = this.store.thread;
    const seen = atomicLoad(i32, memberIndex);
    if (seen >>> OPEN_BITS === generation) {
      if ((seen & MOST_OPEN) < MOST_OPEN) atomicStore(i32, memberIndex, seen + 1);
      return;
    }
    // The slot's last tenant cannot be seen here any more.
    if (this.hasDied(slot)) this.breakUp(undefined);
    atomicStore(i32, memberIndex, (generation << OPEN_BITS) | 1);
    for (;;) {
      const bound = atomicLoad(i32, this.word + BOUND);
      if (bound >= slot || compareExchange(i32, this.word + BOUND, bound, slot) === bound) return;
    }
  }

  /** Breaks the barrier, if it is still in `generation`, when a member has died. */
  $breakForDead(generation: number | undefined): void {
    if (this.exists && this.deadMember() !== 0) this.breakUp(generation);
  }

  /** The slot of a member that died, or 0. */
  private deadMember(): number {
    const bound = this.i32[this.base + BOUND]!;
    for (let slot = 1; slot <= bound; slot++) if (this.hasDied(slot)) return slot;
    return 0;
  }

  private hasDied(slot: number): boolean {
    const member = atomicLoad(this.i32, this.base + MEMBERS + slot);
    if ((member & MOST_OPEN) === 0) return false;
    return this.store.thread.hasDied(Thread.tokenOf(slot, member >>> OPEN_BITS));
  }

  private forget(slot: number): void {
    const index = this.base + MEMBERS + slot;
    const seen = atomicLoad(this.i32, index);
    if (this.hasDied(slot)) compareExchange(this.i32, index, seen, 0);
  }

  protected override seize(): string | undefined {
    this.$breakForDead(undefined);
    const waiting = this.load() & ARRIVED;
    return this.load() < 0 || waiting === 0 ? undefined : `${waiting} waiting parties`;
  }

  protected override describe(): object {
    return { parties: this.count, waiting: this.load() & ARRIVED, broken: this.load() < 0 };
  }
}

function generationOf(state: number): number {
  return (state & ~BROKEN) >>> ARRIVED_BITS;
}

/** Nobody has come yet, in the generation after one. */
function nextState(generation: number): number {
  return ((generation + 1) % GENERATIONS) << ARRIVED_BITS;
}

/** Waits until a generation has ended, well or badly. */
class Arrival implements Turn {
  readonly i32: Int32Array;
  readonly spins = SPINS;
  readonly index: number;
  readonly generation: number;
  /** How often the barrier had been reset then. */
  readonly resets: number;
  seen = 0;
  /** Whether it ended badly. */
  broken = false;
  private readonly owner: Barrier;
  readonly barrier: Address;
  /** When it looked last whether a member has died, in ms. */
  private looked = performance.now();

  constructor(owner: Barrier, i32: Int32Array, index: number, generation: number, resets: number) {
    this.owner = owner;
    this.barrier = owner.address;
    this.i32 = i32;
    this.index = index;
    this.generation = generation;
    this.resets = resets;
  }

  attempt(): number {
    this.look();
    this.seen = atomicLoad(this.i32, this.index);
    if (generationOf(this.seen) !== this.generation) return DONE;
    this.broken = this.seen < 0;
    return this.broken || !this.owner.$exists ? DONE : this.index;
  }

  private look(): void {
    const now = performance.now();
    if (now - this.looked < LOOK_MS) return;
    this.looked = now;
    this.owner.$breakForDead(this.generation);
  }

  timedOut(waitedMs: number): Error {
    return new LockTimeoutError(this.barrier, 0, '', waitedMs, 'all parties of the barrier');
  }
}
