/**
 * Bytes overwritten on purpose, one kind after another: `verify()` says where, and an allocator that is
 * used on regardless neither runs for ever nor writes outside its region.
 *
 *      a    │ b    │ c    │ d    │ e    │ rest       the scene: b and d were freed again
 *      live │ free │ live │ free │ live │ free
 */

import { describe, expect, test } from 'vitest';
import type { Algorithm } from '../../src/allocators/algorithm.ts';
import { BuddyAllocator } from '../../src/allocators/buddy.ts';
import { BumpAllocator } from '../../src/allocators/bump.ts';
import { ALLOCATIONS, END, FIRST, FREES, OWN, USED } from '../../src/allocators/control.ts';
import { HybridAllocator } from '../../src/allocators/hybrid.ts';
import { LinkedListAllocator } from '../../src/allocators/linked-list.ts';
import { Locked } from '../../src/allocators/locked.ts';
import { PoolAllocator } from '../../src/allocators/pool.ts';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { HeapCorruptionError, InvalidFreeError, SabheapError } from '../../src/errors.ts';
import type { Address } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';

const START = 4096;
const BYTES = 16 * 1024;
const GUARD = 0xc3;

class Scene<A extends Algorithm> {
  readonly memory = Memory.create(3 * BYTES);
  readonly allocator: A;
  readonly a: Address;
  readonly b: Address;
  readonly c: Address;
  readonly d: Address;
  readonly e: Address;
  /** The payload of the free block above `e`, where there is one. */
  readonly rest: Address;

  constructor(create: (memory: Memory) => A) {
    const { memory } = this;
    memory.u8.fill(GUARD);
    memory.u8.fill(0, START, START + BYTES);
    this.allocator = create(memory);
    const { allocator } = this;
    this.a = allocator.alloc(40);
    this.b = allocator.alloc(56);
    this.c = allocator.alloc(40);
    this.d = allocator.alloc(56);
    this.e = allocator.alloc(40);
    this.rest = allocator.blockAfter(this.e);
    allocator.free(this.b);
    allocator.free(this.d);
    allocator.verify();
  }

  /** The 32-bit word at an address. */
  word(address: number, value?: number): number {
    if (value !== undefined) this.memory.u32[address / 4] = value;
    return this.memory.u32[address / 4]!;
  }

  flip(address: number, bits: number): void {
    this.memory.u32[address / 4]! ^= bits;
  }

  control(index: number, value: number): void {
    this.memory.u32[START / 4 + index] = value;
  }

  count(index: number, by: number): void {
    this.memory.f64[START / 8 + index]! += by;
  }

  /** Frees and allocates on; only errors of the library may come out of it. */
  useOn(): void {
    const { allocator, a, c, e } = this;
    const tries: (() => unknown)[] = [a, c, e].map((address) => () => allocator.free(address));
    for (const size of [8, 40, 100, 3000, 40, 8]) tries.push(() => allocator.alloc(size));
    tries.push(
      () => allocator.alloc(40, 256),
      () => allocator.resize(a, 500),
      () => allocator.stats(),
    );
    tries.push(
      () => [...allocator.blocks()],
      () => allocator.verify(),
    );
    for (const attempt of tries) {
      try {
        attempt();
      } catch (error) {
        if (!(error instanceof SabheapError)) throw error;
      }
    }
    const { u8 } = this.memory;
    expect(u8.subarray(0, START).every((byte) => byte === GUARD)).toBe(true);
    expect(u8.subarray(START + BYTES).every((byte) => byte === GUARD)).toBe(true);
  }
}

/** What is overwritten, and the address that the error has to name. */
type Damage<A extends Algorithm> = readonly [
  name: string,
  damage: (scene: Scene<A>) => unknown,
  at: (scene: Scene<A>) => number,
];

function damageTests<A extends Algorithm>(create: (memory: Memory) => A, rows: readonly Damage<A>[]): void {
  test.each(rows)('%s', (_, damage, at) => {
    const scene = new Scene(create);
    damage(scene);
    let error: unknown;
    try {
      scene.allocator.verify();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(HeapCorruptionError);
    expect((error as HeapCorruptionError).address, (error as Error).message).toBe(at(scene));
    scene.useOn();
  });
}

const IS_FREE = 1;
const BELOW_FREE = 2;
const LIVE = 3 << 29;

/** What all allocators with headers and footers have. */
const tagDamage: readonly Damage<Algorithm>[] = [
  ['the header of a live block is zeroed', (s) => s.word(s.a - 8, 0), (s) => s.a - 8],
  ['the header of a live block is all ones', (s) => s.word(s.a - 8, 0xffffffff), (s) => s.a - 8],
  ['the header of a live block is text', (s) => s.word(s.a - 8, 0x41414141), (s) => s.a - 8],
  ['the header of a free block is zeroed', (s) => s.word(s.b - 8, 0), (s) => s.b - 8],
  ['the header of a free block is all ones', (s) => s.word(s.b - 8, 0xffffffff), (s) => s.b - 8],
  ['a live block became free', (s) => s.flip(s.a - 8, IS_FREE), (s) => s.a],
  ['a live block became free above a free one', (s) => s.flip(s.c - 8, IS_FREE), (s) => s.c - 8],
  ['a free block became live', (s) => s.flip(s.b - 8, IS_FREE), (s) => s.b],
  ['"below free" was cleared', (s) => s.flip(s.c - 8, BELOW_FREE), (s) => s.c - 8],
  ['"below free" was set', (s) => s.flip(s.a - 8, BELOW_FREE), (s) => s.a - 8],
  ['a free block is a unit too long', (s) => s.word(s.b - 8, s.word(s.b - 8) + 8), (s) => s.b - 8],
  [
    'a free block took the live one above',
    (s) => s.word(s.b - 8, s.word(s.b - 8) + s.word(s.c - 8) - 2),
    (s) => s.b - 8,
  ],
  [
    'a live block took the free one above',
    (s) => s.word(s.a - 8, s.word(s.a - 8) + s.word(s.b - 8) - 1),
    (s) => s.c - 8,
  ],
  ['the footer of a free block was overwritten', (s) => s.word(s.c - 12, 0), (s) => s.b - 8],
  ['the ownership of a live block says free', (s) => s.word(s.a - 4, 0), (s) => s.a],
  ['the ownership of a free block says live', (s) => s.flip(s.b - 4, LIVE), (s) => s.b],
  ['a link leads out of the region above', (s) => s.word(s.d, (START + BYTES) / 8), (s) => s.d - 8],
  ['a link leads out of the region below', (s) => s.word(s.d, START / 8), (s) => s.d - 8],
  ['a link is text', (s) => s.word(s.d, 0x41414141), (s) => s.d - 8],
  ['the end marker was overwritten', (s) => s.word(START + BYTES - 8, 0x41414142), () => START + BYTES - 8],
  ['the end marker lost "below free"', (s) => s.word(START + BYTES - 8, 0), () => START + BYTES - 8],
  ['the count of used bytes is wrong', (s) => s.count(USED, 8), () => START],
  ['the count of allocations is wrong', (s) => s.count(ALLOCATIONS, 1), () => START],
  ['the count of frees is wrong', (s) => s.count(FREES, -1), () => START],
];

describe('linked list', () => {
  damageTests(
    (memory) => LinkedListAllocator.create(memory, { start: START, byteLength: BYTES }),
    [
      ...tagDamage,
      ['a link leads back to its own block', (s) => s.word(s.b, (s.b - 8) / 8), (s) => s.b - 8],
      ['a link leads back to an earlier block', (s) => s.word(s.rest, (s.b - 8) / 8), (s) => s.rest - 8],
      ['a link leads to a live block', (s) => s.word(s.b, (s.c - 8) / 8), (s) => s.b - 8],
      ['a link skips a block', (s) => s.word(s.b, (s.rest - 8) / 8), (s) => s.rest - 8],
      ['the list ends too early', (s) => s.word(s.b, 0), () => START],
      ['a back link is null', (s) => s.word(s.d + 4, 0), (s) => s.d - 8],
      ['a back link leads elsewhere', (s) => s.word(s.d + 4, (s.a - 8) / 8), (s) => s.d - 8],
      ['the head is null', (s) => s.control(OWN, 0), () => START],
      ['the head leads past the first block', (s) => s.control(OWN, (s.d - 8) / 8), (s) => s.d - 8],
      ['the head leads to a live block', (s) => s.control(OWN, (s.a - 8) / 8), (s) => s.a - 8],
    ],
  );
});

describe('TLSF', () => {
  damageTests(
    (memory) => TlsfAllocator.create(memory, { start: START, byteLength: BYTES }),
    [
      ...tagDamage,
      ['a link leads back to its own block', (s) => s.word(s.d, (s.d - 8) / 8), (s) => s.d - 8],
      ['a link leads to a live block', (s) => s.word(s.d, (s.c - 8) / 8), (s) => s.d - 8],
      ['a link leads into another bin', (s) => s.word(s.d, (s.rest - 8) / 8), (s) => s.rest - 8],
      ['the list of a bin ends too early', (s) => s.word(s.d, 0), () => START],
      ['a back link is null', (s) => s.word(s.b + 4, 0), (s) => s.b - 8],
      ['a back link leads elsewhere', (s) => s.word(s.b + 4, (s.a - 8) / 8), (s) => s.b - 8],
      ['the row mask is empty', (s) => s.control(16, 0), () => START],
      ['the row mask has a row too many', (s) => s.control(16, s.word(START + 64) | (1 << 24)), () => START],
      ['a bitmap has a bin too many', (s) => s.control(17, s.word(START + 68) | (1 << 31)), () => START],
      ['a bitmap lost a bin', (s) => s.control(17, 0), () => START],
    ],
  );
});

describe('buddy', () => {
  const orderMap = START + 64 + 128;
  const create = (memory: Memory) =>
    BuddyAllocator.create(memory, { start: START, byteLength: BYTES, minBlock: 16 });
  const first = new Scene(create).memory.u32[START / 4 + FIRST]! * 8;
  /** The order byte of the block at an address. */
  const byteOf = (address: number) => orderMap + (address - first) / 16;
  const setByte = (s: Scene<Algorithm>, address: number, byte: number) =>
    (s.memory.u8[byteOf(address)] = byte);
  /** The ownership word of the block at an address. */
  const ownershipOf = (s: Scene<Algorithm>, address: number) =>
    s.allocator.ownershipIndexAt(address as Address) * 4;
  const end = (s: Scene<Algorithm>) => s.memory.u32[START / 4 + END]! * 8;

  test('the scene: blocks of 64 side by side', () => {
    const s = new Scene(create);
    expect([s.b, s.c, s.d, s.e].map((address) => address - s.a)).toEqual([64, 128, 192, 256]);
    expect(s.memory.u8[byteOf(s.a)]).toBe(6);
    expect(s.memory.u8[byteOf(s.b)]).toBe(6 | 128);
  });

  damageTests(create, [
    ['an order byte is zeroed', (s) => setByte(s, s.a, 0), (s) => s.a],
    ['an order byte is all ones', (s) => setByte(s, s.a, 0xff), (s) => s.a],
    ['an order byte has a flag that is none', (s) => setByte(s, s.a, 6 | 32), (s) => s.a],
    ['an order byte says free and aligned', (s) => setByte(s, s.b, 6 | 192), (s) => s.b],
    ['an order is below the smallest', (s) => setByte(s, s.a, 3), (s) => s.a],
    ['an order reaches past the end', (s) => setByte(s, s.a, 30), (s) => s.a],
    ['a block is longer than its alignment', (s) => setByte(s, s.b, 7), (s) => s.b],
    ['a block took its buddy', (s) => setByte(s, s.a, 7), (s) => s.b],
    ['a byte inside a block is set', (s) => setByte(s, s.a + 32, 4), (s) => s.a + 32],
    ['a block lost its upper half', (s) => setByte(s, s.a, 5), (s) => s.a + 32],
    ['a live block became free', (s) => setByte(s, s.a, 6 | 128), (s) => s.a],
    ['a free block became live', (s) => setByte(s, s.b, 6), (s) => s.b],
    ['the ownership of a live block says free', (s) => s.word(ownershipOf(s, s.a), 0), (s) => s.a],
    ['the ownership of a free block says live', (s) => s.flip(ownershipOf(s, s.b), LIVE), (s) => s.b],
    ['a link leads out of the region', (s) => s.word(s.d, end(s) / 8), (s) => s.d],
    ['a link is text', (s) => s.word(s.d, 0x41414141), (s) => s.d],
    ['a link leads to a live block', (s) => s.word(s.d, s.a / 8), (s) => s.d],
    ['a link leads into a block', (s) => s.word(s.d, s.d / 8 + 1), (s) => s.d],
    ['a link leads back to its own block', (s) => s.word(s.b, s.b / 8), (s) => s.b],
    ['a back link leads elsewhere', (s) => s.word(s.b + 4, s.a / 8), (s) => s.b],
    ['a list ends too early', (s) => s.word(s.d, 0), () => START],
    ['the head of a list is null', (s) => s.control(16 + 6, 0), () => START],
    ['the head of a list leads elsewhere', (s) => s.control(16 + 6, s.a / 8), (s) => s.a],
    ['the mask lost an order', (s) => s.control(OWN, 0), () => START],
    [
      'the mask has an order too many',
      (s) => s.control(OWN, s.word(START + OWN * 4) | (1 << 31)),
      () => START,
    ],
    ['the count of used bytes is wrong', (s) => s.count(USED, 8), () => START],
    ['the count of allocations is wrong', (s) => s.count(ALLOCATIONS, 1), () => START],
  ]);

  test('a write into a freed block is found when it leaves its list, before it spreads', () => {
    const s = new Scene(create);
    s.memory.u32.fill(0x41414141, s.b / 4, s.b / 4 + 2);
    const before = Buffer.from(s.memory.u8);
    expect(() => s.allocator.alloc(56)).toThrow(HeapCorruptionError);
    expect(before.equals(s.memory.u8)).toBe(true);
    expect(() => s.allocator.free(s.a)).toThrow(HeapCorruptionError);
  });

  test('two free buddies side by side are found', () => {
    const s = new Scene(create);
    const head = START / 4 + 16 + 6;
    const next = s.memory.u32[head]!;
    // What `free` does, but without the merge.
    setByte(s, s.a, 6 | 128);
    s.word(ownershipOf(s, s.a), 1);
    s.memory.u32.set([next, 0], s.a / 4);
    s.memory.u32[next * 2 + 1] = s.a / 8;
    s.memory.u32[head] = s.a / 8;
    s.count(FREES, 1);
    s.count(USED, -64);
    expect(() => s.allocator.verify()).toThrow('two buddies are free');
  });
});

describe('pool', () => {
  const freeMap = START + 64;
  const create = (memory: Memory) =>
    PoolAllocator.create(memory, { start: START, byteLength: BYTES, blockSize: 64 });
  const setByte = (s: Scene<PoolAllocator>, address: number, byte: number) =>
    (s.memory.u8[freeMap + (address - s.a) / 64] = byte);
  const ownershipOf = (s: Scene<PoolAllocator>, address: Address) =>
    s.allocator.ownershipIndexAt(address) * 4;

  damageTests(create, [
    ['a live block became free', (s) => setByte(s, s.a, 0), (s) => s.a],
    ['a free block became live', (s) => setByte(s, s.b, 1), (s) => s.b],
    ['a map byte is neither', (s) => setByte(s, s.a, 2), (s) => s.a],
    ['a map byte is all ones', (s) => setByte(s, s.b, 255), (s) => s.b],
    ['a block is given out that never was', (s) => setByte(s, s.rest, 1), (s) => s.rest],
    ['the ownership of a live block says free', (s) => s.word(ownershipOf(s, s.a), 0), (s) => s.a],
    ['the ownership of a free block says live', (s) => s.flip(ownershipOf(s, s.b), LIVE), (s) => s.b],
    ['a link leads out of the region', (s) => s.word(s.d, (START + 2 * BYTES) / 8), (s) => s.d],
    ['a link leads below the blocks', (s) => s.word(s.d, START / 8), (s) => s.d],
    ['a link is text', (s) => s.word(s.d, 0x41414141), (s) => s.d],
    ['a link leads into a block', (s) => s.word(s.d, s.b / 8 + 1), (s) => s.d],
    ['a link leads to a live block', (s) => s.word(s.d, s.a / 8), (s) => s.d],
    ['a link leads back to its own block', (s) => s.word(s.d, s.d / 8), (s) => s.d],
    ['the list ends too early', (s) => s.word(s.d, 0), () => START],
    ['the list is longer than it can be', (s) => s.word(s.b, s.rest / 8), (s) => s.word(s.b) * 8],
    ['the head is null', (s) => s.control(OWN, 0), () => START],
    ['the head is text', (s) => s.control(OWN, 0x41414141), () => 0x41414141 * 8],
    ['more blocks are said to be fresh', (s) => s.control(OWN + 1, 4), (s) => s.e],
    ['fewer blocks are said to be fresh', (s) => s.control(OWN + 1, 6), () => START],
    ['the count of used bytes is wrong', (s) => s.count(USED, 64), () => START],
  ]);

  test('a block whose map byte is neither free nor given out is not taken back', () => {
    const s = new Scene(create);
    setByte(s, s.a, 2);
    expect(() => s.allocator.free(s.a)).toThrow(InvalidFreeError);
  });

  test('the link of a block that leaves the list is looked at before the block is given out', () => {
    for (const link of [0x41414141, START / 8, 3, -1]) {
      const s = new Scene(create);
      s.word(s.d, link);
      const before = Buffer.from(s.memory.u8);
      expect(() => s.allocator.alloc(64)).toThrow(HeapCorruptionError);
      expect(before.equals(s.memory.u8)).toBe(true);
    }
  });
});

describe('bump', () => {
  const next = (s: Scene<BumpAllocator>) => s.word(START + OWN * 4) * 8;

  damageTests(
    (memory) => BumpAllocator.create(memory, { start: START, byteLength: BYTES }),
    [
      ['the header of a live block is zeroed', (s) => s.word(s.a - 8, 0), (s) => s.a - 8],
      ['the header of a live block is all ones', (s) => s.word(s.a - 8, 0xffffffff), (s) => s.a],
      ['the header of a freed block is text', (s) => s.word(s.b - 8, 0x41414141), (s) => s.b - 8],
      ['a live block became free', (s) => s.flip(s.a - 8, IS_FREE), (s) => s.a],
      ['a freed block became live', (s) => s.flip(s.b - 8, IS_FREE), (s) => s.b],
      ['the ownership of a live block says free', (s) => s.word(s.a - 4, 0), (s) => s.a],
      ['the ownership of a freed block says live', (s) => s.flip(s.b - 4, LIVE), (s) => s.b],
      ['next lies above the region', (s) => s.control(OWN, (START + BYTES) / 8 + 1), () => START],
      ['next lies below the region', (s) => s.control(OWN, START / 8), () => START],
      ['next lies inside the last block', (s) => s.control(OWN, next(s) / 8 - 1), (s) => s.e - 8],
      [
        'next lies behind a block that never was',
        (s) => s.control(OWN, next(s) / 8 + 4),
        (s) => next(s) - 24,
      ],
      ['a block was lost from the count', (s) => s.count(FREES, 1), () => START],
      ['the count of used bytes is wrong', (s) => s.count(USED, -8), () => START],
    ],
  );

  test('with no live block left, next must be at the start', () => {
    const memory = Memory.create(1024);
    const bump = BumpAllocator.create(memory);
    bump.free(bump.alloc(8));
    bump.verify();
    const other = BumpAllocator.create(memory, { start: 512 });
    other.alloc(8);
    memory.u32.copyWithin(16, (512 + 64) / 4, (512 + 80) / 4);
    memory.u32[16]! |= IS_FREE;
    memory.u32[17] = 0;
    memory.u32[OWN] = 80 / 8;
    expect(() => bump.verify()).toThrow('next is not reset');
  });
});

describe('wrappers and parts', () => {
  const options = { allocator: LinkedListAllocator, start: START, byteLength: BYTES };

  test('a hybrid finds damage in either part', () => {
    const memory = Memory.create(3 * BYTES);
    const hybrid = HybridAllocator.create(memory, options);
    const temporary = hybrid.temporary.alloc(8);
    const permanent = hybrid.alloc(8);
    for (const address of [temporary, permanent]) {
      const kept = memory.u32[address / 4 - 2]!;
      memory.u32[address / 4 - 2] = 0xffffffff;
      expect(() => hybrid.verify()).toThrow(HeapCorruptionError);
      memory.u32[address / 4 - 2] = kept;
      hybrid.verify();
    }
  });

  test('a locked allocator that finds damage gives its lock back', () => {
    const memory = Memory.create(3 * BYTES);
    const locked = Locked.create(memory, options);
    const block = locked.alloc(40);
    const above = locked.alloc(40);
    locked.free(above);
    memory.u32[above / 4 - 2] = 0x41414141;
    for (const use of [
      () => locked.verify(),
      () => locked.free(block),
      () => locked.alloc(40),
      () => [...locked.blocks()],
    ]) {
      expect(use).toThrow(HeapCorruptionError);
      expect(locked.lock.owner).toBe(0);
    }
  });

  test.each([LinkedListAllocator, TlsfAllocator])(
    '%o: a footer that was overwritten is found when the block above is freed, before it spreads',
    (Class) => {
      for (const footer of [0, 1, 2, 0x41414141, 0xffffffff]) {
        const s = new Scene((memory) => Class.create(memory, { start: START, byteLength: BYTES }));
        s.word(s.c - 12, footer);
        const before = Buffer.from(s.memory.u8.subarray(START + 64, s.c - 8));
        expect(() => s.allocator.free(s.c)).toThrow(HeapCorruptionError);
        expect(before.equals(s.memory.u8.subarray(START + 64, s.c - 8))).toBe(true);
      }
    },
  );

  test.each([LinkedListAllocator, TlsfAllocator])(
    '%o: a forged header is refused when the block where it ends says otherwise',
    (Class) => {
      const s = new Scene((memory) => Class.create(memory, { start: START, byteLength: BYTES }));
      // Inside a, as if a live block reached from there to c; but below c lies b, which is free.
      const forged = (s.a + 16) as Address;
      s.word(forged - 8, s.c - forged);
      s.word(forged - 4, LIVE);
      expect(() => s.allocator.free(forged)).toThrow(InvalidFreeError);
    },
  );

  test.each([
    [LinkedListAllocator, 0x41],
    [LinkedListAllocator, 0xff],
    [TlsfAllocator, 0x41],
    [TlsfAllocator, 0xff],
  ])('%o: a write of bytes %i past a block is found when it is freed, before it spreads', (Class, byte) => {
    const memory = Memory.create(3 * BYTES);
    const allocator = Class.create(memory, { start: START, byteLength: BYTES });
    const block = allocator.alloc(40);
    memory.u8.fill(byte, block + 40, block + 60);
    const before = memory.u8.slice(block + 60, START + BYTES);
    expect(() => allocator.free(block)).toThrow(SabheapError);
    expect(memory.u8.slice(block + 60, START + BYTES)).toEqual(before);
    expect(() => allocator.alloc(8)).toThrow(HeapCorruptionError);
    expect(() => allocator.resize(block, 80)).toThrow(SabheapError);
  });
});
