/**
 * The first-fit exercise, in units of 8 bytes: a pool whose single free block holds 100 units. A header
 * takes one unit more, so a block of n units takes n + 1.
 */

import { beforeEach, expect, test } from 'vitest';
import { LinkedListAllocator } from '../../src/allocators/linked-list.ts';
import { type Address, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';

const UNIT = 8;
const CONTROL = 64;
const HEADER = 1;
const POOL = 100;
const END_MARKER = 1;

let list: LinkedListAllocator;

beforeEach(() => {
  const memory = Memory.create(CONTROL + (HEADER + POOL + END_MARKER) * UNIT);
  list = LinkedListAllocator.create(memory);
  expect(units()).toEqual(['100 free']);
});

const alloc = (size: number): Address => list.alloc(size * UNIT);

/** The blocks in address order, as '20 live'. */
function units(): string[] {
  list.verify();
  return [...list.blocks()].map(({ size, state }) => `${size / UNIT} ${state}`);
}

test('20 and then 30 lie side by side at the low end', () => {
  const first = alloc(20);
  const second = alloc(30);
  expect(first).toBe(CONTROL + HEADER * UNIT);
  expect(second - first).toBe((20 + HEADER) * UNIT);
  expect(units()).toEqual(['20 live', '30 live', '48 free']);
});

test('the first one freed leaves a hole, which the next that fits takes', () => {
  const first = alloc(20);
  alloc(30);
  list.free(first);
  expect(units()).toEqual(['20 free', '30 live', '48 free']);
  expect(alloc(25), 'too long for the hole').toBeGreaterThan(first);
  expect(units()).toEqual(['20 free', '30 live', '25 live', '22 free']);
  expect(alloc(10), 'the hole is the first that fits').toBe(first);
  expect(units()).toEqual(['10 live', '9 free', '30 live', '25 live', '22 free']);
});

test('the second one freed merges with the hole below and the rest above', () => {
  const first = alloc(20);
  const second = alloc(30);
  list.free(first);
  list.free(second);
  expect(units()).toEqual(['100 free']);
  expect(alloc(100)).toBe(first);
  expect(alloc(0)).toBe(NULL);
});

test('60 fails while 45 and 45 are free apart, and fits once the wall between them is gone', () => {
  const low = alloc(45);
  const wall = alloc(8);
  const high = alloc(45);
  expect(units()).toEqual(['45 live', '8 live', '45 live']);
  list.free(low);
  list.free(high);
  expect(list.stats().free).toBe(90 * UNIT);
  expect(list.stats().largestFree).toBe(45 * UNIT);
  expect(alloc(60)).toBe(NULL);
  expect(list.stats().failures).toBe(1);
  expect(units()).toEqual(['45 free', '8 live', '45 free']);
  list.free(wall);
  expect(units()).toEqual(['100 free']);
  expect(alloc(60)).toBe(low);
});

test('what is left over becomes a block of its own when a smallest one fits into it', () => {
  for (const [size, blocks] of [
    [96, ['96 live', '3 free']],
    [97, ['97 live', '2 free']],
    [98, ['100 live']],
    [99, ['100 live']],
  ] as const) {
    const block = alloc(size);
    expect(units(), `${size} units`).toEqual(blocks);
    list.free(block);
    expect(list.resize(alloc(100), size * UNIT)).toBe(true);
    expect(units(), `100 shrunk to ${size}`).toEqual(blocks);
    list.free(block);
    expect(units()).toEqual(['100 free']);
  }
});

test('a full pool says so, and each order of frees ends in one block', () => {
  const orders = [
    [0, 1, 2, 3],
    [3, 2, 1, 0],
    [0, 2, 1, 3],
    [1, 3, 0, 2],
    [2, 0, 3, 1],
  ];
  for (const order of orders) {
    const blocks = [alloc(20), alloc(30), alloc(10), alloc(37)];
    expect(units()).toEqual(['20 live', '30 live', '10 live', '37 live']);
    expect(alloc(0)).toBe(NULL);
    for (const index of order) list.free(blocks[index]!);
    expect(units()).toEqual(['100 free']);
  }
});
