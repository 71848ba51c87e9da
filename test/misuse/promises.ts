/**
 * Promises: a table of misuses, each with what a standard and a hardened heap promise about it. A promise that
 * cannot be kept is not made: those cells say so, and run nothing.
 */

import { describe, expect, test } from 'vitest';
import type * as errors from '../../src/errors.ts';
import { attached } from '../../src/heap/attached.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapOptions } from '../../src/heap/options.ts';
import { MiB } from '../../src/memory/address.ts';

/** No promise: nothing sees it, or whether something does hangs on chance. */
export const NONE = undefined;

/** What is thrown: the name of an error. */
export type ErrorName =
  | 'RangeError'
  | 'ReferenceError'
  | 'TypeError'
  | {
      [Name in keyof typeof errors]: (typeof errors)[Name] extends abstract new (
        ...args: never
      ) => Error
        ? Name
        : never;
    }[keyof typeof errors];

/** An error, thrown by the misuse itself or by `heap.verify()` after it; or `'harmless'`: an answer, and no change. */
export type Promised = ErrorName | `verify: ${ErrorName}` | 'harmless' | typeof NONE;

/** One row. */
export interface Misuse {
  readonly name: string;
  readonly standard: Promised;
  readonly hardened: Promised;
  /** Misuses the heap: throws what was promised, or leaves it to be found. `'harmless'` runs assert themselves. */
  run(heap: Heap): unknown;
}

const MODES: readonly [name: string, column: 'standard' | 'hardened', options: HeapOptions][] = [
  ['standard', 'standard', {}],
  ['standard, without caches', 'standard', { cache: false }],
  ['hardened', 'hardened', { checks: 'hardened' }],
];

/** Declares a test for each row and each mode that promises something. */
export function promises(rows: readonly Misuse[]): void {
  describe.each(MODES)('%s', (_, column, options) => {
    const kept = rows.filter((row) => row[column] !== NONE);
    const cases = kept.map((row) => [`${row.name} → ${row[column]}`, row[column]!, row.run] as const);
    test.each(cases)('%s', (_, promised, run) => {
      const heap = Heap.create({ byteLength: MiB, maxThreads: 8, lockTimeout: 500, ...options });
      const fine = heap.alloc(64);
      heap.memory.u8.fill(0xa5, fine, fine + 64);
      const { liveBlocks } = heap.stats();
      const isCorrupt = promised.endsWith('HeapCorruptionError');
      if (promised === 'harmless') run(heap);
      else if (promised.startsWith('verify: ')) {
        run(heap);
        expectError(promised.slice('verify: '.length), () => heap.verify());
      } else expectError(promised, () => run(heap));
      expect(
        heap.memory.bytes(fine, 64).every((byte) => byte === 0xa5),
        'a block nearby',
      ).toBe(true);
      // What is refused changes nothing; what is corrupt stays so, and every walk says it again.
      if (isCorrupt) attached().heaps.delete(heap.id);
      else {
        heap.verify();
        expect(heap.stats().liveBlocks).toBeGreaterThanOrEqual(liveBlocks);
        heap.detach();
      }
    });
  });
}

/** Runs what must throw an error of that name. */
export function expectError(name: string, run: () => unknown): void {
  let thrown: unknown;
  try {
    run();
  } catch (error) {
    thrown = error;
  }
  expect(thrown, `${name} was promised`).toBeInstanceOf(Error);
  expect((thrown as Error).name, (thrown as Error).message).toBe(name);
}
