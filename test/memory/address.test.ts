/** Addresses: what is one, and rounding that holds up to 4 GiB and beyond. */

import { describe, expect, test } from 'vitest';
import {
  alignDown,
  alignUp,
  GiB,
  KiB,
  MiB,
  NULL,
  naturalAlign,
  toAddress,
} from '../../src/memory/address.ts';

test('the units are powers of 1,024', () => {
  expect([KiB, MiB, GiB]).toEqual([2 ** 10, 2 ** 20, 2 ** 30]);
});

describe('toAddress', () => {
  test.each([0, 1, 8, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 8, 2 ** 32 - 1])('%d is an address', (value) => {
    expect(toAddress(value)).toBe(value);
  });

  test('-0 is NULL', () => {
    expect(toAddress(-0) === NULL).toBe(true);
  });

  test.each<unknown>([
    -1,
    0.5,
    8.25,
    2 ** 32,
    2 ** 53,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    '8',
    '',
    null,
    undefined,
    true,
    {},
    [],
    8n,
    Symbol('8'),
  ])('%s is none', (value) => {
    expect(() => toAddress(value as number)).toThrow(RangeError);
  });

  test('the error says what was given', () => {
    expect(() => toAddress(-8)).toThrow('not an address: -8');
  });
});

describe('rounding', () => {
  test.each([
    [0, 8, 0, 0],
    [1, 8, 8, 0],
    [7, 8, 8, 0],
    [8, 8, 8, 8],
    [9, 8, 16, 8],
    [4097, 4096, 8192, 4096],
    [2 ** 31 + 1, 4096, 2 ** 31 + 4096, 2 ** 31],
    [2 ** 32 - 1, 8, 2 ** 32, 2 ** 32 - 8],
    [2 ** 32 + 1, 2 ** 32, 2 ** 33, 2 ** 32],
    [5, 1, 5, 5],
    [2 ** 52 - 1, 2 ** 31, 2 ** 52, 2 ** 52 - 2 ** 31],
  ])('%d to %d bytes: up %d, down %d', (value, align, up, down) => {
    expect(alignUp(value, align)).toBe(up);
    expect(alignDown(value, align)).toBe(down);
  });

  test.each([
    [0, 0],
    [1, 1],
    [8, 8],
    [24, 8],
    [4096, 4096],
    [4096 + 64, 64],
    [2 ** 31, 2 ** 31],
    [2 ** 31 + 2 ** 20, 2 ** 20],
    [2 ** 32 - 8, 8],
    [2 ** 32 - 1, 1],
  ])('%d is aligned to %d bytes by nature', (address, align) => {
    expect(naturalAlign(address)).toBe(align);
  });
});
