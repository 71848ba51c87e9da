/**
 * Run copy: many numbers at once between a list and a queue's values, which lie one after the other.
 *
 *     list     … │ from │ from + 1 │ …             into[at], into[at + 1], …
 *     values     │ address │ + size │ …
 *
 * The same loop for each kind, on purpose: V8 keeps type feedback per function literal, and a loop over one
 * kind of typed array costs about a nanosecond an item. Typed arrays are copied by the engine.
 */

import type { Memory } from '../memory/memory.ts';

/** Copies numbers of one kind. */
export interface RunCopy {
  /** Puts `list[from]` and those after it, `count` in all, at `address`. */
  put(address: number, list: ArrayLike<number>, from: number, count: number): void;
  /** Reads `count` numbers from `address` on into `into[at]` (default 0) and so on. */
  take(address: number, into: number[], count: number, at?: number): void;
}

/** For the kinds whose values lie without gaps in a queue; undefined for others. */
export function runCopyOf(kind: string, memory: Memory): RunCopy | undefined {
  if (kind === 'u32') return copyU32(memory.u32);
  if (kind === 'i32') return copyI32(memory.i32);
  if (kind === 'f64') return copyF64(memory.f64);
  return undefined;
}

type Numbers = Uint32Array | Int32Array | Float64Array;

/** When `list` is a typed array: the engine copies it. */
function copied(
  values: Numbers,
  start: number,
  list: ArrayLike<number>,
  from: number,
  count: number,
): boolean {
  if (!ArrayBuffer.isView(list)) return false;
  values.set((list as unknown as Numbers).subarray(from, from + count), start);
  return true;
}

function copyU32(values: Uint32Array): RunCopy {
  return {
    put(address, list, from, count) {
      const start = address >>> 2;
      if (copied(values, start, list, from, count)) return;
      for (let index = 0; index < count; index++) values[start + index] = list[from + index]!;
    },
    take(address, into, count, at = 0) {
      const start = address >>> 2;
      for (let index = 0; index < count; index++) into[at + index] = values[start + index]!;
    },
  };
}

function copyI32(values: Int32Array): RunCopy {
  return {
    put(address, list, from, count) {
      const start = address >>> 2;
      if (copied(values, start, list, from, count)) return;
      for (let index = 0; index < count; index++) values[start + index] = list[from + index]!;
    },
    take(address, into, count, at = 0) {
      const start = address >>> 2;
      for (let index = 0; index < count; index++) into[at + index] = values[start + index]!;
    },
  };
}

function copyF64(values: Float64Array): RunCopy {
  return {
    put(address, list, from, count) {
      const start = address >>> 3;
      if (copied(values, start, list, from, count)) return;
      for (let index = 0; index < count; index++) values[start + index] = list[from + index]!;
    },
    take(address, into, count, at = 0) {
      const start = address >>> 3;
      for (let index = 0; index < count; index++) into[at + index] = values[start + index]!;
    },
  };
}
