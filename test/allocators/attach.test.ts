/** Attach: adopts what `create` laid out, and refuses everything else before it can do harm. */

import { describe, expect, test } from 'vitest';
import { BuddyAllocator } from '../../src/allocators/buddy.ts';
import { BumpAllocator } from '../../src/allocators/bump.ts';
import { END, FIRST, OWN, PARAM, tagOf } from '../../src/allocators/control.ts';
import { HybridAllocator } from '../../src/allocators/hybrid.ts';
import { attachAlgorithm } from '../../src/allocators/kinds.ts';
import { LinkedListAllocator } from '../../src/allocators/linked-list.ts';
import { Locked } from '../../src/allocators/locked.ts';
import { PoolAllocator } from '../../src/allocators/pool.ts';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { AttachError } from '../../src/errors.ts';
import { KiB } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';

const START = 1024;
const REGION = { start: START, byteLength: 16 * KiB };
const BYTES = 32 * KiB;

interface Kind {
  readonly name: string;
  create(memory: Memory): object;
  attach(memory: Memory, start: number): object;
  /** Control words, as index and value, that contradict the rest. */
  readonly wrong: readonly (readonly [index: number, value: number])[];
}

/** Bounds outside the memory or upside down, which no allocator takes. */
const wrongBounds: Kind['wrong'] = [
  [END, BYTES / 8 + 1],
  [END, 0xffffffff],
  [END, START / 8],
  [FIRST, START / 8],
  [FIRST, (START + 56) / 8],
  [FIRST, BYTES / 8],
  [FIRST, 0xffffffff],
];

const kinds: readonly Kind[] = [
  {
    name: 'BumpAllocator',
    create: (memory) => BumpAllocator.create(memory, REGION),
    attach: (memory, start) => BumpAllocator.attach(memory, start),
    wrong: [...wrongBounds, [FIRST, (START + 72) / 8], [OWN, 0], [OWN, (START + 56) / 8], [OWN, BYTES / 8]],
  },
  {
    name: 'LinkedListAllocator',
    create: (memory) => LinkedListAllocator.create(memory, REGION),
    attach: (memory, start) => LinkedListAllocator.attach(memory, start),
    wrong: wrongBounds,
  },
  {
    name: 'TlsfAllocator',
    create: (memory) => TlsfAllocator.create(memory, REGION),
    attach: (memory, start) => TlsfAllocator.attach(memory, start),
    wrong: wrongBounds,
  },
  {
    name: 'BuddyAllocator',
    create: (memory) => BuddyAllocator.create(memory, REGION),
    attach: (memory, start) => BuddyAllocator.attach(memory, start),
    wrong: [
      ...wrongBounds,
      [FIRST, (START + 64) / 8],
      [FIRST, 513],
      [END, BYTES / 8],
      [END, 1025],
      [PARAM, 3],
      [PARAM, 6],
      [PARAM, 32],
      [PARAM, 0xffffffff],
      [OWN + 1, 0],
      [OWN + 1, 10],
      [OWN + 1, 0xffffffff],
    ],
  },
  {
    name: 'PoolAllocator',
    create: (memory) => PoolAllocator.create(memory, { ...REGION, blockSize: 64 }),
    attach: (memory, start) => PoolAllocator.attach(memory, start),
    wrong: [
      ...wrongBounds,
      [FIRST, (START + 64) / 8],
      [END, BYTES / 8 - 1],
      [PARAM, 0],
      [PARAM, 4],
      [PARAM, 60],
      [PARAM, 8],
      [PARAM, 0xffffffff],
    ],
  },
  {
    name: 'HybridAllocator',
    create: (memory) => HybridAllocator.create(memory, { ...REGION, allocator: LinkedListAllocator }),
    attach: (memory, start) => HybridAllocator.attach(memory, start),
    wrong: [...wrongBounds, [OWN, START / 8], [OWN, (START + 64) / 8], [OWN, 0], [OWN, BYTES / 8]],
  },
  {
    name: 'Locked',
    create: (memory) => Locked.create(memory, { ...REGION, allocator: LinkedListAllocator }),
    attach: (memory, start) => Locked.attach(memory, start),
    wrong: [...wrongBounds, [FIRST, (START + 64) / 8], [FIRST, (START + 136) / 8], [PARAM, 0], [PARAM, 3]],
  },
];

describe.each(kinds)('$name', ({ name, create, attach, wrong }) => {
  const made = () => {
    const memory = Memory.create(BYTES);
    create(memory);
    return memory;
  };

  test('is adopted where it was laid out, by any memory over the buffer', () => {
    const memory = made();
    const before = Buffer.from(memory.u8);
    expect(attach(memory, START).constructor.name).toBe(name);
    attach(Memory.attach(memory.buffer), START);
    expect(before.equals(memory.u8), 'adopting writes nothing').toBe(true);
  });

  test('used before it was initialised', () => {
    expect(() => attach(Memory.create(BYTES), START)).toThrow(AttachError);
    expect(() => attach(Memory.create(BYTES), START)).toThrow('was never initialised: call create() first');
  });

  test('where something else lies', () => {
    const memory = made();
    for (const byte of [0x5a, 0xff, 0x01]) {
      memory.u8.fill(byte);
      expect(() => attach(memory, START)).toThrow(AttachError);
    }
  });

  test.each<unknown>([
    START + 4,
    START + 8,
    START - 8,
    BYTES,
    BYTES - 56,
    2 ** 32,
    -8,
    1.5,
    Number.NaN,
    '1024',
    undefined,
  ])('at %s, where none starts', (start) => {
    expect(() => attach(made(), start as number)).toThrow(AttachError);
  });

  test('at a tag that no create could have put there', () => {
    const memory = made();
    memory.u32[START / 4 + 1] = memory.u32[START / 4]!;
    expect(() => attach(memory, START + 4)).toThrow('wants a multiple of 8');
  });

  test('of another kind', () => {
    for (const other of kinds) {
      if (other.name === name) continue;
      const memory = Memory.create(BYTES);
      other.create(memory);
      expect(() => attach(memory, START), other.name).toThrow(AttachError);
      expect(() => attach(memory, START)).toThrow(`a ${other.name} starts at 0x00000400, not a ${name}`);
    }
  });

  test('of another version', () => {
    const memory = made();
    memory.u32[START / 4]! += 1 << 8;
    expect(() => attach(memory, START)).toThrow('has layout version 2, this library reads 1');
  });

  test('in a buffer that was cut short', () => {
    const memory = made();
    const short = Memory.create(8 * KiB);
    short.u8.set(memory.u8.subarray(0, 8 * KiB));
    expect(() => attach(short, START)).toThrow(AttachError);
  });

  test.each(wrong)('with control word %i overwritten by %i', (index, value) => {
    const memory = made();
    memory.u32[START / 4 + index] = value;
    expect(() => attach(memory, START)).toThrow(AttachError);
  });
});

describe('wrappers', () => {
  test('a create that was interrupted before its last store is not adopted', () => {
    for (const { create, attach } of kinds) {
      const memory = Memory.create(BYTES);
      create(memory);
      memory.u32[START / 4] = 0;
      expect(() => attach(memory, START)).toThrow(AttachError);
    }
  });

  test('take no wrapper, and nothing of an unknown kind', () => {
    const memory = Memory.create(BYTES);
    Locked.create(memory, { ...REGION, allocator: LinkedListAllocator });
    expect(() => attachAlgorithm(memory, START)).toThrow('is a wrapper, which no wrapper takes');
    memory.u32[START / 4] = tagOf(99);
    expect(() => attachAlgorithm(memory, START)).toThrow(AttachError);
  });

  test('refuse a part that is damaged', () => {
    for (const { create, attach } of kinds.slice(-2)) {
      const memory = Memory.create(BYTES);
      create(memory);
      const inner = [...memory.u32.keys()].filter((i) => i > START / 4 && memory.u32[i]! >>> 16 === 0x5aba);
      expect(inner.length).toBeGreaterThan(0);
      for (const index of inner) {
        const kept = memory.u32[index]!;
        memory.u32[index] = 0;
        expect(() => attach(memory, START)).toThrow(AttachError);
        memory.u32[index] = kept;
      }
      attach(memory, START);
    }
  });
});
