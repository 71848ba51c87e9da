/** Hand-off of bare blocks: LIVE → FLIGHT → LIVE elsewhere, and what handles tell stale blocks by. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, KiB, MiB, toAddress } from '../../src/memory/address.ts';

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: MiB });
});
afterEach(() => heap.detach());

const stateOf = (address: Address) => {
  const { state, owner } = [...heap.blocks()].find((block) => block.address === address)!;
  return [state, owner];
};

test('a block is sent, and received once', () => {
  const block = heap.alloc(100);
  expect(stateOf(block)).toEqual(['live', 1]);
  expect(heap.tryReceive(block)).toBe(false);
  expect(heap.trySend(block)).toBe(true);
  expect(stateOf(block)).toEqual(['flight', 1]);
  expect(heap.tryReceive(block)).toBe(true);
  expect(heap.tryReceive(block)).toBe(false);
  expect(stateOf(block)).toEqual(['live', 1]);
  heap.free(block);
});

test('a shared block is adopted by who holds it alone', () => {
  const block = heap.alloc(100);
  heap.share(block);
  expect(stateOf(block)).toEqual(['shared', 0]);
  expect(heap.tryAdopt(block)).toBe(true);
  expect(stateOf(block)).toEqual(['live', 1]);
  heap.free(block);
});

test('what is no live block is neither sent, received nor adopted', () => {
  const block = heap.alloc(100);
  heap.free(block);
  for (const address of [block, toAddress(block + 4), toAddress(8), toAddress(MiB - 8)]) {
    expect(heap.trySend(address)).toBe(false);
    expect(heap.tryReceive(address)).toBe(false);
    expect(heap.tryAdopt(address)).toBe(false);
    expect(heap.generationOf(address)).toBe(-1);
  }
});

test('the generation goes up when a block is freed', () => {
  const bare = Heap.create({ byteLength: MiB, cache: false });
  const block = bare.alloc(100);
  const generation = bare.generationOf(block);
  bare.free(block);
  expect(bare.alloc(100)).toBe(block);
  expect(bare.generationOf(block)).toBe((generation + 1) % 256);
  bare.detach();
});

test('the blocks of an arena are not handed off', () => {
  const arena = heap.arena(KiB);
  const block = arena.alloc(100);
  expect(arena.trySend(block) || arena.tryReceive(block) || arena.tryAdopt(block)).toBe(false);
  expect(arena.generationOf(block)).toBe(0);
  expect(arena.generationOf(toAddress(block + 4))).toBe(-1);
  arena.release();
});

test.each([
  ['tlsf', 16],
  ['tlsf', 100],
  ['tlsf', 4000],
  ['linked-list', 100],
  ['buddy', 100],
] as const)('the generation goes up at every free, in the cache too: %s, %i bytes', (allocator, size) => {
  const heap = Heap.create({ byteLength: 16 * MiB, allocator });
  let block = heap.alloc(size);
  for (let round = 0; round < 600; round++) {
    const before = heap.generationOf(block);
    heap.free(block);
    expect(heap.generationOf(block), 'no live block').toBe(-1);
    expect(heap.alloc(size), 'the same address').toBe(block);
    expect(heap.generationOf(block)).toBe((before + 1) % 256);
    // Back to the allocator and out again: not the one that it had.
    if (round % 100 !== 0) continue;
    const last = heap.generationOf(block);
    heap.free(block);
    heap.flush();
    block = heap.alloc(size);
    expect(heap.generationOf(block)).not.toBe(last);
  }
  heap.detach();
});
