/** Thread caches: refill and flush, blocks freed by other threads, idle threads drained, the last bytes. */

import type { Heap } from '../../../src/heap/heap.ts';
import { type Address, NULL } from '../../../src/memory/address.ts';
import { atomicLoad, atomicStore, pause } from '../../../src/memory/atomics.ts';
import { onHeap } from './heap-scene.ts';
import { OWNERSHIP_WALKS, RACING_FREES, UNLOCKED_READS } from './races.ts';
import { expectStamp, stamp } from './stamps.ts';

/** Two of these make a batch, four fill a cache. */
const SIZE = 240;

interface World {
  readonly held: Address[];
}

const world = (): World => ({ held: [] });

function give(heap: Heap, address: Address): void {
  heap.free(address);
}

function take(heap: Heap, size = SIZE): Address {
  const address = heap.alloc(size);
  if (address === NULL) throw new Error(`no room for ${size} bytes`);
  return address;
}

const races = [...UNLOCKED_READS, ...OWNERSHIP_WALKS];

const nothing = { prepare: () => undefined, world, races };

function freeHeld(heap: Heap, _prepared: unknown, shared?: World): void {
  for (const address of shared?.held ?? []) heap.free(address);
}

/** More blocks than the cache holds, stamped while they are held. */
function churning(id: number) {
  return (heap: Heap) => () => {
    const mine: Address[] = [];
    for (let i = 0; i < 5; i++) {
      const address = take(heap);
      stamp(heap.memory, address, SIZE, id);
      mine.push(address);
    }
    for (const address of mine) {
      expectStamp(heap.memory, address, SIZE, id);
      give(heap, address);
    }
  };
}

export const refillAndFlush = onHeap({ ...nothing, finish: freeHeld, threads: [churning(1), churning(2)] });
export const refillThree = onHeap({
  ...nothing,
  finish: freeHeld,
  threads: [churning(1), churning(2), churning(3)],
});
export const mappedCaches = onHeap({
  ...nothing,
  bytes: 80 * 1024,
  options: { allocator: 'buddy' },
  finish: freeHeld,
  threads: [churning(1), churning(2)],
});

// ── Hand over ───────────────────────────────────────────────────────────────────────────────────

/** Index of the u32 in a block by which one address at a time goes from thread to thread. */
function put(heap: Heap, mailbox: Address, address: Address): void {
  while (atomicLoad(heap.memory.i32, mailbox >>> 2) !== 0) pause();
  atomicStore(heap.memory.i32, mailbox >>> 2, address);
}

function fetch(heap: Heap, mailbox: Address): Address {
  for (;;) {
    const address = atomicLoad(heap.memory.i32, mailbox >>> 2);
    if (address !== 0) {
      atomicStore(heap.memory.i32, mailbox >>> 2, 0);
      return address as Address;
    }
    pause();
  }
}

const mailbox = {
  prepare(heap: Heap): Address {
    const address = heap.allocZeroed(8);
    heap.share(address);
    return address;
  },
  finish(heap: Heap, prepared: Address): void {
    heap.free(prepared);
  },
};

/** One thread allocates, the other frees: its cache overflows to the transfer list. */
export const remoteFree = onHeap({
  ...mailbox,
  races,
  threads: [
    (heap, box) => () => {
      for (let i = 0; i < 6; i++) put(heap, box, take(heap));
    },
    (heap, box) => () => {
      for (let i = 0; i < 6; i++) give(heap, fetch(heap, box));
    },
  ],
});

/** Two threads free one block without a word to each other: one of the two is refused or dropped. */
export const racingFrees = onHeap<Address, World>({
  prepare(heap) {
    const address = heap.alloc(SIZE);
    heap.share(address);
    return address;
  },
  finish(heap, address, shared) {
    if (shared === undefined) heap.free(address);
  },
  world,
  races: [...races, ...RACING_FREES],
  threads: [1, 2].map(() => (heap: Heap, address: Address) => () => {
    try {
      heap.free(address);
    } catch (error) {
      if ((error as Error).name !== 'InvalidFreeError') throw error;
    }
  }),
});

// ── The last bytes ──────────────────────────────────────────────────────────────────────────────

const SMALL = 27 * 1024;

/** One takes all there is while the other gives some back: nobody gets a block twice, all comes back. */
export const exhaustion = onHeap({
  ...nothing,
  bytes: SMALL,
  finish: freeHeld,
  threads: [
    (heap, _prepared, shared) => () => {
      for (let address = heap.alloc(2000); address !== NULL; address = heap.alloc(2000)) {
        stamp(heap.memory, address, 2000, 1);
        shared.held.push(address);
        if (shared.held.length > 20) throw new Error('more blocks than the heap has bytes');
      }
      for (const address of shared.held) expectStamp(heap.memory, address, 2000, 1);
    },
    (heap) => () => {
      const a = heap.alloc(SIZE);
      const b = heap.alloc(SIZE);
      if (a !== NULL) stamp(heap.memory, a, SIZE, 2);
      if (b !== NULL) stamp(heap.memory, b, SIZE, 2);
      if (a !== NULL) heap.free(a);
      if (b !== NULL) heap.free(b);
    },
  ],
});

/** An idle thread's cache is taken back by one that runs out of room, or not, when it wakes up first. */
export const idleDrained = onHeap({
  ...nothing,
  bytes: SMALL,
  finish: freeHeld,
  threads: [
    (heap, _prepared, shared) => {
      for (const address of [take(heap), take(heap), take(heap)]) heap.free(address);
      return () => {
        heap.rest();
        heap.resume();
        const address = heap.alloc(SIZE);
        if (address !== NULL) {
          stamp(heap.memory, address, SIZE, 1);
          expectStamp(heap.memory, address, SIZE, 1);
          shared.held.push(address);
        }
      };
    },
    (heap, _prepared, shared) => () => {
      for (let size = 8000; size > 1000; size >>>= 1) {
        const address = heap.alloc(size);
        if (address === NULL) continue;
        stamp(heap.memory, address, size, 2);
        shared.held.push(address);
      }
    },
  ],
});

/** Blocks that grow and shrink leave their class, and their cache. */
export const resized = onHeap({
  ...nothing,
  finish: freeHeld,
  threads: [
    (heap) => () => {
      let address = take(heap, 32);
      stamp(heap.memory, address, 32, 1);
      heap.resize(address, 100);
      address = heap.realloc(address, 600);
      expectStamp(heap.memory, address, 32, 1);
      heap.free(address);
    },
    (heap) => () => {
      const a = take(heap, 32);
      const b = take(heap, 32);
      heap.free(a);
      heap.resize(b, 64);
      heap.free(b);
    },
  ],
});
