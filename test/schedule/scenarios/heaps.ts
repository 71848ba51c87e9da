/** Heaps: threads that come and go, roots, and the dead being reaped meanwhile. */

import { attached } from '../../../src/heap/attached.ts';
import { Heap } from '../../../src/heap/heap.ts';
import { ThreadSlots } from '../../../src/heap/slots.ts';
import { readSuperblock } from '../../../src/heap/superblock.ts';
import { type Address, NULL } from '../../../src/memory/address.ts';
import type { Scenario } from '../engine/scenario.ts';
import { onHeap, reapAll } from './heap-scene.ts';
import { OWNERSHIP_WALKS, SHARED_TWICE, SLOT_LOOKS, UNLOCKED_READS } from './races.ts';
import { expectStamp, stamp } from './stamps.ts';

const BYTES = 32 * 1024;
const races = [...UNLOCKED_READS, ...OWNERSHIP_WALKS, ...SLOT_LOOKS];

// ── Come and go ─────────────────────────────────────────────────────────────────────────────────

interface Slots {
  /** The slots that are taken, as far as the threads know. */
  readonly taken: Set<number>;
}

/** Threads attach, use the heap and detach: no two have one slot at a time. */
function visiting(threads: number, rounds: number, size: number): Scenario<Slots> {
  let before = { largestFree: 0, liveBlocks: 0 };
  return {
    bytes: BYTES,
    races,
    lay(memory) {
      const heap = Heap.create({ buffer: memory.buffer, maxThreads: threads + 1 });
      before = heap.stats();
      heap.detach();
    },
    world: () => ({ taken: new Set() }),
    threads: Array.from({ length: threads }, (_, i) => (memory, world) => () => {
      for (let round = 0; round < rounds; round++) {
        const heap = Heap.attach(memory.buffer);
        if (world.taken.has(heap.threadSlot)) throw new Error(`two threads have slot ${heap.threadSlot}`);
        world.taken.add(heap.threadSlot);
        if (size !== 0) {
          const address = heap.alloc(size);
          stamp(memory, address, size, i + 1);
          expectStamp(memory, address, size, i + 1);
          heap.free(address);
        }
        world.taken.delete(heap.threadSlot);
        heap.detach();
      }
    }),
    check(memory) {
      const heap = Heap.attach(memory.buffer);
      if (heap.threads().length !== 1) throw new Error('a thread that detached has its slot still');
      heap.flush();
      heap.verify();
      const { largestFree, liveBlocks } = heap.stats();
      if (largestFree !== before.largestFree || liveBlocks !== 0) throw new Error('not all came back');
    },
  };
}

export const attachDetach = visiting(2, 1, 40);
export const attachTwice = visiting(2, 2, 0);
export const attachThree = visiting(3, 1, 0);

// ── Roots ───────────────────────────────────────────────────────────────────────────────────────

/** Both want a root to be there: one makes it, and both see the same. */
export const openOrCreate = onHeap<undefined, { found: number[] }>({
  prepare: () => undefined,
  finish(heap) {
    const address = heap.roots.get('meeting');
    heap.roots.delete('meeting');
    heap.free(address);
  },
  world: () => ({ found: [] }),
  races,
  threads: [1, 2].map(() => (heap: Heap, _prepared: undefined, world: { found: number[] }) => () => {
    const opened = heap.roots.openOrCreate('meeting', PLACE, () => heap.allocZeroed(16));
    world.found.push(opened.address);
    if (world.found.some((address) => address !== world.found[0])) throw new Error('two roots of one name');
  }),
});

const PLACE = { at: (_heap: Heap, address: Address) => ({ address }) };

export const rootsSetAndGet = onHeap({
  races: [...races, ...SHARED_TWICE],
  prepare(heap) {
    const address = heap.alloc(16);
    heap.roots.set('one', address);
    return address;
  },
  finish(heap, address) {
    for (const name of heap.roots.names()) heap.roots.delete(name);
    heap.free(address);
  },
  threads: [
    (heap, address) => () => {
      heap.roots.set('two', address);
      heap.roots.delete('one');
    },
    (heap, address) => () => {
      const found = heap.roots.get('one');
      if (found !== NULL && found !== address) throw new Error(`a root leads to ${found}`);
      if (heap.roots.get('two') === NULL) heap.roots.set('two', address);
    },
  ],
});

// ── Reap ────────────────────────────────────────────────────────────────────────────────────────

interface Dead {
  readonly slot: number;
  readonly generation: number;
  readonly shared: Address;
}

/** Leaves a dead thread behind: with a cache, a live block and a shared one. */
function bury(heap: Heap): Dead {
  const table = attached().heaps;
  table.delete(heap.id);
  const victim = Heap.attach(heap.buffer);
  table.set(heap.id, heap);
  for (const address of [victim.alloc(240), victim.alloc(240), victim.alloc(32)]) victim.free(address);
  victim.alloc(100);
  const shared = victim.alloc(48);
  victim.share(shared);
  stamp(heap.memory, shared, 48, 7);
  const { slot, generation } = victim.thread;
  return { slot, generation, shared };
}

function exhume(heap: Heap, { shared }: Dead): void {
  expectStamp(heap.memory, shared, 48, 7);
  reapAll(heap);
  heap.free(shared);
  for (const { address, state } of heap.blocks()) if (state === 'orphan') heap.free(address);
}

const dead = { prepare: bury, finish: exhume, races };

/** One reaps while another takes a slot, uses its cache and leaves. */
export const reapAndAttach = onHeap<Dead, undefined>({
  ...dead,
  threads: [
    (heap, { slot, generation }) =>
      () => {
        heap.reap({ slot, generation });
      },
    (heap) => () => {
      const buffer = heap.buffer;
      const address = heap.alloc(240);
      heap.free(address);
      heap.detach();
      const again = Heap.attach(buffer);
      const other = again.alloc(32);
      stamp(again.memory, other, 32, 2);
      expectStamp(again.memory, other, 32, 2);
      again.free(other);
    },
  ],
});

/** Two reap one thread at the same time: what it had comes back once. */
export const reapTwice = onHeap<Dead, undefined>({
  ...dead,
  threads: [1, 2].map(() => (heap: Heap, { slot, generation }: Dead) => () => {
    heap.reap({ slot, generation });
  }),
});

/** The dead thread's blocks are dropped while another allocates. */
export const reclaim = onHeap<Dead, undefined>({
  ...dead,
  threads: [
    (heap, { slot, generation }) =>
      () => {
        heap.reap({ slot, generation }, { reclaim: true });
      },
    (heap) => () => {
      const a = heap.alloc(240);
      const b = heap.alloc(100);
      heap.free(a);
      heap.free(b);
    },
  ],
});

/** The proof of death comes while others look for the dead. */
export const markAndRecover = onHeap<Dead, undefined>({
  ...dead,
  threads: [
    (heap, { slot, generation }) =>
      () => {
        const { slots, maxThreads } = readSuperblock(heap.memory);
        new ThreadSlots(heap.memory, slots, maxThreads).markDead(slot, generation);
        heap.recover();
      },
    (heap) => () => {
      heap.recover();
      heap.free(heap.alloc(32));
    },
  ],
});
