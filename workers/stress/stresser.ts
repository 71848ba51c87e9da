/** A thread of the stress command: allocates, frees and exchanges stamped blocks until the deadline. */

import { parentPort, workerData } from 'node:worker_threads';
import { type Address, Heap, NULL } from '../../src/index.ts';
import { allocStamped, freeStamped, Slot } from './stamped.ts';

const KEPT = 1000;
const ROUND = 1000;

const heap = Heap.attach(workerData.heap);
const slots = Slot.arrayAt(heap, workerData.slots);
const slot = slots.at(0);
const kept: Address[] = [];
let state = (workerData.seed as number) | 1;
let operations = 0;
let failures = 0;

/** An integer from 0 below `limit`: xorshift32, G. Marsaglia. */
function random(limit: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % limit;
}

/** Mostly small, sometimes larger, rarely large. */
function randomSize(): number {
  const kind = random(100);
  return 4 * (1 + random(kind < 90 ? 64 : kind < 99 ? 2048 : 32_768));
}

function step(): void {
  const kind = random(10);
  if (kind < 5 && kept.length < KEPT) {
    const address = allocStamped(heap, randomSize());
    if (address === NULL) failures++;
    else kept.push(address);
  } else if (kind < 7 && kept.length > 0) {
    // Publishes: the exchange hands the block, content and all, to whoever takes it from the slot.
    const index = random(kept.length);
    const mine = kept[index] as Address;
    kept[index] = kept.at(-1) as Address;
    kept.pop();
    slots.at(random(slots.length), slot);
    freeStamped(heap, slot.block.exchange(mine));
  } else if (kept.length > 0) {
    freeStamped(heap, kept.pop() as Address);
  }
}

while (Date.now() < workerData.deadline) {
  for (let i = 0; i < ROUND; i++) step();
  operations += ROUND;
}
for (const address of kept) freeStamped(heap, address);
heap.detach();
parentPort?.postMessage({ operations, failures });
