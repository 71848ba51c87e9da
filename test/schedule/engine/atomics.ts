/**
 * Stands in for src/memory/atomics.ts. In one isolate plain operations are atomic; what is done here is what
 * they order: an atomic load has seen all that came before the atomic store whose value it reads.
 */

import * as races from './races.ts';
import { running, sleep, sleepUnlessAborted, stored, type View, wake } from './runtime.ts';

function loads(view: View, index: number): void {
  if (races.enabled && running !== 0) races.acquire(running, view.$o + index * 2 ** view.$s);
}

function stores(view: View, index: number): void {
  stored();
  if (races.enabled && running !== 0) races.release(running, view.$o + index * 2 ** view.$s);
}

function change<T extends number | bigint>(view: View, index: number, to: (was: T) => number | bigint): T {
  loads(view, index);
  const was = view[index] as T;
  view[index] = to(was);
  stores(view, index);
  return was;
}

export function atomicLoad(view: View, index: number): number {
  loads(view, index);
  return view[index] as number;
}

export function atomicStore(view: View, index: number, value: number): void {
  view[index] = value;
  stores(view, index);
}

export function atomicExchange(view: View, index: number, value: number): number {
  return change(view, index, () => value);
}

export function compareExchange(view: View, index: number, expected: number, value: number): number {
  loads(view, index);
  const was = view[index] as number;
  // As `Atomics` does, in the element's type: a u32 of 2^31 and more compares as such.
  if (view.$s === 2 && (was | 0) !== (expected | 0)) return was;
  view[index] = value;
  stores(view, index);
  return was;
}

export function atomicAdd(view: View, index: number, value: number): number {
  return change<number>(view, index, (was) => was + value);
}

export function atomicSub(view: View, index: number, value: number): number {
  return change<number>(view, index, (was) => was - value);
}

export function atomicAnd(view: View, index: number, value: number): number {
  return change<number>(view, index, (was) => was & value);
}

export function atomicOr(view: View, index: number, value: number): number {
  return change<number>(view, index, (was) => was | value);
}

export function bigLoad(view: View, index: number): bigint {
  loads(view, index);
  return view[index] as bigint;
}

export function bigStore(view: View, index: number, value: bigint): void {
  view[index] = value;
  stores(view, index);
}

export function bigExchange(view: View, index: number, value: bigint): bigint {
  return change(view, index, () => value);
}

export function bigCompareExchange(view: View, index: number, expected: bigint, value: bigint): bigint {
  loads(view, index);
  const was = view[index] as bigint;
  if (BigInt.asIntN(64, was) !== BigInt.asIntN(64, expected)) return was;
  view[index] = value;
  stores(view, index);
  return was;
}

export function bigAdd(view: View, index: number, value: bigint): bigint {
  return change<bigint>(view, index, (was) => was + value);
}

export function bigSub(view: View, index: number, value: bigint): bigint {
  return change<bigint>(view, index, (was) => was - value);
}

export function bigAnd(view: View, index: number, value: bigint): bigint {
  return change<bigint>(view, index, (was) => was & value);
}

export function bigOr(view: View, index: number, value: bigint): bigint {
  return change<bigint>(view, index, (was) => was | value);
}

export { sleep as wait, sleep as waitAsync, sleepUnlessAborted as waitAbortable, wake as notify };

/** Calls are rewritten to the runtime's own. */
export function pause(): void {}
