/** Writes where nobody may write: past a block's end, into a header, into what was freed. */

import { expect } from 'vitest';
import type { Heap } from '../../src/heap/heap.ts';
import type { Address } from '../../src/memory/address.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { type Misuse, NONE, promises } from './promises.ts';

const Point = struct('Point', { x: f64, y: f64, id: u32 });

/** Overwrites `count` bytes behind all that a block can hold; the block above is live. */
function overrun(heap: Heap, size: number, count: number): Address {
  const block = heap.alloc(size);
  heap.alloc(size);
  heap.alloc(size);
  const end = block + heap.sizeOf(block);
  // Any byte but the one that is there: a canary is drawn at random.
  heap.memory.u8.fill(heap.memory.u8[end] === 0xff ? 0xfe : 0xff, end, end + count);
  return block;
}

/** A write past the end is found by both; in standard mode only once it reaches the next block's header. */
const overruns = [20, 64, 1000].flatMap((size): Misuse[] =>
  [1, 8, 64].flatMap((count): Misuse[] => [
    {
      name: `${count} bytes past the end of a block of ${size}, then verify`,
      standard: count === 1 ? NONE : 'verify: HeapCorruptionError',
      hardened: 'verify: HeapCorruptionError',
      run: (heap) => overrun(heap, size, count),
    },
    {
      name: `${count} bytes past the end of a block of ${size}, then its free`,
      standard: NONE,
      hardened: 'HeapCorruptionError',
      run: (heap) => heap.free(overrun(heap, size, count)),
    },
  ]),
);

promises([
  ...overruns,
  {
    name: 'one zero byte past the end, as a string that is too long by its terminator',
    standard: NONE,
    hardened: 'HeapCorruptionError',
    run: (heap) => {
      const block = heap.alloc(21);
      heap.memory.u8[block + 21] = 0;
      heap.free(block);
    },
  },
  {
    name: 'a byte past the end, then realloc',
    standard: NONE,
    hardened: 'HeapCorruptionError',
    run: (heap) => {
      const block = heap.alloc(24);
      heap.memory.u8[block + heap.sizeOf(block)]! ^= 1;
      heap.realloc(block, 2000);
    },
  },
  {
    name: 'a struct view past the end of its array',
    standard: NONE,
    hardened: 'verify: HeapCorruptionError',
    run: (heap) => {
      const points = Point.array(heap, 3);
      heap.at(Point, (points.address + 3 * Point.size) as Address).x = 1.5;
    },
  },
  {
    name: "a block's size word zeroed, then verify",
    standard: 'verify: HeapCorruptionError',
    hardened: 'verify: HeapCorruptionError',
    run: (heap) => {
      heap.memory.u32[heap.alloc(40) / 4 - 2] = 0;
    },
  },
  {
    name: "a block's size word zeroed, then its free",
    // A cache reads the other word alone.
    standard: NONE,
    hardened: 'HeapCorruptionError',
    run: (heap) => {
      const block = heap.alloc(40);
      heap.memory.u32[block / 4 - 2] = 0;
      heap.free(block);
    },
  },
  {
    name: 'the size word of a block too large for caches zeroed, then its free',
    standard: 'InvalidFreeError',
    hardened: 'HeapCorruptionError',
    // In standard mode it is no block any more; `verify` throws HeapCorruptionError.
    run: (heap) => {
      const block = heap.alloc(50_000);
      const word = block / 4 - 2;
      const size = heap.memory.u32[word]!;
      heap.memory.u32[word] = 0;
      try {
        heap.free(block);
      } finally {
        heap.memory.u32[word] = size;
      }
    },
  },
  {
    name: "a block's size word one unit larger, then its free",
    standard: NONE,
    hardened: 'HeapCorruptionError',
    run: (heap) => {
      const block = heap.alloc(40);
      heap.memory.u32[block / 4 - 2]! += 8;
      heap.free(block);
    },
  },
  {
    name: "a block's ownership word zeroed, then its free",
    standard: 'InvalidFreeError',
    hardened: 'HeapCorruptionError',
    run: (heap) => {
      const block = heap.alloc(40);
      const word = block / 4 - 1;
      const owner = heap.memory.u32[word]!;
      heap.memory.u32[word] = 0;
      try {
        heap.free(block);
      } finally {
        heap.memory.u32[word] = owner;
      }
    },
  },
  {
    name: "a block's ownership word zeroed, then verify",
    standard: 'verify: HeapCorruptionError',
    hardened: 'verify: HeapCorruptionError',
    run: (heap) => {
      heap.memory.u32[heap.alloc(40) / 4 - 1] = 0;
    },
  },
  {
    name: 'both words of a header overwritten, then verify',
    standard: 'verify: HeapCorruptionError',
    hardened: 'verify: HeapCorruptionError',
    run: (heap) => {
      const block = heap.alloc(40);
      heap.memory.u8.fill(0xee, block - 8, block);
    },
  },
  {
    name: 'a write into the middle of a freed block, then verify',
    standard: NONE,
    hardened: 'verify: HeapCorruptionError',
    run: (heap) => {
      const block = heap.alloc(100);
      heap.free(block);
      heap.memory.u8[block + 50] = 1;
    },
  },
  {
    name: 'a zero written into a freed block, then verify',
    standard: NONE,
    hardened: 'verify: HeapCorruptionError',
    run: (heap) => {
      const block = heap.alloc(100);
      heap.free(block);
      heap.memory.f64[block / 8] = 0;
    },
  },
  {
    name: 'a write into a freed block, found when it would be given out again',
    standard: NONE,
    hardened: 'HeapCorruptionError',
    run: (heap) => {
      const block = heap.alloc(100);
      heap.free(block);
      heap.memory.u8[block + 50] = 1;
      for (let i = 0; i < 3000; i++) heap.free(heap.alloc(100));
    },
  },
  {
    name: 'a write through a second view of a deleted struct',
    standard: NONE,
    hardened: 'verify: HeapCorruptionError',
    run: (heap) => {
      const point = heap.new(Point, { x: 1 });
      const second = heap.at(Point, point.address);
      heap.delete(point);
      second.y = 7;
    },
  },
  {
    name: 'a read through a second view of a deleted struct shows no old value',
    standard: NONE,
    hardened: 'harmless',
    run: (heap) => {
      const point = heap.new(Point, { x: 1.5, id: 42 });
      const second = heap.at(Point, point.address);
      heap.delete(point);
      expect(second.x).not.toBe(1.5);
      expect(second.id).toBe(0xd5d5d5d5);
    },
  },
  {
    name: 'old contents are gone from a block that is given out again, zeroed or not',
    standard: NONE,
    hardened: 'harmless',
    run: (heap) => {
      const secret = heap.alloc(200);
      heap.memory.u8.fill(0x5e, secret, secret + 200);
      heap.free(secret);
      heap.flush();
      // Encoded links are as good as random: a byte of theirs may be like the secret's by chance, a word is not.
      expect(heap.memory.u32.subarray(secret / 4, secret / 4 + 50).includes(0x5e5e5e5e)).toBe(false);
    },
  },
]);
