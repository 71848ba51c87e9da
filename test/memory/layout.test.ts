/** Layouts: which sizes and alignments may be asked for, and what the errors say. */

import { describe, expect, test } from 'vitest';
import { checkAlign, checkInteger, checkSize, DEFAULT_ALIGN } from '../../src/memory/layout.ts';

const noNumbers: readonly unknown[] = ['8', '', null, undefined, true, {}, [], [8], 8n, Symbol('8'), () => 8];

describe('sizes', () => {
  test.each([0, -0, 1, 8, 2 ** 31, 2 ** 32, 2 ** 53 - 1])('%d is one', (size) => {
    expect(() => checkSize(size)).not.toThrow();
  });

  test.each([
    -1,
    -8,
    0.5,
    1e-9,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -Infinity,
    2 ** 53,
    2 ** 60,
    ...noNumbers,
  ])('%s is none', (size) => {
    expect(() => checkSize(size as number)).toThrow(RangeError);
    expect(() => checkSize(size as number)).toThrow('size must be an integer from 0 to 2^53 - 1, got ');
  });
});

describe('alignments', () => {
  test('every power of two to 2^52 is one', () => {
    for (let log = 0; log <= 52; log++) expect(() => checkAlign(2 ** log)).not.toThrow();
  });

  test('no neighbour of a power of two is one', () => {
    for (let log = 2; log <= 52; log++) {
      expect(() => checkAlign(2 ** log - 1), `2^${log} - 1`).toThrow(RangeError);
      expect(() => checkAlign(2 ** log + 1), `2^${log} + 1`).toThrow(RangeError);
    }
  });

  test.each([0, -0, -1, -8, 0.5, 1.5, 3, 12, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, ...noNumbers])(
    '%s is none',
    (align) => {
      expect(() => checkAlign(align as number)).toThrow(RangeError);
    },
  );

  test('callers get 8 without asking', () => {
    expect(DEFAULT_ALIGN).toBe(8);
  });
});

describe('integers in a range', () => {
  test.each([-2, 0, 5])('%d lies from -2 to 5', (value) => {
    expect(() => checkInteger('count', value, -2, 5)).not.toThrow();
  });

  test.each([-3, 6, 0.5, Number.NaN, Number.POSITIVE_INFINITY, ...noNumbers])('%s does not', (value) => {
    expect(() => checkInteger('count', value as number, -2, 5)).toThrow(RangeError);
  });

  test('the error names the value, what it is and what is wanted', () => {
    expect(() => checkInteger('count', 6, -2, 5)).toThrow('count must be an integer from -2 to 5, got 6');
    expect(() => checkInteger('count', '6' as never, -2, 5)).toThrow('got "6"');
    expect(() => checkSize(null as never)).toThrow('got null');
    expect(() => checkAlign(12)).toThrow('align must be a power of two from 1 to 2^52, got 12');
  });
});
