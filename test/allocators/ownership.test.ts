/** The ownership word: each state, owner, class and generation comes out as it went in. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BuddyAllocator } from '../../src/allocators/buddy.ts';
import { BumpAllocator } from '../../src/allocators/bump.ts';
import { LinkedListAllocator } from '../../src/allocators/linked-list.ts';
import * as ownership from '../../src/allocators/ownership.ts';
import { PoolAllocator } from '../../src/allocators/pool.ts';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { InvalidFreeError } from '../../src/errors.ts';
import { Memory } from '../../src/memory/memory.ts';

const { FREE, HAND, TRANSFER, LIVE, FLIGHT, SHARED, ORPHAN, QUARANTINE } = ownership;
const states = [FREE, HAND, TRANSFER, LIVE, FLIGHT, SHARED, ORPHAN, QUARANTINE];

const word = fc.integer();
const slot = fc.integer({ min: 0, max: 255 });
const generation = fc.integer({ min: 0, max: 127 });

const classOf = (value: number) => (value >>> 8) & 0x3f;

test('zeroed memory reads as free, held by nobody', () => {
  expect(ownership.stateOf(0)).toBe(FREE);
  expect(ownership.slotOf(0)).toBe(0);
  expect(ownership.isHeld(0)).toBe(false);
});

test('the user holds LIVE, FLIGHT, SHARED and ORPHAN', () => {
  const held = states.filter((state) => ownership.isHeld(ownership.withState(0x00abcdef, state)));
  expect(held).toEqual([LIVE, FLIGHT, SHARED, ORPHAN]);
  expect(states.map((state) => ownership.STATE_NAMES[state])).toEqual([
    ...['free', 'hand', 'transfer', 'live', 'flight', 'shared', 'orphan', 'quarantine'],
  ]);
});

describe('for any word, slot and slot generation', () => {
  const each = (check: (before: number, slotNumber: number, slotGeneration: number, owner: number) => void) =>
    fc.assert(
      fc.property(word, slot, generation, (before, slotNumber, slotGeneration) =>
        check(before, slotNumber, slotGeneration, ownership.ownerBits(slotNumber, slotGeneration)),
      ),
    );

  test('alloc gives LIVE of the owner, without a class, in the same generation', () =>
    each((before, slotNumber, _, owner) => {
      const live = ownership.liveWord(before, owner);
      expect(ownership.stateOf(live)).toBe(LIVE);
      expect(ownership.slotOf(live)).toBe(slotNumber);
      expect(ownership.ownerOf(live)).toBe(owner);
      expect(classOf(live)).toBe(0);
      expect(ownership.generationOf(live)).toBe(ownership.generationOf(before));
    }));

  test('a free takes the block into hands, class and generation kept, then to FREE of the next generation', () =>
    each((before, _, __, owner) => {
      const hand = ownership.handWord(before, owner);
      expect(ownership.stateOf(hand)).toBe(HAND);
      expect(ownership.ownerOf(hand)).toBe(owner);
      expect(classOf(hand)).toBe(classOf(before));
      expect(ownership.generationOf(hand)).toBe(ownership.generationOf(before));
      const free = ownership.freeWord(hand);
      expect(free).toBe((ownership.generationOf(before) + 1) % 256);
    }));

  test('a change of state keeps all else', () =>
    each((before) => {
      for (const state of states) {
        const after = ownership.withState(before, state);
        expect(ownership.stateOf(after)).toBe(state);
        expect(ownership.withState(after, ownership.stateOf(before))).toBe(before);
      }
    }));

  test('a block of no thread keeps class and generation', () =>
    each((before) => {
      for (const state of [SHARED, ORPHAN]) {
        const after = ownership.unownedWord(before, state);
        expect(ownership.stateOf(after)).toBe(state);
        expect(ownership.ownerOf(after)).toBe(0);
        expect(classOf(after)).toBe(classOf(before));
        expect(ownership.generationOf(after)).toBe(ownership.generationOf(before));
      }
    }));

  test('a block that changes size loses its class alone', () =>
    each((before) => {
      const after = ownership.withoutClass(before);
      expect(classOf(after)).toBe(0);
      expect(after ^ before).toBe(ownership.classBitsOf(before));
    }));

  test('slot generations wrap at 128 without touching the slot', () =>
    each((_, slotNumber, slotGeneration) => {
      expect(ownership.ownerBits(slotNumber, slotGeneration + 128)).toBe(
        ownership.ownerBits(slotNumber, slotGeneration),
      );
    }));
});

describe('a block that the user does not hold', () => {
  test.each([
    ['hand', HAND],
    ['transfer', TRANSFER],
    ['quarantine', QUARANTINE],
  ])('in state %s is refused, whatever its header says', (name, state) => {
    const allocator = LinkedListAllocator.create(Memory.create(4096));
    const { i32 } = allocator.memory;
    const block = allocator.alloc(40);
    const index = allocator.ownershipIndexAt(block);
    const live = i32[index]!;
    i32[index] = ownership.withState(live, state);
    for (const use of [
      () => allocator.free(block),
      () => allocator.sizeOf(block),
      () => allocator.resize(block, 8),
      () => allocator.realloc(block, 400),
    ]) {
      expect(use).toThrow(InvalidFreeError);
      expect(use).toThrow(`the block is ${name} already`);
    }
    expect(i32[index]).toBe(ownership.withState(live, state));
    allocator.verify();
  });

  test.each([
    ['flight', FLIGHT],
    ['shared', SHARED],
    ['orphan', ORPHAN],
  ])('but in state %s he does, and may free it', (_, state) => {
    const allocator = LinkedListAllocator.create(Memory.create(4096));
    const block = allocator.alloc(40);
    const index = allocator.ownershipIndexAt(block);
    allocator.memory.i32[index] = ownership.withState(allocator.memory.i32[index]!, state);
    expect(allocator.sizeOf(block)).toBe(40);
    allocator.free(block);
    expect(allocator.stats().liveBlocks).toBe(0);
    allocator.verify();
  });
});

describe('the size class that a cache gave a block', () => {
  const SIZE_CLASS = 5 << 8;
  const create = [
    (memory: Memory) => BumpAllocator.create(memory),
    (memory: Memory) => LinkedListAllocator.create(memory),
    (memory: Memory) => TlsfAllocator.create(memory),
    (memory: Memory) => BuddyAllocator.create(memory),
    (memory: Memory) => PoolAllocator.create(memory, { blockSize: 256 }),
  ];

  test.each(create)('is gone before the size changes: %o', (make) => {
    const allocator = make(Memory.create(16_384));
    const { i32 } = allocator.memory;
    for (const size of [40, 8, 60]) {
      const block = allocator.alloc(100);
      const index = allocator.ownershipIndexAt(block);
      i32[index]! |= SIZE_CLASS;
      expect(allocator.resize(block, size)).toBe(true);
      expect(ownership.classBitsOf(i32[index]!)).toBe(0);
      expect(ownership.stateOf(i32[index]!)).toBe(LIVE);
      allocator.free(block);
    }
  });

  test.each(create)('is gone when the block is given out again: %o', (make) => {
    const allocator = make(Memory.create(16_384));
    const block = allocator.alloc(100);
    const index = allocator.ownershipIndexAt(block);
    const generation = ownership.generationOf(allocator.memory.i32[index]!);
    allocator.memory.i32[index]! |= SIZE_CLASS;
    allocator.free(block);
    expect(allocator.alloc(100)).toBe(block);
    const word = allocator.memory.i32[index]!;
    expect(ownership.classBitsOf(word)).toBe(0);
    expect(ownership.generationOf(word), 'a handle can tell').not.toBe(generation);
  });
});
