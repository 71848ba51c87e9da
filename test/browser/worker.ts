/**
 * The worker of the browser's own tests: does one of the jobs below for each message, and posts how it went.
 * It runs the built library, as the page does.
 */

import {
  type Address,
  Box,
  box,
  Channel,
  Heap,
  type HeapHandle,
  Mutex,
  SharedMap,
  string,
  u32,
  watchable,
} from '../../src/index.ts';
import { Parcel, Total } from './parcel.ts';

/** What a page sends. Names of roots say where the jobs meet. */
export interface Job {
  readonly heap: HeapHandle;
  readonly kind: keyof typeof jobs;
  /** Tells the workers apart. */
  readonly from?: number;
  readonly count?: number;
}

export type Answer = { readonly step: string } | { readonly result: unknown } | { readonly error: string };

interface Scope {
  onmessage: ((event: { readonly data: Job }) => void) | null;
  postMessage(answer: Answer): void;
  close(): void;
}

const scope = globalThis as unknown as Scope;
const say = (step: string): void => scope.postMessage({ step });

const jobs = {
  /** Attaches, and is there: its death can be noticed. */
  async attach(heap: Heap): Promise<number> {
    await watchable();
    return heap.thread.slot;
  },

  /** Leaves as it came. */
  detach: (heap: Heap) => heap.detach(),

  /** Allocates, stamps, checks and frees blocks, and hands parcels to the page. */
  send(heap: Heap, { from = 0, count = 0 }: Job): number {
    const parcels = heap.roots.open('parcels', Channel.type(box(Parcel)))!;
    const kept: Address[] = [];
    for (let number = 0; number < count; number++) {
      const block = heap.alloc(8 + ((number * 40) % 3000));
      heap.memory.u32[block >>> 2] = number * 4 + from;
      kept.push(block);
      if (number % 3 === 0) {
        heap.free(kept.shift()!);
      }
      const label = `№ ${number} von ${from}`;
      parcels.send(Box.create(heap, Parcel, { from, number, weight: number / 2, label }));
    }
    let bad = 0;
    for (const block of kept) {
      if (heap.memory.u32[block >>> 2]! % 4 !== from) bad++;
      heap.free(block);
    }
    return bad;
  },

  /** Counts words that others count too, under the map's own locks. */
  count(heap: Heap, { from = 0, count = 0 }: Job): void {
    const words = heap.roots.open('words', SharedMap.type(string, u32))!;
    for (let i = 0; i < count; i++) {
      words.add(`wort ${i % 50} ü`, 1);
      words.set(`${from}:${i % 20}`, i);
      if (i % 7 === 0) words.delete(`${from}:${(i * 3) % 20}`);
    }
  },

  /** Adds up under a mutex, sleeping for it. */
  add(heap: Heap, { count = 0 }: Job): void {
    const total = heap.roots.open('total', Mutex.type(Total))!;
    for (let i = 0; i < count; i++) total.with((it) => void it.count++);
  },

  /** Holds the mutex for a while. */
  hold(heap: Heap, { count = 0 }: Job): void {
    const guard = heap.roots.open('total', Mutex.type(Total))!.lock();
    say('held');
    const until = performance.now() + count;
    while (performance.now() < until);
    guard.unlock();
  },

  /** Takes the mutex and ten blocks, and ends no more. */
  cling(heap: Heap): never {
    return cling(heap);
  },

  /** The same, once its death can be noticed. */
  async clingWatchably(heap: Heap): Promise<never> {
    await watchable();
    return cling(heap);
  },

  /** Has ten blocks, and waits for messages. */
  own(heap: Heap): void {
    for (let i = 0; i < 10; i++) heap.alloc(100);
  },

  /** Waits for the mutex, asleep. Says whether its last owner had died. */
  want(heap: Heap): boolean {
    const total = heap.roots.open('total', Mutex.type(Total))!;
    say('wants');
    const guard = total.lock();
    const { recovered } = guard;
    guard.unlock();
    return recovered;
  },

  /** Fills all that is free with bytes other than 0, over and over for `count` ms; a terminated thread writes on in a fill. */
  fill(heap: Heap, { count = 0 }: Job): never {
    const size = heap.stats().largestFree;
    const block = heap.alloc(size);
    say('fills');
    const until = performance.now() + count;
    for (let n = 0; performance.now() < until; n++) heap.memory.u8.fill(1 + (n % 255), block, block + size);
    for (;;) heap.memory.u32[block >>> 2]!++;
  },

  /** Ends by itself, without a word to the heap, its blocks in its hands. */
  close(heap: Heap): void {
    jobs.own(heap);
    scope.close();
  },
};

function cling(heap: Heap): never {
  jobs.own(heap);
  const guard = heap.roots.open('total', Mutex.type(Total))!.lock();
  guard.value.count = 1000;
  say('clings');
  for (;;) guard.value.count++;
}

scope.onmessage = async ({ data }) => {
  try {
    const job: (heap: Heap, job: Job) => unknown = jobs[data.kind];
    scope.postMessage({ result: await job(Heap.attach(data.heap), data) });
  } catch (error) {
    scope.postMessage({ error: String(error) });
  }
};
