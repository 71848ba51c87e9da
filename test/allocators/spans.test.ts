/**
 * Spans: allocators with boundary tags take memory in pieces, anywhere and in any order, and give the top
 * of it back. Beside them a plain array remembers which 8-byte units were claimed.
 */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LinkedListAllocator } from '../../src/allocators/linked-list.ts';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { type Address, KiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';

const BYTES = 32 * KiB;
const START = 12 * KiB;
const REGION = 8 * KiB;
/** No control block is longer; no span shorter than this is promised to be taken. */
const ENOUGH = 48;

const classes = [
  ['linked list', LinkedListAllocator],
  ['TLSF', TlsfAllocator],
] as const;

function freeSizes(allocator: LinkedListAllocator | TlsfAllocator): number[] {
  return [...allocator.blocks()].filter(({ state }) => state === 'free').map(({ size }) => size);
}

describe.each(classes)('%s', (_, Class) => {
  const create = () => Class.create(Memory.create(BYTES), { start: START, byteLength: REGION });

  test('a span right above merges with the free room below it', () => {
    const allocator = create();
    const [before] = freeSizes(allocator) as [number];
    expect(allocator.claim(START + REGION, KiB)).toBe(true);
    expect(freeSizes(allocator)).toEqual([before + KiB]);
    expect(allocator.stats().capacity).toBe(REGION + KiB);
    allocator.verify();
  });

  test('spans that touch merge, whichever came first', () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [0, 2, 1],
      [1, 2, 0],
    ]) {
      const allocator = create();
      for (const index of order) {
        expect(allocator.claim(START + REGION + (4 + index) * KiB, KiB)).toBe(true);
        allocator.verify();
      }
      expect(freeSizes(allocator).length).toBe(2);
      expect(freeSizes(allocator)[1]).toBe(3 * KiB - 16);
      expect(allocator.claim(START + REGION, 4 * KiB)).toBe(true);
      expect(freeSizes(allocator).length).toBe(1);
      expect(allocator.stats().capacity).toBe(REGION + 7 * KiB);
      allocator.verify();
    }
  });

  test('a span below all others may even lie below the control block', () => {
    const allocator = create();
    expect(allocator.claim(0, START)).toBe(true);
    expect(freeSizes(allocator).length).toBe(2);
    allocator.verify();
    const low = allocator.alloc(10 * KiB);
    expect(low).toBeLessThan(START);
    expect(low).not.toBe(NULL);
    allocator.free(low);
    allocator.verify();
  });

  test('a gap between two spans can be filled from either end, below live blocks and above them', () => {
    for (const fromBelow of [true, false]) {
      const allocator = create();
      const above = START + REGION + 4 * KiB;
      expect(allocator.claim(above, KiB)).toBe(true);
      const live: Address[] = [];
      for (const size of [REGION, KiB, 256, 64, 16]) {
        for (let block = allocator.alloc(size); block !== NULL; block = allocator.alloc(size))
          live.push(block);
      }
      expect(freeSizes(allocator)).toEqual([]);
      expect(allocator.claim(fromBelow ? START + REGION : above - KiB, KiB)).toBe(true);
      allocator.verify();
      expect(freeSizes(allocator).length).toBe(1);
      expect(allocator.claim(fromBelow ? START + REGION + KiB : START + REGION, 3 * KiB)).toBe(true);
      allocator.verify();
      expect(freeSizes(allocator).length).toBe(1);
      for (const block of live) allocator.free(block);
      allocator.verify();
      expect(freeSizes(allocator).length).toBe(1);
    }
  });

  test('attach finds all spans', () => {
    const allocator = create();
    allocator.claim(100, KiB);
    allocator.claim(START + REGION + 2 * KiB, KiB);
    const other = Class.attach(Memory.attach(allocator.memory.buffer), START);
    expect([...other.blocks()]).toEqual([...allocator.blocks()]);
    other.verify();
  });

  test.each([
    ['its own region', START, REGION],
    ['a part of its region', START + KiB, 64],
    ['its control block', START - 64, 128],
    ['the end of its region', START + REGION - 8, KiB],
    ['the end of the memory', BYTES - 64, 72],
    ['more than the memory', 0, 2 ** 32],
    ['nothing', START + REGION, 0],
    ['less than a unit', START + REGION, 7],
    ['less than a unit between units', START + REGION + 1, 14],
    ['too little for a block', START + REGION + KiB, 24],
    ['far too much', 2 ** 52, 2 ** 52],
  ])('claiming %s is refused and changes nothing', (_, start, bytes) => {
    const allocator = create();
    const before = Buffer.from(allocator.memory.u8);
    expect(allocator.claim(start, bytes)).toBe(false);
    expect(before.equals(allocator.memory.u8)).toBe(true);
  });

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '64'])(
    'claim and truncate refuse %s',
    (value) => {
      const allocator = create();
      expect(() => allocator.claim(value as number, 64)).toThrow(RangeError);
      expect(() => allocator.claim(0, value as number)).toThrow(RangeError);
      expect(() => allocator.truncate(value as number)).toThrow(RangeError);
    },
  );

  test('truncate gives back free room at the top, to the byte, and no live block', () => {
    const allocator = create();
    expect(allocator.truncate(KiB)).toBe(true);
    expect(allocator.stats().capacity).toBe(REGION - KiB);
    expect(allocator.truncate(0)).toBe(false);
    expect(allocator.truncate(7)).toBe(false);
    expect(allocator.truncate(REGION)).toBe(false);
    const block = allocator.alloc(100);
    const [rest] = freeSizes(allocator) as [number];
    expect(allocator.truncate(rest + 16)).toBe(false);
    expect(allocator.truncate(rest), 'would leave a header alone').toBe(false);
    expect(allocator.truncate(rest + 8), 'the whole free block').toBe(true);
    expect(freeSizes(allocator)).toEqual([]);
    expect(allocator.truncate(8)).toBe(false);
    allocator.verify();
    expect(allocator.claim(allocator.end, KiB)).toBe(true);
    allocator.free(block);
    expect(freeSizes(allocator).length).toBe(1);
    allocator.verify();
  });

  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ claim: fc.nat(BYTES), bytes: fc.nat(3 * KiB) }) },
    { weight: 1, arbitrary: fc.record({ truncate: fc.nat(3 * KiB) }) },
    { weight: 3, arbitrary: fc.record({ alloc: fc.nat(1500) }) },
    { weight: 2, arbitrary: fc.record({ free: fc.nat(100) }) },
  );

  test('random claims, truncations, allocations and frees stay within what was claimed', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const allocator = create();
        const claimed = new Uint8Array(BYTES / 8).fill(1, START / 8, (START + REGION) / 8);
        const live: Address[] = [];
        for (const step of steps) {
          if ('claim' in step) {
            const low = Math.max(1, Math.ceil(step.claim / 8));
            const high = Math.floor((step.claim + step.bytes) / 8);
            const taken = claimed.subarray(low, high).some((unit) => unit === 1);
            const done = allocator.claim(step.claim, step.bytes);
            if (done) expect(taken, 'what was claimed was claimed again').toBe(false);
            else expect(taken || high > BYTES / 8 || (high - low) * 8 < ENOUGH).toBe(true);
            if (done) claimed.fill(1, low, high);
          } else if ('truncate' in step) {
            const { end } = allocator;
            if (allocator.truncate(step.truncate)) claimed.fill(0, allocator.end / 8, end / 8);
          } else if ('alloc' in step) {
            const address = allocator.alloc(step.alloc);
            if (address !== NULL) live.push(address);
          } else if (live.length > 0) {
            allocator.free(live.splice(step.free % live.length, 1)[0]!);
          }
          allocator.verify();
          const units = claimed.reduce((sum, unit) => sum + unit, 0);
          expect(allocator.stats().capacity).toBe(units * 8);
          for (const { address, size } of allocator.blocks()) {
            expect(claimed.subarray(address / 8 - 1, (address + size) / 8)).not.toContain(0);
          }
        }
        for (const address of live) allocator.free(address);
        allocator.verify();
        expect(allocator.stats().used).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});
