/**
 * Neighbours: two threads write the header of one block at the same time, each its own word of it. One
 * has the block and frees and allocates it again and again, which changes its ownership. The other frees
 * and allocates the blocks below and above, which changes "below free" in its geometry.
 *
 *      below        mine    spare    above        wall
 *      20,000 B │ 64 B │ 64 B  │ 20,000 B │ 20,000 B
 *      neighbour    holder           neighbour
 */

import { parentPort, workerData } from 'node:worker_threads';
import { type Address, Heap, type HeapHandle } from '../../src/index.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';

export interface NeighboursJob {
  readonly heap: HeapHandle;
  readonly role: 'holder' | 'neighbour';
  readonly meeting: SharedArrayBuffer;
  /** How often the neighbour frees and allocates. */
  readonly rounds: number;
}

export interface NeighboursReport {
  readonly rounds: number;
  readonly faults: readonly string[];
}

const LARGE = 20_000;
const SMALL = 64;
const VERIFY_EVERY = 1000;
/** Slots of the meeting: the neighbour is done; the unit of the holder's block; the holder is at it. */
const DONE = 0;
const MINE = 1;
const AT_IT = 2;
/** The bit of the geometry word, as the picture in block.ts has it. */
const BELOW_FREE = 2;

const job = workerData as NeighboursJob;
const heap = Heap.attach(job.heap);
const meeting = new Rendezvous(2, job.meeting);
const faults: string[] = [];

/** Runs until the neighbour is done. Returns how often the block changed hands. */
function hold(): number {
  meeting.meet();
  // A batch of two, the lower one first.
  const mine = heap.alloc(SMALL);
  const spare = heap.alloc(SMALL);
  meeting.store(MINE, mine / 8);
  meeting.meet();
  let rounds = 0;
  meeting.meet();
  while (meeting.load(DONE) === 0) {
    // In between a look at the word that says so: 1,000 changes without any.
    for (let i = 0; i < 1000; i++) {
      heap.free(mine);
      const again = heap.alloc(SMALL);
      if (again !== mine) faults.push(`the cache gave ${again} instead of ${mine}`);
    }
    rounds += 1000;
    meeting.store(AT_IT, 1);
  }
  for (const address of [mine, spare]) heap.free(address);
  return rounds;
}

/** Whether the header of the holder's block says that the block below it is free. */
function saysBelowFree(): boolean {
  return (heap.memory.i32[meeting.load(MINE) * 2 - 2]! & BELOW_FREE) !== 0;
}

function disturb(): number {
  let below: Address = heap.alloc(LARGE);
  meeting.meet();
  // The holder allocates in between: its batch of two lies there.
  meeting.meet();
  let above: Address = heap.alloc(LARGE);
  const wall = heap.alloc(LARGE);
  const inRow = below + LARGE + 8 === meeting.load(MINE) * 8 && below < above && above < wall;
  if (!inRow) faults.push('the blocks do not lie in a row');
  meeting.meet();
  for (let round = 1; round <= job.rounds || meeting.load(AT_IT) === 0; round++) {
    heap.free(below);
    if (!saysBelowFree()) faults.push(`round ${round}: "below free" was lost`);
    heap.free(above);
    // Each in its place again: holes that just fit, the latest first.
    above = heap.alloc(LARGE);
    below = heap.alloc(LARGE);
    if (saysBelowFree()) faults.push(`round ${round}: "below free" came back`);
    if (round % VERIFY_EVERY === 0) heap.verify();
  }
  meeting.store(DONE, 1);
  for (const address of [below, above, wall]) heap.free(address);
  return job.rounds;
}

const rounds = job.role === 'holder' ? hold() : disturb();
heap.verify();
parentPort!.postMessage({ rounds, faults: faults.slice(0, 10) } satisfies NeighboursReport);
