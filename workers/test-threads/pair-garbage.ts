/**
 * Pair garbage: allocates and frees in pairs, and adds up by how much V8's heap has grown meanwhile, bit
 * by bit, so that a collection in between hides nothing but its own part.
 */

import { getHeapStatistics } from 'node:v8';
import { parentPort, workerData } from 'node:worker_threads';
import { Heap, MiB } from '../../src/index.ts';

export interface PairGarbageReport {
  /** Bytes of garbage over all parts. */
  readonly bytes: number;
  readonly checksum: number;
}

const PARTS = 200;
const ATTEMPTS = 20;

const { pairs } = workerData as { readonly pairs: number };
const heap = Heap.create({ byteLength: 16 * MiB });

function run(count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const address = heap.alloc(16 + (i & 1023));
    sum += address & 0xff;
    heap.free(address);
  }
  return sum;
}

const usedBytes = () => getHeapStatistics().used_heap_size;

let bytes = Number.POSITIVE_INFINITY;
let checksum = 0;
// Code that is not optimized yet makes garbage of its own, and on a busy machine it takes a while to be.
for (let attempt = 0; attempt < ATTEMPTS && bytes >= pairs; attempt++) {
  run(2_000_000);
  bytes = 0;
  for (let part = 0; part < PARTS; part++) {
    const before = usedBytes();
    checksum += run(pairs / PARTS);
    bytes += Math.max(0, usedBytes() - before);
  }
}

parentPort!.postMessage({ bytes, checksum } satisfies PairGarbageReport);
