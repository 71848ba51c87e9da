/**
 * What misuse must do to every allocator: throw the right error and change no byte. One suite over the
 * table of subjects, as `conformance.ts`.
 */

import { afterEach, describe, expect, test } from 'vitest';
import type { Allocator } from '../../src/allocators/allocator.ts';
import { BumpAllocator } from '../../src/allocators/bump.ts';
import { HeapCorruptionError, InvalidFreeError, SabheapError } from '../../src/errors.ts';
import { type Address, NULL } from '../../src/memory/address.ts';
import { REGION_BYTES, SITE_BYTES, type Site } from './site.ts';
import type { Subject } from './subjects.ts';

const NOT_SIZES: readonly unknown[] = [
  Number.NaN,
  -1,
  -8,
  1.5,
  0.1,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  2 ** 53,
  -(2 ** 53),
  '8',
  '',
  null,
  true,
  {},
  [8],
  8n,
  Symbol('8'),
];

const NOT_ALIGNS: readonly unknown[] = [...NOT_SIZES, 0, -0, 3, 6, 12, 2 ** 31 + 8, 2 ** 53];

const NOT_ADDRESSES: readonly unknown[] = [
  Number.NaN,
  -8,
  8.5,
  2 ** 32,
  2 ** 32 + 8,
  2 ** 53,
  '8',
  undefined,
  null,
  {},
];

export function misuse(subject: Subject, site: Site): void {
  afterEach(() => site.expectGuardsWhole());

  describe('bad numbers', () => badNumberTests(subject, site));
  describe('bad addresses', () => badAddressTests(subject, site));
}

function badNumberTests(subject: Subject, site: Site): void {
  /** Calls with a live block at hand; expects a RangeError and not one byte changed. */
  function expectRefused(call: (allocator: Allocator, live: Address) => unknown): void {
    const allocator = site.create(subject);
    const live = allocator.alloc(24);
    site.stamp(live, 24, 5);
    const before = site.snapshot(subject);
    expect(() => call(allocator, live)).toThrow(RangeError);
    site.expectUnchanged(subject, before);
    allocator.verify();
  }

  test.each(NOT_SIZES)('a size of %s is a RangeError', (value) => {
    const size = value as number;
    expectRefused((allocator) => allocator.alloc(size));
    expectRefused((allocator) => allocator.alloc(size, 64));
    expectRefused((allocator) => allocator.allocZeroed(size));
    expectRefused((allocator) => allocator.realloc(NULL, size));
    expectRefused((allocator, live) => allocator.realloc(live, size));
    expectRefused((allocator, live) => allocator.resize(live, size));
  });

  test('no size at all is a RangeError', () => {
    const nothing = undefined as unknown as number;
    expectRefused((allocator) => allocator.alloc(nothing));
    expectRefused((allocator) => allocator.allocZeroed(nothing));
    expectRefused((allocator, live) => allocator.realloc(live, nothing));
    expectRefused((allocator, live) => allocator.resize(live, nothing));
  });

  test.each(NOT_ALIGNS)('an alignment of %s is a RangeError', (value) => {
    const align = value as number;
    expectRefused((allocator) => allocator.alloc(8, align));
    expectRefused((allocator) => allocator.allocZeroed(8, align));
    expectRefused((allocator) => allocator.realloc(NULL, 8, align));
    expectRefused((allocator, live) => allocator.realloc(live, 8, align));
  });

  test('a bad size or alignment beats a bad address', () => {
    expectRefused((allocator, live) => allocator.realloc((live + 8) as Address, Number.NaN));
    expectRefused((allocator, live) => allocator.resize((live + 8) as Address, -1));
  });

  test('bytes to extend by must be an integer from 0 up', () => {
    for (const value of NOT_SIZES) {
      const allocator = site.create(subject);
      const before = site.snapshot(subject);
      expect(() => allocator.extend(value as number), String(value)).toThrow(RangeError);
      site.expectUnchanged(subject, before);
      allocator.verify();
    }
  });
}

function badAddressTests(subject: Subject, site: Site): void {
  const { memory, start } = site;

  /** Expects every way to use an address that is no live block's to be refused without a trace. */
  function expectNoBlock(allocator: Allocator, address: Address): void {
    const before = site.snapshot(subject);
    for (const use of [
      () => allocator.free(address),
      () => allocator.realloc(address, 50),
      () => allocator.resize(address, 50),
      () => allocator.sizeOf(address),
    ]) {
      let thrown: unknown;
      try {
        use();
      } catch (error) {
        thrown = error;
      }
      expect(thrown, `${use} of ${String(address)}`).toBeInstanceOf(InvalidFreeError);
      expect((thrown as InvalidFreeError).address).toBe(address);
      expect(thrown).toBeInstanceOf(SabheapError);
      site.expectUnchanged(subject, before);
    }
  }

  test('free(NULL) does nothing', () => {
    const allocator = site.create(subject);
    const before = site.snapshot(subject);
    allocator.free(NULL);
    allocator.free(-0 as Address);
    site.expectUnchanged(subject, before);
  });

  test('a double free is refused: alone, between live blocks, beside free ones, after all is free', () => {
    const allocator = site.create(subject);
    const [a, b, c, d] = [40, 50, 60, 70].map((size) => allocator.alloc(size)) as [
      Address,
      Address,
      Address,
      Address,
    ];
    allocator.free(b);
    expectNoBlock(allocator, b);
    allocator.free(c);
    expectNoBlock(allocator, b);
    expectNoBlock(allocator, c);
    allocator.free(a);
    for (const address of [a, b, c]) expectNoBlock(allocator, address);
    allocator.free(d);
    for (const address of [a, b, c, d]) expectNoBlock(allocator, address);
    allocator.verify();
  });

  test('a block that realloc moved is dead at its old address', () => {
    const allocator = site.create(subject);
    const old = allocator.alloc(8);
    allocator.alloc(8);
    const moved = allocator.realloc(old, Math.min(4096, subject.maxSize));
    if (moved !== old) expectNoBlock(allocator, old);
  });

  test.each([0, 0xff])('addresses inside a payload of bytes %i, aligned or not, are refused', (byte) => {
    const allocator = site.create(subject);
    const block = allocator.alloc(256);
    const above = allocator.alloc(256);
    memory.u8.fill(byte, block, block + 256);
    for (let offset = 1; offset < 256; offset += offset < 10 ? 1 : 7) {
      expectNoBlock(allocator, (block + offset) as Address);
    }
    allocator.free(block);
    allocator.free(above);
    allocator.verify();
  });

  test('addresses that belong to nobody are refused', () => {
    const allocator = site.create(subject);
    const live = allocator.alloc(8);
    const foreign = [
      8,
      start,
      start + 8,
      start + 64,
      start + 128,
      start + REGION_BYTES,
      start + REGION_BYTES + 8,
    ];
    for (const address of [...foreign, start - 8, memory.byteLength - 8, memory.byteLength]) {
      if (address !== live && address > 0) expectNoBlock(allocator, address as Address);
    }
    expectNoBlock(allocator, (start + REGION_BYTES - 8) as Address);
    allocator.free(live);
  });

  test('every address of an empty region is refused', () => {
    const allocator = site.create(subject);
    allocator.free(allocator.alloc(100));
    const before = site.snapshot(subject);
    for (let address = start; address < start + REGION_BYTES; address += 13 * 8) {
      if (address !== 0) expect(() => allocator.free(address as Address)).toThrow(InvalidFreeError);
    }
    site.expectUnchanged(subject, before);
  });

  test('what is no address at all is refused', () => {
    const allocator = site.create(subject);
    allocator.alloc(8);
    for (const value of NOT_ADDRESSES) expectNoBlock(allocator, value as Address);
    allocator.verify();
  });

  test('an address of another allocator in the same memory is refused', () => {
    const allocator = site.create(subject);
    const elsewhere = start < 8192 ? start + SITE_BYTES + 4096 : start - 8192;
    const other = BumpAllocator.create(memory, { start: elsewhere, byteLength: 2048 });
    const address = other.alloc(16);
    expectNoBlock(allocator, address);
    const ours = allocator.alloc(16);
    expect(() => other.free(ours)).toThrow(InvalidFreeError);
    allocator.free(ours);
    other.free(address);
    other.verify();
  });

  test('the errors name the address and what is wrong with it', () => {
    const allocator = site.create(subject);
    const block = allocator.alloc(64);
    const message = (address: number): string => {
      try {
        allocator.free(address as Address);
      } catch (error) {
        expect(error).not.toBeInstanceOf(HeapCorruptionError);
        return (error as Error).message;
      }
      return 'nothing was thrown';
    };
    expect(message(block + 1)).toMatch(`0x${(block + 1).toString(16).padStart(8, '0')} is no live block`);
    expect(message(block + 1)).toContain('multiple of 8');
    expect(message(start + REGION_BYTES + 4096)).toContain('blocks lie from');
    allocator.free(block);
    expect(message(block)).toMatch(/free|hand|lie from/);
  });
}
