/**
 * Queue: what a channel and a ring have in common: all the forms of sending and receiving, built from a few
 * attempts that never wait.
 *
 *                 attempt        waits                     waits without blocking
 *     one         put   poll     send      recv      for   sendAsync      recvAsync      for await
 *     several     putMany        sendAll                   sendAllAsync
 *                 pollMany       recvMany                  recvManyAsync
 *
 * Order and fairness: items are received in the order in which they were claimed (by the senders), so those
 * of one sender in the order in which it sent them. Among those who wait there is no line: whoever is woken
 * competes with whoever comes by, and may have to sleep again. Under steady load each gets its share; a
 * bound on how often one is overtaken there is not.
 *
 * An attempt that finds the queue full or empty changes nothing, and nothing is claimed across a wait: a
 * wait that times out, is aborted or dies with its thread loses no item.
 */

import { Container, NO_BLOCK } from '../containers/container.ts';
import { type ContainerStore, homeOf } from '../containers/store.ts';
import { BlockingNotAllowedError, ClosedError, hex } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import { atomicLoad, atomicOr, compareExchange } from '../memory/atomics.ts';
import { checkInteger } from '../memory/layout.ts';
import { Dropper } from '../structs/drop.ts';
import type { Field } from '../structs/field.ts';
import { INSPECT, type Inspector } from '../structs/place.ts';
import { bindItems, type Items, refusedItem } from './item.ts';
import { dropItems, HEAD, ITEMS, ROOM, TAIL } from './queue-block.ts';
import { deadlineOf, letOthersRun, type QueueWaitOptions, type Waited, Waiting } from './waiting.ts';

const CLOSED_BIT = 1 << 31;

/** What an attempt to send ended with. */
export const SENT = 1;
export const FULL_UP = 0;
export const CLOSED = -1;

/** What an attempt to receive ended with, instead of an item. */
export const NONE: unique symbol = Symbol('empty');
export const ENDED: unique symbol = Symbol('closed and drained');

/** How {@link Queue.tryRecv} answers. */
export type TryReceived<T> =
  | { readonly status: 'received'; readonly value: T }
  | { readonly status: 'empty' }
  | { readonly status: 'closed' };

/** How many items an attempt sends or receives at most: so many cells may be claimed and not yet filled. */
export const BATCH = 256;

/** How long `for await` keeps the event loop to itself, in ms. */
const TURN_MS = 5;

const EMPTY_ANSWER = Object.freeze({ status: 'empty' } as const);
const CLOSED_ANSWER = Object.freeze({ status: 'closed' } as const);

/** One thread's object for a queue. `T` is what is received, `I` what can be sent. */
export abstract class Queue<T = unknown, I = T> extends Container {
  /** As {@link release}. Only where `Symbol.dispose` is. */
  declare readonly [Symbol.dispose]: () => void;
  /** The field that was given, or found by the layout hash. */
  readonly field: Field;
  /** How many items it holds at most. */
  readonly capacity: number;
  protected readonly i32: Int32Array;
  // Indexes of words.
  /** The kind word, which `destroy` clears. Once released, a word that is none. */
  protected word: number;
  protected readonly tail: number;
  protected readonly head: number;
  protected readonly itemsEvent: number;
  protected readonly roomEvent: number;
  protected readonly items: Items;
  /** The `typeof` of what can be sent, when the field does not check by itself. */
  protected readonly wanted: string | undefined;
  protected readonly forItems: Waiting;
  protected readonly forRoom: Waiting;
  /** What the kind word holds, as the signed word that `i32` reads. */
  protected readonly kindWord: number;
  readonly #generation: number;

  protected constructor(store: ContainerStore, address: Address, field: Field, capacity: number) {
    super(store, address);
    this.field = field;
    this.capacity = capacity;
    this.i32 = store.memory.i32;
    this.word = address >>> 2;
    this.kindWord = this.i32[this.word]!;
    this.tail = (address + TAIL) >>> 2;
    this.head = (address + HEAD) >>> 2;
    this.itemsEvent = (address + ITEMS) >>> 2;
    this.roomEvent = (address + ROOM) >>> 2;
    this.items = bindItems(field, store, 'item');
    this.wanted = this.items.wanted;
    this.#generation = store.generationOf(address);
    const { mayBlock } = store.thread;
    const isThere = (): boolean => this.isThere && store.generationOf(address) === this.#generation;
    const forItems = { isReady: () => this.canPoll(), isThere, isStuck: () => this.isStuck() };
    const forRoom = { isReady: () => this.canPut(), isThere, isStuck: () => false };
    this.forItems = new Waiting(this.i32, this.itemsEvent, mayBlock, forItems, () =>
      this.mayNotBlock('recvAsync()'),
    );
    this.forRoom = new Waiting(this.i32, this.roomEvent, mayBlock, forRoom, () =>
      this.mayNotBlock('sendAsync()'),
    );
  }

  // ── Attempts: what a queue has to know. Of one that is gone they answer CLOSED or ENDED ───────────

  /** Sends one value, or answers FULL_UP or CLOSED. The value was checked. */
  protected abstract put(value: I): number;
  /** Sends `values[from]` and those after it, up to `to`. Answers how many; 0 when full, or CLOSED. */
  protected abstract putMany(values: readonly I[], from: number, to: number): number;
  /** Receives one item, or answers NONE or ENDED. */
  protected abstract poll(): T | typeof NONE | typeof ENDED;
  /** Receives up to `most` items into `into[0]` and so on. Answers how many; 0 when empty, or CLOSED at the end. */
  protected abstract pollMany(into: T[], most: number): number;
  /** Whether `put` would not answer FULL_UP. Reads atomically. */
  protected abstract canPut(): boolean;
  /** Whether `poll` would not answer NONE. Reads atomically. */
  protected abstract canPoll(): boolean;
  /** Whether `poll` would find an item that a thread held which has died. */
  protected isStuck(): boolean {
    return false;
  }
  /** How many items are inside. May have changed when you look at it. */
  abstract get length(): number;

  // ── Sending ─────────────────────────────────────────────────────────────────────────────────────

  /**
   * Sends one value, blocking the thread while the queue is full. An owned value (a box, a string) moves.
   * The value's own getters, if it is an object that has such, must not use this queue.
   *
   * @returns true; false when the time was up: then nothing was sent
   * @throws ClosedError when the queue is closed, before or meanwhile: nothing was sent
   * @throws TypeError when the field does not take such a value
   * @throws BlockingNotAllowedError where the thread may not block: use {@link sendAsync}
   */
  send(value: I, options?: QueueWaitOptions): boolean {
    this.checkItem(value);
    options?.signal?.throwIfAborted();
    const outcome = this.put(value);
    if (outcome === SENT) return true;
    if (outcome === FULL_UP) return this.#sendWaiting(value, deadlineOf(options));
    this.check();
    throw this.closedError();
  }

  /**
   * Sends one value unless the queue is full or closed. Never waits.
   *
   * @throws TypeError when the field does not take such a value
   */
  trySend(value: I): 'sent' | 'full' | 'closed' {
    this.checkItem(value);
    const outcome = this.put(value);
    if (outcome === SENT) return 'sent';
    if (outcome === FULL_UP) return 'full';
    this.check();
    return 'closed';
  }

  /**
   * As {@link send}, without blocking the thread; keeps an event loop alive while it waits.
   *
   * @throws the signal's reason when it is aborted: then nothing was sent
   */
  async sendAsync(value: I, options?: QueueWaitOptions): Promise<boolean> {
    this.check();
    this.checkItem(value);
    options?.signal?.throwIfAborted();
    const deadline = deadlineOf(options);
    for (;;) {
      const outcome = this.put(value);
      if (outcome === SENT) return true;
      if (outcome === CLOSED) throw this.closedError();
      if (!this.#mayGoOn(await this.forRoom.settle(deadline, options?.signal))) return false;
    }
  }

  /**
   * Sends all values in their order, blocking while the queue is full. Cells are claimed, and receivers
   * woken, for many at a time.
   *
   * @returns how many were sent: fewer than given when the time was up, or when it was closed meanwhile
   * @throws ClosedError when the queue was closed before the first
   * @throws TypeError at a value that the field does not take; those before it were sent
   */
  sendAll(values: Iterable<I>, options?: QueueWaitOptions): number {
    const list = this.#listOf(values);
    options?.signal?.throwIfAborted();
    const deadline = deadlineOf(options);
    for (let sent = 0; ; ) {
      const step = this.#sendSome(list, sent);
      if (step === CLOSED) return sent;
      sent += step;
      if (sent === list.length) return sent;
      if (step === 0 && !this.#mayGoOn(this.forRoom.block(deadline))) return sent;
    }
  }

  /**
   * As {@link sendAll}, without blocking the thread.
   *
   * @throws the signal's reason when it is aborted; how many were sent is then not known
   */
  async sendAllAsync(values: Iterable<I>, options?: QueueWaitOptions): Promise<number> {
    const list = this.#listOf(values);
    options?.signal?.throwIfAborted();
    const deadline = deadlineOf(options);
    for (let sent = 0; ; ) {
      const step = this.#sendSome(list, sent);
      if (step === CLOSED) return sent;
      sent += step;
      if (sent === list.length) return sent;
      if (step === 0 && !this.#mayGoOn(await this.forRoom.settle(deadline, options?.signal))) return sent;
    }
  }

  // ── Receiving ───────────────────────────────────────────────────────────────────────────────────

  /**
   * Receives one item, blocking the thread while the queue is empty.
   *
   * @returns the item; undefined once the queue is closed and drained, or when the time was up (`drained`
   *   tells which)
   * @throws BlockingNotAllowedError where the thread may not block: use {@link recvAsync}
   */
  recv(options?: QueueWaitOptions): T | undefined {
    options?.signal?.throwIfAborted();
    const item = this.poll();
    if (item === ENDED) return this.#atEnd(undefined);
    if (item !== NONE) return item;
    return this.#recvWaiting(deadlineOf(options));
  }

  /** Receives one item if there is one. Never waits. */
  tryRecv(): TryReceived<T> {
    const item = this.poll();
    if (item === NONE) return EMPTY_ANSWER;
    if (item === ENDED) return this.#atEnd(CLOSED_ANSWER);
    return { status: 'received', value: item };
  }

  /**
   * As {@link recv}, without blocking the thread; keeps an event loop alive while it waits.
   *
   * @throws the signal's reason when it is aborted: then no item was taken
   */
  async recvAsync(options?: QueueWaitOptions): Promise<T | undefined> {
    this.check();
    options?.signal?.throwIfAborted();
    const deadline = deadlineOf(options);
    for (;;) {
      const item = this.poll();
      if (item !== NONE) return item === ENDED ? undefined : item;
      if (!this.#isThereMore(await this.forItems.settle(deadline, options?.signal))) return undefined;
    }
  }

  /**
   * Receives at least one item and at most `max`, blocking while there is none. It may give fewer than are
   * inside: of a channel at most 256, and no more than lie in a row.
   *
   * @param max 1 or more
   * @param into takes the items, from index 0 on; its length becomes their count. Default: a new array
   * @returns `into`: empty once the queue is closed and drained, or when the time was up
   */
  recvMany(max: number, into: T[] = [], options?: QueueWaitOptions): T[] {
    this.check();
    checkInteger('max', max, 1, Number.MAX_SAFE_INTEGER);
    options?.signal?.throwIfAborted();
    const deadline = deadlineOf(options);
    for (;;) {
      const count = this.pollMany(into, max);
      if (count !== 0) return cut(into, count);
      if (!this.#isThereMore(this.forItems.block(deadline))) return cut(into, 0);
    }
  }

  /** As {@link recvMany}, without blocking the thread. */
  async recvManyAsync(max: number, into: T[] = [], options?: QueueWaitOptions): Promise<T[]> {
    this.check();
    checkInteger('max', max, 1, Number.MAX_SAFE_INTEGER);
    options?.signal?.throwIfAborted();
    const deadline = deadlineOf(options);
    for (;;) {
      const count = this.pollMany(into, max);
      if (count !== 0) return cut(into, count);
      if (!this.#isThereMore(await this.forItems.settle(deadline, options?.signal))) return cut(into, 0);
    }
  }

  /** Receives until the queue is closed and drained, blocking the thread. */
  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let item = this.recv(); item !== undefined; item = this.recv()) yield item;
  }

  /**
   * Receives until the queue is closed and drained, without blocking the thread. Where items come without
   * end, timers and the rest of the event loop have their turn every 5 ms.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (let began = performance.now(); ; ) {
      if (performance.now() - began >= TURN_MS) {
        await letOthersRun();
        began = performance.now();
      }
      const item = await this.recvAsync();
      if (item === undefined) return;
      yield item;
    }
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────────

  /**
   * Lets nothing more be sent. What was sent can still be received; whoever waits is woken. From any
   * thread, any number of times, at once with anything else.
   *
   * @returns whether it was open
   */
  close(): boolean {
    this.check();
    if (atomicOr(this.i32, this.tail, CLOSED_BIT) < 0) return false;
    this.forItems.wakeSleepers(Number.POSITIVE_INFINITY);
    this.forRoom.wakeSleepers(Number.POSITIVE_INFINITY);
    return true;
  }

  /** Whether it was closed. What is inside can still be received. */
  get closed(): boolean {
    this.check();
    return atomicLoad(this.i32, this.tail) < 0;
  }

  /** Whether it is closed and nothing is left inside: it will never give an item again. */
  get drained(): boolean {
    return this.closed && this.length === 0;
  }

  override release(): void {
    this.word = NO_BLOCK;
    super.release();
  }

  /**
   * Closes the queue for all threads, drops what is left inside, and frees it. Threads that sleep in it wake
   * up as from a closed one; none may be in the middle of another call, as with `free`: close it and
   * let them end first. Of two threads that destroy it, one does.
   *
   * @returns false when another thread had destroyed it already
   */
  destroy(): boolean {
    this.checkLive();
    const { store, address } = this;
    const there = store.generationOf(address) === this.#generation;
    if (there) this.close();
    this.release();
    // The kind word goes first: of those who destroy it at once, the one that takes it does.
    const kind = this.i32[address >>> 2]!;
    if (!there || kind === 0 || compareExchange(this.i32, address >>> 2, kind, 0) !== kind) return false;
    // What is inside lies in the heap, also when the queue lies in an arena.
    const dropper = new Dropper(homeOf(store));
    dropItems(dropper, address, this.stateBytes);
    dropper.run();
    store.free(address);
    return true;
  }

  /** Bytes of a cell's state. */
  protected abstract readonly stateBytes: number;

  /** What `JSON.stringify` shows. The items stay inside. */
  toJSON(): object | null {
    if (!this.isThere) return null;
    const { kind, field, capacity, length, closed, address } = this;
    return { kind, field: field.spell(), address, capacity, length, closed };
  }

  [INSPECT](_depth: number, options: object, inspect: Inspector): string {
    if (!this.isThere) return `${this.kind} (released)`;
    const { field, capacity, length, closed } = this;
    return `${this.kind}<${field.spell()}> ${inspect({ capacity, length, closed }, options)}`;
  }

  // ── Inside ──────────────────────────────────────────────────────────────────────────────────────

  /** Whether it was neither released nor destroyed. */
  protected get isThere(): boolean {
    return this.i32[this.word] === this.kindWord;
  }

  /** Throws once it was released, or destroyed by any thread. */
  protected check(): void {
    if (this.isThere) return;
    this.checkLive();
    throw new ReferenceError(`the ${this.kind} at ${hex(this.address)} was destroyed`);
  }

  protected checkItem(value: I): void {
    const { wanted } = this;
    if (wanted !== undefined && typeof value !== wanted) throw refusedItem(this.field, value);
  }

  protected closedError(): ClosedError {
    return new ClosedError(this.kind, this.address);
  }

  private mayNotBlock(asyncForm: string): Error {
    return new BlockingNotAllowedError(this.address, asyncForm, this.kind);
  }

  #listOf(values: Iterable<I>): readonly I[] {
    this.check();
    // Typed arrays serve as they are.
    const isList = Array.isArray(values) || ArrayBuffer.isView(values);
    return isList ? (values as readonly I[]) : Array.from(values);
  }

  /** Sends what fits of `list` from `sent` on. Answers how many, or CLOSED when some were sent before. */
  #sendSome(list: readonly I[], sent: number): number {
    if (sent === list.length) return 0;
    const { wanted } = this;
    const end = Math.min(list.length, sent + BATCH);
    let to = wanted === undefined ? end : sent;
    // A typed array's elements are all of one type.
    if (typeof list[to] === wanted && ArrayBuffer.isView(list)) to = end;
    while (to < end && typeof list[to] === wanted) to++;
    if (to === sent) throw refusedItem(this.field, list[sent]);
    const step = this.putMany(list, sent, to);
    if (step === CLOSED && sent === 0) throw this.closedError();
    return step;
  }

  #sendWaiting(value: I, deadline: number): boolean {
    while (this.#mayGoOn(this.forRoom.block(deadline))) {
      const outcome = this.put(value);
      if (outcome === SENT) return true;
      if (outcome === CLOSED) throw this.closedError();
    }
    return false;
  }

  #recvWaiting(deadline: number): T | undefined {
    while (this.#isThereMore(this.forItems.block(deadline))) {
      const item = this.poll();
      if (item !== NONE) return item === ENDED ? undefined : item;
    }
    return undefined;
  }

  /** The answer at the end of a queue that is there. */
  #atEnd<A>(answer: A): A {
    this.check();
    return answer;
  }

  #mayGoOn(waited: Waited): boolean {
    if (waited === 'gone') {
      const error = this.closedError();
      this.release();
      throw error;
    }
    return waited === 'ready';
  }

  #isThereMore(waited: Waited): boolean {
    if (waited === 'gone') this.release();
    return waited === 'ready';
  }
}

/** Sets the length of what was received; an end counts as none. */
function cut<T>(into: T[], count: number): T[] {
  const length = Math.max(count, 0);
  // Setting the same length costs as much as ten items.
  if (into.length !== length) into.length = length;
  return into;
}

if (Symbol.dispose !== undefined) {
  Object.defineProperty(Queue.prototype, Symbol.dispose, {
    value(this: Queue) {
      this.release();
    },
  });
}
