/** Bump: what only it has: reset, mark and rewind, the reset by the last free, the use before create. */

import { beforeEach, describe, expect, test } from 'vitest';
import { BumpAllocator, type Mark } from '../../src/allocators/bump.ts';
import { AttachError, InvalidFreeError } from '../../src/errors.ts';
import { type Address, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';

let memory: Memory;
let bump: BumpAllocator;

beforeEach(() => {
  memory = Memory.create(1024);
  bump = BumpAllocator.create(memory);
});

test('bump allocator used before it was initialised', () => {
  expect(() => BumpAllocator.attach(Memory.create(1024), 0)).toThrow(AttachError);
  expect(() => BumpAllocator.attach(Memory.create(1024), 64)).toThrow(
    'the allocator at 0x00000040 was never initialised: call create() first',
  );
});

test('blocks lie one above the other, with 8 bytes of header each', () => {
  expect([bump.alloc(8), bump.alloc(1), bump.alloc(0), bump.alloc(16)]).toEqual([72, 88, 104, 112]);
  expect([72, 88, 104, 112].map((address) => bump.sizeOf(address as Address))).toEqual([8, 8, 0, 16]);
});

test('a free gives nothing back, but the last one gives back all', () => {
  const [a, b, c] = [bump.alloc(100), bump.alloc(100), bump.alloc(100)] as const;
  const { largestFree } = bump.stats();
  bump.free(c);
  bump.free(a);
  expect(bump.stats().largestFree).toBe(largestFree);
  bump.free(b);
  expect(bump.stats()).toMatchObject({ largestFree: 1024 - 64 - 8, liveBlocks: 0, used: 0 });
  expect(bump.alloc(8)).toBe(a);
});

test('alignment padding is a block of its own, so that blocks tile', () => {
  bump.alloc(8);
  const aligned = bump.alloc(8, 256);
  expect(aligned).toBe(256);
  expect([...bump.blocks()].map(({ address, size, state }) => [address, size, state])).toEqual([
    [72, 8, 'live'],
    [88, 160, 'free'],
    [256, 8, 'live'],
  ]);
  bump.verify();
});

test('the topmost block grows and shrinks in place, any other within its size', () => {
  const below = bump.alloc(16);
  const top = bump.alloc(16);
  expect(bump.resize(top, 100)).toBe(true);
  expect(bump.sizeOf(top)).toBe(104);
  expect(bump.resize(top, 1024 - 96)).toBe(true);
  expect(bump.resize(top, 1024 - 95), 'past the end').toBe(false);
  expect(bump.resize(top, 0)).toBe(true);
  expect(bump.stats().used).toBe(16);
  expect(bump.resize(below, 8)).toBe(true);
  expect(bump.sizeOf(below), 'shrinking below the top frees nothing').toBe(16);
  expect(bump.resize(below, 17)).toBe(false);
  bump.verify();
});

test('an empty block at the very end would have an address outside the region', () => {
  bump.alloc(1024 - 64 - 8 - 8);
  expect(bump.stats().largestFree).toBe(0);
  expect(bump.alloc(0)).toBe(NULL);
  bump.verify();
});

describe('reset', () => {
  test('gives all back at once, live or not', () => {
    const [a, b] = [bump.alloc(100), bump.alloc(100)] as const;
    bump.free(a);
    bump.reset();
    bump.verify();
    expect(bump.stats()).toMatchObject({ used: 0, liveBlocks: 0, frees: 2, largestFree: 952 });
    for (const address of [a, b]) expect(() => bump.free(address)).toThrow(InvalidFreeError);
    expect(bump.alloc(8)).toBe(a);
  });

  test('of an empty one changes nothing', () => {
    bump.reset();
    expect(bump.stats()).toMatchObject({ frees: 0, largestFree: 952 });
    bump.verify();
  });
});

describe('mark and rewind', () => {
  test('give back what came after, and leave what came before', () => {
    const kept = bump.alloc(40);
    const { used, largestFree } = bump.stats();
    const mark = bump.mark();
    const gone = [bump.alloc(8, 128), bump.alloc(0), bump.alloc(100)];
    bump.free(gone[1]!);
    bump.rewind(mark);
    bump.verify();
    expect(bump.stats()).toMatchObject({ used, largestFree, liveBlocks: 1, frees: 3 });
    for (const address of gone) expect(() => bump.free(address)).toThrow(InvalidFreeError);
    expect(bump.sizeOf(kept)).toBe(40);
  });

  test('nest', () => {
    bump.alloc(8);
    const outer = bump.mark();
    bump.alloc(8);
    const inner = bump.mark();
    bump.alloc(8);
    bump.rewind(inner);
    expect(bump.stats().liveBlocks).toBe(2);
    bump.rewind(outer);
    expect(bump.stats().liveBlocks).toBe(1);
    bump.rewind(outer);
    expect(bump.stats().liveBlocks).toBe(1);
    bump.verify();
  });

  test('rewinding over the last live block resets, as its free would', () => {
    const below = bump.alloc(40);
    const mark = bump.mark();
    bump.alloc(40);
    bump.free(below);
    bump.rewind(mark);
    bump.verify();
    expect(bump.stats()).toMatchObject({ liveBlocks: 0, largestFree: 952 });
  });

  test('a mark above what is allocated now is refused', () => {
    bump.alloc(100);
    const mark = bump.mark();
    bump.reset();
    bump.alloc(8);
    expect(() => bump.rewind(mark)).toThrow(RangeError);
    expect(bump.stats().liveBlocks).toBe(1);
  });

  test('what is no mark is refused, and nothing changes', () => {
    bump.alloc(100);
    bump.alloc(100);
    const before = Buffer.from(memory.u8);
    for (const mark of [0, 63, 72, 76, 80, 68, 180, -8, 64.5, 1024, Number.NaN, 2 ** 32, undefined, '64']) {
      expect(() => bump.rewind(mark as Mark), String(mark)).toThrow(RangeError);
    }
    expect(before.equals(memory.u8)).toBe(true);
  });
});
