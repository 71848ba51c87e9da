/** Vec: the sum of a million f64 through `asTypedArray()`, and of a plain Float64Array. */

import { f64, Heap, MiB, SharedVec } from '../../src/index.ts';
import type { Job, Numbers } from '../job.ts';
import { nanoseconds } from './timed.ts';

const LENGTH = 1_000_000;

/** `ns` of an element. */
export function measureSum(job: Job): Numbers {
  const numbers = job.subject === 'plain' ? new Float64Array(LENGTH) : sharedNumbers();
  for (let i = 0; i < LENGTH; i++) numbers[i] = i;
  const expected = (LENGTH * (LENGTH - 1)) / 2;
  const ns = nanoseconds(job, LENGTH, () => {
    if (sumOf(numbers) !== expected) throw new Error('wrong sum');
  });
  return { ns };
}

function sharedNumbers(): Float64Array {
  const vec = SharedVec.create(Heap.create({ byteLength: 64 * MiB }), f64);
  for (let i = 0; i < LENGTH; i++) vec.push(0);
  return vec.asTypedArray() as Float64Array;
}

function sumOf(numbers: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += numbers[i]!;
  return sum;
}
