/** Allocators that threads share: blocks never overlap, nothing is lost, and all coalesces again. */

import type { Allocator } from '../../../src/allocators/allocator.ts';
import { BuddyAllocator } from '../../../src/allocators/buddy.ts';
import { BumpAllocator } from '../../../src/allocators/bump.ts';
import type { AlgorithmClass } from '../../../src/allocators/kinds.ts';
import { LinkedListAllocator } from '../../../src/allocators/linked-list.ts';
import { Locked, type LockKind } from '../../../src/allocators/locked.ts';
import { PoolAllocator } from '../../../src/allocators/pool.ts';
import { TlsfAllocator } from '../../../src/allocators/tlsf.ts';
import { type Address, NULL } from '../../../src/memory/address.ts';
import type { Memory } from '../../../src/memory/memory.ts';
import type { Scenario } from '../engine/scenario.ts';
import { UNLOCKED_READS } from './races.ts';
import { expectStamp, stamp } from './stamps.ts';

const START = 64;
const BYTES = 8192;

interface World {
  /** Address → size of what threads hold. */
  readonly held: Map<Address, number>;
}

function newWorld(): World {
  return { held: new Map() };
}

/** Notes a block, which must lie apart from all that others hold. */
function hold(world: World, address: Address, size: number): void {
  for (const [other, bytes] of world.held) {
    if (address < other + bytes && other < address + size) {
      throw new Error(`the block at ${address} overlaps the one at ${other}`);
    }
  }
  world.held.set(address, size);
}

function take(allocator: Allocator, world: World, size: number, align?: number): Address {
  const address = allocator.alloc(size, align);
  if (address === NULL) throw new Error(`no room for ${size} bytes`);
  hold(world, address, size);
  return address;
}

function give(allocator: Allocator, world: World, address: Address): void {
  world.held.delete(address);
  allocator.free(address);
}

type Body = (allocator: Locked, memory: Memory, world: World, id: number) => void;

/** Threads on one locked allocator; at the end all is free and in one piece, as after `create`. */
function sharing(
  allocator: AlgorithmClass,
  bodies: readonly Body[],
  lock: LockKind = 'park',
  options = {},
): Scenario<World> {
  let whole = 0;
  return {
    bytes: BYTES,
    lay(memory) {
      const made = Locked.create(memory, { start: START, allocator, lock, options });
      whole = made.stats().largestFree;
    },
    world: newWorld,
    threads: bodies.map((body, i) => (memory: Memory, world: World) => {
      const opened = Locked.attach(memory, START);
      return () => body(opened, memory, world, i + 1);
    }),
    check(memory, world) {
      const opened = Locked.attach(memory, START);
      opened.verify();
      for (const address of world.held.keys()) opened.free(address);
      opened.verify();
      const { largestFree, liveBlocks } = opened.stats();
      if (largestFree !== whole || liveBlocks !== 0) {
        throw new Error(`${liveBlocks} blocks are left, ${largestFree} of ${whole} bytes are in one piece`);
      }
    },
    races: UNLOCKED_READS,
  };
}

const churn: Body = (allocator, memory, world, id) => {
  const a = take(allocator, world, 40);
  stamp(memory, a, 40, id);
  const b = take(allocator, world, 24);
  expectStamp(memory, a, 40, id);
  give(allocator, world, a);
  give(allocator, world, b);
};

const aligned: Body = (allocator, _memory, world) => {
  const a = take(allocator, world, 24, 64);
  if (a % 64 !== 0) throw new Error(`the block at ${a} is not aligned`);
  give(allocator, world, a);
};

const resizing: Body = (allocator, memory, world, id) => {
  const a = take(allocator, world, 32);
  stamp(memory, a, 32, id);
  world.held.delete(a);
  allocator.resize(a, 96);
  hold(world, a, allocator.sizeOf(a));
  expectStamp(memory, a, 32, id);
  world.held.delete(a);
  allocator.resize(a, 16);
  hold(world, a, 16);
  give(allocator, world, a);
};

const reallocating: Body = (allocator, memory, world, id) => {
  let a = take(allocator, world, 24);
  stamp(memory, a, 24, id);
  for (const size of [200, 48]) {
    world.held.delete(a);
    a = allocator.realloc(a, size);
    hold(world, a, size);
    expectStamp(memory, a, 24, id);
  }
  give(allocator, world, a);
};

const keeping: Body = (allocator, _memory, world) => {
  take(allocator, world, 44);
};

const POOL = { blockSize: 48 };

export const tlsfChurn = sharing(TlsfAllocator, [churn, churn]);
export const tlsfThree = sharing(TlsfAllocator, [churn, aligned, keeping]);
export const tlsfResize = sharing(TlsfAllocator, [resizing, churn]);
export const tlsfRealloc = sharing(TlsfAllocator, [reallocating, churn]);
export const tlsfSpin = sharing(TlsfAllocator, [churn, keeping], 'spin');
export const listChurn = sharing(LinkedListAllocator, [churn, churn]);
export const listThree = sharing(LinkedListAllocator, [churn, aligned, keeping]);
export const listResize = sharing(LinkedListAllocator, [resizing, churn]);
export const listRealloc = sharing(LinkedListAllocator, [reallocating, churn]);
export const buddyChurn = sharing(BuddyAllocator, [churn, churn]);
export const buddyThree = sharing(BuddyAllocator, [churn, aligned, keeping]);
export const buddyResize = sharing(BuddyAllocator, [resizing, churn]);
export const buddyRealloc = sharing(BuddyAllocator, [reallocating, churn]);
export const poolChurn = sharing(PoolAllocator as unknown as AlgorithmClass, [churn, churn], 'park', POOL);
export const poolThree = sharing(
  PoolAllocator as unknown as AlgorithmClass,
  [churn, keeping, keeping],
  'park',
  POOL,
);
export const bumpChurn = sharing(BumpAllocator, [churn, keeping]);
export const bumpResize = sharing(BumpAllocator, [resizing, reallocating]);

/** Two threads free one block: one gets an error, and nothing else happens. */
export const doubleFree: Scenario<{ refused: number; block: Address }> = {
  bytes: BYTES,
  lay(memory) {
    const made = Locked.create(memory, { start: START, allocator: TlsfAllocator });
    memory.u32[2] = made.alloc(40);
  },
  world: () => ({ refused: 0, block: NULL }),
  threads: [1, 2].map(() => (memory: Memory, world: { refused: number }) => {
    const opened = Locked.attach(memory, START);
    const block = memory.u32[2] as Address;
    return () => {
      try {
        opened.free(block);
      } catch (error) {
        if ((error as Error).name !== 'InvalidFreeError') throw error;
        world.refused++;
      }
    };
  }),
  check(memory, world) {
    if (world.refused !== 1) throw new Error(`${world.refused} of two frees were refused`);
    Locked.attach(memory, START).verify();
  },
};

/** More bytes are claimed while another thread allocates. */
export const claiming: Scenario<World> = {
  bytes: BYTES,
  lay(memory) {
    Locked.create(memory, { start: START, byteLength: 4096, allocator: TlsfAllocator });
  },
  world: newWorld,
  threads: [
    (memory) => {
      const opened = Locked.attach(memory, START);
      return () => {
        if (!opened.extend(1024) || !opened.extend(512))
          throw new Error('the bytes above were not to be had');
      };
    },
    (memory, world) => {
      const opened = Locked.attach(memory, START);
      return () => churn(opened, memory, world, 2);
    },
  ],
  check(memory) {
    const opened = Locked.attach(memory, START);
    opened.verify();
    const { capacity, liveBlocks } = opened.stats();
    if (capacity !== 4096 + 1536 || liveBlocks !== 0)
      throw new Error(`${capacity} bytes, ${liveBlocks} blocks`);
  },
};
