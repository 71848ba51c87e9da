/** Numbers that are none, or none that can be: sizes, alignments, counts, addresses. */

import { expect } from 'vitest';
import { Channel } from '../../src/channels/channel.ts';
import { SpscRing } from '../../src/channels/spsc-ring.ts';
import { Semaphore } from '../../src/containers/semaphore.ts';
import { SharedVec } from '../../src/containers/vec.ts';
import type { Heap } from '../../src/heap/heap.ts';
import { type Address, MiB, NULL, toAddress } from '../../src/memory/address.ts';
import { array } from '../../src/structs/array-field.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { type Misuse, promises } from './promises.ts';

const Point = struct('Point', { x: f64, y: f64 });
const BAD_SIZES = [Number.NaN, -1, 1.5, 2 ** 53, Number.POSITIVE_INFINITY];

const always = (name: string, promised: Misuse['standard'], run: (heap: Heap) => unknown): Misuse => ({
  name,
  standard: promised,
  hardened: promised,
  run,
});

promises([
  ...BAD_SIZES.flatMap((size) => [
    always(`alloc(${size})`, 'RangeError', (heap) => heap.alloc(size)),
    always(`allocZeroed(${size})`, 'RangeError', (heap) => heap.allocZeroed(size)),
    always(`realloc to ${size}`, 'RangeError', (heap) => heap.realloc(heap.alloc(8), size)),
    always(`resize to ${size}`, 'RangeError', (heap) => heap.resize(heap.alloc(8), size)),
    always(`an arena of ${size}`, 'RangeError', (heap) => heap.arena(size)),
    always(`a claim of ${size}`, 'RangeError', (heap) => heap.claim(size)),
    always(`a struct array of ${size}`, 'RangeError', (heap) => Point.array(heap, size)),
    always(`a channel of ${size}`, 'RangeError', (heap) => Channel.create(heap, u32, { capacity: size })),
    always(`a ring of ${size}`, 'RangeError', (heap) => SpscRing.create(heap, u32, { capacity: size })),
    always(`a vec with room for ${size}`, 'RangeError', (heap) =>
      SharedVec.create(heap, f64, { capacity: size }),
    ),
    always(`a semaphore of ${size} permits`, 'RangeError', (heap) => Semaphore.create(heap, size)),
    always(`an array field of ${size}`, 'RangeError', () => array(f64, size)),
    always(`a view of ${size} bytes`, 'RangeError', (heap) => heap.memory.bytes(heap.alloc(8), size)),
  ]),
  ...[Number.NaN, -8, 0, -0, 3, 12, 1.5, 2 ** 53].map((align) =>
    always(`alloc with an alignment of ${Object.is(align, -0) ? '−0' : align}`, 'RangeError', (heap) =>
      heap.alloc(8, align),
    ),
  ),
  always('alloc(0) and alloc(−0) give blocks of their own', 'harmless', (heap) => {
    const blocks = [heap.alloc(0), heap.alloc(-0), heap.alloc(0)];
    expect(new Set(blocks).size).toBe(3);
    for (const block of blocks) heap.free(block);
  }),
  ...[2 ** 31, 2 ** 32 - 8, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 8, 2 ** 53 - 1].map((size) =>
    always(`${size} bytes are exhaustion, not a wrapped small block`, 'harmless', (heap) => {
      expect(heap.alloc(size)).toBe(NULL);
      expect(heap.alloc(size, 4096)).toBe(NULL);
      const block = heap.alloc(24);
      expect(heap.realloc(block, size)).toBe(NULL);
      expect(heap.resize(block, size)).toBe(false);
      heap.free(block);
    }),
  ),
  always('alignments of 2^31 and 2^52 are exhaustion', 'harmless', (heap) => {
    expect(heap.alloc(8, 2 ** 31)).toBe(NULL);
    expect(heap.alloc(8, 2 ** 52)).toBe(NULL);
  }),
  always('an arena larger than the heap', 'OutOfMemoryError', (heap) => heap.arena(MiB)),
  always('a struct array larger than 4 GiB', 'OutOfMemoryError', (heap) => Point.array(heap, 2 ** 29)),
  always('a view of a struct at a misaligned address', 'RangeError', (heap) =>
    heap.at(Point, (heap.alloc(40) + 4) as Address),
  ),
  ...[NULL, -8, Number.NaN, 8.5, 2 ** 32, MiB, MiB - 8].map((address) =>
    always(`a view of a struct at ${address}`, 'RangeError', (heap) => heap.at(Point, address as Address)),
  ),
  ...[-8, Number.NaN, 0.5, 2 ** 32].map((address) =>
    always(`toAddress(${address})`, 'RangeError', () => toAddress(address)),
  ),
  always('bytes that reach past the memory', 'RangeError', (heap) =>
    heap.memory.bytes((MiB - 8) as Address, 16),
  ),
  always('a typed array at a misaligned address', 'RangeError', (heap) =>
    heap.memory.view(Float64Array, (heap.alloc(40) + 4) as Address, 1),
  ),
]);
