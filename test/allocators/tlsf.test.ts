/** TLSF by itself: bins, good fit, alignment, what it costs in bytes and steps, and the top of 4 GiB. */

import { describe, expect, test } from 'vitest';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { HeapCorruptionError } from '../../src/errors.ts';
import { type Address, GiB, KiB, MiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { expectAllBack, fillUp } from './conformance.ts';

/** A region whose first byte lies at `start`; small enough to look at every word. */
function create(byteLength: number = 256 * KiB, start = 4096): TlsfAllocator {
  return TlsfAllocator.create(Memory.create(start + byteLength), { start, byteLength });
}

/**
 * Leaves free blocks of the given sizes, each between two live ones, freed in the order given; the rest
 * of the region is taken.
 */
function withHoles(allocator: TlsfAllocator, sizes: readonly number[]): Address[] {
  const holes = sizes.map((size) => {
    const hole = allocator.alloc(size);
    allocator.alloc(1);
    return hole;
  });
  allocator.alloc(allocator.stats().largestFree);
  expect(allocator.stats().largestFree).toBe(0);
  for (const hole of holes) allocator.free(hole);
  allocator.verify();
  return holes;
}

describe('metadata', () => {
  test('8 bytes a block', () => {
    const allocator = create();
    const { overhead } = allocator.stats();
    const blocks = Array.from({ length: 100 }, () => allocator.alloc(1000));
    expect(allocator.stats().overhead - overhead).toBe(100 * 8);
    for (const [i, address] of blocks.slice(1).entries()) expect(address - blocks[i]!).toBe(1008);
  });

  test('the smallest region that is allowed serves one block, one byte less is refused', () => {
    const memory = Memory.create(16 * KiB);
    let least = 8;
    const attempt = (byteLength: number) => {
      try {
        return TlsfAllocator.create(memory, { start: 4096, byteLength });
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
        return undefined;
      }
    };
    memory.u8.fill(0xc3);
    while (attempt(least) === undefined) least += 8;
    expect(least).toBeLessThanOrEqual(3400);
    expect(memory.u8.subarray(0, 4096).every((byte) => byte === 0xc3)).toBe(true);
    expect(memory.u8.subarray(4096 + least).every((byte) => byte === 0xc3)).toBe(true);
    const allocator = attempt(least)!;
    const only = allocator.alloc(16);
    expect(only).not.toBe(NULL);
    expect(allocator.alloc(0)).toBe(NULL);
    allocator.free(only);
    allocator.verify();
  });
});

describe('good fit', () => {
  test('a hole that just fits is taken before a larger one, down to the unit', () => {
    for (const size of [16, 24, 200, 248, 256, 264, 1000, 4000, 30_000]) {
      const allocator = create();
      const [larger, exact, largest] = withHoles(allocator, [size + 600, size, size + 5000]);
      expect(allocator.alloc(size), `${size} bytes`).toBe(exact);
      expect(allocator.alloc(size), `${size} bytes again`).toBe(larger);
      expect(allocator.alloc(size), `${size} bytes once more`).not.toBe(NULL);
      expect(largest).not.toBe(NULL);
      allocator.verify();
    }
  });

  test('what was freed last is taken first among holes of one size', () => {
    const allocator = create();
    const holes = withHoles(allocator, [400, 400, 400]);
    expect([1, 2, 3].map(() => allocator.alloc(400))).toEqual(holes.toReversed());
  });

  test('a block that fits is found behind any number of shorter ones in its bin', () => {
    // Bins of this row are 512 bytes wide: these all lie in one, and the longest was freed first.
    for (const shorter of [1, 8, 9, 30]) {
      const allocator = create(MiB);
      const base = 16 * KiB;
      const [longest] = withHoles(allocator, [
        base + 480,
        ...Array.from({ length: shorter }, () => base + 8),
      ]);
      expect(allocator.stats().largestFree).toBe(base + 480);
      expect(allocator.alloc(base + 480), `behind ${shorter}`).toBe(longest);
      allocator.verify();
    }
  });

  test('while a later bin has room, a long bin is not searched to its end', () => {
    const allocator = create(MiB);
    const base = 16 * KiB;
    const shorter = Array.from({ length: 20 }, () => base + 8);
    const holes = withHoles(allocator, [base + 480, ...shorter, base + 2000]);
    expect(allocator.alloc(base + 480)).toBe(holes.at(-1));
    expect(allocator.alloc(base + 480)).toBe(holes[0]);
  });

  test('every size from 1 to 20,000 is served by the hole that it left', () => {
    const allocator = create();
    for (let size = 1; size <= 20_000; size += size < 2000 ? 1 : 37) {
      const [hole, wall] = [allocator.alloc(size), allocator.alloc(1)];
      const usable = allocator.sizeOf(hole);
      allocator.free(hole);
      expect(allocator.alloc(usable)).toBe(hole);
      allocator.free(hole);
      allocator.free(wall);
    }
    allocator.verify();
  });
});

describe('alignment', () => {
  test('up to the region: every power of two that an address in it has', () => {
    const allocator = create(MiB, MiB);
    const first = allocator.stats();
    for (let align = 1; align <= MiB; align *= 2) {
      const address = allocator.alloc(100, align);
      if (align === MiB) {
        expect(address, 'the region starts there, its first block does not').toBe(NULL);
        continue;
      }
      expect(address % align, `${align}`).toBe(0);
      allocator.verify();
      allocator.free(address);
    }
    expectAllBack(allocator, first);
  });

  test('a hole that can be aligned is found in any bin, and one that cannot is left', () => {
    for (const align of [64, 1024, 8192]) {
      const allocator = create();
      const sizes = [...Array.from({ length: 12 }, (_, i) => 200 + i * 8), 20_000, 300];
      withHoles(allocator, sizes);
      const address = allocator.alloc(150, align);
      expect(address % align).toBe(0);
      expect(address).not.toBe(NULL);
      allocator.verify();
      const rest: Address[] = [];
      for (let next = allocator.alloc(150, align); next !== NULL; next = allocator.alloc(150, align))
        rest.push(next);
      for (const found of rest) expect(found % align).toBe(0);
      allocator.verify();
    }
  });

  test('a hole that just fits and happens to be aligned is found, when it is all there is', () => {
    for (const align of [16, 1024, 8192]) {
      const allocator = create();
      const aligned = allocator.alloc(1000, align);
      allocator.alloc(1);
      for (const size of [4000, 400, 40, 1]) fillUp(allocator, size);
      allocator.free(aligned);
      expect(allocator.alloc(1000, align)).toBe(aligned);
      expect(allocator.alloc(0, 1)).toBe(NULL);
      allocator.verify();
    }
  });

  test('a hole of any length at any distance from an aligned address is used if it can be, else left', () => {
    const need = 160;
    let served = 0;
    for (let units = 20; units <= 160; units += 4) {
      for (let shift = 3; shift < 3 + 128; shift += units % 8 === 0 ? 1 : 7) {
        const allocator = create(16 * KiB);
        allocator.alloc(shift * 8);
        const hole = allocator.alloc((units - 1) * 8);
        allocator.alloc(1);
        allocator.alloc(allocator.stats().largestFree);
        allocator.free(hole);
        const address = allocator.alloc(need - 8, 1024);
        // As far as the next aligned address; what is left in front of it must be none or a block.
        let inFront = (1024 - (hole % 1024)) % 1024;
        while (inFront !== 0 && inFront < 24) inFront += 1024;
        const fits = inFront + need <= units * 8;
        expect(address, `${units} units, ${shift} before`).toBe(fits ? hole + inFront : NULL);
        allocator.verify();
        if (fits) served++;
      }
    }
    expect(served).toBeGreaterThan(100);
  });

  test('the room in front of an aligned block is free, and merges when it goes', () => {
    const allocator = create();
    const first = allocator.stats();
    const aligned = allocator.alloc(64, 4096);
    const [front] = [...allocator.blocks()];
    expect(front).toMatchObject({ state: 'free' });
    const inFront = allocator.alloc(front!.size);
    expect(inFront).toBe(front!.address);
    allocator.free(inFront);
    allocator.free(aligned);
    expectAllBack(allocator, first);
  });
});

describe('links that were overwritten', () => {
  /** Three holes of one bin, and room for more. */
  function scene(): { allocator: TlsfAllocator; u32: Uint32Array; holes: Address[] } {
    const allocator = create();
    const holes = Array.from({ length: 3 }, () => {
      const hole = allocator.alloc(400);
      allocator.alloc(1);
      return hole;
    });
    for (const hole of holes) allocator.free(hole);
    return { allocator, u32: allocator.memory.u32, holes };
  }

  test.each<[string, (scene: { u32: Uint32Array; holes: Address[] }) => void]>([
    ['a circle of one', ({ u32, holes }) => (u32[holes[2]! / 4] = (holes[2]! - 8) / 8)],
    ['a circle of two', ({ u32, holes }) => (u32[holes[1]! / 4] = (holes[2]! - 8) / 8)],
    ['text', ({ u32, holes }) => u32.fill(0x41414141, holes[2]! / 4, holes[2]! / 4 + 2)],
    ['a live block', ({ u32, holes }) => (u32[holes[2]! / 4] = (holes[2]! + 400) / 8)],
  ])('%s: found by every walk, and by no means followed for ever', (_, damage) => {
    for (const use of [
      (allocator: TlsfAllocator) => allocator.verify(),
      (allocator: TlsfAllocator) => allocator.stats(),
      // Too large for these holes, so that all of the bin is looked at; then aligned, which looks at all bins.
      (allocator: TlsfAllocator) => {
        for (let i = 0; i < 4; i++) allocator.alloc(400);
      },
      (allocator: TlsfAllocator) => fillUp(allocator, 392),
    ]) {
      const at = scene();
      damage(at);
      expect(() => use(at.allocator), String(use)).toThrow(HeapCorruptionError);
    }
  });
});

test('a back link that was overwritten is found when the block leaves its bin, and nothing is written there', () => {
  const allocator = create();
  const { u32, u8 } = allocator.memory;
  const victim = allocator.alloc(400);
  u8.fill(7, victim, victim + 400);
  const [below, hole, above] = [allocator.alloc(400), allocator.alloc(400), allocator.alloc(400)] as const;
  allocator.alloc(1);
  allocator.free(hole);
  // prev: into the victim's payload.
  u32[hole / 4 + 1] = victim / 8;
  expect(() => allocator.verify()).toThrow(HeapCorruptionError);
  for (const neighbour of [below, above]) {
    expect(() => allocator.free(neighbour)).toThrow(HeapCorruptionError);
  }
  expect(() => allocator.alloc(400)).toThrow(HeapCorruptionError);
  expect(u8.subarray(victim, victim + 400).every((byte) => byte === 7)).toBe(true);
});

describe('4 GiB', () => {
  const memory = Memory.create(4 * GiB);
  const start = 64 * KiB;

  test('blocks above 2 GiB and at the very end are allocated, resized, moved, freed and merged', () => {
    const allocator = TlsfAllocator.create(memory, { start });
    const first = allocator.stats();
    expect(first.largestFree).toBeGreaterThan(4 * GiB - 128 * KiB);
    const low = allocator.alloc(2 * GiB - 128 * KiB);
    const middle = allocator.alloc(GiB);
    const high = [100, 5000, 70_000].map((size) => allocator.alloc(size));
    const aligned = allocator.alloc(100, GiB / 4);
    const last = allocator.alloc(allocator.stats().largestFree);
    expect(middle).toBeGreaterThan(2 * GiB - 128 * KiB);
    for (const address of high) expect(address).toBeGreaterThan(3 * GiB - 128 * KiB);
    expect(aligned % (GiB / 4)).toBe(0);
    expect(allocator.sizeOf(middle)).toBe(GiB);
    allocator.verify();
    for (const address of [...high, aligned, last]) {
      expect(allocator.resize(address, 50)).toBe(true);
      memory.u8[address] = 1;
      expect(allocator.realloc(address, 40)).toBe(address);
      expect(() => allocator.free((address + 8) as Address)).toThrow('is no live block');
    }
    const top = allocator.alloc(allocator.stats().largestFree);
    allocator.verify();
    for (const address of [middle, ...high, last, top, low, aligned]) allocator.free(address);
    expectAllBack(allocator, first);
  });

  test('one block of everything reaches to the last bytes below 4 GiB', () => {
    const allocator = TlsfAllocator.create(memory, { start });
    const { largestFree } = allocator.stats();
    const all = allocator.alloc(largestFree);
    expect(all + largestFree).toBe(4 * GiB - 8);
    memory.u8[all + largestFree - 1] = 7;
    expect(allocator.alloc(0)).toBe(NULL);
    expect([...allocator.blocks()]).toEqual([{ address: all, size: largestFree, state: 'live', owner: 0 }]);
    allocator.verify();
    allocator.free(all);
    allocator.verify();
  });

  test('thousands of blocks at the top are kept apart', () => {
    const allocator = TlsfAllocator.create(memory, { start });
    const first = allocator.stats();
    const filler = allocator.alloc(4 * GiB - 8 * MiB);
    const blocks = fillUp(allocator, 1000);
    expect(blocks.length).toBeGreaterThan(8000);
    expect(Math.max(...blocks)).toBeGreaterThan(4 * GiB - 64 * KiB);
    for (const [i, address] of blocks.entries()) memory.u32[address / 4 + 249] = i;
    for (const [i, address] of blocks.entries()) expect(memory.u32[address / 4 + 249]).toBe(i);
    for (const [i, address] of blocks.entries()) if (i % 2 === 0) allocator.free(address);
    allocator.verify();
    for (const [i, address] of blocks.entries()) if (i % 2 === 1) allocator.free(address);
    allocator.free(filler);
    expectAllBack(allocator, first);
  });

  test('claims reach the end of the address space, and no further', () => {
    const allocator = TlsfAllocator.create(memory, { start, byteLength: MiB });
    expect(allocator.claim(4 * GiB - 64, 72)).toBe(false);
    expect(allocator.claim(4 * GiB - 64 * KiB, 64 * KiB)).toBe(true);
    expect(allocator.claim(2 * GiB, MiB)).toBe(true);
    allocator.verify();
    const blocks = fillUp(allocator, 10_000);
    expect(blocks.some((address) => address > 4 * GiB - 64 * KiB)).toBe(true);
    expect(blocks.some((address) => address > 2 * GiB && address < 2 * GiB + MiB)).toBe(true);
    allocator.verify();
    for (const address of blocks) allocator.free(address);
    allocator.verify();
    expect(allocator.stats()).toMatchObject({ used: 0, capacity: 2 * MiB + 64 * KiB });
  });
});
