/**
 * Checked: what it finds, what it keeps back and in which order, and that a thread may die at each store of
 * each of its operations. That it is an allocator like any other is shown by the suites over all subjects.
 */

import { describe, expect, test } from 'vitest';
import type { Algorithm } from '../../src/allocators/algorithm.ts';
import { BuddyAllocator } from '../../src/allocators/buddy.ts';
import { BumpAllocator } from '../../src/allocators/bump.ts';
import { Checked, type CheckedOptions } from '../../src/allocators/checked.ts';
import type { AlgorithmClass } from '../../src/allocators/kinds.ts';
import { LinkedListAllocator } from '../../src/allocators/linked-list.ts';
import type { BlockState } from '../../src/allocators/ownership.ts';
import { PoolAllocator } from '../../src/allocators/pool.ts';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { HeapCorruptionError, InvalidFreeError } from '../../src/errors.ts';
import { type Address, KiB, MiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { randomFrom, SEED } from '../random.ts';
import { runKilled } from './killable.ts';

const START = 4 * KiB;

const kinds: readonly [string, AlgorithmClass, object?][] = [
  ['bump', BumpAllocator as AlgorithmClass],
  ['linked list', LinkedListAllocator as AlgorithmClass],
  ['TLSF', TlsfAllocator as AlgorithmClass],
  ['buddy', BuddyAllocator as AlgorithmClass],
  ['pool', PoolAllocator as unknown as AlgorithmClass, { blockSize: 1024 }],
];

function fresh(options: Partial<CheckedOptions> = {}, bytes = MiB): Checked {
  const memory = Memory.create(bytes + START);
  return Checked.create(memory, { allocator: TlsfAllocator, start: START, seed: 7, ...options });
}

function statesOf(allocator: Checked): BlockState[] {
  return [...allocator.blocks()].map(({ state }) => state);
}

describe.each(kinds)('over %s', (_, allocator, options) => {
  const made = () => fresh({ allocator, options: options ?? {} });

  test.each([1, 8, 64])('%i bytes written past the end are found at free and by verify', (bytes) => {
    for (const size of [0, 1, 7, 8, 20, 24, 100, 500]) {
      const checked = made();
      const address = checked.alloc(size);
      checked.memory.u8.fill(0, address + size, address + size + bytes);
      expect(() => checked.verify(), `${size} bytes`).toThrow(HeapCorruptionError);
      expect(() => checked.free(address), `${size} bytes`).toThrow(HeapCorruptionError);
    }
  });

  test('every single byte of the guard is watched', () => {
    const checked = made();
    const address = checked.alloc(21);
    const end = address + checked.inner.usableSize(address);
    // Behind 64 bytes of canary nothing is written, and a write that starts there is past finding.
    const watched = [...range(address + 21, Math.min(end - 8, address + 21 + 64)), ...range(end - 8, end)];
    for (const at of watched) {
      checked.memory.u8[at]! ^= 0x10;
      expect(() => checked.verify(), `byte ${at - address}`).toThrow(HeapCorruptionError);
      checked.memory.u8[at]! ^= 0x10;
    }
    checked.verify();
  });

  test('a write after free is found by verify, and when the block would be given out again', () => {
    const checked = made();
    const address = checked.alloc(40);
    checked.free(address);
    checked.memory.u8[address + 39] = 0;
    expect(() => checked.verify()).toThrow(/written to after it was freed/);
    expect(() => checked.flush()).toThrow(/written to after it was freed/);
    // The evidence stays, and all else goes on.
    expect(checked.alloc(40)).not.toBe(address);
  });

  test('what is given out again is zeroed', () => {
    const checked = made();
    const address = checked.alloc(64);
    checked.memory.u8.fill(0xee, address, address + 64);
    checked.free(address);
    checked.flush();
    const again = checked.alloc(64);
    expect(again).toBe(address);
    expect(checked.memory.bytes(again, 64).every((byte) => byte === 0)).toBe(true);
  });
});

function* range(from: number, to: number): IterableIterator<number> {
  for (let at = from; at < to; at++) yield at;
}

describe('what can be freed', () => {
  test('an interior address is refused, whatever a forger writes before it', () => {
    const checked = fresh();
    const address = checked.alloc(400);
    const template = checked.alloc(64);
    const { i32 } = checked.memory;
    for (let at = address + 8; at < address + 300; at += 8) {
      i32[(at >>> 2) - 2] = i32[(template >>> 2) - 2]!;
      i32[(at >>> 2) - 1] = i32[(template >>> 2) - 1]!;
      expect(() => checked.free(at as Address)).toThrow(InvalidFreeError);
      expect(checked.ownershipIndex(at as Address)).toBe(-1);
    }
    checked.verify();
  });

  test('a double free is refused while the block is kept back, and says so', () => {
    const checked = fresh();
    const address = checked.alloc(40);
    checked.free(address);
    for (let i = 0; i < 100; i++) checked.free(checked.alloc(40));
    expect(() => checked.free(address)).toThrow(/in quarantine/);
    expect(() => checked.realloc(address, 50)).toThrow(InvalidFreeError);
    expect(() => checked.sizeOf(address)).toThrow(InvalidFreeError);
  });

  test('a header that was overwritten is told from an address that is no block', () => {
    const checked = fresh();
    const address = checked.alloc(40);
    checked.memory.i32[(address >>> 2) - 2] = 0;
    expect(() => checked.free(address)).toThrow(HeapCorruptionError);
    expect(() => checked.verify()).toThrow(HeapCorruptionError);
  });

  test('a header that claims another size does not fit the guard', () => {
    const checked = fresh();
    const address = checked.alloc(40);
    checked.alloc(40);
    const geometry = (address >>> 2) - 2;
    checked.memory.i32[geometry]! += 2 << 3;
    expect(() => checked.free(address)).toThrow(HeapCorruptionError);
  });

  test('a guard that is copied from another block does not fit', () => {
    const checked = fresh();
    const [a, b] = [checked.alloc(40), checked.alloc(40)];
    const { u8 } = checked.memory;
    u8.copyWithin(b + 40, a + 40, a + checked.inner.usableSize(a));
    expect(() => checked.free(b)).toThrow(HeapCorruptionError);
  });
});

describe('the quarantine', () => {
  test('keeps a freed block back while others come and go', () => {
    const checked = fresh();
    const address = checked.alloc(40);
    checked.free(address);
    for (let i = 0; i < 150; i++) {
      const next = checked.alloc(40);
      expect(next).not.toBe(address);
      checked.free(next);
    }
    expect(statesOf(checked)).toContain('quarantine');
  });

  test('is bounded in blocks and in bytes', () => {
    const checked = fresh({ quarantine: 16 });
    for (let i = 0; i < 100; i++) checked.free(checked.alloc(40));
    expect(statesOf(checked).filter((state) => state === 'quarantine')).toHaveLength(16);
    for (let i = 0; i < 100; i++) checked.free(checked.alloc(15_000));
    const kept = [...checked.blocks()].filter(({ state }) => state === 'quarantine');
    expect(kept.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(MiB / 16);
    checked.verify();
  });

  test('gives all back before an allocation fails', () => {
    const checked = fresh({}, 256 * KiB);
    const { largestFree } = checked.stats();
    for (let i = 0; i < 50; i++) checked.free(checked.alloc(200));
    expect(checked.alloc(largestFree)).not.toBe(NULL);
    checked.verify();
  });

  test('of no places frees at once', () => {
    const checked = fresh({ quarantine: 0 });
    const address = checked.alloc(40);
    checked.free(address);
    expect(checked.alloc(40)).toBe(address);
  });

  test('reuses in an order that a seed foretells, and that differs from seed to seed', () => {
    const order = (seed: number): Address[] => {
      const checked = fresh({ seed, quarantine: 64 });
      const addresses: Address[] = [];
      for (let i = 0; i < 400; i++) {
        const address = checked.alloc(40);
        addresses.push(address);
        checked.free(address);
      }
      return addresses;
    };
    expect(order(1)).toEqual(order(1));
    expect(order(1)).not.toEqual(order(2));
  });

  test('whose places were overwritten is found, and nothing foreign is freed', () => {
    const checked = fresh({ quarantine: 8 });
    const live = checked.alloc(40);
    for (let i = 0; i < 8; i++) checked.free(checked.alloc(40));
    checked.memory.u32.fill(live / 8, (START + 128) / 4, (START + 128) / 4 + 9);
    expect(() => checked.flush()).toThrow(HeapCorruptionError);
    expect(checked.sizeOf(live)).toBe(40);
  });
});

describe('options and attach', () => {
  test.each([
    [{ quarantine: -1 }, 'quarantine'],
    [{ quarantine: 65_537 }, 'quarantine'],
    [{ seed: 2 ** 32 }, 'seed'],
    [{ seed: 0.5 }, 'seed'],
    [{ reserveBytes: -8 }, 'reserveBytes'],
    [{ byteLength: 512 }, 'too small'],
  ])('%o is refused', (options, message) => {
    expect(() => fresh(options)).toThrow(RangeError);
    expect(() => fresh(options)).toThrow(message);
  });

  test('another handle reads secret, quarantine and start bits from the bytes', () => {
    const here = fresh();
    const address = here.alloc(40);
    here.free(here.alloc(30));
    const there = Checked.attach(Memory.attach(here.memory.buffer), START);
    there.verify();
    expect(there.sizeOf(address)).toBe(40);
    there.free(address);
    expect(() => here.free(address)).toThrow(InvalidFreeError);
    there.flush();
    expect(statesOf(here)).toEqual(['free']);
  });

  test('it grows as far as its reserve, and no further', () => {
    const memory = Memory.create(MiB);
    const checked = Checked.create(memory, {
      allocator: TlsfAllocator,
      start: START,
      byteLength: 64 * KiB,
      reserveBytes: 128 * KiB,
    });
    expect(checked.extend(65 * KiB)).toBe(false);
    expect(checked.extend(64 * KiB)).toBe(true);
    const high = checked.alloc(100 * KiB);
    expect(high).not.toBe(NULL);
    checked.free(high);
    expect(checked.extend(8)).toBe(false);
    checked.verify();
  });
});

describe('a death at every store', () => {
  interface Operation {
    readonly name: string;
    run(checked: Algorithm): void;
  }
  const stamp = (memory: Memory, address: Address, size: number) => {
    for (let i = 0; i < size; i++) memory.u8[address + i] = address + i;
  };

  test.each(kinds)(
    'over %s: a rebuild makes it whole, the living keep their bytes',
    (name, allocator, options) => {
      console.log(`checked over ${name}: SEED=${SEED}`);
      const random = randomFrom(SEED);
      const checked = fresh({ allocator, options: options ?? {}, quarantine: 6 }, 48 * KiB);
      const { memory } = checked;
      const first = checked.stats();
      const live = new Map<Address, number>();
      for (let i = 0; i < 30; i++) {
        const size = Math.floor(random() * 200);
        const address = checked.alloc(size);
        stamp(memory, address, size);
        live.set(address, size);
        const [old] = [...live.keys()];
        if (random() < 0.6 && live.delete(old!)) checked.free(old!);
      }
      const [victim, size] = [...live].find(([, bytes]) => bytes > 20) ?? [checked.alloc(64), 64];
      live.delete(victim);
      const operations: Operation[] = [
        { name: 'alloc', run: (other) => other.alloc(50) },
        { name: 'free', run: (other) => other.free(victim) },
        { name: 'shrink', run: (other) => other.resize(victim, size >>> 1) },
        { name: 'grow', run: (other) => other.resize(victim, size + 40) },
        { name: 'realloc', run: (other) => other.realloc(victim, size + 500) },
        { name: 'flush', run: (other) => other.flush() },
      ];
      const before = memory.u8.slice();
      const scratch = Memory.create(before.length);
      let deaths = 0;
      for (const operation of operations) {
        for (let limit = 0; ; limit++) {
          scratch.u8.set(before);
          const { died } = runKilled(scratch.buffer, limit, (mine) =>
            operation.run(Checked.attach(mine, START)),
          );
          runKilled(scratch.buffer, Math.floor(random() * 60), (mine) =>
            Checked.attach(mine, START).rebuild(),
          );
          const where = `SEED=${SEED}: ${operation.name}, killed at store ${limit}`;
          const after = Checked.attach(scratch, START);
          after.rebuild();
          after.verify();
          for (const [address, bytes] of live) {
            expect(after.sizeOf(address), where).toBe(bytes);
            for (let i = 0; i < bytes; i++) {
              if (scratch.u8[address + i] !== ((address + i) & 0xff))
                expect.fail(`${where}: byte ${i} is lost`);
            }
          }
          for (const { address, state } of [...after.blocks()]) if (state === 'live') after.free(address);
          after.flush();
          after.verify();
          const { used, liveBlocks, largestFree } = after.stats();
          expect({ used, liveBlocks, largestFree }, where).toEqual({
            used: 0,
            liveBlocks: 0,
            largestFree: first.largestFree,
          });
          if (!died) break;
          deaths++;
        }
      }
      expect(deaths).toBeGreaterThan(60);
    },
  );

  test.each(kinds)(
    'over %s: in a resize the header of what is cut off may lie on the canary',
    (_, allocator, options) => {
      let deaths = 0;
      for (let size = 104; size < 112; size++) {
        for (let wanted = 80; wanted < 128; wanted++) {
          const { memory } = fresh({ allocator, options: options ?? {} }, 8 * KiB);
          const victim = Checked.attach(memory, START).alloc(size);
          const before = memory.u8.slice();
          for (let limit = 0; ; limit++) {
            memory.u8.set(before);
            const { died } = runKilled(memory.buffer, limit, (mine) => {
              Checked.attach(mine, START).resize(victim, wanted);
            });
            const after = Checked.attach(memory, START);
            after.rebuild();
            expect(() => after.verify(), `${size} to ${wanted}, killed at store ${limit}`).not.toThrow();
            after.free(victim);
            if (!died) break;
            deaths++;
          }
        }
      }
      expect(deaths).toBeGreaterThan(1000);
    },
  );
});
