/** Size classes: every size has the smallest class that holds it, and no class wastes much. */

import { expect, test } from 'vitest';
import {
  CLASS_BYTES,
  CLASS_SHIFT,
  CLASSES,
  LARGEST_CLASS,
  SHIFTED_CLASS_OF,
} from '../../src/allocators/size-class.ts';

/** The class of a size, looked up as the caches do. */
const classOf = (size: number) => SHIFTED_CLASS_OF[(size + 15) >>> 4]! >>> CLASS_SHIFT;

test('classes are multiples of 16, rise from 16 to the largest, and fit the ownership word', () => {
  expect(CLASS_BYTES).toHaveLength(CLASSES);
  expect(CLASS_BYTES[0]).toBe(0);
  expect(CLASS_BYTES[1]).toBe(16);
  expect(CLASS_BYTES[CLASSES - 1]).toBe(LARGEST_CLASS);
  for (let cls = 1; cls < CLASSES; cls++) {
    expect(CLASS_BYTES[cls]! % 16).toBe(0);
    expect(CLASS_BYTES[cls]!).toBeGreaterThan(CLASS_BYTES[cls - 1]!);
  }
  // 6 bits; the highest stands for gaps between spans.
  expect(CLASSES).toBeLessThanOrEqual(63);
});

test('every size up to the largest has the smallest class that holds it', () => {
  for (let size = 0; size <= LARGEST_CLASS; size++) {
    const cls = classOf(size);
    expect(cls, `${size} bytes`).toBeGreaterThan(0);
    expect(CLASS_BYTES[cls]!, `${size} bytes`).toBeGreaterThanOrEqual(size);
    if (cls > 1) expect(CLASS_BYTES[cls - 1]!, `${size} bytes`).toBeLessThan(size);
  }
});

test('a class is looked up where it stands in the ownership word', () => {
  for (let cls = 1; cls < CLASSES; cls++) {
    expect(SHIFTED_CLASS_OF[CLASS_BYTES[cls]! / 16]).toBe(cls << CLASS_SHIFT);
    expect(cls << CLASS_SHIFT).toBeLessThanOrEqual(0x3f00);
  }
  expect(SHIFTED_CLASS_OF).toHaveLength(LARGEST_CLASS / 16 + 1);
});

test('above 128 bytes an eighth is wasted at most, below 15 bytes', () => {
  for (let size = 1; size <= LARGEST_CLASS; size++) {
    const waste = CLASS_BYTES[classOf(size)]! - size;
    expect(waste, `${size} bytes`).toBeLessThanOrEqual(size <= 128 ? 15 : size / 8);
  }
});
