/**
 * Stress member: what mimalloc's stress test has a thread do. It allocates blocks of mixed sizes, keeps
 * half, frees at random, and exchanges blocks with the other threads through a table. Every block is
 * filled with a cookie, which whoever frees it checks. Comes and goes as often as it is told to.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { type Address, Heap, type HeapHandle, NULL } from '../../src/index.ts';
import { payloadFault, stampPayload } from '../../test/stress/payload.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';

export interface StressMemberJob {
  readonly heap: HeapHandle;
  /** Its slots are the table. */
  readonly table: SharedArrayBuffer;
  readonly seed: number;
  /** How many blocks, half again of which are kept to the end of a visit. */
  readonly blocks: number;
  /** How often the thread attaches, works and detaches. */
  readonly visits: number;
  /** The largest factor by which the 1 to 16 words of a block are multiplied: 1, 100, 1,000 or 10,000. */
  readonly largest: number;
}

export interface StressMemberReport {
  readonly allocations: number;
  readonly exhausted: number;
  readonly slots: readonly number[];
  readonly faults: readonly string[];
}

const job = workerData as StressMemberJob;
const table = new Rendezvous(1, job.table);
const faults: string[] = [];
const slots: number[] = [];
let allocations = 0;
let exhausted = 0;
let state = job.seed | 1;

/** xorshift32: the same run for the same seed, as far as the other threads let it. */
function random(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}

const chance = (percent: number) => random(100) < percent;

function randomSize(): number {
  let factor = 1;
  if (chance(1)) factor = chance(10) ? (chance(1) ? 10_000 : 1000) : 100;
  return (1 + random(16)) * 8 * Math.min(factor, job.largest);
}

function make(heap: Heap): Address {
  const size = randomSize();
  const address = heap.alloc(size);
  if (address === NULL) {
    exhausted++;
    return NULL;
  }
  allocations++;
  stampPayload(heap.memory, address, size, random(2 ** 31));
  return address;
}

function drop(heap: Heap, address: Address): void {
  if (address === NULL) return;
  const fault = payloadFault(heap.memory, address);
  if (fault !== undefined) faults.push(fault);
  heap.free(address);
}

/** Takes a block out at random. */
function draw(blocks: Address[]): Address {
  const index = random(blocks.length);
  const address = blocks[index]!;
  blocks[index] = blocks.at(-1)!;
  blocks.pop();
  return address;
}

function work(heap: Heap): void {
  const data: Address[] = [];
  const kept: Address[] = [];
  let left = job.blocks;
  let toKeep = job.blocks >>> 1;
  while (left > 0 || toKeep > 0) {
    if (toKeep === 0 || (left > 0 && chance(50))) {
      left--;
      data.push(make(heap));
    } else {
      toKeep--;
      kept.push(make(heap));
    }
    if (chance(66) && data.length > 0) drop(heap, draw(data));
    if (chance(25) && data.length > 0) {
      const other = table.exchange(random(table.slots), draw(data) / 8);
      data.push(((other >>> 0) * 8) as Address);
    }
  }
  for (const address of [...data, ...kept]) drop(heap, address);
}

for (let visit = 1; visit <= job.visits; visit++) {
  const heap = Heap.attach(job.heap);
  slots.push(heap.threadSlot);
  work(heap);
  // The last time the thread just ends.
  if (visit < job.visits) heap.detach();
}

parentPort!.postMessage({
  allocations,
  exhausted,
  slots,
  faults: faults.slice(0, 10),
} satisfies StressMemberReport);
