/** Operations that a thread may die in: of allocators and their caches, of the heap. */

import { Heap } from '../../../src/heap/heap.ts';
import type { HeapOptions } from '../../../src/heap/options.ts';
import { type Address, NULL } from '../../../src/memory/address.ts';
import type { Scenario } from '../engine/scenario.ts';
import { crashing } from './crash-scene.ts';
import { expectStamp, stamp } from './stamps.ts';

/** Blocks of somebody else, with a hole between them. */
interface Blocks {
  readonly kept: Address;
  readonly given: Address;
  readonly keptToo: Address;
}

const KEPT = 72;

function someBlocks(heap: Heap): Blocks {
  const kept = heap.alloc(KEPT);
  const hole = heap.alloc(200);
  const given = heap.alloc(100);
  const keptToo = heap.alloc(KEPT);
  heap.free(hole);
  for (const address of [kept, given, keptToo]) heap.share(address);
  stamp(heap.memory, kept, KEPT, 1);
  stamp(heap.memory, keptToo, KEPT, 2);
  return { kept, given, keptToo };
}

function checkBlocks(heap: Heap, { kept, keptToo }: Blocks): void {
  expectStamp(heap.memory, kept, KEPT, 1);
  expectStamp(heap.memory, keptToo, KEPT, 2);
}

type Operation = (heap: Heap, blocks: Blocks) => void;

function dyingIn(options: HeapOptions, bytes: number, operation: Operation): Scenario {
  return crashing<Blocks>({
    options,
    bytes,
    prepare: someBlocks,
    victim: (heap, blocks) => () => operation(heap, blocks),
    use(heap, blocks) {
      checkBlocks(heap, blocks);
      const mine = [heap.alloc(40), heap.alloc(240), heap.alloc(24, 64)];
      for (const address of mine) {
        if (address === NULL) throw new Error('no room for what there was room for before');
        stamp(heap.memory, address, 24, 3);
      }
      checkBlocks(heap, blocks);
      for (const address of mine) heap.free(address);
    },
    finish(heap, blocks) {
      checkBlocks(heap, blocks);
      heap.free(blocks.kept);
      heap.free(blocks.keptToo);
      for (const { address, state } of heap.blocks()) {
        const isLeft = address === blocks.given && state !== 'free';
        if (isLeft || state === 'orphan') heap.free(address);
      }
    },
  });
}

const allocating: Operation = (heap) => {
  heap.alloc(40);
  heap.alloc(24, 64);
};
const freeing: Operation = (heap, { given }) => heap.free(given);
const churning: Operation = (heap, { given }) => {
  const a = heap.alloc(40);
  const b = heap.alloc(100);
  heap.free(a);
  heap.free(given);
  heap.free(b);
};
const resizing: Operation = (heap) => {
  const address = heap.alloc(64);
  heap.resize(address, 160);
  heap.resize(address, 24);
};
const reallocating: Operation = (heap) => {
  const address = heap.alloc(64);
  heap.realloc(heap.realloc(address, 600), 1200);
};
const claiming: Operation = (heap) => {
  heap.claim(1024);
};
const leaving: Operation = (heap) => {
  heap.free(heap.alloc(40));
  heap.alloc(240);
  heap.detach();
};
const arriving: Operation = (heap) => {
  const { buffer } = heap;
  heap.detach();
  Heap.attach(buffer).alloc(40);
};

const PLAIN = { cache: false };
const SMALL = 24 * 1024;

export const tlsfAlloc = dyingIn(PLAIN, SMALL, allocating);
export const tlsfFree = dyingIn(PLAIN, SMALL, freeing);
export const tlsfChurn = dyingIn(PLAIN, SMALL, churning);
export const tlsfResize = dyingIn(PLAIN, SMALL, resizing);
export const tlsfRealloc = dyingIn(PLAIN, SMALL, reallocating);

const LIST = { ...PLAIN, allocator: 'linked-list' } as const;
export const listAlloc = dyingIn(LIST, SMALL, allocating);
export const listFree = dyingIn(LIST, SMALL, freeing);
export const listChurn = dyingIn(LIST, SMALL, churning);
export const listResize = dyingIn(LIST, SMALL, resizing);
export const listRealloc = dyingIn(LIST, SMALL, reallocating);

const BUDDY = { ...PLAIN, allocator: 'buddy' } as const;
export const buddyAlloc = dyingIn(BUDDY, 40 * 1024, allocating);
export const buddyFree = dyingIn(BUDDY, 40 * 1024, freeing);
export const buddyChurn = dyingIn(BUDDY, 40 * 1024, churning);
export const buddyResize = dyingIn(BUDDY, 40 * 1024, resizing);
export const buddyRealloc = dyingIn(BUDDY, 40 * 1024, reallocating);

const BUMP = { allocator: 'bump' } as const;
export const bumpAlloc = dyingIn(BUMP, SMALL, allocating);
export const bumpChurn = dyingIn(BUMP, SMALL, churning);
export const bumpResize = dyingIn(BUMP, SMALL, resizing);
export const bumpRealloc = dyingIn(BUMP, SMALL, reallocating);

/** Two of this size make a batch, four fill a cache. */
const SIZE = 240;

const refilling: Operation = (heap) => {
  for (let i = 0; i < 3; i++) heap.alloc(SIZE);
};
const flushing: Operation = (heap) => {
  const blocks: Address[] = [];
  for (let i = 0; i < 6; i++) blocks.push(heap.alloc(SIZE));
  for (const address of blocks) heap.free(address);
  heap.flush();
};
const exhausting: Operation = (heap) => {
  for (let address = heap.alloc(4000); address !== NULL; address = heap.alloc(4000));
};

export const cacheAlloc = dyingIn({}, 32 * 1024, allocating);
export const cacheChurn = dyingIn({}, 32 * 1024, churning);
export const cacheRefill = dyingIn({}, 32 * 1024, refilling);
export const cacheFlush = dyingIn({}, 32 * 1024, flushing);
export const cacheResize = dyingIn({}, 32 * 1024, resizing);
export const cacheExhaust = dyingIn({}, 32 * 1024, exhausting);
export const buddyCacheFlush = dyingIn({ allocator: 'buddy' }, 64 * 1024, flushing);

export const claim = dyingIn({ ...PLAIN, initialBytes: 20 * 1024 }, SMALL, claiming);
export const detach = dyingIn({}, 32 * 1024, leaving);
export const attach = dyingIn(PLAIN, SMALL, arriving);

// ── Roots ───────────────────────────────────────────────────────────────────────────────────────

const made = { at: (_: Heap, address: Address) => ({ address }) };

/** A thread dies while it changes the roots: each name stands for what it stood for, or what it was to stand for. */
function naming(change: (heap: Heap, blocks: Blocks) => void): Scenario {
  return crashing<Blocks>({
    options: PLAIN,
    bytes: SMALL,
    prepare(heap) {
      const blocks = someBlocks(heap);
      heap.roots.set('kept', blocks.kept);
      heap.roots.set('mine', blocks.given);
      return blocks;
    },
    victim: (heap, blocks) => () => change(heap, blocks),
    use(heap, blocks) {
      const { roots } = heap;
      checkBlocks(heap, blocks);
      if (roots.get('kept') !== blocks.kept)
        throw new Error('a name that nobody changed stands for something else');
      const mine = roots.get('mine');
      if (![NULL, blocks.given, blocks.keptToo].includes(mine)) throw new Error(`"mine" stands for ${mine}`);
      // Who was making it has died: it is made again, once.
      const { address } = roots.openOrCreate('made', made, () => blocks.keptToo);
      if (address !== blocks.keptToo || roots.get('made') !== address)
        throw new Error(`"made" stands for ${address}`);
      roots.set('another', blocks.kept);
      if (roots.names().filter((name) => name === 'another').length !== 1)
        throw new Error('a name is there twice');
    },
    finish(heap, blocks) {
      for (const name of heap.roots.names()) heap.roots.delete(name);
      checkBlocks(heap, blocks);
      for (const address of [blocks.kept, blocks.given, blocks.keptToo]) heap.free(address);
    },
  });
}

export const rootsSet = naming(({ roots }, { keptToo }) => {
  roots.set('mine', keptToo);
  roots.set('new', keptToo);
});
export const rootsDelete = naming(({ roots }) => {
  roots.delete('mine');
});
export const rootsOpenOrCreate = naming(({ roots }, { keptToo }) => {
  roots.openOrCreate('made', made, () => keptToo);
});
export const rootsMakeFails = naming(({ roots }) => {
  try {
    roots.openOrCreate('made', made, () => {
      throw new RangeError('not made');
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
});
