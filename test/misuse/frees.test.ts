/** Frees of what is no live block: freed already, somebody else's, or never one. */

import { expect, test } from 'vitest';
import { Checked } from '../../src/allocators/checked.ts';
import { Locked } from '../../src/allocators/locked.ts';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, MiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import type { RacingFreeJob, RacingFreeReport } from '../../workers/test-threads/racing-free.ts';
import { runCrew } from '../stress/crew.ts';
import { Rendezvous } from '../stress/rendezvous.ts';
import { anotherThread } from './another-thread.ts';
import { NONE, promises } from './promises.ts';

const Point = struct('Point', { x: f64, y: f64 });
const Line = struct('Line', { id: u32, from: Point, to: Point });
const at = (address: number): Address => address as Address;

/** Writes a live block's header, copied from one, in front of an address. */
function forgeHeader(heap: Heap, address: number): void {
  const model = heap.alloc(24);
  const { i32 } = heap.memory;
  i32[(address >>> 2) - 2] = i32[(model >>> 2) - 2]!;
  i32[(address >>> 2) - 1] = i32[(model >>> 2) - 1]!;
}

promises([
  {
    name: 'a double free, at once',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const block = heap.alloc(40);
      heap.free(block);
      heap.free(block);
    },
  },
  {
    name: 'a double free of a block too large for caches',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const block = heap.alloc(100_000);
      heap.free(block);
      heap.free(block);
    },
  },
  {
    name: 'a double free, 200 other frees later',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const others = Array.from({ length: 200 }, () => heap.alloc(40));
      const block = heap.alloc(40);
      heap.free(block);
      for (const other of others) heap.free(other);
      heap.free(block);
    },
  },
  {
    name: 'a double free of a block that has merged with its neighbours',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const blocks = Array.from({ length: 3 }, () => heap.alloc(20_000)) as [Address, Address, Address];
      for (const block of blocks) heap.free(block);
      heap.flush();
      heap.free(blocks[1]);
    },
  },
  {
    name: 'a double free, interleaved: a, b, a',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const [a, b] = [heap.alloc(40), heap.alloc(40)];
      heap.free(a);
      heap.free(b);
      heap.free(a);
    },
  },
  {
    name: 'a double free after another allocation of that size',
    // The block is the other allocation's then, and nothing tells the two apart.
    standard: NONE,
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const block = heap.alloc(40);
      heap.free(block);
      heap.alloc(40);
      heap.free(block);
    },
  },
  {
    name: 'a double free after 100 more pairs of that size',
    standard: NONE,
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const block = heap.alloc(40);
      heap.free(block);
      for (let i = 0; i < 100; i++) heap.free(heap.alloc(40));
      heap.alloc(40);
      heap.free(block);
    },
  },
  {
    name: 'a double free by another thread',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const other = anotherThread(heap);
      const block = heap.alloc(40);
      heap.free(block);
      other.free(block);
    },
  },
  {
    name: 'a double free of what another thread freed',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const other = anotherThread(heap);
      const block = heap.alloc(40);
      other.free(block);
      heap.free(block);
    },
  },
  {
    name: 'a double free that races: both threads saw the block live',
    // Both frees are taken. When a copy would leave a cache its word is compared: one gets it, none two.
    standard: 'harmless',
    hardened: NONE,
    run: (heap) => {
      const other = anotherThread(heap);
      const block = heap.alloc(40);
      const word = (block >>> 2) - 1;
      const live = heap.memory.i32[word]!;
      heap.free(block);
      const after = heap.memory.i32[word]!;
      // Only a cache can be raced: without one the free is under the lock.
      if (heap.stats().cached === undefined) return;
      heap.memory.i32[word] = live;
      other.free(block);
      expect(heap.memory.i32[word]).not.toBe(after);
      const given = [...Array(40).keys()].flatMap(() => [heap.alloc(40), other.alloc(40)]);
      expect(new Set(given).size).toBe(given.length);
    },
  },
  {
    name: 'realloc of a freed block',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const block = heap.alloc(40);
      heap.free(block);
      heap.realloc(block, 80);
    },
  },
  {
    name: 'resize of a freed block',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const block = heap.alloc(40);
      heap.free(block);
      heap.resize(block, 20);
    },
  },
  {
    name: 'sizeOf of a freed block',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const block = heap.alloc(40);
      heap.free(block);
      heap.sizeOf(block);
    },
  },
  {
    name: 'free of the address that realloc moved a block from',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const block = heap.alloc(40);
      heap.alloc(40);
      expect(heap.realloc(block, 5000)).not.toBe(block);
      heap.free(block);
    },
  },
  {
    name: 'share of a freed block',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const block = heap.alloc(40);
      heap.free(block);
      heap.share(block);
    },
  },
  {
    name: 'send, receive, adopt and share of a freed block',
    standard: 'harmless',
    hardened: 'harmless',
    run: (heap) => {
      const block = heap.alloc(40);
      heap.free(block);
      expect([
        heap.trySend(block),
        heap.tryReceive(block),
        heap.tryAdopt(block),
        heap.tryShare(block),
      ]).toEqual([false, false, false, false]);
    },
  },
  {
    name: 'an interior address of zeroed bytes',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => heap.free(at(heap.allocZeroed(400) + 64)),
  },
  {
    name: 'an interior address of bytes that look like a header',
    standard: NONE,
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const block = heap.alloc(400);
      forgeHeader(heap, block + 64);
      heap.free(at(block + 64));
    },
  },
  {
    name: 'realloc of an interior address of bytes that look like a header',
    standard: NONE,
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const block = heap.alloc(400);
      forgeHeader(heap, block + 64);
      heap.realloc(at(block + 64), 800);
    },
  },
  {
    name: "a block in an arena, given to the heap's free",
    // An arena's blocks have headers like the heap's.
    standard: NONE,
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const arena = heap.arena(1000);
      arena.alloc(40);
      heap.free(arena.alloc(40));
    },
  },
  {
    name: "a block of the heap, given to an arena's free",
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => heap.arena(1000).free(heap.alloc(40)),
  },
  {
    name: 'a misaligned address, by 1',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => heap.free(at(heap.alloc(40) + 1)),
  },
  {
    name: 'a misaligned address, by 4',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => heap.free(at(heap.alloc(40) + 4)),
  },
  {
    name: 'a block of another heap, where this one has nothing',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const foreign = Heap.create({ byteLength: 2 * MiB });
      const block = foreign.alloc(MiB / 2 - 40_000);
      const high = foreign.alloc(100_000);
      expect(high).toBeGreaterThan(block);
      foreign.detach();
      heap.free(high);
    },
  },
  {
    name: 'an address that was never allocated',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => heap.free(at(MiB / 2)),
  },
  {
    name: 'an address of the superblock',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => heap.free(at(64)),
  },
  {
    name: "the address of the heap's last unit",
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => heap.free(at(MiB - 8)),
  },
  ...[MiB, 2 ** 31, 2 ** 32 - 8, 2 ** 32, 2 ** 53, -8, 8.5, Number.NaN, Number.POSITIVE_INFINITY].map(
    (address) => ({
      name: `an address out of range, ${address}`,
      standard: 'InvalidFreeError' as const,
      hardened: 'InvalidFreeError' as const,
      run: (heap: Heap) => heap.free(at(address)),
    }),
  ),
  ...['4096', undefined, null, {}, 8n, true].map((address) => ({
    name: `what is no number, ${typeof address} ${String(address)}`,
    standard: typeof address === 'bigint' ? ('TypeError' as const) : ('InvalidFreeError' as const),
    hardened: typeof address === 'bigint' ? ('TypeError' as const) : ('InvalidFreeError' as const),
    run: (heap: Heap) => heap.free(address as never),
  })),
  {
    name: 'free of NULL and of −0',
    standard: 'harmless',
    hardened: 'harmless',
    run: (heap) => {
      heap.free(NULL);
      heap.free(-0 as Address);
    },
  },
  {
    name: 'delete of a view that was deleted',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const point = heap.new(Point);
      heap.delete(point);
      heap.delete(point);
    },
  },
  {
    name: 'delete of a second view of a deleted struct',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => {
      const point = heap.new(Point);
      const second = heap.at(Point, point.address);
      heap.delete(point);
      heap.delete(second);
    },
  },
  {
    name: 'delete of a struct that lies inside another',
    standard: 'InvalidFreeError',
    hardened: 'InvalidFreeError',
    run: (heap) => heap.delete(heap.new(Line).to),
  },
  {
    name: 'delete of what is no view',
    standard: 'TypeError',
    hardened: 'TypeError',
    run: (heap) => heap.delete(7 as never),
  },
  {
    name: 'receiving what was freed, and allocated again, since it was sent',
    standard: 'harmless',
    hardened: 'harmless',
    run: (heap) => {
      const block = heap.alloc(40);
      const generation = heap.generationOf(block);
      heap.trySend(block);
      heap.free(block);
      let again = heap.alloc(40);
      for (let i = 0; again !== block && i < 2000; i++) {
        heap.free(again);
        again = heap.alloc(40);
      }
      heap.trySend(again);
      expect(heap.tryReceive(block, generation)).toBe(false);
    },
  },
]);

test.each([
  ['standard', TlsfAllocator, {}],
  ['hardened', Checked, { allocator: TlsfAllocator }],
] as const)(
  '%s, without caches: of two threads that free a block at once one gets through',
  async (_, allocator, options) => {
    const memory = Memory.create(MiB);
    const start = 4096;
    const locked = Locked.create(memory, {
      allocator: allocator as never,
      options,
      start,
      byteLength: MiB / 2,
    });
    const meeting = new Rendezvous(2, 3).buffer;
    const jobs = [0, 1].map((index) => ({
      buffer: memory.buffer,
      start,
      meeting,
      parties: 2,
      index,
      rounds: 500,
    }));
    const reports = await runCrew<RacingFreeJob, RacingFreeReport>('racing-free', jobs);
    expect(reports.flatMap(({ errors }) => errors)).toEqual([]);
    expect(reports.reduce((sum, { taken }) => sum + taken, 0)).toBe(500);
    locked.verify();
  },
);
